"""What onnxruntime answers, to hold a model against. On one thread and a few rows at a time: beyond that it splits the trees
among its threads, and its sums depend on them."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _engine
from .model import Model
from .rows import Rows

_ROWS_AT_A_TIME = 50
_KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


def _run(data: bytes, rows: Rows) -> list[list[Any]]:
    """One list of outputs for each part of the rows."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    parts = []
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows[start:start + _ROWS_AT_A_TIME]
        feed, at = {}, 0
        for value in session.get_inputs():
            width = value.shape[1]
            feed[value.name] = np.ascontiguousarray(part[:, at:at + width].astype(_KINDS[value.type]))
            at += width
        parts.append(session.run(None, feed))
    return parts


def has_trees(data: bytes) -> bool:
    """Else it is a linear model or a network, whose products onnxruntime leaves to a library with no order of its own."""
    import onnx

    return any(node.op_type.startswith("TreeEnsemble") for node in onnx.ModelProto.FromString(data).graph.node)


def _up_to_predictor(data: bytes, raw: bool) -> bytes:
    """The graph without what stands behind its trees (ZipMap, casts); `raw`: nor what is done to the sums."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    at = next(i for i, node in enumerate(graph.node) if node.op_type.startswith("TreeEnsemble"))
    node = graph.node[at]
    for attribute in node.attribute:
        if raw and attribute.name == "post_transform" and attribute.s:
            attribute.s = b"NONE"
    kept = list(graph.node)[:at + 1]
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output)
    return model.SerializeToString()


def margins(data: bytes, rows: Rows, outputs: int) -> NDArray[Any]:
    scores = np.concatenate([part[-1].reshape(len(part[-1]), -1) for part in _run(_up_to_predictor(data, True), rows)])
    return scores[:, 1:] if outputs == 1 and scores.shape[1] == 2 else scores


def _as_table(answers: Any) -> NDArray[Any]:
    """[rows, answers], also of the dicts that a ZipMap makes."""
    if isinstance(answers, list):
        return np.asarray([list(one.values()) for one in answers])
    return answers.reshape(len(answers), -1)


def require_answers(data: bytes, model: Model, rows: Rows, trees: bool) -> None:
    parts = _run(_up_to_predictor(data, False) if trees else data, rows)
    theirs = np.concatenate([_as_table(part[-1]) for part in parts])
    ours = model._answers(rows, True)
    if theirs.shape != ours.shape:
        raise _engine.Refused(f"the model gives {ours.shape[1]} answers a row, onnxruntime gives {theirs.shape[1]}")
    rtol, atol = (2e-7, 1.3e-7) if trees else (4e-6, 5e-6)
    away = ~np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
    if away.any():
        row, at = np.argwhere(away)[0]
        raise _engine.Refused(f"the model does not reproduce onnxruntime: row {row} of the sample, answer {at}: onnxruntime gives "
                              f"{theirs[row, at]!r}, the model {ours[row, at]!r}")
    if trees and model.labels and len(parts[0]) > 1:
        labels = np.concatenate([part[0] for part in parts])
        chosen = np.asarray(model.labels)[ours.argmax(axis=1)]
        wrong = np.flatnonzero(labels.astype(str) != chosen)
        if len(wrong):
            raise _engine.Refused(f"the model does not reproduce onnxruntime: row {wrong[0]} of the sample: onnxruntime answers "
                                  f"{labels[wrong[0]]}, the model {chosen[wrong[0]]}")
