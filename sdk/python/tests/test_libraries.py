"""from_xgboost, from_lightgbm, from_catboost, from_onnx: bit-equal margins on rows that hurt, and a refusal when they are not.
That each objective is read exactly is what tests/interop is for; here it is the way there."""
import catboost
import interop
import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import skl2onnx
import waybill
import xgboost
from sklearn import ensemble, linear_model, neural_network
from waybill import libraries, onnx_answers

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic")
RNG = np.random.default_rng(5)


def data(rows=300, dtype=np.float32):
    x = np.round(RNG.normal(size=(rows, 4)), 2).astype(dtype)
    return x, 2 * x[:, 0] + x[:, 1] * x[:, 2] + RNG.normal(size=rows)


def hurting(x, count=400):
    edges = [np.unique(x[:, i])[:40] for i in range(x.shape[1])]
    return interop.nasty_rows(RNG, edges, count, x.dtype.type, infinite=False)


def test_xgboost():
    x, y = data()
    three = np.digitize(y, [-1, 1])
    rows = hurting(x)
    for model in (xgboost.XGBRegressor(n_estimators=5).fit(x, y), xgboost.XGBClassifier(n_estimators=5).fit(x, y > 0),
                  xgboost.XGBClassifier(n_estimators=5).fit(x, three),
                  xgboost.XGBRanker(n_estimators=5).fit(x, three, group=[30] * 10)):
        ours = waybill.from_xgboost(model, sample=rows)
        assert np.array_equal(ours.margin(rows), model.predict(rows, output_margin=True))
        assert np.array_equal(ours.predict(x), model.predict(x))
        assert len(waybill.from_xgboost(model.get_booster(), rows).features) == 4


def test_xgboost_rounds_after_the_best():
    x, y = data()
    held = data(100)
    model = xgboost.XGBRegressor(n_estimators=60, learning_rate=0.9, early_stopping_rounds=5)
    model.fit(x, y, eval_set=[held], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert waybill.from_xgboost(model, x).trees == model.best_iteration + 1
    assert waybill.from_xgboost(model.get_booster(), x).trees == model.get_booster().num_boosted_rounds()
    with pytest.raises(waybill.Refused, match="missing=0"):
        waybill.from_xgboost(xgboost.XGBRegressor(n_estimators=2, missing=0).fit(x, y))
    with pytest.raises(waybill.Refused, match="binary:hinge"):
        waybill.from_xgboost(xgboost.train({"objective": "binary:hinge"}, xgboost.DMatrix(x, y > 0), 2))


def test_lightgbm():
    x, y = data(dtype=np.float64)
    quiet = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
    names = np.asarray(["lo", "mid", "hi"])
    rows = hurting(x)
    for model in (lightgbm.LGBMRegressor(**quiet).fit(x, y), lightgbm.LGBMClassifier(**quiet).fit(x, y > 0),
                  lightgbm.LGBMClassifier(**quiet).fit(x, names[np.digitize(y, [-1, 1])]),
                  lightgbm.LGBMRegressor(**quiet, boosting_type="rf", subsample=0.5, subsample_freq=1).fit(x, y)):
        ours = waybill.from_lightgbm(model, sample=rows)
        assert ours.margin(x).dtype == np.float64
        assert list(ours.predict(x).astype(str)) == list(model.predict(x).astype(str))
        assert np.array_equal(ours.margin(x.astype(np.float32)), ours.margin(x.astype(np.float32).astype(np.float64)))


def test_lightgbm_categories():
    frame = pd.DataFrame({"kind": pd.Categorical(RNG.choice([3, 7, 20], 300)), "x": RNG.normal(size=300)})
    y = frame["kind"].astype(int) % 5 + frame["x"]
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1, min_child_samples=5).fit(frame, y)
    ours = waybill.from_lightgbm(model, sample=frame)
    assert np.array_equal(ours.predict(frame), model.predict(frame))
    with pytest.raises(TypeError, match="categories of pandas"):
        waybill.from_lightgbm(model, sample=frame.astype(float).to_numpy())


