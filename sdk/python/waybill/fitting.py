"""fit: from a table to the simplest model that is good enough, as `waybill fit` does from a file; the same rows, options and seed
give the same bytes."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import _engine
from .model import Model
from .rows import is_frame, rows_of, text_cells


@dataclass(frozen=True)
class Fit:
    """What came of it. `candidates`: one dict for each rung of the ladder (candidate, score, error, bytes, excluded, best, chosen), good
    for pandas.DataFrame(); empty if one was asked for. `score` is of the model, on rows that nothing has seen."""

    model: Model
    candidate: str
    candidates: list[dict[str, Any]]
    metric: str
    score: float
    train_rows: int
    held_out_rows: int

    def __str__(self) -> str:
        lines = [f"{'candidate':<30} {self.metric:>20} {'bytes':>9}"]
        for one in self.candidates:
            mark = ("← smallest within one standard error of the best" if one["chosen"] else "best" if one["best"] else one["excluded"])
            lines.append(f"{one['candidate']:<30} {one['score']:>11.4f} ± {one['error']:.4f} {one['bytes']:>9}  {mark}".rstrip())
        lines.append(f"{self.candidate}: {self.metric} {self.score:.4f} on {self.held_out_rows} rows held out, {self.model.size_bytes} bytes")
        return "\n".join(lines)


def fit(X: Any, y: Any, *, task: Literal["auto", "classification", "regression"] = "auto", weights: Any = None, groups: Any = None,
        times: Any = None, balanced: bool = False, metric: str | None = None, folds: int = 5, repeats: int | None = None,
        holdout: float = 0.2, seed: int = 1, threads: int = 1, max_bytes: int | None = None,
        candidate: Literal["constant", "linear", "tree", "forest", "boosting"] | None = None, trees: int | None = None,
        depth: int | None = None, learning_rate: float | None = None, categorical: Sequence[str] = (), allow_id: Sequence[str] = (),
        explain: bool = False) -> Fit:
    """`X`: DataFrame or array [rows, features], learnt from in f32, NaN = missing. `categorical`: columns of a DataFrame that say a kind,
    texts or numbers that only name something; each of at most 256 kinds becomes a column inside of the model. `y`: [rows]: labels, or values; "auto" takes text and
    few whole numbers for labels. `weights`, `groups` (never parted), `times` (only the past is learnt from): [rows], not both of the
    last two. `candidate` trains that one alone (`trees`, `depth` or `learning_rate` by themselves: boosting), else all are compared and
    the smallest within one standard error of the best is taken; `max_bytes` and `repeats` are of the comparison.

    `explain` keeps what Model.explain needs. Boosted trees are trained by the `xgboost` that is installed. docs/guide/fit.md explains the
    choice; Refused and ValueError say what stands against learning from this."""
    shape = np.shape(X)
    if len(shape) != 2 or shape[1] == 0:
        raise ValueError(f"X has shape {shape}; [rows, features] with at least one feature is expected")
    for what, value, low, high in (("folds", folds, 2, 20), ("repeats", repeats, 1, 20), ("holdout", holdout, 0.01, 0.9),
                                   ("seed", seed, 0, 2**32 - 1), ("threads", threads, 1, 256), ("trees", trees, 1, 5_000),
                                   ("depth", depth, 1, 14), ("learning_rate", learning_rate, 0.0001, 1.0),
                                   ("max_bytes", max_bytes, 1, 2**53)):
        if value is not None and not low <= value <= high:
            raise ValueError(f"{what} is {value!r}; it is {low} to {high}")
    alone = candidate or ("boosting" if (trees, depth, learning_rate) != (None, None, None) else "")
    if alone and (max_bytes is not None or repeats is not None):
        raise ValueError("max_bytes and repeats belong to a comparison, and candidate, trees, depth or learning_rate ask for one model; "
                         "leave one of them out")
    names = [str(name) for name in X.columns] if is_frame(X) else [f"f{i}" for i in range(shape[1])]
    kinds = {name: _kinds_of(X, names, name) for name in categorical}
    rows = rows_of(X, names, texts={name: texts for name, (texts, _) in kinds.items() if texts})
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(rows, np.float32)
    infinite = np.argwhere(np.isinf(narrow))
    if len(infinite):
        row, column = infinite[0]
        raise ValueError(f"row {row}, column '{names[column]}': {rows[row, column]!r} is infinite, or too large for f32")
    labels, targets = _targets(y, len(rows), task)
    data = _engine.Dataset(names, labels, narrow, targets)
    if kinds:
        data.categories = [kinds[name][1] if name in kinds else [] for name in names]
        data.texts = [kinds[name][0] if name in kinds else [] for name in names] if any(texts for texts, _ in kinds.values()) else []
    if weights is not None:
        data.weights = _column(weights, len(rows), "weights", _is_weight, "above 0 and finite in f32").astype(np.float32).tolist()
    if groups is not None and times is not None:
        raise ValueError("give groups or times, not both")
    if groups is not None:
        data.groups = _numbered(groups, len(rows))
    if times is not None:
        data.times = _column(times, len(rows), "times", lambda t: ~np.isnan(t), "a number").tolist()
    settings = _engine.FitSettings()
    settings.metric, settings.target = metric or "", str(getattr(y, "name", None) or "target")[:128]
    settings.folds, settings.repeats, settings.holdout = folds, repeats or 0, holdout
    settings.seed, settings.threads, settings.balanced = seed, threads, balanced
    settings.family = alone
    settings.trees, settings.depth, settings.learning_rate = trees or 0, depth or 0, 0.3 if learning_rate is None else learning_rate
    settings.bytes_max, settings.allow_id, settings.explain = max_bytes or 0, list(allow_id), explain
    made: Any = _engine.fit(data, settings, _boost)
    return Fit(model=Model(made.pop("package")), **made)


def _kinds_of(X: Any, names: list[str], name: str) -> tuple[list[str], list[float]]:
    """The texts of a categorical column (none if all are numbers), and what stands for each of its kinds in the rows."""
    if not is_frame(X) or names.count(name) != 1:
        raise ValueError(f"categorical: X has no column '{name}'; give a DataFrame that has it")
    column = X.iloc[:, names.index(name)]
    numbers = getattr(column.dtype, "kind", "O") in "iuf"
    texts = sorted({str(cell) for cell in column if cell == cell} if numbers else {*text_cells(column, name, "X")} - {""})
    if len(texts) < 2:
        raise ValueError(f"the categorical column '{name}' says always the same; leave it out")
    if len(texts) > _engine.CATEGORIES_MAX:
        raise ValueError(f"the categorical column '{name}' has {len(texts)} different categories, at most {_engine.CATEGORIES_MAX} are possible; "
                         "call the rare ones by one name, or leave it out")
    long = [text for text in texts if len(text.encode()) > _engine.NAME_BYTES_MAX]
    if long:
        raise ValueError(f"the categorical column '{name}' says '{long[0][:40]}…', which is longer than {_engine.NAME_BYTES_MAX} bytes")
    if numbers:
        return [], sorted({float(np.float32(cell)) for cell in column if cell == cell})
    return texts, [float(at) for at in range(len(texts))]


def _column(values: Any, count: int, what: str, holds: Any, rule: str) -> NDArray[np.float64]:
    column = np.asarray(values, np.float64)
    if column.shape != (count,):
        raise ValueError(f"{what} has shape {column.shape}; [{count}] is expected, one for each row")
    wrong = np.flatnonzero(~holds(column))
    if len(wrong):
        raise ValueError(f"{what}, row {wrong[0]}: {column[wrong[0]]!r} is not {rule}")
    return column


def _is_weight(column: NDArray[np.float64]) -> Any:
    with np.errstate(over="ignore"):
        narrow = column.astype(np.float32)
    return (narrow > 0) & np.isfinite(narrow)


def _numbered(groups: Any, count: int) -> list[int]:
    """Groups by the order in which they come."""
    cells = np.asarray(groups)
    if cells.shape != (count,):
        raise ValueError(f"groups has shape {cells.shape}; [{count}] is expected, one for each row")
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(cell, len(numbers)) for cell in cells.tolist()]


def _targets(y: Any, count: int, task: str) -> tuple[list[str], list[float]]:
    """The labels (none for values), and for each row the place of its label or its value."""
    cells = np.asarray(y)
    if cells.shape != (count,):
        raise ValueError(f"y has shape {cells.shape}; [{count}] is expected, one for each row of X")
    missing = [at for at, cell in enumerate(cells.tolist()) if cell is None or cell != cell or cell == ""]
    if missing:
        raise ValueError(f"y, row {missing[0]}: the target is missing; remove the row or fill it in")
    texts = [str(cell) for cell in cells.tolist()]
    labels = sorted(set(texts))
    if len(labels) < 2:
        raise ValueError(f"y is always '{labels[0] if labels else ''}'; there is nothing to learn")
    if task == "auto":
        task = "classification" if _engine.are_classes(labels, count) else "regression"
    if task == "regression":
        try:
            with np.errstate(over="ignore"):
                values = np.asarray(texts, np.float64).astype(np.float32)
        except ValueError:
            raise ValueError("y holds texts; values are numbers, or use task='classification'") from None
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise ValueError(f"y, row {wrong[0]}: {texts[wrong[0]]} is not finite, or too large for f32")
        return [], values.tolist()
    if task != "classification":
        raise ValueError(f"task is '{task}'; it is one of auto, classification, regression")
    labels = _engine.sorted_labels(labels)
    place = {label: at for at, label in enumerate(labels)}
    return labels, [float(place[text]) for text in texts]


def _boost(rows: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32] | None, how: dict[str, Any]) -> Any:
    """Trains with XGBoost; gives its own bytes, its margins, and its name."""
    try:
        import xgboost
    except ImportError:
        raise ImportError("boosted trees are trained by xgboost, which is not installed; pip install xgboost, or ask for one candidate "
                          "that is not boosted: candidate='tree'") from None
    rounds, classes, values = how.pop("rounds"), how.pop("classes"), how.pop("values")
    objective = "reg:squarederror" if values else "multi:softprob" if classes else "binary:logistic"
    params = {"objective": objective, "tree_method": "hist", "verbosity": 0, **how, **({"num_class": classes} if classes else {})}
    booster = xgboost.train(params, xgboost.DMatrix(rows, targets, weight=weights), rounds)

    def margins(some: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(booster.predict(xgboost.DMatrix(some), output_margin=True), np.float32)

    return bytes(booster.save_raw("ubj")), margins, f"xgboost {xgboost.__version__}"
