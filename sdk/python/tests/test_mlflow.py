"""`mlflow deployments … -t waybill`: a logged model becomes a release with a rollout, for every flavour that is read."""
import json
import os
import subprocess
import sys

import catboost
import harness
import lightgbm
import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
import skl2onnx
import waybill
import xgboost
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from skl2onnx.common.data_types import FloatTensorType
from sklearn import compose, pipeline, tree

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's, of schemas and files

PIPELINE = """name: pump
schema:
  - {name: vib, type: number}
  - {name: temp, type: number}
source:
  - http: {path: /v1/records}
infer: {model: pump}
sync:
  budget: 64KiB
  rules:
    - all: {}
"""


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    return pd.DataFrame({"vib": rng.normal(size=100).astype(np.float32), "temp": rng.normal(size=100).astype(np.float32)})


@pytest.fixture(scope="module")
def config(lab, hub, node, rows):
    rows.to_csv(lab.path("rows.csv"), index=False)
    os.environ["WAYBILL_DATA_DIR"] = hub.data
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    yield {"pipeline": harness.write(lab.path("pump.yaml"), PIPELINE), "key": lab.key()[0], "sample": lab.path("rows.csv"),
           "tool": os.path.join(os.environ["WAYBILL_BIN"], "waybill")}
    del os.environ["WAYBILL_DATA_DIR"]


@pytest.fixture(scope="module")
def models(lab, rows):
    """One saved MLflow model a flavour."""
    y = rows["vib"] > rows["temp"]
    made = {}

    def save(flavor, module, model, **more):
        made[flavor] = lab.path("ml-" + flavor)
        module.save_model(model, made[flavor], pip_requirements=[flavor], **more)  # else MLflow finds them out

    save("xgboost", mlflow.xgboost, xgboost.XGBClassifier(n_estimators=3).fit(rows, y), input_example=rows[:40])
    save("lightgbm", mlflow.lightgbm, lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(rows, y), 3))
    save("catboost", mlflow.catboost, catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(rows, y * 1))
    stump = tree.DecisionTreeClassifier(max_depth=3).fit(rows, y)
    save("sklearn", mlflow.sklearn, stump, serialization_format="cloudpickle")
    by_name = pipeline.make_pipeline(compose.make_column_transformer(("passthrough", list(rows))), stump).fit(rows, y)
    named = skl2onnx.to_onnx(by_name, initial_types=[(name, FloatTensorType([None, 1])) for name in rows])
    save("onnx", mlflow.onnx, named)
    return made


def test_one_after_the_other(hub, config, models):
    client = get_deploy_client("waybill")
    at_hub = waybill.Client()
    made = client.create_deployment("pump", models["xgboost"], config={**config, "to": "site=lyon", "waves": "10,100"})
    assert made["release"] == "pump@1" and made["flavor"] == "xgboost"
    rollout = at_hub.rollout(made["rollout"])
    assert (rollout["release"], rollout["selector"], rollout["waves"]) == ("pump@1", "site=lyon", [10, 100])
    for number, flavor in enumerate(("lightgbm", "catboost", "sklearn", "onnx"), 2):
        made = client.update_deployment("pump", models[flavor], config=config)
        assert (made["release"], made["flavor"]) == (f"pump@{number}", flavor)
    assert at_hub.rollout(rollout["id"])["state"] == "aborted"  # superseded
    assert client.get_deployment("pump")["release"] == "pump@5"
    assert [one["name"] for one in client.list_deployments()] == ["pump"]
    assert list(at_hub.models()["model"]) == ["pump"] * 5
    client.delete_deployment("pump")
    assert set(at_hub.rollouts()["state"]) == {"aborted"}  # no node took part
    with pytest.raises(MlflowException, match="no rollout of 'pump' runs"):
        client.delete_deployment("pump")


def test_the_command(hub, config, models):
    """As the issue has it; the input example of the model is the sample."""
    words = [f"-C{key}={config[key]}" for key in ("pipeline", "key", "tool")]
    run = [sys.executable, "-B", "-m", "mlflow", "deployments"]
    done = subprocess.run([*run, "create", "-t", "waybill", "--name", "other", "-m", models["xgboost"], *words], capture_output=True,
                          text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert get_deploy_client("waybill").get_deployment("other")["releases"] == ["other@1"]
    done = subprocess.run([*run, "help", "-t", "waybill"], capture_output=True, text=True, check=True, timeout=120)
    assert "waybill rollout start" in done.stdout


def test_what_is_refused(lab, hub, config, models, monkeypatch):
    client = get_deploy_client("waybill")
    named = {key: value for key, value in config.items() if key != "sample"}
    for call, why in (
            (lambda: client.create_deployment("new", models["xgboost"], config={**config, "too": "all"}), "no configuration 'too'"),
            (lambda: client.create_deployment("new", models["xgboost"], config={"key": "k"}), "-C pipeline=FILE is needed"),
            (lambda: client.create_deployment("new", models["xgboost"], config={**config, "waves": "1;100"}), "waves is whole numbers"),
            (lambda: client.delete_deployment("pump", config={"rollback": "yes"}), "rollback is 'yes'; it is true or false"),
            (lambda: client.delete_deployment("pump", config={"rolback": "true"}), "no configuration 'rolback'"),
            (lambda: client.create_deployment("new", models["onnx"], config=named), "no input example"),
            (lambda: client.create_deployment("new", models["onnx"], flavor="xgboost", config=config), "flavour 'xgboost' is none"),
            (lambda: client.create_deployment("new", models["onnx"], config={**config, "key": lab.path("none")}), "release build` failed"),
            (lambda: client.update_deployment("never", models["onnx"], config=config), "no release of 'never'"),
            (lambda: client.update_deployment("pump"), "a release is never changed"),
            (lambda: client.get_deployment("never"), "no release of 'never'"),
            (lambda: client.predict("pump", [[1, 2]]), "nobody calls them"),
            (lambda: client.explain("pump", [[1, 2]]), "explain nothing"),
            (lambda: mlflow.deployments.run_local("waybill", "x", models["xgboost"]), "a release runs on nodes")):
        with pytest.raises(MlflowException) as caught:
            call()
        assert why in str(caught.value)
    text = json.dumps([one["name"] for one in client.list_deployments()])
    assert "new" not in text
    with pytest.raises(OSError):
        get_deploy_client(f"waybill://127.0.0.1:{harness.free_port()}").get_deployment("pump")
