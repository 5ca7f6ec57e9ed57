"""An MLflow deployments target: a deployment is a release on a fleet.

    mlflow deployments create -t waybill --name pump -m models:/pump/3 \\
      -C pipeline=pump.yaml -C key=publisher.key -C sample=rows.csv -C to='site=lyon and not battery'

`create` turns an MLflow model (flavour xgboost, lightgbm, catboost, sklearn or onnx) into a package, holds it against the library on
the sample, builds and signs a release with the `waybill` command (the key stays with it), pushes that to the hub and starts a rollout.
The hub is the one of WAYBILL_HUB and WAYBILL_CREDENTIALS, or WAYBILL_DATA_DIR, as for the command; `-t waybill://host:port` names another.
"""
from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import tempfile
from typing import Any
from urllib.parse import urlsplit

from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException

from .client import Client
from .libraries import from_catboost, from_lightgbm, from_onnx, from_xgboost
from .model import Model
from .scikit_learn import from_sklearn

_FLAVORS = {"xgboost": from_xgboost, "lightgbm": from_lightgbm, "catboost": from_catboost, "sklearn": from_sklearn, "onnx": from_onnx}
_ROLLOUT = {"waves", "probation", "probation_records", "dark_after", "max_failure_percent"}
_CONFIG = {"pipeline", "key", "sample", "version", "to", "tool", "data_dir", "credentials", *_ROLLOUT}


def target_help() -> str:
    return (f"{__doc__}\nconfiguration (-C NAME=VALUE):\n"
            "  pipeline   pipeline file of the release (needed)\n"
            "  key        key that signs it, of `waybill release key create` (needed)\n"
            "  sample     rows that the model must answer as its library does: .csv, .parquet or .npy; else the model's input example\n"
            "  version    of the release; else one above the highest\n"
            "  to         which nodes; else all\n"
            "  waves, probation, probation_records, dark_after, max_failure_percent   as of `waybill rollout start`\n"
            "  tool       the `waybill` command, if it is not on PATH\n"
            "  credentials, data_dir   where the hub's credential is, if not in the environment\n"
            "`update` builds the next version and supersedes what runs; `delete` aborts the rollout that runs (-C rollback=true: nodes "
            "that have committed go back, too).\n")


def run_local(target: str, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    raise _no("a release runs on nodes; on this machine try `waybill-agent run --pipeline` or waybill.load(…).predict")


def _no(why: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f"waybill: {why}")


class WaybillDeploymentClient(BaseDeploymentClient):
    def create_deployment(self, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None,
                          endpoint: str | None = None) -> dict[str, Any]:
        return self._deploy(name, model_uri, flavor, config, supersede=False)

    def update_deployment(self, name: str, model_uri: str | None = None, flavor: str | None = None,
                          config: dict[str, Any] | None = None, endpoint: str | None = None) -> dict[str, Any]:
        if model_uri is None:
            raise _no("update takes another model (-m): a release is never changed")
        return self._deploy(name, model_uri, flavor, config, supersede=True)

    def delete_deployment(self, name: str, config: dict[str, Any] | None = None, endpoint: str | None = None) -> None:
        """Aborts what runs. What nodes have committed stays with them until another release replaces it."""
        config = dict(config or {})
        said = str(config.pop("rollback", "false")).lower()
        _check_names(config)
        if said not in ("true", "false"):
            raise _no(f"rollback is '{said}'; it is true or false")
        client = self._client(config)
        running = [one for one in _rollouts_of(name, client.rollouts()) if one["state"] in ("running", "paused", "halted")]
        if not running:
            raise _no(f"no rollout of '{name}' runs; a release stays on its nodes until another one replaces it")
        for one in running:
            client.abort_rollout(one["id"], said == "true")

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        client = self._client(None)
        releases, rollouts = client.releases(), client.rollouts()
        return [_said(name, releases, rollouts) for name in dict.fromkeys(releases["name"].tolist())]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        client = self._client(None)
        releases = client.releases()
        if not _releases_of(name, releases):
            raise _no(f"there is no release of '{name}' at the hub")
        return _said(name, releases, client.rollouts())

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None) -> Any:
        raise _no("nodes answer on their own data, and nobody calls them; what they answered is in waybill.Client().records(PIPELINE), "
                  "and waybill.load(PACKAGE).predict answers here")

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> Any:
        raise _no("nodes explain nothing to the hub")

    def _client(self, config: dict[str, Any] | None) -> Client:
        given = config or {}
        place = urlsplit(self.target_uri)
        return Client(f"https://{place.netloc}" if place.netloc else "", credentials=given.get("credentials", ""),
                      data_dir=given.get("data_dir", ""))

    def _deploy(self, name: str, model_uri: str, flavor: str | None, config: dict[str, Any] | None, supersede: bool) -> dict[str, Any]:
        config = dict(config or {})
        _check_names(config)
        options = _rollout_options(config)
        for needed in ("pipeline", "key"):
            if needed not in config:
                raise _no(f"-C {needed}=FILE is needed; `mlflow deployments help -t waybill` says what it is")
        client = self._client(config)
        known = _releases_of(name, client.releases())
        if known and not supersede:
            raise _no(f"there are releases of '{name}' at the hub already; use update")
        if supersede and not known:
            raise _no(f"there is no release of '{name}' at the hub; use create")
        flavor, model = _imported(model_uri, flavor, config.get("sample"))
        version = str(config.get("version") or _next_version(known))
        with tempfile.TemporaryDirectory(prefix="waybill-") as folder:
            package, release = os.path.join(folder, "model.wbm"), os.path.join(folder, "release.wbr")
            model.save(package)
            _tool(config, "release", "build", "--name", name, "--version", version, "--pipeline", config["pipeline"], "--model", package,
                  "--key", config["key"], "-o", release)
            client.push_release(release)
        if supersede:
            options["supersede"] = True
        rollout = client.start_rollout(f"{name}@{version}", config.get("to", "all"), **options)
        return {"name": name, "flavor": flavor, "release": f"{name}@{version}", "rollout": rollout["id"]}


