"""waybill.Client against a real hub with a real node: tables, releases, rollouts, records, and what it says when it is refused."""
import http.client
import os
import shutil
import socket
import threading

import harness
import pandas as pd
import pytest
import waybill


@pytest.fixture(scope="module")
def client(hub):
    return waybill.Client(data_dir=hub.data)


def test_from_release_to_records(lab, hub, node, client):
    assert client.releases().empty and client.rollouts().empty and client.models().empty and client.datasets().empty
    pushed = client.push_release(lab.release(1))
    assert pushed["full_name"] == "e2e@1"
    assert client.push_release(lab.release(1))["digest"] == pushed["digest"]  # the same bytes again are fine
    releases = client.releases()
    assert list(releases["full_name"]) == ["e2e@1"]
    assert isinstance(releases["pushed"].dtype, pd.DatetimeTZDtype)
    models = client.models()
    assert list(models["model"]) == ["main"] and models["features"][0] == ["a", "b"]
    assert models["size_bytes"][0] == os.path.getsize(lab.model())
    assert client.release("e2e@1")["digest"] == pushed["digest"]

    assert client.plan_rollout("e2e@1")["matching"] == 1
    assert client.plan_rollout("e2e@1", "not site=lyon")["matching"] == 0
    node.start(ready=False)
    rollout = client.start_rollout("e2e@1", waves=[100], probation="1s", probation_records=0)
    client.pause_rollout(rollout["id"])
    assert client.rollout(rollout["id"])["state"] == "paused"
    client.resume_rollout(rollout["id"])
    at = [0]

    def committed():
        node.post(harness.rows(at[0], 20))
        at[0] += 20
        return node.status()["deploy"]["running"] == "e2e@1"

    harness.wait("the release to run", committed)
    assert node.post(harness.rows(10_000, 25))[0] == 200
    harness.wait("the records to be at the hub", lambda: len(client.datasets()) and set(client.records("e2e", node="n1")["a"]) >= set(range(10_000, 10_025)))
    records = client.records("e2e")
    assert {"node", "release", "rule", "inclusion_probability", "a", "b", "tag"} <= set(records.columns)
    assert set(records["node"]) == {"n1"}
    assert (records["inclusion_probability"] > 0).all()
    datasets = client.datasets()
    assert list(datasets["pipeline"]) == ["e2e"]
    harness.wait("the rollout to end", lambda: node.post(harness.rows(20_000, 5)) and client.rollouts()["state"][0] == "completed")
    assert client.records("e2e", node="nobody").empty
    assert client.node("n1")["id"] == "n1" and client.fleet()["nodes"] == 1


def test_pages_are_put_together(client, monkeypatch):
    whole = client.records("e2e")
    assert len(whole) > 14
    monkeypatch.setattr("waybill.client._PAGE_ROWS", 7)
    assert client.records("e2e")[:len(whole)].equals(whole)  # more may have come since


def test_nodes(node, client):
    assert list(client.nodes("site=lyon")["id"]) == ["n1"] == list(client.nodes()["id"])
    assert client.nodes("not site=lyon").empty


def test_a_rollout_can_be_aborted(lab, hub, client):
    lab.release(2)
    client.push_release(lab.path("e2e-2.wbr"))
    rollout = client.start_rollout("e2e@2", "site=lyon")
    assert client.abort_rollout(rollout["id"])["state"] == "aborted"
    with pytest.raises(waybill.HubError) as caught:
        client.promote_rollout(rollout["id"])
    assert caught.value.status == 409


def test_what_is_refused(lab, client):
    with pytest.raises(waybill.HubError, match="GET /v1/releases/none%401: 404") as caught:
        client.release("none@1")
    assert caught.value.status == 404 and caught.value.code
    with pytest.raises(waybill.HubError):
        client.nodes("site = = x")
    bad = harness.write(lab.path("bad.wbr"), b"no release")
    with pytest.raises(waybill.HubError, match="POST /v1/releases"):
        client.push_release(bad)


def test_how_a_hub_is_found(lab, hub, monkeypatch, tmp_path):
    for name in ("WAYBILL_HUB", "WAYBILL_CREDENTIALS", "WAYBILL_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no credentials given"):
        waybill.Client()
    with pytest.raises(ValueError, match="give it alone"):
        waybill.Client("https://127.0.0.1:1", data_dir=hub.data)
    with pytest.raises(ValueError, match="https://host:port, not 'http://x'"):
        waybill.Client("http://x", credentials=hub.data + "/admin")
    shutil.copytree(hub.data + "/admin", tmp_path / "admin")
    assert waybill.Client(credentials=tmp_path / "admin").url == hub.url
    monkeypatch.setenv("WAYBILL_DATA_DIR", hub.data)
    assert waybill.Client().url == hub.url and waybill.Client().fleet()["nodes"] == 1
    with pytest.raises(OSError):
        waybill.Client(f"https://127.0.0.1:{harness.free_port()}").fleet()


def test_another_hub_is_not_trusted(lab, hub, tmp_path):
    """The hub's own CA and no other: a hub that somebody else made is not talked to."""
    other = lab.hub("other")
    shutil.copytree(other.data + "/admin", tmp_path / "admin")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        waybill.Client(hub.url, credentials=tmp_path / "admin").fleet()
    shutil.copy(hub.data + "/admin/ca.pem", tmp_path / "admin" / "ca.pem")
    with pytest.raises((OSError, waybill.HubError)):  # ours, with the stranger's certificate
        waybill.Client(hub.url, credentials=tmp_path / "admin").fleet()


def test_an_answer_that_is_cut_off_is_none(client, monkeypatch):
    """Neither http.client nor ssl says that a body ended before its length: half of the records would pass for all."""
    heads = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n", b"no HTTP\r\n"]
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def answer():
            for head in heads:
                for _ in range(2):  # a question is asked once more
                    connection, _ = server.accept()
                    with connection:
                        asked.append(connection.recv(65536))
                        connection.sendall(head + b'{"releases": []}')

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setattr(http.client, "HTTPSConnection", lambda host, port, timeout, context: http.client.HTTPConnection(
            "127.0.0.1", server.getsockname()[1], timeout=timeout))
        for why in ("ended 84 bytes early", "cut off", "no HTTP"):
            with pytest.raises(ConnectionError, match=why):
                client.releases()
        thread.join()
    assert len(asked) == 2 * len(heads)


def test_names_stay_texts(client, monkeypatch):
    monkeypatch.setattr(client, "_call", lambda *_, **__: (b"node,rule,label,novelty,a\n0012,all,1,,NA\nnull,all,,0.5,x\n", {}))
    records = client.records("e2e")
    assert list(records["node"]) == ["0012", "null"] and records["label"][0] == "1" and list(records["a"]) == ["NA", "x"]
    assert records["novelty"].isna().tolist() == [True, False] and records["label"].isna()[1]