def test_catboost():
    x, y = data()
    quiet = {"iterations": 8, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    names = np.asarray(["lo", "mid", "hi"])
    rows = hurting(x)
    for model in (catboost.CatBoostRegressor(**quiet).fit(x, y), catboost.CatBoostClassifier(**quiet).fit(x, names[(y > 0) * 2]),
                  catboost.CatBoostClassifier(**quiet).fit(x, names[np.digitize(y, [-1, 1])])):
        ours = waybill.from_catboost(model, sample=rows)
        assert list(ours.predict(x).astype(str)) == list(model.predict(x).astype(str).ravel())


def test_onnx(tmp_path):
    x, y = data()
    for model, target in ((ensemble.RandomForestClassifier(5, max_depth=4), np.digitize(y, [-1, 1])),
                          (ensemble.RandomForestClassifier(5, max_depth=4), y > 0),
                          (ensemble.GradientBoostingClassifier(n_estimators=5), y > 0),
                          (ensemble.GradientBoostingRegressor(n_estimators=5), y)):
        made = skl2onnx.to_onnx(model.fit(x, target.astype(int) if target.dtype == bool else target), x[:1])
        ours = waybill.from_onnx(made, sample=hurting(x))
        onnx.save(made, tmp_path / "m.onnx")
        assert waybill.from_onnx(tmp_path / "m.onnx").features == ours.features
        assert waybill.from_onnx(made.SerializeToString()).trees == ours.trees


def test_onnx_of_what_has_no_bits():
    x, y = data()
    for model, target in ((linear_model.LogisticRegression(), np.digitize(y, [-1, 1])), (linear_model.Ridge(), y),
                          (neural_network.MLPClassifier((6,), max_iter=20, random_state=1), (y > 0).astype(int))):
        made = skl2onnx.to_onnx(model.fit(x, target), x[:1])
        ours = waybill.from_onnx(made, sample=x)
        assert ours.size_bytes > waybill.from_onnx(made).size_bytes  # its self-test
        for weights in made.graph.initializer:
            if weights.data_type == onnx.TensorProto.FLOAT:
                numbers = onnx.numpy_helper.to_array(weights) * np.float32(1.001)
                weights.CopyFrom(onnx.numpy_helper.from_array(numbers, weights.name))
        for attribute in made.graph.node[0].attribute:
            if attribute.name == "coefficients":
                attribute.floats[:] = [value * 1.001 for value in attribute.floats]
        with pytest.raises(waybill.Refused, match="does not reproduce onnxruntime: row"):
            onnx_answers.require_answers(made.SerializeToString(), ours, x, trees=False)


def test_files(tmp_path):
    x, y = data()
    xgboost.XGBClassifier(n_estimators=3).fit(x, y > 0).save_model(tmp_path / "m.json")
    model = waybill.import_file(tmp_path / "m.json", labels=["no", "yes"])
    assert model.labels == ["no", "yes"]
    with pytest.raises(ValueError, match="format is 'pickle'; it is one of xgboost-json"):
        waybill.import_file(tmp_path / "m.json", format="pickle")
    (tmp_path / "m.json").write_bytes((tmp_path / "m.json").read_bytes()[:500])
    with pytest.raises(waybill.Refused):
        waybill.import_file(tmp_path / "m.json")


def test_what_is_no_model_of_the_library():
    x, y = data(50)
    forest = ensemble.RandomForestRegressor(2).fit(x, y)
    for make in (waybill.from_xgboost, waybill.from_lightgbm, waybill.from_catboost, waybill.from_onnx):
        with pytest.raises(TypeError, match="not sklearn.ensemble._forest.RandomForestRegressor"):
            make(forest)


def test_a_model_that_does_not_reproduce_is_refused():
    x, y = data()
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 5)
    package = waybill.from_xgboost(booster)._package
    theirs = booster.predict(xgboost.DMatrix(x), output_margin=True)
    libraries._held_against(package, x, "XGBoost", lambda rows: theirs)
    theirs[17] = np.nextafter(theirs[17], np.float32(9))
    with pytest.raises(waybill.Refused) as caught:
        libraries._held_against(package, x, "XGBoost", lambda rows: theirs)
    assert f"row 17 of the sample, margin 0: XGBoost gives {theirs[17]!r}" in str(caught.value)
    zero = np.zeros((1, 1), np.float32)
    with pytest.raises(waybill.Refused):
        libraries.require_equal(zero, -zero, "XGBoost")
    with pytest.raises(waybill.Refused, match="1 margins a row, XGBoost gives 2"):
        libraries.require_equal(zero, np.zeros((1, 2), np.float32), "XGBoost")
    with pytest.raises(ValueError, match="sample has no rows"):
        waybill.from_xgboost(booster, sample=x[:0])


def test_some_of_the_sample_travel_with_the_package(tmp_path):
    x, y = data()
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 5)
    assert waybill.from_xgboost(booster, x).size_bytes > waybill.from_xgboost(booster).size_bytes
