"""What the tests of this folder share: a model that a real library trained and saved goes through `waybill model import`
and `waybill predict`, and its margins must be the library's, bit for bit.

Rows are chosen to hurt (nasty_rows): values exactly on a threshold of the model and one number beside it, both zeros,
denormals, infinities, missing values everywhere. A row with all values missing takes the default side of every node.
"""
import csv
import json
import os
import subprocess
import tempfile
import unittest

import numpy as np

WAYBILL = os.path.join(os.environ["WAYBILL_BIN"], "waybill")


def ulps(a, b):
    """How many numbers lie between two arrays of the same float type, elementwise; NaN equals NaN."""
    width = a.dtype.itemsize
    unsigned = np.uint32 if width == 4 else np.uint64
    sign = unsigned(1) << unsigned(width * 8 - 1)

    def key(x):
        bits = np.ascontiguousarray(x).view(unsigned)
        return np.where(bits & sign, ~bits, bits | sign)

    ka, kb = key(a), key(b)
    out = np.where(ka > kb, ka - kb, kb - ka)
    return np.where(np.isnan(a) & np.isnan(b), 0, out)


def nasty_rows(rng, thresholds, count, dtype, categories=None, infinite=True):
    """thresholds: one list of numbers a feature. categories: for each feature the number of categories, or 0."""
    tiny = np.finfo(dtype).smallest_subnormal
    columns = []
    for feature, edges in enumerate(thresholds):
        edges = np.asarray(sorted(set(edges)) or [0], dtype)
        kinds = [edges, np.nextafter(edges, dtype(np.inf)), np.nextafter(edges, dtype(-np.inf)),
                 np.asarray([0.0, -0.0, tiny, -tiny, 1e-35, -1e-35, 1.5e-35, np.nan, np.nan, 1e30, -1e30], dtype)]
        if infinite:
            kinds.append(np.asarray([np.inf, -np.inf], dtype))
        if categories and categories[feature]:
            known = np.arange(categories[feature] + 3)
            kinds = [known, known, known, known + 0.5, [-1, -0.5, 1e6, 2**24 - 1, 2**24, 1e9, 1e12, np.nan, np.nan]]
        pick = rng.integers(0, len(kinds), count)
        columns.append([rng.choice(kinds[k]) for k in pick])
    rows = np.asarray(columns, dtype).T.copy()
    rows[0] = np.nan  # the default side of every node
    for feature in range(min(len(thresholds), count - 1)):
        rows[1 + feature, feature] = np.nan
    return rows


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="waybill-interop-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.rng = np.random.default_rng(7)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_waybill(self, *arguments):
        return subprocess.run([WAYBILL, *arguments], capture_output=True, text=True, timeout=120, check=False)

    def waybill(self, *arguments):
        done = self.run_waybill(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, *arguments):
        """What it says instead of doing it."""
        done = self.run_waybill(*arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def import_file(self, file, *options, name="m.wbm"):
        self.waybill("model", "import", self.path(file), "-o", self.path(name), *options)
        return self.path(name)

    def show(self, model):
        return json.loads(self.waybill("model", "show", model, "--output", "json"))

    def write_csv(self, name, names, rows):
        """Every number as the shortest decimal that reads back; a missing one as nan."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(",".join(names) + "\n")
            for row in np.asarray(rows).reshape(len(rows), -1):
                file.write(",".join(repr(float(x)) for x in row) + "\n")
        return self.path(name)

    def predict(self, model, rows, *options):
        """f64[rows, …] of what `waybill predict` prints."""
        data = self.write_csv("rows.csv", self.show(model)["features"], rows)
        lines = self.waybill("predict", model, "--data", data, *options).splitlines()
        self.assertEqual(len(lines), len(rows))
        return np.asarray([[float(x) for x in line.split(",")] for line in lines])

    def assert_margins(self, model, rows, theirs):
        theirs = np.asarray(theirs).reshape(len(rows), -1)
        ours = self.predict(model, rows, "--margin").astype(theirs.dtype)
        self.assertEqual(ours.shape, theirs.shape)
        away = ulps(ours, theirs)
        at = np.argwhere(away)
        self.assertEqual(len(at), 0, f"{len(at)} of {away.size} margins; first: row {rows[at[0][0]] if len(at) else ''}: "
                         f"{ours[tuple(at[0])] if len(at) else ''} instead of {theirs[tuple(at[0])] if len(at) else ''}")

    def assert_answers(self, model, rows, theirs, ulps_max=2):
        theirs = np.asarray(theirs).reshape(len(rows), -1)
        ours = self.predict(model, rows, "--all").astype(theirs.dtype)
        if ours.shape[1] == 2 and theirs.shape[1] == 1:
            ours = ours[:, 1:]  # the library answers for the second label alone
        self.assertEqual(ours.shape, theirs.shape)
        away = ulps(ours, theirs)
        at = np.unravel_index(np.argmax(away), away.shape)
        self.assertLessEqual(away[at], ulps_max, f"{ours[at]} instead of {theirs[at]}")

    def contributions(self, model, rows):
        """f64[rows, outputs, features + 1]"""
        names = self.show(model)["features"]
        data = self.write_csv("rows.csv", names, rows)
        lines = list(csv.reader(self.waybill("predict", model, "--data", data, "--explain").splitlines()))
        named = lines[0][0] == "output"
        self.assertEqual(lines[0][named:], names + ["bias"])
        numbers = np.asarray([[float(x) for x in line[named:]] for line in lines[1:]])
        return numbers.reshape(len(rows), -1, len(names) + 1)

    def assert_contributions(self, file, rows, theirs):
        """Within a part of the largest of all contributions."""
        ours = self.contributions(self.import_file(file, "--explain"), rows)
        theirs = np.asarray(theirs).reshape(ours.shape)
        self.assertLessEqual(np.abs(ours - theirs).max() / np.abs(theirs).max(), 1e-6)

    def assert_adds_up(self, file, rows, margins):
        """Where the library's own contributions are none to be equal to."""
        ours = self.contributions(self.import_file(file, "--explain"), rows)
        np.testing.assert_allclose(ours.sum(axis=2), np.asarray(margins).reshape(len(rows), -1), rtol=0, atol=1e-9)


def main():
    unittest.main(verbosity=2)
