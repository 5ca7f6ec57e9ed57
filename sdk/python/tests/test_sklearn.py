"""from_sklearn: every estimator and step that is carried, bit for bit on rows that hurt (linear models within the rounding of a dot
product), and everything else refused by name."""
import interop
import numpy as np
import pandas as pd
import pytest
import waybill
from sklearn import compose, ensemble, impute, linear_model, neighbors, pipeline, preprocessing, svm, tree

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
RNG = np.random.default_rng(11)
_ATOL = 1e-14  # one chance may be 1 minus the other, and sums that are near 0 were not on the way


def data(rows=300, missing=False):
    x = np.round(RNG.normal(size=(rows, 4)), 2)
    y = 2 * x[:, 0] + x[:, 1] * x[:, 2] + RNG.normal(size=rows)
    if missing:
        x[RNG.random(x.shape) < 0.1] = np.nan
    return x, y


def hurting(edges, missing, count=400):
    """f64 rows on thresholds, on the f32 beside them, and where only f64 tells the difference."""
    rows = np.where(RNG.random((count, 4)) < 0.5, interop.nasty_rows(RNG, edges, count, np.float32, infinite=False),
                    interop.nasty_rows(RNG, edges, count, np.float64, infinite=False))
    return rows if missing else np.nan_to_num(rows)


def thresholds(model):
    """One list a feature, of whatever holds trees."""
    edges = [[] for _ in range(4)]
    held = getattr(model, "_predictors", None)
    if held is not None:
        for node in np.concatenate([one.nodes for stage in held for one in stage]):
            edges[node["feature_idx"]].append(node["num_threshold"] if np.isfinite(node["num_threshold"]) else 0)
        return edges
    for one in np.ravel(getattr(model, "estimators_", [model])):
        for feature, edge in zip(one.tree_.feature, one.tree_.threshold):
            if feature >= 0 and np.isfinite(edge):
                edges[feature].append(edge)
    return edges


def check(model, target, missing=False, rtol=0.0):
    x, y = data(missing=missing)
    y = target(y)
    model.fit(x, y)
    rows = hurting(thresholds(model), missing)
    ours = waybill.from_sklearn(model, sample=rows)
    if hasattr(model, "classes_"):
        np.testing.assert_allclose(ours.predict_proba(rows), model.predict_proba(rows), rtol=rtol, atol=_ATOL if rtol else 0)
        assert list(ours.predict(x).astype(str)) == list(model.predict(x).astype(str))
    else:
        np.testing.assert_allclose(ours.predict(rows), model.predict(rows), rtol=rtol, atol=_ATOL if rtol else 0)
    assert ours._package.missing_allowed or not missing
    return ours


def two(y):
    return y > 0


def three(y):
    return np.asarray(["lo", "mid", "hi"])[np.digitize(y, [-1, 1])]


def pairs(y):
    return np.stack([y, -y], 1)


@pytest.mark.parametrize("missing", [False, True])
def test_trees_and_forests(missing):
    for make, target in ((tree.DecisionTreeClassifier, two), (tree.DecisionTreeClassifier, three), (tree.DecisionTreeRegressor, None),
                         (ensemble.RandomForestClassifier, two), (ensemble.RandomForestClassifier, three),
                         (ensemble.RandomForestRegressor, None)):
        more = {"n_estimators": 7} if "Forest" in make.__name__ else {}
        check(make(max_depth=5, random_state=1, **more), target or (lambda y: y), missing)


def test_extra_trees_and_several_targets():
    check(ensemble.ExtraTreesClassifier(7, max_depth=5), three)
    check(ensemble.ExtraTreesRegressor(7, max_depth=5, n_jobs=2), lambda y: y, rtol=1e-14)  # its threads add in any order
    check(tree.ExtraTreeClassifier(max_depth=5), two)
    check(tree.DecisionTreeRegressor(max_depth=4), pairs)
    check(ensemble.RandomForestRegressor(7, max_depth=4), pairs)
    check(tree.DecisionTreeRegressor(max_depth=1), lambda y: np.where(y > 0, 1.0, -0.0))


def test_gradient_boosting():
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        check(ensemble.GradientBoostingRegressor(loss=loss, n_estimators=9, learning_rate=0.3), lambda y: y)
    check(ensemble.GradientBoostingRegressor(n_estimators=5, init="zero"), lambda y: y)
    for target, more in ((two, {}), (two, {"loss": "exponential"}), (three, {})):
        ours = check(ensemble.GradientBoostingClassifier(n_estimators=9, **more), target, rtol=1e-14)
    with pytest.raises(ValueError, match="row 0, column 'f2': the value is missing"):  # as scikit-learn refuses it
        ours.predict(np.asarray([[1.0, 2.0, np.nan, 3.0]]))
    with pytest.raises(waybill.Refused, match="starts from another model"):
        check(ensemble.GradientBoostingRegressor(n_estimators=2, init=linear_model.Ridge()), lambda y: y)


