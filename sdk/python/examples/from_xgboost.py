"""A model that XGBoost trained, as a package that answers bit for bit the same."""
import numpy as np
import waybill
import xgboost

rng = np.random.default_rng(1)
X = rng.normal(size=(2_000, 3)).astype(np.float32)  # f32[rows, features]
y = X[:, 0] > 0.3 * X[:, 1]
booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3},
                        xgboost.DMatrix(X, y, feature_names=["vib", "temp", "load"]), 20)

model = waybill.from_xgboost(booster, sample=X, labels=["calm", "failing"])  # waybill.Refused if one bit differs
model.save("pump.wbm")

model = waybill.load("pump.wbm")
print(model)
print(model.predict(X[:3]), model.predict_proba(X[:3]).round(3))
