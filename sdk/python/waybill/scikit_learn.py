"""Fitted estimators and pipelines of scikit-learn, from their arrays: no pickle, no converter between. What an estimator does to the
last bit is said to the engine (tree on f32 values against f64 thresholds, sums in f64 in the order of the estimators), and with
`sample` held against scikit-learn on f64 rows."""
from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _engine
from .libraries import _held_against, type_name
from .model import Model
from .rows import Rows
from .scikit_learn_steps import Layout, apply_step, refuse

F64 = NDArray[np.float64]


class Spec(NamedTuple):
    """What one kind of estimator needs to be built, and how scikit-learn says its margins."""

    objective: str
    base: F64  # one per margin
    fill: Callable[[_engine.Builder], None]
    margins: Callable[[Any], NDArray[Any]]  # of prepared rows
    labels: list[str] = []
    compare: str = "f32 <="
    slope: float = 1.0
    bound: Callable[[Any], F64] | None = None  # how far sums that a BLAS orders may be apart; None: not at all


def from_sklearn(estimator: Any, sample: Any = None, *, explain: bool = False) -> Model:
    """`estimator`: a fitted decision tree, random forest, extra trees, gradient boosting (both), isolation forest, linear or ridge or
    logistic regression; or a Pipeline of StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, SimpleImputer, OneHotEncoder,
    OrdinalEncoder, ColumnTransformer, and one of those at its end. Anything else is refused by name.

    `explain` keeps what Model.explain needs. With `sample`, margins must equal scikit-learn's on these rows in f64, bit for bit; of linear models within the rounding of one
    dot product, which scikit-learn leaves to a BLAS that has no order of its own."""
    steps, last = _taken_apart(estimator)
    first = steps[0] if steps else last
    if not hasattr(first, "n_features_in_"):
        raise TypeError(f"from_sklearn takes a fitted estimator, not {type_name(first)}")
    names = getattr(first, "feature_names_in_", None)
    features = [f"f{i}" for i in range(first.n_features_in_)] if names is None else [str(name) for name in names]
    spec = _spec_of(last)
    if explain and spec.bound is not None:
        raise _engine.Refused(f"{type_name(last)}: explain=True: it holds no means of its columns, against which a linear model is "
                              "explained; make it without explain")
    builder = _engine.Builder(spec.objective, spec.compare, features, spec.labels, spec.base.ravel().tolist())
    layout = Layout(builder, len(features))
    columns = layout.columns
    for step in steps:
        columns = apply_step(layout, step, columns)
    layout.arrange(columns)
    builder.keep_covers(explain)
    spec.fill(builder)
    builder.slope(spec.slope)
    builder.note("library", f"scikit-learn {_version()}")
    builder.note("objective", type(last).__name__)
    if spec.bound is not None:
        builder.note("margins", "of a dot product: as scikit-learn's but for its rounding")

    def prepared(rows: Rows) -> Any:
        given: Any = rows.astype(np.float64)
        if names is not None:
            import pandas

            given = pandas.DataFrame(given, columns=list(names))
        for step in steps:
            given = step.transform(given)
        return given

    builder.allow_missing(_takes_missing(lambda: spec.margins(prepared(np.full((1, len(features)), np.nan)))))
    package = builder.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that a step in the middle does not hand on
        if spec.bound is None:
            return _held_against(package, sample, "scikit-learn", lambda rows: spec.margins(prepared(rows)))
        bound = spec.bound
        return _held_against(package, sample, "scikit-learn", lambda rows: spec.margins(prepared(rows)),
                             lambda rows: bound(prepared(rows)))


def _version() -> str:
    import sklearn

    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 3):
        raise _engine.Refused(f"scikit-learn {sklearn.__version__}: trees hold shares of classes only from 1.3 on")
    return sklearn.__version__


