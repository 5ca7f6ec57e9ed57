"""What a caller gives as rows becomes what the engine reads: f32 or f64 [rows, features], C-contiguous. An array that is so
already is not copied. Everything that does not fit is refused by name."""
from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]  # f32 or f64 [rows, features], C-contiguous


def listed(names: Sequence[str], shown: int = 8) -> str:
    more = "" if len(names) <= shown else f", … {len(names) - shown} more"
    return ", ".join(names[:shown]) + more


def nearest(name: str, names: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, names, 1)
    return f"; did you mean '{found[0]}'?" if found else ""


def is_frame(data: Any) -> bool:
    """A pandas DataFrame, without needing pandas."""
    return hasattr(data, "columns") and hasattr(data, "iloc")


def rows_of(data: Any, features: Sequence[str], what: str = "X", texts: Mapping[str, Sequence[str]] | None = None) -> Rows:
    """`texts`: what each feature that is a text may say; its number is its place there."""
    return _rows_of_frame(data, features, what, texts or {}) if is_frame(data) else _rows_of_array(data, features, what)


def _rows_of_array(data: Any, features: Sequence[str], what: str) -> Rows:
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{what} is a masked array; give what is missing as NaN: {what}.filled(float('nan'))")
    rows = np.asarray(data)
    wanted = f"a 2-D array [rows, {len(features)}]"
    if rows.dtype not in (np.float32, np.float64) or not rows.dtype.isnative:
        raise TypeError(f"{what} is an array of {rows.dtype}; give float32 or float64, such as {what}.astype('float64')")
    if rows.ndim != 2:
        hint = f"; for one row, {what}.reshape(1, -1)" if rows.ndim == 1 else ""
        raise ValueError(f"{what} is a {rows.ndim}-D array; {wanted} is expected{hint}")
    if rows.shape[1] != len(features):
        raise ValueError(f"{what} has {rows.shape[1]} columns; {wanted} is expected: {listed(features)}")
    return np.ascontiguousarray(rows)


def _rows_of_frame(frame: Any, features: Sequence[str], what: str, texts: Mapping[str, Sequence[str]]) -> Rows:
    names = [str(name) for name in frame.columns]
    columns = []
    for feature in features:
        if names.count(feature) != 1:
            if feature in names:
                raise ValueError(f"{what} has {names.count(feature)} columns '{feature}'; one is expected")
            raise ValueError(f"{what} has no column '{feature}', which the model needs{nearest(feature, names)}")
        column = frame.iloc[:, names.index(feature)]
        columns.append(_places(column, feature, what, texts[feature]) if feature in texts else _numbers(column, feature, what))
    narrow = all(column.dtype == np.float32 for column in columns)
    rows = np.empty((len(frame), len(features)), np.float32 if narrow else np.float64)
    for at, column in enumerate(columns):
        rows[:, at] = column
    return rows


def text_cells(column: Any, name: str, what: str) -> list[str]:
    """A column's texts without blanks around them, as the command reads a file; "" is missing. pandas' bools and floats are no texts:
    "true" would read as "True", and "2" as "2.0"."""
    kind = getattr(column.dtype, "categories", column).dtype
    if getattr(kind, "kind", "O") in "bf" and not column.isna().all():
        raise TypeError(f"column '{name}' of {what} holds {kind}; its kinds are texts: read it as such, with "
                        f"pandas.read_csv(…, dtype={{'{name}': str}}), or {what}['{name}'].astype(str)")
    return ["" if none else str(cell).strip(" \t\r\n") for cell, none in zip(column, column.isna())]


def _places(column: Any, name: str, what: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """The number of each text: -1 if the model does not know it, NaN if it is missing."""
    place = {text: float(at) for at, text in enumerate(texts)}
    return np.asarray([place.get(cell, -1.0) if cell else np.nan for cell in text_cells(column, name, what)], np.float64)


def _numbers(column: Any, name: str, what: str) -> NDArray[Any]:
    """A column's numbers; missing is NaN. A category column holds its categories, not their codes."""
    kind = column.dtype
    if hasattr(kind, "categories"):
        if kind.categories.dtype.kind not in "biuf":
            raise TypeError(f"column '{name}' of {what} holds categories that are texts; give numbers, or the codes if the "
                            f"model was made with category_codes=True: {what}['{name}'].cat.codes")
        return np.asarray(column.astype("float64"))
    if getattr(kind, "kind", "O") not in "biuf":
        raise TypeError(f"column '{name}' of {what} holds {kind}; the model takes numbers")
    if isinstance(kind, np.dtype):
        return np.asarray(column)
    return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))  # pandas' own types, which know a missing value
