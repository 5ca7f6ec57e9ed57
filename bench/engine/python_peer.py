"""A library that has only a Python form, as a process beside wb_engine_peers: it takes its own time around its own calls, so
that what is timed is the library with Python's overhead and no pipe.

usage: python_peer.py MODEL ROWS.f32 FEATURES     MODEL: .pickle (scikit-learn) or .cbm (CatBoost)
Answers each line on its standard input, "seconds|latencies|margins FIRST ROWS AT_ONCE", with one line: how many numbers, and
those, in hexadecimal. The first line, without being asked: milliseconds that loading took, KiB it grew by, margins a row.
"""
import pickle
import sys
import time

import numpy as np


def rss_kib():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def load(path):
    """A function from f32[rows, features] to margins: f64[rows] or f64[rows, classes]."""
    if path.endswith(".cbm"):
        import catboost  # noqa: PLC0415: only one of the two is needed
        model = catboost.CatBoostClassifier().load_model(path)
        return lambda rows: model.predict(rows, prediction_type="RawFormulaVal", thread_count=1)
    with open(path, "rb") as file:
        return pickle.load(file).predict_proba  # which prepare.py wrote


def answer(numbers):
    print(len(numbers), *[float(x).hex() for x in numbers], flush=True)


def main():
    path, rows_path, features = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rows = np.fromfile(rows_path, np.float32).reshape(-1, features)
    before, began = rss_kib(), time.perf_counter()
    ask = load(path)
    took = time.perf_counter() - began
    width = ask(rows[:1]).size
    answer([took * 1e3, rss_kib() - before, width])
    for line in sys.stdin:
        what, first, count, at_once = line.split()[0], *map(int, line.split()[1:])
        pieces = [rows[at % len(rows):at % len(rows) + at_once] for at in range(first, first + count, at_once)]
        if what == "margins":
            answer(np.concatenate([np.asarray(ask(piece), np.float64).ravel() for piece in pieces]))
        elif what == "latencies":
            out = []
            for piece in pieces:
                began = time.perf_counter()
                ask(piece)
                out.append((time.perf_counter() - began) * 1e6)
            answer(out)
        else:
            began = time.process_time()
            for piece in pieces:
                ask(piece)
            answer([time.process_time() - began])


main()
