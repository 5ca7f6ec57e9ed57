"""waybill.Model: what it answers is what `waybill predict` answers, arrays are read where they lie, and what does not fit is
refused by name."""
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import waybill
import xgboost

TOOL = os.path.join(os.environ["WAYBILL_BIN"], "waybill")


def trained(classes=0, rows=300):
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(size=(rows, 4)), 2).astype(np.float32)
    y = 2 * x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=rows)
    if classes:
        y = np.digitize(y, np.linspace(-1, 1, classes - 1))
    kind = {0: "reg:squarederror", 2: "binary:logistic"}.get(classes, "multi:softprob")
    params = {"objective": kind, "max_depth": 4, "nthread": 1, **({"num_class": classes} if classes > 2 else {})}
    names = ["vib", "temp", "load", "rpm"]
    return xgboost.train(params, xgboost.DMatrix(x, y, feature_names=names), 8), x


@pytest.fixture(scope="module", params=[0, 2, 4])
def made(request):
    booster, x = trained(request.param)
    return waybill.from_xgboost(booster, sample=x), x


def test_answers_are_those_of_the_command(made, tmp_path):
    model, x = made
    model.save(tmp_path / "m.wbm")
    pd.DataFrame(x, columns=model.features).to_csv(tmp_path / "x.csv", index=False)
    for option, ours in (("--margin", model.margin(x)), ("--all", model.predict_proba(x) if model.labels else model.predict(x))):
        done = subprocess.run([TOOL, "predict", tmp_path / "m.wbm", "--data", tmp_path / "x.csv", option], check=True,
                              capture_output=True, text=True)
        theirs = np.asarray([line.split(",") for line in done.stdout.splitlines()], np.float32)
        assert np.array_equal(ours.reshape(len(x), -1), theirs)
    if model.labels:
        done = subprocess.run([TOOL, "predict", tmp_path / "m.wbm", "--data", tmp_path / "x.csv"], check=True,
                              capture_output=True, text=True)
        assert [line.split(",")[0] for line in done.stdout.splitlines()] == [str(label) for label in model.predict(x)]


def test_what_it_says_of_itself(made, tmp_path):
    model, x = made
    model.save(tmp_path / "m.wbm")
    again = waybill.load(tmp_path / "m.wbm")
    assert again.features == ["vib", "temp", "load", "rpm"]
    assert again.size_bytes == os.path.getsize(tmp_path / "m.wbm") == len(again.to_bytes())
    assert again.trees == 8 * max(1, len(model.labels) if len(model.labels) > 2 else 1)
    assert again.notes["library"].startswith("xgboost ")
    assert os.listdir(tmp_path) == ["m.wbm"]
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.margin(x), model.margin(x))


