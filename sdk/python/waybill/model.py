"""Model: one trained predictor in the engine's format, on NumPy."""
from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _engine
from .rows import Rows, listed, rows_of


class Model:
    """A model package (.wbm). Immutable: any number of threads may predict at once, and the interpreter's lock is released
    while they do.

    Everywhere `X` is a NumPy array f32 or f64 [rows, features] in the order of `features`, NaN = missing (C-contiguous is
    not copied, anything else is), or a pandas DataFrame, whose columns are found by name; columns that the model does not
    know are ignored there. ValueError and TypeError say what does not fit, with the column.

    Numbers come out in the precision in which the model's library sums: f32 for XGBoost, f64 for LightGBM, CatBoost and
    scikit-learn, whatever `X` is.
    """

    __slots__ = ("_explainer", "_features", "_package", "_texts")

    def __init__(self, package: _engine.Package):
        self._package = package
        self._features: list[str] = package.features  # of C++ once, and not for every call
        said = {name: package.texts(at) for at, name in enumerate(self._features)}
        self._texts: dict[str, list[str]] = {name: texts for name, texts in said.items() if texts}
        self._explainer: _engine.Explainer | None = None  # loaded when somebody asks

    @property
    def features(self) -> list[str]:
        """The names of the columns, in the order of a row."""
        return list(self._features)

    @property
    def labels(self) -> list[str]:
        """The names of the classes; empty if the model answers values."""
        return self._package.labels

    @property
    def texts(self) -> dict[str, list[str]]:
        """Of the features that are texts, what each may say. A DataFrame holds them as they are; an array of numbers holds their
        places here, -1 for what is not there, NaN for what is missing."""
        return {name: list(texts) for name, texts in self._texts.items()}

    @property
    def objective(self) -> str:
        """What margins mean: "softprob", "logistic", "regression", … (docs/formats/model.md)."""
        return self._package.objective

    @property
    def notes(self) -> dict[str, str]:
        """For people: which library trained it, what was left out, …"""
        return dict(self._package.notes)

    @property
    def size_bytes(self) -> int:
        """Bytes of the package: what a node receives."""
        return len(self._package.data)

    @property
    def trees(self) -> int:
        return self._package.trees

    @property
    def nodes(self) -> int:
        return self._package.nodes

    def margin(self, X: Any, *, allow_missing: bool = False) -> NDArray[Any]:
        """What the library calls raw scores: [rows] for one output, else [rows, outputs]. Its bits."""
        margins = self._margins(self._rows(X, allow_missing))
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def predict_proba(self, X: Any, *, allow_missing: bool = False) -> NDArray[Any]:
        """[rows, labels]: the probability of each label. TypeError if the model answers values."""
        if not self.labels:
            raise TypeError("this model answers values, not classes; use predict")
        return self._answers(X, allow_missing)

    def predict(self, X: Any, *, allow_missing: bool = False) -> NDArray[Any]:
        """[rows]: the most probable label of each row (the first of equals), as int64 if all labels are whole numbers, else as
        text. For a model without labels its values: [rows], or [rows, outputs] if there are several."""
        labels = self.labels
        if labels and self.objective == "independent":
            raise TypeError("each label of this model is a question of its own; use predict_proba and choose a threshold")
        answers = self._answers(X, allow_missing)
        if labels:
            return _as_array(labels)[answers.argmax(axis=1)]
        return answers[:, 0] if answers.shape[1] == 1 else answers

    def explain(self, X: Any, *, allow_missing: bool = False) -> NDArray[np.float64]:
        """Why the margins are what they are: f64 [rows, features + 1], or [rows, outputs, features + 1] if there are several. What
        each feature adds to the margin (Shapley values), and last the bias; together they are the margin, but for rounding.
        Refused if the model was made without explain=True, or is of a kind that is not explained."""
        rows = np.ascontiguousarray(self._rows(X, allow_missing), np.float64)
        if self._explainer is None:
            self._explainer = _engine.Explainer(self._package)
        width = rows.shape[1] + 1
        out = np.empty((len(rows), self._package.outputs * width))
        self._explainer.explain(rows, out)
        return out if self._package.outputs == 1 else out.reshape(len(rows), -1, width)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the package: beside, then renamed, so that a reader sees the old file or the new one."""
        path = os.fspath(path)
        beside = f"{path}.{os.getpid()}.tmp"
        with open(beside, "wb") as file:
            file.write(self._package.data)
        os.replace(beside, path)

    def to_bytes(self) -> bytes:
        return self._package.data

    def __reduce__(self) -> Any:
        return loads, (self._package.data,)

    def __repr__(self) -> str:
        what = f"labels {listed(self.labels, 4)}" if self.labels else "values"
        return f"<waybill.Model {self.objective}: {len(self._features)} features, {self.trees} trees, {what}, {self.size_bytes} bytes>"

    def _rows(self, X: Any, allow_missing: bool) -> Rows:
        rows = rows_of(X, self._features, "X", self._texts)
        if not allow_missing and not self._package.missing_allowed:
            found = _engine.first_missing(rows)
            if found is not None:
                raise ValueError(f"row {found[0]}, column '{self._features[found[1]]}': the value is missing, and this model saw no "
                                 "missing values in training; fill it in, or answer anyway with allow_missing=True")
        return rows

    def _number(self) -> Any:
        return np.float64 if self._package.sums_f64 else np.float32

    def _margins(self, rows: Rows) -> NDArray[Any]:
        out: NDArray[Any] = np.empty((len(rows), self._package.outputs), self._number())
        self._package.margins(rows, out)
        return out

    def _answers(self, X: Any, allow_missing: bool) -> NDArray[Any]:
        margins = self._margins(self._rows(X, allow_missing))
        out = np.empty((len(margins), self._package.answers_count), margins.dtype)
        self._package.answers(margins, out)
        return out


def _as_array(labels: list[str]) -> NDArray[Any]:
    whole = all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", label) for label in labels)
    return np.asarray(labels, np.int64) if whole else np.asarray(labels)


def load(path: str | os.PathLike[str]) -> Model:
    """The package at `path`, checked to the last byte, its self-test run. Refused says what is wrong and where."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return loads(data)
    except _engine.Refused as refusal:
        raise _engine.Refused(f"{os.fspath(path)}: {refusal}") from None


def loads(data: bytes) -> Model:
    """The same from memory."""
    return Model(_engine.load(data))
