"""The preprocessing of scikit-learn as the engine's steps. scikit-learn hands whole tables from one transformer to the next and puts the
outputs of a ColumnTransformer side by side; the engine changes columns in place. Layout keeps which column stands where."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from . import _engine
from .libraries import type_name


def refuse(estimator: Any, why: str) -> NoReturn:
    raise _engine.Refused(f"{type_name(estimator)}: {why}, which is not carried")


class Layout:
    """Columns are numbers that never change; `columns` is the order in which they stand now."""

    def __init__(self, builder: _engine.Builder, width: int):
        self.builder = builder
        self.columns = list(range(width))
        self._fresh = width

    def at(self, columns: list[int]) -> list[int]:
        return [self.columns.index(column) for column in columns]

    def copies(self, columns: list[int]) -> list[int]:
        """More columns, behind the last, that start as copies of these."""
        made = list(range(self._fresh, self._fresh + len(columns)))
        self._fresh += len(columns)
        self.builder.select(list(range(len(self.columns))) + self.at(columns))
        self.columns = self.columns + made
        return made

    def one_hot(self, column: int, categories: list[float]) -> list[int]:
        self.builder.one_hot(self.at([column])[0], categories)
        made = list(range(self._fresh, self._fresh + len(categories)))
        self._fresh += len(categories)
        self.columns = [other for other in self.columns if other != column] + made
        return made

    def arrange(self, columns: list[int]) -> None:
        if columns != self.columns:
            self.builder.select(self.at(columns))
            self.columns = list(columns)


def apply_step(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    """Says the step to the builder; gives the columns that it leaves, in scikit-learn's order."""
    name = type(step).__name__
    if not type(step).__module__.startswith("sklearn.") or name not in _STEPS:
        raise _engine.Refused(f"{type_name(step)} is not carried; steps of a pipeline may be {', '.join(sorted(_STEPS))}")
    return _STEPS[name](layout, step, columns)


def _scaled(layout: Layout, form: str, columns: list[int], a: Any, b: Any) -> list[int]:
    """`a`, `b`: one number a column, or None for the number that changes nothing."""
    width = len(columns)
    neutral_a, neutral_b = (0.0, 1.0) if form == "shift divide" else (1.0, 0.0)
    layout.builder.scale(form, layout.at(columns), np.full(width, neutral_a).tolist() if a is None else np.asarray(a, float).tolist(),
                         np.full(width, neutral_b).tolist() if b is None else np.asarray(b, float).tolist())
    return columns


def _standard(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    return _scaled(layout, "shift divide", columns, step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None)


def _robust(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    return _scaled(layout, "shift divide", columns, step.center_ if step.with_centering else None,
                   step.scale_ if step.with_scaling else None)


def _max_abs(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    return _scaled(layout, "shift divide", columns, None, step.scale_)


def _min_max(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if step.clip:
        refuse(step, "it clips")
    return _scaled(layout, "multiply shift", columns, step.scale_, step.min_)


def _imputer(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        refuse(step, f"it takes {step.missing_values!r} for missing")
    if step.add_indicator:
        refuse(step, "it adds columns that say what was missing")
    values = np.asarray(step.statistics_, float)
    empty = np.isnan(values)
    if empty.any() and step.keep_empty_features:
        refuse(step, "it keeps columns that were all missing")
    kept = [column for column, drop in zip(columns, empty) if not drop]
    layout.builder.impute(layout.at(kept), values[~empty].tolist())
    return kept


def _categories(step: Any, at: int, missing: bool) -> list[float]:
    categories = np.asarray(step.categories_[at])
    if categories.dtype.kind not in "biuf":
        refuse(step, f"its categories of column {at} are texts")
    numbers = categories.astype(np.float64)
    if np.isnan(numbers).any():
        if not missing:
            refuse(step, f"missing is a category of column {at}")
        numbers = numbers[~np.isnan(numbers)]
    return numbers.tolist()


def _one_hot(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if step.drop is not None:
        refuse(step, f"it drops categories (drop={step.drop!r})")
    if step.min_frequency is not None or step.max_categories is not None:
        refuse(step, "it lumps rare categories together")
    return [made for at, column in enumerate(columns) for made in layout.one_hot(column, _categories(step, at, False))]


def _ordinal(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if getattr(step, "min_frequency", None) is not None or getattr(step, "max_categories", None) is not None:
        refuse(step, "it lumps rare categories together")
    if not np.isnan(step.encoded_missing_value):
        refuse(step, "it encodes missing values as a number")
    unknown = float(step.unknown_value) if step.handle_unknown == "use_encoded_value" else float("nan")
    for at, column in enumerate(columns):
        layout.builder.ordinal(layout.at([column])[0], _categories(step, at, True), unknown)
    return columns


def _resolved(step: Any, wanted: Any, columns: list[int]) -> list[int]:
    """What a ColumnTransformer's entry names: names, positions, a slice, a mask, or one of them."""
    wanted = [wanted] if isinstance(wanted, (str, int)) else wanted
    if not isinstance(wanted, slice) and len(wanted) and isinstance(wanted[0], str):
        names = [str(name) for name in step.feature_names_in_]
        wanted = [names.index(name) for name in wanted]
    if not isinstance(wanted, slice):
        wanted = np.asarray(wanted) if len(wanted) else np.zeros(0, int)
    return np.asarray(columns)[wanted].tolist()


def _columns(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if step.transformer_weights:
        refuse(step, "it has transformer_weights")
    blocks: list[tuple[Any, list[int]]] = []
    for _, transformer, wanted in step.transformers_:
        taken = _resolved(step, wanted, columns)
        if taken and not (isinstance(transformer, str) and transformer == "drop"):
            blocks.append((transformer, taken))
    seen: set[int] = set()
    own = []
    for transformer, taken in blocks:  # each block has its own columns, so that none sees what another did
        own.append((transformer, layout.copies(taken) if seen & set(taken) else taken))
        seen |= set(taken)
    left: list[int] = []
    for transformer, taken in own:
        left += taken if isinstance(transformer, str) else apply_step(layout, transformer, taken)
    return left


def _pipeline(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    for _, inner in step.steps:
        if inner is not None and not isinstance(inner, str):
            columns = apply_step(layout, inner, columns)
    return columns


def _identity(layout: Layout, step: Any, columns: list[int]) -> list[int]:
    if step.func is not None:
        refuse(step, "it calls a function of yours")
    return columns


_STEPS: dict[str, Callable[[Layout, Any, list[int]], list[int]]] = {
    "StandardScaler": _standard, "RobustScaler": _robust, "MaxAbsScaler": _max_abs, "MinMaxScaler": _min_max,
    "SimpleImputer": _imputer, "OneHotEncoder": _one_hot, "OrdinalEncoder": _ordinal, "ColumnTransformer": _columns,
    "Pipeline": _pipeline, "FunctionTransformer": _identity,
}