@pytest.mark.parametrize("missing", [False, True])
def test_hist_gradient_boosting(missing):
    few = {"max_iter": 9, "min_samples_leaf": 5, "early_stopping": False}
    for loss in ("squared_error", "absolute_error", "poisson", "gamma"):
        x, y = data(missing=missing)
        y = np.exp(y / 9)
        model = ensemble.HistGradientBoostingRegressor(loss=loss, **few).fit(x, y)
        rows = hurting(thresholds(model), True)
        np.testing.assert_allclose(waybill.from_sklearn(model, sample=rows).predict(rows), model.predict(rows), rtol=1e-14)
    for target in (two, three):
        x, y = data(missing=missing)
        model = ensemble.HistGradientBoostingClassifier(**few).fit(x, target(y))
        rows = hurting(thresholds(model), True)
        np.testing.assert_allclose(waybill.from_sklearn(model, sample=rows).predict_proba(rows), model.predict_proba(rows), rtol=1e-13, atol=_ATOL)
    with pytest.raises(waybill.Refused, match="categorical features"):
        whole = np.round(np.abs(x[:, :1]))
        waybill.from_sklearn(ensemble.HistGradientBoostingRegressor(categorical_features=[0], **few).fit(whole, y))


def test_isolation_forest():
    x, _ = data()
    for more in ({}, {"max_features": 2}, {"max_samples": 50}):
        model = ensemble.IsolationForest(n_estimators=15, random_state=1, **more).fit(x)
        rows = np.nan_to_num(hurting([list(x[:, i]) for i in range(4)], False))
        ours = waybill.from_sklearn(model, sample=rows)
        np.testing.assert_allclose(ours.predict(rows), -model.score_samples(rows), rtol=2e-15)


def test_linear_models():
    x, y = data()
    for model in (linear_model.LinearRegression(), linear_model.Ridge(), linear_model.LinearRegression(fit_intercept=False)):
        for target in (y, pairs(y)):
            ours = waybill.from_sklearn(model.fit(x, target), sample=x)
            np.testing.assert_allclose(ours.predict(x), model.predict(x), rtol=1e-12, atol=1e-12)
    for more in ({}, {"solver": "liblinear"}, {"multi_class": "ovr"}, {"multi_class": "multinomial"}):
        for target in (two, three):
            model = linear_model.LogisticRegression(**more).fit(x, target(y))
            ours = waybill.from_sklearn(model, sample=x)
            np.testing.assert_allclose(ours.predict_proba(x), model.predict_proba(x), rtol=1e-12, atol=_ATOL)
            assert list(ours.predict(x).astype(str)) == list(model.predict(x).astype(str))
    assert "rounding" in ours.notes["margins"]


def test_steps():
    x, y = data(missing=True)
    rows = hurting([list(x[:, i][:50]) for i in range(4)], True)
    dull = tree.DecisionTreeRegressor(max_depth=5)
    p = preprocessing
    for steps in ([impute.SimpleImputer(), p.StandardScaler()], [impute.SimpleImputer(strategy="median"), p.MinMaxScaler()],
                  [p.RobustScaler(), impute.SimpleImputer(strategy="constant", fill_value=-7.5)],
                  [p.StandardScaler(with_mean=False), p.MaxAbsScaler()], [p.StandardScaler(with_std=False)], ["passthrough", p.StandardScaler()],
                  [p.FunctionTransformer()]):
        waybill.from_sklearn(pipeline.make_pipeline(*steps, dull).fit(x, y), sample=rows)
    nested = pipeline.make_pipeline(pipeline.make_pipeline(impute.SimpleImputer(), p.StandardScaler()),
                                    pipeline.make_pipeline(p.MinMaxScaler(), linear_model.Ridge()))
    waybill.from_sklearn(nested.fit(x, y), sample=x)
    x[:, 1] = np.nan  # a column that an imputer leaves out
    with pytest.warns(UserWarning):
        waybill.from_sklearn(pipeline.make_pipeline(impute.SimpleImputer(), dull).fit(x, y), sample=x)


