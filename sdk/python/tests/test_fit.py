"""waybill.fit: the bytes of `waybill fit` for the same rows, options and seed (boosting by the same XGBoost), and refusals by name."""
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import waybill

TOOL = os.path.join(os.environ["WAYBILL_BIN"], "waybill")
RNG = np.random.default_rng(4)


def table(rows=240, labels=("calm", "failing", "worn"), missing=False):
    frame = pd.DataFrame(np.round(RNG.normal(size=(rows, 3)), 2).astype(np.float32), columns=["vib", "temp", "load"])
    score = frame["vib"] + frame["temp"] * frame["load"]
    if missing:
        frame.loc[::7, "temp"] = np.nan
    if not labels:
        return frame, pd.Series(np.round(score, 3), name="state")
    return frame, pd.Series(np.asarray(labels)[np.digitize(score, np.linspace(-1, 1, len(labels) - 1))], name="state")


def of_command(folder, frame, y, *options, **columns):
    path = folder / "data.csv"
    frame.assign(**{y.name: y.to_numpy()}, **columns).to_csv(path, index=False)
    done = subprocess.run([TOOL, "fit", path, "--target", y.name, "-o", folder / "m.wbm", *options], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "m.wbm").read_bytes()


@pytest.mark.parametrize("labels", [("no", "yes"), ("calm", "failing", "worn"), (2, 10, 9), ()], ids=str)
@pytest.mark.parametrize("candidate", ["constant", "linear", "tree", "forest"])
def test_one_candidate_is_the_command_s(tmp_path, candidate, labels):
    frame, y = table(labels=labels, missing=candidate == "tree")
    ours = waybill.fit(frame, y, candidate=candidate, seed=3)
    assert ours.model.to_bytes() == of_command(tmp_path, frame, y, "--candidate", candidate, "--seed", "3")
    assert ours.candidates == []


def test_options_are_the_command_s(tmp_path):
    frame, y = table(labels=("no", "yes"))
    weights, groups = np.round(RNG.random(len(y)) + 0.5, 2), np.arange(len(y)) // 10
    for ours, options, columns in (
            ({"weights": weights}, ("--weight", "w"), {"w": weights}), ({"groups": groups}, ("--group", "g"), {"g": groups}),
            ({"times": groups}, ("--time", "g"), {"g": groups}), ({"balanced": True}, ("--balanced",), {}),
            ({"holdout": 0.4}, ("--holdout", "0.4"), {})):
        made = waybill.fit(frame, y, candidate="tree", depth=3, **ours)
        assert made.model.to_bytes() == of_command(tmp_path, frame, y, "--candidate", "tree", "--depth", "3", *options, **columns)


def test_kinds_are_the_command_s(tmp_path):
    frame, y = table(labels=("no", "yes"))
    frame["state"], frame["code"] = np.asarray(["idle", "run, fast", "ärger"])[np.arange(240) % 3], np.arange(240) % 4
    frame.loc[5, "state"] = None
    for candidate in ("tree", "linear"):
        made = waybill.fit(frame, y.rename("broken"), candidate=candidate, categorical=["state", "code"])
        assert made.model.to_bytes() == of_command(tmp_path, frame, y.rename("broken"), "--candidate", candidate, "--categorical", "state,code")
    same = made.model.margin(frame[:3].assign(state=[" run, fast", "never seen", None]))  # blanks go, as the command reads a file
    assert np.array_equal(same[:2], made.model.margin(frame[:2].assign(state=["run, fast", "other"])))
    for cells in ([True, False, True], [1.0, 2.0, 3.0]):
        with pytest.raises(TypeError, match="column 'state' of X holds .*; its kinds are texts"):
            made.model.margin(frame[:3].assign(state=cells))
    for column, why in ((["x"] * 240, "says always the same"), ([f"t{i}" for i in range(240)] + ["z"] * 60, None),
                        ([f"t{i}" for i in range(300)], "300 different categories"), (["x" * 129, "y"] * 120, "longer than 128 bytes")):
        more = pd.concat([frame, frame])[:len(column)].assign(state=column)
        if why is None:
            waybill.fit(more, np.resize(y, len(more)), candidate="tree", categorical=["state"])
            continue
        with pytest.raises(ValueError, match=why):
            waybill.fit(more, np.resize(y, len(more)), candidate="tree", categorical=["state"])
    with pytest.raises(ValueError, match="X has no column 'nix'"):
        waybill.fit(frame, y, candidate="tree", categorical=["nix"])


