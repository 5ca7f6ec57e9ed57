"""The simplest model that is good enough, from a DataFrame; pandas.read_parquet gives one from Parquet."""
import numpy as np
import pandas as pd
import waybill

rng = np.random.default_rng(1)
rows = pd.DataFrame(rng.normal(size=(400, 3)).round(2), columns=["vib", "temp", "load"])
state = np.where(rows["vib"] > 1, "failing", np.where(rows["temp"] * rows["load"] > 1, "worn", "calm"))

made = waybill.fit(rows, state, candidate="tree", depth=4)  # without candidate= all are compared; boosted ones need xgboost
print(made)
made.model.save("pump.wbm")