def test_column_transformer():
    x, y = data()
    frame = pd.DataFrame(x, columns=["vib", "temp", "kind", "site"])
    frame["kind"] = RNG.choice([3, 7, 20], len(x))
    frame["site"] = RNG.choice([1.5, 2.5, 4.0], len(x))
    p = preprocessing
    parts = [("hot", p.OneHotEncoder(handle_unknown="ignore"), ["kind", "site"]),
             ("scaled", pipeline.make_pipeline(impute.SimpleImputer(), p.StandardScaler()), ["temp", "vib"]),
             ("again", p.MinMaxScaler(), ["vib", "site"]),
             ("ranks", p.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["site"])]
    unseen = frame.sample(200, replace=True, random_state=1)
    unseen.iloc[::7, 2] = 99
    unseen.iloc[::5, 3] = 2.0
    for end in (ensemble.RandomForestRegressor(7, max_depth=5), linear_model.Ridge(), tree.DecisionTreeClassifier(max_depth=5)):
        for chosen in (parts, parts[:2], parts[2:], [parts[0]]):
            for remainder in ("drop", "passthrough", p.StandardScaler()):
                for threshold in (0, 1):
                    whole = pipeline.make_pipeline(compose.ColumnTransformer(chosen, remainder=remainder, sparse_threshold=threshold), end)
                    whole.fit(frame, y > 0 if hasattr(end, "predict_proba") else y)
                    ours = waybill.from_sklearn(whole, sample=unseen)
                    assert ours.features == list(frame.columns)
                    if not hasattr(end, "predict_proba"):
                        np.testing.assert_allclose(ours.predict(unseen), whole.predict(unseen), rtol=1e-9, atol=1e-9)
    by_place = compose.ColumnTransformer([("a", p.StandardScaler(), slice(0, 2)), ("b", p.OneHotEncoder(), [2]),
                                          ("c", "passthrough", np.asarray([False, False, False, True])),
                                          ("d", "drop", [0])])
    waybill.from_sklearn(pipeline.make_pipeline(by_place, tree.DecisionTreeRegressor(max_depth=4)).fit(frame.to_numpy(), y),
                         sample=frame.to_numpy())


def test_what_is_refused():
    x, y = data()
    p = preprocessing
    text = np.asarray([["a"], ["b"]] * 150, object)
    dull = tree.DecisionTreeRegressor(max_depth=2)
    for model, rows, why in (
            (svm.SVR(), x, "SVR is not carried; from_sklearn knows DecisionTreeClassifier"),
            (neighbors.KNeighborsRegressor(), x, "KNeighborsRegressor is not carried"),
            (pipeline.make_pipeline(p.PolynomialFeatures(), dull), x, "PolynomialFeatures is not carried; steps of a pipeline may be"),
            (pipeline.make_pipeline(p.MinMaxScaler(clip=True), dull), x, "MinMaxScaler: it clips"),
            (pipeline.make_pipeline(p.FunctionTransformer(np.abs), dull), x, "function of yours"),
            (pipeline.make_pipeline(impute.SimpleImputer(missing_values=-1), dull), x, "takes -1 for missing"),
            (pipeline.make_pipeline(impute.SimpleImputer(add_indicator=True), dull), x, "adds columns"),
            (pipeline.make_pipeline(p.OneHotEncoder(drop="first"), dull), np.round(x), "drops categories"),
            (pipeline.make_pipeline(p.OneHotEncoder(min_frequency=3), dull), np.round(x), "lumps rare categories"),
            (pipeline.make_pipeline(p.OneHotEncoder(), dull), text, "categories of column 0 are texts"),
            (pipeline.make_pipeline(p.OrdinalEncoder(encoded_missing_value=-3), dull), np.round(x), "encodes missing values")):
        with pytest.raises(waybill.Refused) as caught:
            waybill.from_sklearn(model.fit(rows, y))
        assert why in str(caught.value)
    with pytest.raises(waybill.Refused, match="several targets of classes"):
        waybill.from_sklearn(tree.DecisionTreeClassifier().fit(x, np.stack([y > 0, y > 1], 1)))
    with pytest.raises(TypeError, match="takes a fitted estimator, not sklearn.tree._classes.DecisionTreeRegressor"):
        waybill.from_sklearn(tree.DecisionTreeRegressor())
    with pytest.raises(waybill.Refused, match="is not carried"):
        waybill.from_sklearn(type("DecisionTreeRegressor", (tree.DecisionTreeRegressor,), {"__module__": "mine"})().fit(x, y))


def test_one_other_bit_is_refused():
    x, y = data()
    model = ensemble.GradientBoostingRegressor(n_estimators=5).fit(x, y)
    answered = model.predict
    model.predict = lambda rows: np.nextafter(answered(rows), 9)
    with pytest.raises(waybill.Refused, match="row 0 of the sample, margin 0: scikit-learn gives"):
        waybill.from_sklearn(model, sample=x)
    linear = linear_model.Ridge().fit(x, y)
    said = linear.predict
    linear.predict = lambda rows: said(rows) + 1e-12
    with pytest.raises(waybill.Refused, match="does not reproduce"):
        waybill.from_sklearn(linear, sample=x)
