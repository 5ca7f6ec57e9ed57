"""Client: a hub's operator API (api/openapi.yaml) in Python, as the `waybill` command reaches it: HTTPS with the admin's client certificate,
the hub's own CA and no other trusted. Tables come as pandas DataFrames."""
from __future__ import annotations

import http.client
import io
import json
import os
import ssl
import uuid
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_ANSWER_BYTES_MAX = 32 << 20
_RELEASE_BYTES_MAX = 64 << 20
_PAGE_ROWS = 20_000


class HubError(Exception):
    """The hub refused: `status`, `code` (docs of the API), and a message that says what to do next."""

    def __init__(self, message: str, status: int = 0, code: str = ""):
        super().__init__(message)
        self.status, self.code = status, code


class Client:
    """`hub`: https://host:port. `credentials`: a copy of DATA_DIR/admin of the hub (ca.pem, cert.pem, key.pem, hub_url). `data_dir`: on the
    hub's own machine its data folder, which holds both. What is not given comes from WAYBILL_HUB, WAYBILL_CREDENTIALS and
    WAYBILL_DATA_DIR, as for the command.

    One connection a call; a Client may be used by several threads. HubError: the hub said no. OSError: it was not reached."""

    def __init__(self, hub: str = "", *, credentials: str | os.PathLike[str] = "", data_dir: str | os.PathLike[str] = "",
                 timeout_s: float = 60.0):
        folder = os.fspath(credentials)
        if data_dir and (hub or credentials):
            raise ValueError("data_dir names hub and credentials; give it alone, or hub and credentials")
        if data_dir:
            folder = os.path.join(os.fspath(data_dir), "admin")
        else:
            hub = hub or os.environ.get("WAYBILL_HUB", "")
            folder = folder or os.environ.get("WAYBILL_CREDENTIALS", "")
            if not folder and os.environ.get("WAYBILL_DATA_DIR"):
                folder = os.path.join(os.environ["WAYBILL_DATA_DIR"], "admin")
        if not folder:
            raise ValueError("no credentials given: copy DATA_DIR/admin from the hub's machine and give that folder with credentials= or "
                             "WAYBILL_CREDENTIALS; on the hub's own machine give data_dir=")
        if not hub:
            with open(os.path.join(folder, "hub_url"), encoding="utf-8") as file:
                hub = file.read().strip()
        parts = urlsplit(hub)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"the address of a hub is https://host:port, not '{hub}'")
        self._host, self._port, self._timeout_s = parts.hostname, parts.port or 443, timeout_s
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the host's name
        self._tls.load_verify_locations(os.path.join(folder, "ca.pem"))
        self._tls.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))

    @property
    def url(self) -> str:
        return f"https://{self._host}:{self._port}"

    def __repr__(self) -> str:
        return f"<waybill.Client {self.url}>"

    # ---- Tables.
    def releases(self) -> Any:
        """DataFrame of every release: full_name, digest, size_bytes, pushed (UTC), pushed_by, features, …"""
        return _frame(self._get("/v1/releases")["releases"], ["full_name", "name", "version", "digest", "size_bytes", "pushed", "features"])

    def models(self) -> Any:
        """DataFrame of the models in those releases: release, model, sha256, size_bytes, features."""
        rows = []
        for release in self._get("/v1/releases")["releases"]:
            for blob in release.get("blobs", []):
                if blob["name"].startswith("model/"):
                    rows.append({"release": release["full_name"], "model": blob["name"].removeprefix("model/"),
                                 "sha256": blob["sha256"], "size_bytes": blob["size_bytes"], "features": release.get("features", [])})
        return _frame(rows, ["release", "model", "sha256", "size_bytes", "features"])

    def rollouts(self) -> Any:
        """DataFrame of every rollout, newest first: id, release, selector, state, reason, wave, committed, failed, pending, …"""
        return _frame(self._get("/v1/rollouts")["rollouts"], ["id", "release", "selector", "state", "reason", "wave", "committed", "failed"])

    def nodes(self, selector: str = "") -> Any:
        """DataFrame of the nodes, in the order of their ids; `selector` such as "site=lyon and not battery"."""
        rows: list[Any] = []
        cursor = ""
        while True:  # ends: the hub's cursor only moves forward
            page = self._get("/v1/nodes", selector=selector, cursor=cursor, limit=1000)
            rows += page["nodes"]
            cursor = page.get("next_cursor", "")
            if not cursor:
                return _frame(rows, ["id", "labels", "heard", "running", "desired", "phase"])

    def datasets(self) -> Any:
        """DataFrame of the pipelines whose records came back: pipeline, records, bytes, first_event, last_event (UTC)."""
        return _frame(self._get("/v1/datasets")["datasets"], ["pipeline", "records", "bytes", "first_event", "last_event"])

    def records(self, pipeline: str, *, since: str = "", until: str = "", node: str = "", dead_letters: bool = False) -> Any:
        """DataFrame of a pipeline's records, each with its waybill: the columns of `waybill dataset export`, among them the rule that
        sent it and its inclusion probability; `event_time` is RFC 3339 text. `since`, `until`: event time as RFC 3339, Unix milliseconds, or an age such as "7d"."""
        import pandas

        query = {"format": "csv", "since": since, "until": until, "node": node, "lane": "dead_letter" if dead_letters else "",
                 "limit": _PAGE_ROWS}
        pages, cursor = [], ""
        while True:  # ends: the hub's cursor only moves forward
            body, headers = self._call("GET", f"/v1/datasets/{quote(pipeline, safe='')}", query={**query, "cursor": cursor})
            if body:
                pages.append(body)  # the first page alone has the line that names the columns
            cursor = headers.get("X-Waybill-Next-Cursor", "")
            if not cursor:
                break
        text = b"".join(pages)
        as_texts = dict.fromkeys(("node", "pipeline", "release", "schema", "rule", "lane", "label"), str)  # a node may be called 0012
        return pandas.read_csv(io.BytesIO(text), dtype=as_texts, keep_default_na=False, na_values=[""]) if text else pandas.DataFrame()

    # ---- Single things, as the API says them.
    def release(self, name: str) -> dict[str, Any]:
        """`name`: name@version, or digest."""
        return self._get(f"/v1/releases/{quote(name, safe='')}")

    def rollout(self, rollout: str) -> dict[str, Any]:
        return self._get(f"/v1/rollouts/{quote(rollout, safe='')}")

    def node(self, node: str) -> dict[str, Any]:
        return self._get(f"/v1/nodes/{quote(node, safe='')}")

    def fleet(self) -> dict[str, Any]:
        return self._get("/v1/fleet")

    # ---- What changes something.
    def push_release(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """A signed release file of `waybill release build`. The same bytes again are fine."""
        if os.path.getsize(path) > _RELEASE_BYTES_MAX:
            raise ValueError(f"{os.fspath(path)}: larger than {_RELEASE_BYTES_MAX} bytes")
        with open(path, "rb") as file:
            body = file.read()
        return self._json("POST", "/v1/releases", body, "application/octet-stream")

    def plan_rollout(self, release: str, to: str = "all", **options: Any) -> dict[str, Any]:
        """What start_rollout would do: how many nodes match, how many can be reached, how many each wave takes."""
        return self._json("POST", "/v1/rollouts/plan", json.dumps({"release": release, "selector": to, **options}).encode())

    def start_rollout(self, release: str, to: str = "all", **options: Any) -> dict[str, Any]:
        """`to`: which nodes. `options`: waves=[1, 5, 25, 100], dark_after="15m", probation="10s", probation_records=100,
        max_failure_percent=10, supersede=True, allow_halted=True. A call that is repeated after a lost answer starts no second one."""
        body = json.dumps({"release": release, "selector": to, **options}).encode()
        return self._json("POST", "/v1/rollouts", body, key=True)

    def pause_rollout(self, rollout: str) -> dict[str, Any]:
        return self._act(rollout, "pause")

    def resume_rollout(self, rollout: str) -> dict[str, Any]:
        return self._act(rollout, "resume")

    def promote_rollout(self, rollout: str) -> dict[str, Any]:
        return self._act(rollout, "promote")

    def abort_rollout(self, rollout: str, rollback: bool = False) -> dict[str, Any]:
        """Nodes that have not committed go back; with `rollback` the committed ones too."""
        return self._act(rollout, "abort", {"rollback": rollback})

    # ---- The wire.
    def _act(self, rollout: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        said = b"" if body is None else json.dumps(body).encode()
        return self._json("POST", f"/v1/rollouts/{quote(rollout, safe='')}/{verb}", said, key=True)

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._json("GET", path, query=query)

    def _json(self, method: str, path: str, body: bytes = b"", kind: str = "application/json", query: dict[str, Any] | None = None,
              key: bool = False) -> dict[str, Any]:
        answer, _ = self._call(method, path, body, kind, query, key)
        try:
            value = json.loads(answer)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise HubError(f"the hub's answer to {method} {path} is not JSON; is {self.url} a Waybill hub of this version?")
        return value

    def _call(self, method: str, path: str, body: bytes = b"", kind: str = "application/json", query: dict[str, Any] | None = None,
              key: bool = False) -> tuple[bytes, http.client.HTTPMessage]:
        asked = {name: value for name, value in (query or {}).items() if value != ""}
        target = path + ("?" + urlencode(asked) if asked else "")
        headers = {"Accept": "*/*", **({"Content-Type": kind} if body else {})}
        if key:
            headers["Idempotency-Key"] = uuid.uuid4().hex  # one for both tries below
        try:
            return self._once(method, target, body, headers)
        except ConnectionError:
            if method != "GET" and not key:
                raise
            return self._once(method, target, body, headers)

    def _once(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            answer = response.read(_ANSWER_BYTES_MAX + 1)
            missing = response.length  # neither http.client nor ssl says that a body ended early
        except http.client.HTTPException as error:
            raise ConnectionError(f"the answer to {method} {target} is no HTTP, or was cut off: {error!r}") from error
        finally:
            connection.close()
        if len(answer) > _ANSWER_BYTES_MAX:
            raise HubError(f"the hub's answer to {method} {target} is larger than {_ANSWER_BYTES_MAX} bytes")
        if missing:
            raise ConnectionError(f"the hub's answer to {method} {target} ended {missing} bytes early")
        if response.status >= 400:
            raise _refusal(method, target, response.status, answer)
        return answer, response.headers


def _refusal(method: str, target: str, status: int, answer: bytes) -> HubError:
    where = f" ({method} {target}: {status})"
    try:
        error = json.loads(answer)["error"]
        text = error["message"] + ("; " + error["next"] if error.get("next") else "")
        return HubError(text + where, status, error.get("code", ""))
    except (ValueError, KeyError, TypeError):
        return HubError("the hub refused" + where, status)


def _frame(rows: list[Any], columns: list[str]) -> Any:
    """Times of the API (`…_ms`, Unix) become UTC timestamps under the name without `_ms`; ages and durations stay as they are."""
    import pandas

    frame = pandas.DataFrame(rows)
    for name in list(frame.columns):
        if name in ("pushed_ms", "created_ms", "changed_ms", "first_event_ms", "last_event_ms", "last_contact_ms"):
            frame[name.removesuffix("_ms")] = pandas.to_datetime(frame.pop(name), unit="ms", utc=True)
    first = [name for name in columns if name in frame.columns] if len(frame) else columns
    return frame.reindex(columns=first + [name for name in frame.columns if name not in first])
