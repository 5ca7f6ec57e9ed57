"""Models of XGBoost, LightGBM, CatBoost and ONNX: the library saves its model, the importer reads it as it reads a file, and
with `sample` the answers are held against the library's own. Nothing is approximated and nothing is unpickled. `explain` keeps what
Model.explain needs, at 1 to 8 bytes a leaf."""
from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _engine
from .model import Model
from .rows import Rows, is_frame, rows_of

_SELF_TEST_ROWS = 32  # of the sample travel with the package: a node runs them before it serves


def import_file(path: str | os.PathLike[str], *, format: str | None = None, best_only: bool = True,
                labels: Sequence[str] = (), category_codes: bool = False, explain: bool = False) -> Model:
    """What `waybill model import` does with a file of XGBoost (JSON, UBJSON), LightGBM (text), CatBoost (JSON) or ONNX."""
    with open(path, "rb") as file:
        data = file.read()
    return Model(_engine.import_model(data, format or "", best_only, list(labels), category_codes, explain))


def from_xgboost(model: Any, sample: Any = None, *, labels: Sequence[str] = (), best_only: bool | None = None,
                 explain: bool = False) -> Model:
    """`model`: a Booster, or XGBClassifier, XGBRegressor, XGBRanker. `best_only`: leave out the rounds after the best one of early
    stopping; None does as `model.predict` does (scikit-learn classes leave them out, a Booster counts them)."""
    import xgboost

    wrapped = hasattr(model, "get_booster")
    booster = model.get_booster() if wrapped else model
    if not isinstance(booster, xgboost.Booster):
        raise TypeError(f"from_xgboost takes a Booster or one of XGBoost's scikit-learn classes, not {type_name(model)}")
    missing = getattr(model, "missing", None)
    if missing is not None and not math.isnan(missing):
        raise _engine.Refused(f"this model was made with missing={missing}, which XGBoost does not save: map such values to NaN "
                              "in your rows, train with missing=nan")
    best_only = wrapped if best_only is None else best_only
    package = _engine.import_model(bytes(booster.save_raw("ubj")), "xgboost-ubjson", best_only, list(labels),
                                   explain=explain)
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1) if best_only and best is not None else (0, 0)

    def margins(rows: Rows) -> NDArray[Any]:
        matrix = xgboost.DMatrix(rows, feature_names=booster.feature_names, feature_types=booster.feature_types,
                                 enable_categorical=True)
        return booster.predict(matrix, output_margin=True, iteration_range=rounds)

    return _held_against(package, sample, "XGBoost", margins)


def from_lightgbm(model: Any, sample: Any = None, *, labels: Sequence[str] = (), category_codes: bool = False,
                  explain: bool = False) -> Model:
    """`model`: a Booster, or LGBMClassifier, LGBMRegressor, LGBMRanker. As LightGBM saves it, without the rounds after the best one.
    `category_codes`: rows will hold the codes that pandas gave the categories, not the categories."""
    import lightgbm

    booster = getattr(model, "booster_", model)
    if not isinstance(booster, lightgbm.Booster):
        raise TypeError(f"from_lightgbm takes a Booster or one of LightGBM's scikit-learn classes, not {type_name(model)}")
    text = booster.model_to_string()
    package = _engine.import_model(text.encode(), "lightgbm", True, _labels(model, labels), category_codes, explain)
    saved = lightgbm.Booster(model_str=text)
    # Margins of random forests are means over the trees; LightGBM's raw scores are sums.
    rounds = saved.num_trees() // saved.num_model_per_iteration() if "\naverage_output\n" in text else None

    def margins(rows: Rows) -> NDArray[Any]:
        given = rows.astype(np.float64)
        if booster.pandas_categorical and not category_codes:
            if not is_frame(sample):
                raise TypeError("this model was trained on categories of pandas; give the sample as such a DataFrame, or "
                                "category_codes=True and rows of codes")
            given = sample
        raw = (booster if given is sample else saved).predict(given, raw_score=True)
        return raw if rounds is None else raw / rounds

    return _held_against(package, sample, "LightGBM", margins)


