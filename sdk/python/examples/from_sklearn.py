"""A pipeline of scikit-learn, preprocessing and all, as one package: rows go in as they come from the sensor."""
import numpy as np
import pandas as pd
import waybill
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rng = np.random.default_rng(1)
rows = pd.DataFrame({"vib": rng.normal(size=1_000), "temp": rng.normal(60, 9, size=1_000), "kind": rng.choice([1, 2, 7], 1_000)})
state = np.where(rows["vib"] * rows["kind"] > 2, "failing", "calm")
rows.loc[::9, "temp"] = np.nan

pipeline = make_pipeline(
    make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), ["vib", "temp"]),
                            (OneHotEncoder(handle_unknown="ignore"), ["kind"])),
    RandomForestClassifier(20, max_depth=6, random_state=1))
pipeline.fit(rows, state)

model = waybill.from_sklearn(pipeline, sample=rows)  # waybill.Refused if one bit differs, or a step is not carried
model.save("pump.wbm")
print(model)
print(model.predict(rows[:5]), model.predict_proba(rows[:5]).round(3)[:, 1])