def test_every_layout_and_precision_gives_the_same(made):
    model, x = made
    expected = model.margin(x)
    assert expected.dtype == np.float32
    wide = np.zeros((len(x), 8), np.float32)
    wide[:, ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    frame = pd.DataFrame(x, columns=model.features)
    for other in (x.astype(np.float64), np.asfortranarray(x), wide[:, ::2], read_only, frame, frame.astype("float64"),
                  frame.astype("Float64"), frame[["rpm", "temp", "vib", "load"]].assign(more="text")):
        assert np.array_equal(model.margin(other), expected)
    assert model.margin(x[:0]).shape[0] == 0


def test_more_rows_than_a_block(made):
    model, x = made
    many = np.tile(x, (11, 1))
    assert np.array_equal(model.margin(many.astype(np.float64)), np.concatenate([model.margin(x)] * 11))


def test_labels_come_as_numbers_or_text():
    booster, x = trained(2)
    numbers = waybill.from_xgboost(booster)
    assert numbers.predict(x).dtype == np.int64
    assert np.array_equal(numbers.predict(x), (booster.predict(xgboost.DMatrix(x, feature_names=numbers.features)) > 0.5))
    texts = waybill.from_xgboost(booster, labels=["calm", "storm"])
    assert set(texts.predict(x)) == {"calm", "storm"}
    assert texts.predict_proba(x).shape == (len(x), 2)


def test_rows_that_do_not_fit_are_refused_by_name(made):
    model, x = made
    frame = pd.DataFrame(x, columns=model.features)
    for rows, error, why in (
            (x[:, :3], ValueError, "X has 3 columns; a 2-D array [rows, 4] is expected: vib, temp, load, rpm"),
            (x[0], ValueError, "X is a 1-D array; a 2-D array [rows, 4] is expected; for one row, X.reshape(1, -1)"),
            (x[None], ValueError, "3-D"), (x.astype(int), TypeError, "X is an array of int64"), (x.astype(">f4"), TypeError, ">f4"),
            (x.astype(np.float16), TypeError, "float16"), (x.astype(object), TypeError, "object"),
            (frame.rename(columns={"temp": "tmep"}), ValueError, "no column 'temp', which the model needs; did you mean 'tmep'?"),
            (frame.assign(rpm="fast"), TypeError, "column 'rpm' of X holds object"),
            (frame.assign(rpm=pd.Categorical(["a"] * len(x))), TypeError, "column 'rpm' of X holds categories that are texts"),
            (pd.concat([frame, frame[["vib"]]], axis=1), ValueError, "2 columns 'vib'")):
        with pytest.raises(error) as caught:
            model.predict(rows)
        assert why in str(caught.value)
    if not model.labels:
        with pytest.raises(TypeError, match="answers values"):
            model.predict_proba(x)


def test_damaged_packages_are_refused(made, tmp_path):
    model, _ = made
    data = bytearray(model.to_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m.wbm").write_bytes(data)
    with pytest.raises(waybill.Refused, match="m.wbm: "):
        waybill.load(tmp_path / "m.wbm")
    for length in (0, 7, len(data) - 1):
        with pytest.raises(waybill.Refused):
            waybill.loads(model.to_bytes()[:length])
    with pytest.raises(FileNotFoundError):
        waybill.load(tmp_path / "none.wbm")


def test_an_array_is_read_where_it_lies():
    booster, x = trained()
    model = waybill.from_xgboost(booster)
    package = model._package
    assert waybill.rows.rows_of(x, model.features) is x
    out = np.empty((len(x), 1), np.float32)
    package.margins(x, out)  # into the caller's own memory
    assert np.array_equal(out[:, 0], model.margin(x))
    for rows, into in ((x[:, :3].copy(), out), (x, out[1:]), (np.asfortranarray(x), out), (x, out.astype(np.int32))):
        with pytest.raises((ValueError, TypeError)):
            package.margins(rows, into)


def test_others_run_while_it_predicts():
    """With no forced switches, another thread gets on only if the lock is released inside the call."""
    booster, x = trained(4)
    model = waybill.from_xgboost(booster)
    many = np.tile(x, (100, 1))
    interval = sys.getswitchinterval()
    begun, others_ran, ran_within = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        for _ in range(500):
            answers = model.margin(many)
            if others_ran.is_set():
                break
        ran_within.append(others_ran.is_set() and np.array_equal(answers[-len(x):], model.margin(x)))

    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        others_ran.set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ran_within == [True]


def test_missing_values_are_refused_where_training_saw_none(tmp_path):
    booster, x = trained()
    model = waybill.from_xgboost(booster)
    holes = x.copy()
    holes[5, 2] = np.nan
    model.predict(holes)  # imported: the library answers such rows
    frame = pd.DataFrame(x, columns=model.features).assign(y=x[:, 0] * 2)
    frame.to_csv(tmp_path / "x.csv", index=False)
    subprocess.run([TOOL, "fit", tmp_path / "x.csv", "--target", "y", "--task", "regression", "--candidate", "tree", "-o",
                    tmp_path / "m.wbm"], check=True, capture_output=True)
    fitted = waybill.load(tmp_path / "m.wbm")
    with pytest.raises(ValueError, match="row 5, column 'load': the value is missing"):
        fitted.predict(holes)
    assert fitted.predict(holes, allow_missing=True).shape == (len(x),)


def test_texts_go_in_as_they_are(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"vib": rng.normal(size=200).round(2), "valve": rng.choice(["open", "shut", "stuck"], 200)})
    y = np.where((frame["valve"] == "stuck") | (frame["vib"] > 1), "bad", "good")
    frame.assign(y=y).to_csv(tmp_path / "x.csv", index=False)
    subprocess.run([TOOL, "fit", tmp_path / "x.csv", "--target", "y", "--candidate", "tree", "--categorical", "valve", "-o",
                    tmp_path / "m.wbm"], check=True, capture_output=True)
    model = waybill.load(tmp_path / "m.wbm")
    assert model.texts == {"valve": ["open", "shut", "stuck"]}
    asked = frame.copy()
    asked.loc[::9, "valve"] = "ajar"
    asked.loc[::11, "valve"] = None
    asked.to_csv(tmp_path / "asked.csv", index=False)
    done = subprocess.run([TOOL, "predict", tmp_path / "m.wbm", "--data", tmp_path / "asked.csv", "--margin", "--allow-missing"],
                          check=True, capture_output=True, text=True)
    theirs = np.asarray([line.split(",") for line in done.stdout.splitlines()], np.float32)
    assert np.array_equal(model.margin(asked, allow_missing=True).reshape(len(asked), -1), theirs)
    places = frame.assign(valve=frame["valve"].map({"open": 0.0, "shut": 1.0, "stuck": 2.0})).to_numpy()
    assert np.array_equal(model.margin(places), model.margin(frame))
    with pytest.raises(ValueError, match="column 'valve': the value is missing"):
        model.predict(asked)