def from_catboost(model: Any, sample: Any = None, *, explain: bool = False) -> Model:
    """`model`: CatBoost, CatBoostClassifier, CatBoostRegressor, CatBoostRanker."""
    import catboost

    if not isinstance(model, catboost.CatBoost):
        raise TypeError(f"from_catboost takes one of CatBoost's models, not {type_name(model)}")
    with tempfile.TemporaryDirectory(prefix="waybill-") as folder:
        path = os.path.join(folder, "model.json")
        model.save_model(path, format="json")
        with open(path, "rb") as file:
            package = _engine.import_model(file.read(), "catboost-json", explain=explain)
    return _held_against(package, sample, "CatBoost",
                         lambda rows: model.predict(rows, prediction_type="RawFormulaVal"))


def from_onnx(model: Any, sample: Any = None) -> Model:
    """`model`: an onnx.ModelProto, its bytes, or the path of a file. With `sample`, onnxruntime answers the same rows: of trees the
    margins must be equal, labels too, and probabilities within 1.3e-7 plus 2e-7 of each (onnxruntime makes them of f32); of linear models and networks the
    answers must be within 4e-6 of each and 5e-6 (they have no bits to be equal to)."""
    if hasattr(model, "SerializeToString"):
        data = model.SerializeToString()
    elif isinstance(model, bytes):
        data = model
    elif isinstance(model, (str, os.PathLike)):
        with open(model, "rb") as file:
            data = file.read()
    else:
        raise TypeError(f"from_onnx takes an onnx.ModelProto, bytes or a path, not {type_name(model)}")
    package = _engine.import_model(data, "onnx")
    if sample is None:
        return Model(package)
    from .onnx_answers import has_trees, margins, require_answers

    rows, trees = _sample_rows(package, sample), has_trees(data)
    if trees:  # of others it says answers only
        require_equal(Model(package)._margins(rows), margins(data, rows, package.outputs), "onnxruntime")
    require_answers(data, Model(package), rows, trees)
    return _with_self_test(package, rows)


def type_name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _labels(model: Any, given: Sequence[str]) -> list[str]:
    """The classes that a scikit-learn class of a library keeps beside its trees."""
    classes = getattr(model, "classes_", None) if not given else None
    return list(given) if classes is None else [str(one) for one in classes]


def _held_against(package: _engine.Package, sample: Any, library: str, margins: Callable[[Rows], NDArray[Any]],
                  bound: Callable[[Rows], NDArray[Any]] | None = None) -> Model:
    """Refused if a margin differs in any bit from the library's own, or by more than `bound` where a library has no order of its
    own; else the model, with some of the rows as its self-test."""
    model = Model(package)
    if sample is None:
        return model
    rows = _sample_rows(package, sample)
    require_equal(model._margins(rows), np.asarray(margins(rows)).reshape(len(rows), -1), library,
                  None if bound is None else bound(rows))
    return _with_self_test(package, rows)


def _sample_rows(package: _engine.Package, sample: Any) -> Rows:
    rows = rows_of(sample, package.features, "sample")
    if len(rows) == 0:
        raise ValueError("sample has no rows")
    return rows


def _with_self_test(package: _engine.Package, rows: Rows) -> Model:
    taken = min(len(rows), _SELF_TEST_ROWS)
    spread = [i * len(rows) // taken for i in range(taken)]
    return Model(package.with_self_test(np.ascontiguousarray(rows[spread], np.float64)))


def require_equal(ours: NDArray[Any], theirs: NDArray[Any], library: str, bound: NDArray[Any] | None = None) -> None:
    """Bit by bit, so that -0 is not 0; one NaN is like another."""
    if ours.shape != theirs.shape:
        raise _engine.Refused(f"the model gives {ours.shape[1]} margins a row, {library} gives {theirs.shape[1]}")
    theirs = np.ascontiguousarray(theirs, ours.dtype)
    if bound is None:
        bits = np.uint32 if ours.dtype == np.float32 else np.uint64
        equal = ours.view(bits) == theirs.view(bits)
    else:
        equal = np.abs(ours - theirs) <= bound
    differs = ~equal & ~(np.isnan(ours) & np.isnan(theirs))
    if differs.any():
        row, output = np.argwhere(differs)[0]
        raise _engine.Refused(f"the model does not reproduce {library}: row {row} of the sample, margin {output}: {library} gives "
                              f"{theirs[row, output]!r}, the model {ours[row, output]!r} ({int(differs.any(axis=1).sum())} of {len(ours)} rows "
                              "differ). No model was made; this is a fault of Waybill, please report it with the model")