def _releases_of(name: str, releases: Any) -> list[dict[str, Any]]:
    return releases[releases["name"] == name].to_dict("records") if len(releases) else []


def _rollouts_of(name: str, rollouts: Any) -> list[dict[str, Any]]:
    """Newest first."""
    return rollouts[rollouts["release"].str.rpartition("@")[0] == name].to_dict("records") if len(rollouts) else []


def _said(name: str, releases: Any, rollouts: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name, "releases": [one["full_name"] for one in _releases_of(name, releases)]}
    latest = _rollouts_of(name, rollouts)[:1]
    if latest:
        said |= {key: latest[0][key] for key in ("id", "release", "selector", "state", "reason", "committed", "failed") if key in latest[0]}
        said["rollout"] = said.pop("id")
    return said


def _check_names(config: dict[str, Any]) -> None:
    unknown = sorted(set(config) - _CONFIG)
    if unknown:
        raise _no(f"there is no configuration '{unknown[0]}'; it is one of {', '.join(sorted(_CONFIG))}")


def _rollout_options(config: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {key: config[key] for key in _ROLLOUT if key in config}
    try:
        for key in ("probation_records", "max_failure_percent"):
            if key in options:
                options[key] = int(options[key])
        if "waves" in options:
            options["waves"] = [int(wave) for wave in str(options["waves"]).split(",")]
    except ValueError:
        raise _no("waves is whole numbers between commas; probation_records and max_failure_percent are whole numbers") from None
    return options


def _next_version(releases: list[dict[str, Any]]) -> int:
    numbers = [int(one["version"]) for one in releases if str(one["version"]).isdecimal()]
    return max(numbers, default=0) + 1


def _imported(model_uri: str, flavor: str | None, sample: str | None) -> tuple[str, Model]:
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model as MlflowModel

    folder = download_artifacts(model_uri)
    held = MlflowModel.load(folder)
    known = [one for one in _FLAVORS if one in held.flavors]
    if flavor is not None and flavor not in known:
        raise _no(f"flavour '{flavor}' is none that this model has and we read: {', '.join(known) or 'none'}")
    if not known:
        raise _no(f"the model has the flavours {', '.join(sorted(held.flavors))}; one of {', '.join(_FLAVORS)} is needed")
    flavor = flavor or known[0]
    rows = _rows(sample) if sample else held.load_input_example(folder)
    if rows is None:
        raise _no("the model has no input example; give rows that it must answer as its library does: -C sample=rows.csv. Some of "
                  "them travel with the release, and every node checks them before it serves")
    if getattr(getattr(rows, "dtype", None), "kind", "") in "iub" and not hasattr(rows, "columns"):
        rows = rows.astype("float64")
    module = importlib.import_module(f"mlflow.{flavor}")
    native = module.load_model(folder)
    make: Any = _FLAVORS[flavor]
    return flavor, make(native, sample=rows)


def _rows(path: str) -> Any:
    import numpy
    import pandas

    if path.endswith(".npy"):
        return numpy.load(path, allow_pickle=False)
    return pandas.read_parquet(path) if path.endswith(".parquet") else pandas.read_csv(path)


def _tool(config: dict[str, Any], *words: str) -> None:
    tool = config.get("tool") or shutil.which("waybill")
    if not tool:
        raise _no("releases are built and signed by the `waybill` command, which is not on PATH; name it with -C tool=PATH")
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _no(f"`waybill {words[0]} {words[1]}` failed: {done.stderr.strip()}")