def test_the_comparison_is_the_command_s(tmp_path):
    """With the XGBoost that the command is linked with: the package of Debian, whose Python half script/setup puts beside the others."""
    debian = os.path.join(os.path.dirname(sys.executable), "..", "..", "xgboost-1.7.4")
    frame, y = table(rows=300)
    frame.assign(state=y).to_csv(tmp_path / "data.csv", index=False)
    script = ("import pandas, waybill, xgboost; f = pandas.read_csv('data.csv', dtype={'vib': 'f4', 'temp': 'f4', 'load': 'f4'})\n"
              "for name, more in (('a', {'repeats': 1, 'folds': 3}), ('b', {'trees': 4, 'depth': 3})):\n"
              "    made = waybill.fit(f.drop(columns='state'), f['state'], **more)\n"
              "    made.model.save(name + '.wbm'); print(made)")
    done = subprocess.run([sys.executable, "-B", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": f"{debian}:{os.environ['PYTHONPATH']}"})
    assert done.returncode == 0, done.stderr
    assert "← smallest within one standard error of the best" in done.stdout
    assert (tmp_path / "a.wbm").read_bytes() == of_command(tmp_path, frame, y, "--repeats", "1", "--folds", "3")
    boosted = of_command(tmp_path, frame, y, "--trees", "4", "--depth", "3")
    assert (tmp_path / "b.wbm").read_bytes() == boosted
    assert waybill.loads(boosted).notes["trainer"] == "xgboost 1.7.4"


def test_what_came_of_it():
    frame, y = table(rows=300)
    made = waybill.fit(frame, y, repeats=1, folds=3)
    assert sum(one["chosen"] for one in made.candidates) == 1
    assert made.metric == "macro-f1" and 0.5 < made.score <= 1
    assert made.train_rows + made.held_out_rows == 300
    assert set(made.model.predict(frame)) <= {"calm", "failing", "worn"}
    small = waybill.fit(frame, y, repeats=1, folds=3, max_bytes=1 + min(one["bytes"] for one in made.candidates))
    assert [one["candidate"] for one in small.candidates if not one["excluded"]] == [small.candidate]
    with pytest.raises(waybill.Refused, match="no candidate is within max_bytes; the smallest has"):
        waybill.fit(frame, y, repeats=1, folds=3, max_bytes=10)
    plain = waybill.fit(frame.to_numpy(), y.to_numpy(), candidate="tree")
    assert plain.model.features == ["f0", "f1", "f2"]


def test_what_is_refused():
    frame, y = table()
    for X, target, options, error, why in (
            (frame[:10], y[:10], {}, waybill.Refused, "10 rows of data; at least 20"),
            (frame, y[:-1], {}, ValueError, "y has shape"), (frame, np.full(240, "x"), {}, ValueError, "y is always 'x'"),
            (frame, y.where(y != "calm"), {}, ValueError, "the target is missing"),
            (frame, y, {"task": "regression"}, ValueError, "y holds texts"),
            (frame, y, {"task": "guess"}, ValueError, "task is 'guess'"),
            (frame, y, {"metric": "rmse"}, ValueError, "metric is 'rmse'; for this target it is one of macro-f1"),
            (frame, y, {"candidate": "svm"}, ValueError, "there is no candidate 'svm'; it is one of constant"),
            (frame.assign(vib=np.inf), y, {}, ValueError, "row 0, column 'vib'"),
            (frame.assign(vib=1e300), y, {}, ValueError, "too large for f32"),
            (frame.assign(vib="x"), y, {}, TypeError, "column 'vib' of X holds object"),
            (frame.assign(row_id=np.arange(240)), y, {}, waybill.Refused, "'row_id' only numbers the rows"),
            (frame, y, {"weights": np.zeros(240)}, ValueError, "weights, row 0: 0.0 is not above 0"),
            (frame, y, {"weights": np.full(240, np.inf)}, ValueError, "weights, row 0: inf is not above 0 and finite"),
            (frame, np.r_[np.inf, np.arange(239.0) / 7], {}, ValueError, "y, row 0: inf is not finite"),
            (3.0, y, {}, ValueError, "X has shape ()"), (np.zeros((240, 0)), y, {}, ValueError, "at least one feature"),
            (frame.assign(vib=True), y, {"categorical": ["vib"]}, TypeError, "column 'vib' of X holds bool"),
            (np.ma.masked_equal(frame.to_numpy(), 0), y, {}, TypeError, "masked array"),
            (frame, y, {"groups": [1], }, ValueError, "groups has shape"),
            (frame, y, {"groups": y, "times": y}, ValueError, "not both"),
            (frame, y, {"folds": 1}, ValueError, "folds is 1; it is 2 to 20"),
            (frame, y, {"holdout": 5.0}, ValueError, "holdout is 5.0; it is 0.01 to 0.9"),
            (frame, y, {"holdout": float("nan")}, ValueError, "holdout is nan"),
            (frame, y, {"trees": 10**6}, ValueError, "trees is 1000000; it is 1 to 5000"),
            (frame, y, {"depth": 200}, ValueError, "depth is 200"), (frame, y, {"seed": -1}, ValueError, "seed is -1"),
            (frame, y, {"max_bytes": 10}, ValueError, "max_bytes and repeats belong to a comparison"),
            (frame, y, {"candidate": None, "learning_rate": 0.1, "repeats": 2}, ValueError, "belong to a comparison"),
            (frame, np.arange(240.0) / 7, {"balanced": True}, ValueError, "balanced is for classes")):
        with pytest.raises(error) as caught:
            waybill.fit(X, target, **{"candidate": "tree", **options})
        assert why in str(caught.value)
    waybill.fit(frame.assign(row_id=np.arange(240)), y, candidate="tree", allow_id=["row_id"])


def test_an_error_inside_of_xgboost_comes_through(monkeypatch):
    frame, y = table()
    monkeypatch.setitem(sys.modules, "xgboost", None)
    for options in ({"repeats": 1, "folds": 2}, {"candidate": "boosting"}, {"learning_rate": 0.1}):
        with pytest.raises(ImportError, match="xgboost, which is not installed"):
            waybill.fit(frame, y, **options)
