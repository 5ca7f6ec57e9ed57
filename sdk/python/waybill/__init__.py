"""Waybill: small models that are exact and tiny, from the tools people already train with to the edge.

    import waybill
    model = waybill.from_xgboost(booster, sample=X)   # refused unless its margins are XGBoost's, bit for bit
    model.save("pump.wbm")
    waybill.load("pump.wbm").predict(X)

docs/guide/python.md has shapes, units and errors.
"""
from ._engine import Refused
from .client import Client, HubError
from .fitting import Fit, fit
from .libraries import from_catboost, from_lightgbm, from_onnx, from_xgboost, import_file
from .model import Model, load, loads
from .scikit_learn import from_sklearn

__all__ = ["Client", "Fit", "HubError", "Model", "Refused", "fit", "from_catboost", "from_lightgbm", "from_onnx", "from_sklearn", "from_xgboost", "import_file",
           "load", "loads"]
__version__ = "0.1.0"
