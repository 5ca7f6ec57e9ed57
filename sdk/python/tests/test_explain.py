"""Model.explain against the libraries' own contributions, to 1e-6 of the largest, and refusals by name."""
import os
import subprocess

import lightgbm
import numpy as np
import pandas as pd
import pytest
import waybill
import xgboost
from sklearn import ensemble, linear_model, tree

TOOL = os.path.join(os.environ["WAYBILL_BIN"], "waybill")
RNG = np.random.default_rng(9)
X = RNG.normal(size=(300, 4)).round(2).astype(np.float32)
Y = 2 * X[:, 0] + X[:, 1] * X[:, 2]
Y3 = np.digitize(Y, [-1, 1])


def near(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def test_as_the_libraries_say():
    quiet = {"n_estimators": 5, "n_jobs": 1}
    for model, y in ((xgboost.XGBRegressor(**quiet), Y), (xgboost.XGBClassifier(**quiet), Y > 0), (xgboost.XGBClassifier(**quiet), Y3)):
        model.fit(X, y)
        ours = waybill.from_xgboost(model, sample=X, explain=True)
        near(ours.explain(X), model.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True))
    model = lightgbm.LGBMRegressor(**quiet, verbose=-1).fit(X.astype(np.float64), Y)
    near(waybill.from_lightgbm(model, explain=True).explain(X), model.predict(X, pred_contrib=True))


def test_contributions_add_up_to_the_margin():
    for model, y in ((tree.DecisionTreeClassifier(max_depth=4), Y3), (ensemble.RandomForestRegressor(5, max_depth=4), Y),
                     (ensemble.GradientBoostingClassifier(n_estimators=5), Y3), (ensemble.HistGradientBoostingRegressor(max_iter=5), Y)):
        ours = waybill.from_sklearn(model.fit(X, y), sample=X, explain=True)
        said = ours.explain(X)
        assert said.shape == ((300, 5) if ours.margin(X).ndim == 1 else (300, ours.margin(X).shape[1], 5))
        np.testing.assert_allclose(said.sum(axis=-1), ours.margin(X), atol=1e-12)
        assert waybill.from_sklearn(model).size_bytes < waybill.from_sklearn(model, explain=True).size_bytes


def test_of_one_split_by_hand():
    """One split at 0.5 seen by 1 row on the left and 3 on the right: the bias is their mean, the feature the rest."""
    x = np.asarray([[0.0], [1.0], [1.0], [1.0]])
    model = waybill.from_sklearn(tree.DecisionTreeRegressor(max_depth=1).fit(x, [8.0, 4.0, 4.0, 4.0]), explain=True)
    np.testing.assert_allclose(model.explain(x[:2]), [[3.0, 5.0], [-1.0, 5.0]], atol=1e-12)


def test_fit_keeps_what_explains(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    made = waybill.fit(frame, Y3, candidate="tree", explain=True)
    frame.assign(y=Y3).to_csv(tmp_path / "x.csv", index=False)
    subprocess.run([TOOL, "fit", tmp_path / "x.csv", "--target", "y", "--candidate", "tree", "--explain", "-o", tmp_path / "m.wbm"],
                   check=True, capture_output=True)
    loaded = waybill.load(tmp_path / "m.wbm")
    assert np.array_equal(loaded.explain(frame), made.model.explain(frame))
    np.testing.assert_allclose(made.model.explain(frame).sum(axis=-1), made.model.margin(frame), atol=1e-6)


def test_what_is_refused():
    without = waybill.from_xgboost(xgboost.XGBRegressor(n_estimators=2).fit(X, Y))
    with pytest.raises(waybill.Refused):
        without.explain(X)
    with pytest.raises(waybill.Refused):
        waybill.from_sklearn(linear_model.Ridge().fit(X, Y)).explain(X)
    with pytest.raises(waybill.Refused, match="holds no means of its columns"):
        waybill.from_sklearn(linear_model.Ridge().fit(X, Y), explain=True)
    explained = waybill.from_xgboost(xgboost.XGBRegressor(n_estimators=2).fit(X, Y), explain=True)
    with pytest.raises(ValueError, match="X has 3 columns"):
        explained.explain(X[:, :3])