def _takes_missing(answer: Callable[[], Any]) -> bool:
    """Whether scikit-learn itself answers a row of NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer()
        except ValueError:
            return False
    return True


def _taken_apart(estimator: Any) -> tuple[list[Any], Any]:
    """The steps of nested pipelines in a row, and what stands at the end."""
    steps: list[Any] = []
    while type_name(estimator) == "sklearn.pipeline.Pipeline":
        *before, (_, estimator) = estimator.steps
        steps += [step for _, step in before if step is not None and not isinstance(step, str)]
    return steps, estimator


def _spec_of(estimator: Any) -> Spec:
    name = type(estimator).__name__
    known = type(estimator).__module__.startswith("sklearn.")
    if not known or name not in _SPECS:
        raise _engine.Refused(f"{type_name(estimator)} is not carried; from_sklearn knows {', '.join(sorted(_SPECS))}, and pipelines "
                              "that end in one of them")
    return _SPECS[name](estimator)


def _classes(estimator: Any) -> list[str]:
    classes = estimator.classes_
    if isinstance(classes, list) or np.ndim(classes[0]):
        refuse(estimator, "it has several targets of classes")
    return [str(one) for one in classes]


# ---- Trees.
def _add_tree(builder: _engine.Builder, tree: Any, values: F64, output: int = 0, features: NDArray[Any] | None = None) -> None:
    """`values`: f64[nodes, width]. `features`: which columns the tree was given, if not all in order."""
    split = tree.feature.astype(np.int64)
    if features is not None:
        split = np.where(split >= 0, np.asarray(features, np.int64)[split], split)
    builder.tree(output, np.ascontiguousarray(tree.children_left, np.int64), np.ascontiguousarray(tree.children_right, np.int64),
                 np.ascontiguousarray(split), np.ascontiguousarray(tree.threshold, np.float64),
                 np.ascontiguousarray(tree.missing_go_to_left, np.uint8),
                 np.ascontiguousarray(tree.weighted_n_node_samples, np.float64), np.ascontiguousarray(values, np.float64))


def _leaf_values(tree: Any, classes: bool) -> F64:
    """f64[nodes, classes] shares, or f64[nodes, outputs]."""
    values = tree.value  # [nodes, outputs, classes or 1]
    return values[:, 0, :] if classes else values[:, :, 0]


def _forest(estimator: Any) -> Spec:
    one = not hasattr(estimator, "estimators_")
    classes = hasattr(estimator, "classes_")
    trees = [tree.tree_ for tree in ([estimator] if one else estimator.estimators_)]
    labels = _classes(estimator) if classes else []
    outputs = len(labels) if classes else estimator.n_outputs_
    alone = copy.copy(estimator)
    if not one:
        alone.n_jobs = 1  # threads add their trees in the order in which they are done

    def fill(builder: _engine.Builder) -> None:
        for tree in trees:
            _add_tree(builder, tree, _leaf_values(tree, classes))
        if not one:
            builder.divide(float(len(trees)))

    # A tree alone gives its leaf: -0 is what changes no other number.
    base = np.full(outputs, -0.0 if one else 0.0)
    return Spec("votes" if classes else "regression", base, fill, alone.predict_proba if classes else alone.predict, labels)


def _gradient_boosting(estimator: Any) -> Spec:
    labels = _classes(estimator) if hasattr(estimator, "classes_") else []
    if not isinstance(estimator.init_, str) and not type(estimator.init_).__name__.startswith("Dummy"):
        refuse(estimator, f"it starts from another model (init={type_name(estimator.init_)})")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))

    def fill(builder: _engine.Builder) -> None:
        for stage in estimator.estimators_:
            for output, tree in enumerate(stage):
                _add_tree(builder, tree.tree_, estimator.learning_rate * _leaf_values(tree.tree_, False), output)

    if not labels:
        return Spec("regression", base, fill, estimator.predict)
    exponential = estimator.loss == "exponential"  # its probability is the logistic function of twice the margin
    return Spec("logistic" if base.shape[1] == 1 else "softprob", base, fill, estimator.decision_function, labels,
                slope=2.0 if exponential else 1.0)


def _hist_gradient_boosting(estimator: Any) -> Spec:
    labels = _classes(estimator) if hasattr(estimator, "classes_") else []
    if estimator.is_categorical_ is not None and np.any(estimator.is_categorical_):
        refuse(estimator, "it has categorical features, which it encodes by itself")
    base = np.asarray(estimator._baseline_prediction, np.float64).reshape(1, -1)

    def fill(builder: _engine.Builder) -> None:
        for stage in estimator._predictors:
            for output, predictor in enumerate(stage):
                nodes = predictor.nodes
                leaf = nodes["is_leaf"] != 0
                left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
                builder.tree(output, left, right, nodes["feature_idx"].astype(np.int64),
                             np.where(leaf, 0.0, nodes["num_threshold"]), nodes["missing_go_to_left"].astype(np.uint8),
                             nodes["count"].astype(np.float64), nodes["value"].astype(np.float64).reshape(-1, 1))

    if labels:
        objective = "logistic" if base.shape[1] == 1 else "softprob"
    else:
        objective = "exponential" if estimator.loss in ("poisson", "gamma") else "regression"
    return Spec(objective, base, fill, estimator._raw_predict, labels, "f64 <=")


def _isolation_forest(estimator: Any) -> Spec:
    """The margin is the mean depth, divided by the depth to expect; the answer, 2^-margin, is -score_samples."""
    depths = [lengths + average - 1.0 for lengths, average in
              zip(estimator._decision_path_lengths, estimator._average_path_length_per_tree)]
    rows = float(estimator._max_samples)
    if rows < 2:
        refuse(estimator, "its trees saw one row each")
    from sklearn.ensemble._iforest import _average_path_length

    def fill(builder: _engine.Builder) -> None:
        for tree, depth, features in zip(estimator.estimators_, depths, estimator.estimators_features_):
            _add_tree(builder, tree.tree_, depth.reshape(-1, 1), features=features)
        builder.divide(len(depths) * float(_average_path_length([estimator._max_samples])[0]))

    def margins(rows: Any) -> F64:
        # scikit-learn says 2^-margin only: the sum of its own depths, in its own order.
        given = np.asarray(rows, np.float32)
        total = np.zeros(len(given))
        for tree, depth, features in zip(estimator.estimators_, depths, estimator.estimators_features_):
            total += depth[tree.apply(given[:, features], check_input=False)]
        total /= len(depths) * float(_average_path_length([estimator._max_samples])[0])
        if not np.allclose(2**-total, -estimator.score_samples(rows), rtol=1e-15, atol=0):
            raise _engine.Refused("this version of scikit-learn scores isolation forests in another way")
        return total

    return Spec("isolation", np.zeros(1), fill, margins)


# ---- Linear models.
def _linear(estimator: Any) -> Spec:
    weights = np.atleast_2d(np.asarray(estimator.coef_, np.float64))
    base = np.broadcast_to(np.asarray(estimator.intercept_, np.float64), len(weights)).copy()

    def fill(builder: _engine.Builder) -> None:
        builder.linear(np.ascontiguousarray(weights))

    def bound(rows: Any) -> F64:
        rows = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows, np.float64)
        # Two sums of n + 1 terms in any order lie within this of each other (Higham 2002, section 3.1).
        terms = np.abs(rows) @ np.abs(weights).T + np.abs(base)
        return 2 * (weights.shape[1] + 2) * np.finfo(np.float64).eps * terms

    if not hasattr(estimator, "classes_"):
        return Spec("regression", base, fill, estimator.predict, bound=bound)
    labels = _classes(estimator)
    one_vs_rest = estimator.multi_class in ("ovr", "warn") or (
        estimator.multi_class in ("auto", "deprecated") and (len(labels) <= 2 or estimator.solver in ("liblinear", "newton-cholesky")))
    if len(labels) == 2:  # multinomial of two classes: the softmax of margin and -margin
        return Spec("logistic", base, fill, estimator.decision_function, labels, slope=1.0 if one_vs_rest else 2.0, bound=bound)
    return Spec("one-vs-rest" if one_vs_rest else "softprob", base, fill, estimator.decision_function, labels, bound=bound)


_SPECS: dict[str, Callable[[Any], Spec]] = {
    "DecisionTreeClassifier": _forest, "DecisionTreeRegressor": _forest, "ExtraTreeClassifier": _forest,
    "ExtraTreeRegressor": _forest, "RandomForestClassifier": _forest, "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest, "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _gradient_boosting, "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _hist_gradient_boosting, "HistGradientBoostingRegressor": _hist_gradient_boosting,
    "IsolationForest": _isolation_forest,
    "LinearRegression": _linear, "Ridge": _linear, "LogisticRegression": _linear,
}
