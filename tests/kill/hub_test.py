"""A kill row per point of the hub: it dies by SIGKILL when a call was taken, decided, committed and answered, for every call that
changes something; at each file of its first start; and in its tick. What it answered is there after the restart (H1), what it did not
answer can be asked again (H2), a record has one effect (Q3), a token is used once (I6), a certificate that serves is left (I2).

The table is the program's own: `waybill-killable rows`. A row that no run reaches is a failure, and so is a call of
api/openapi.yaml that changes something and is in no row.
"""
# Checks Q1 Q3 Q4 H1 H2 S1 I2 I6.
import os
import random
import re
import signal
import struct
import time
import unittest

import mortal
from mortal import Mortal, Tally, Together, check_records, harness, numbers
from harness import BIN, field, fields, read, tls_call, wait

API = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../api/openapi.yaml")
BULK, SAMPLE_RULE, DEAD_LETTER_LANE, DEAD_LETTER_RULE = 3, 4, 4, 6
RANDOM_KILLS = 16


class WireNode:
    """A node that speaks the protocol by hand, so that it knows which sequence numbers were acknowledged."""

    def __init__(self, lab, hub, name):
        self.hub, self.name, self.lab = hub, name, lab
        self.agent = lab.agent(name)
        self.agent.enrol(hub)
        self.incarnation = os.urandom(16)
        self.acked = self.sent = 0

    def call(self, method, path, body=b"", headers=None):
        return tls_call(self.hub, *harness.identity(self.agent, self.lab.folder), method, path, body, headers)

    def exchange(self, fresh=3):
        """Sends what is not acknowledged, and `fresh` more. True if all of it is."""
        self.sent += fresh
        records = b""
        for seq in range(self.acked + 1, self.sent + 1):
            record = (field(1, seq) + field(2, "wire") + field(6, DEAD_LETTER_RULE) + b"\x39" + struct.pack("<d", 1) +
                      field(11, b"raw") + field(12, f"{self.name}-{seq}"))
            records += field(4, record)
        stream = field(1, DEAD_LETTER_LANE) + field(2, self.acked) + field(3, self.sent) + records
        code, body = self.call("POST", "/v1/exchange", field(1, 1) + field(2, "99.0") + field(3, self.incarnation) + field(4, 1) +
                               field(9, stream))
        assert code == 200, body
        for number, value in fields(body):
            if number == 4:
                ack = dict(fields(value))
                if ack[1] == DEAD_LETTER_LANE:
                    self.acked = max(self.acked, ack.get(2, 0))
        return self.acked == self.sent

    def renew(self):
        """A new certificate for the same key; what serves afterwards is the old one until the new one is used."""
        key = self.agent.data + "/identity/key.pem"
        csr = self.lab.path(self.name + ".csr")
        self.lab.run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={self.name}", "-outform", "DER", "-out", csr)
        code, body = self.call("POST", "/v1/renew", field(2, read(csr, "rb")))
        assert code == 200, body
        return True


class Hubs(harness.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.table = mortal.rows_of("waybill-killable")
        self.tally = Tally("hub", self.table["points"])
        self.turn = 0

    def test_every_change_has_rows(self):
        """openapi.yaml against the table."""
        path, missing = "", []
        known = [(call["method"].lower(), call["path"], call["ending"]) for call in self.table["calls"]]
        for line in read(API).splitlines():
            if found := re.match(r"  (/\S*):$", line):
                path = re.sub(r"\{\w+\}", "x", found.group(1))
            elif found := re.match(r"    (post|put|patch|delete):$", line):
                if not any(method == found.group(1) and (path == start or (ending and path.startswith(start) and path.endswith(ending)))
                           for method, start, ending in known):
                    missing.append(f"{found.group(1)} {path}")
        self.assertEqual(missing, [])

    def test_every_point(self):
        together = Together()
        together.go(self.first_starts)
        together.go(self.calls)
        together.go(self.random_times)
        together.join()
        self.tally.close(self)

    def begin(self, hub, die=None):
        """Starts it, to die at `die`. True if it got as far as being ready."""
        before = len(read(hub.data + ".log")) if os.path.exists(hub.data + ".log") else 0
        how = [f"{BIN}/waybill-killable", "--die", die] if die else [f"{BIN}/waybill"]
        hub.process = self.lab.spawn(hub.name, [*how, "hub", "--data-dir", hub.data, "--listen", f"127.0.0.1:{hub.port}"])
        wait(f"{hub.name} to start or die", lambda: not hub.process.alive() or "hub ready at" in hub.process.text()[before:])
        if hub.process.alive():
            hub.url = read(hub.data + "/hub_url").strip()
            hub.port = int(hub.url.rsplit(":", 1)[1])
        return hub.process.alive()

    def died(self, hub, point):
        code = hub.process.child.wait(mortal.REACH_S)
        if code != -signal.SIGKILL:
            self.tally.violated(f"{hub.name} ended with {code} on its way to {point}")
        self.tally.killed(point)

    # ---- stories

    def first_starts(self):
        points = [point for point in self.tally.expected if ":" not in point and point.endswith(("Kept", "Opened"))]
        for i, point in enumerate(points):
            hub = harness.Hub(self.lab, f"first-{i}")
            self.assertFalse(self.begin(hub, f"{point}:1"), f"{point} was not reached")
            self.died(hub, point)
            self.assertTrue(self.begin(hub))
            self.lab.agent(f"first-node-{i}").enrol(hub)  # S1: CA, certificates and admin credential are whole
            hub.process.stop()

    def calls(self):
        self.hub = harness.Hub(self.lab, "hub")
        self.assertTrue(self.begin(self.hub))
        self.hub.cli("release", "key", "trust", self.lab.key()[1])
        self.wire = WireNode(self.lab, self.hub, "wire")
        self.digest = self.push()
        for point in self.tally.expected:
            stage, _, kind = point.partition(":")
            if kind or stage in ("CertificateSigned", "TickDecided", "Ticked"):
                for number in numbers(*((1, 2, 3, 4) if kind == "exchange" or stage.startswith("Tick") else (1, 1))):
                    self.one_call(point, kind or {"CertificateSigned": "enrol"}.get(stage, "exchange"), number)
        # Q3, H1: each sequence number once, and none that was acknowledged is missing.
        self.wire.exchange()
        tags = sorted(int(letter["reason"].rsplit("-", 1)[1]) for letter in self.hub.dead_letters("wire"))
        self.tally.decides("Q3", self.wire.sent)
        if tags != list(range(1, self.wire.sent + 1)):
            self.tally.violated(f"Q3: {self.wire.sent} records were sent, the hub has {tags}")
        self.hub.process.stop()

    def one_call(self, point, kind, number):
        self.hub.process.stop()
        self.begin(self.hub, f"{point}:{number}")
        self.turn += 1
        change = getattr(self, "change_" + kind)()
        deadline = time.monotonic() + mortal.REACH_S
        answered, call, holds = False, *change
        for _ in range(number):
            if self.hub.process.alive():
                answered = self.tried(call)
        while self.hub.process.alive() and time.monotonic() < deadline:  # a tick, or the kernel sends the answer
            time.sleep(mortal.FEED_S)
        if self.hub.process.alive():
            self.tally.violated(f"{point}:{number} was not reached")
            return self.hub.process.kill()
        self.died(self.hub, point)
        self.assertTrue(self.begin(self.hub), "the hub did not start after " + point)
        self.tally.decides("H1" if answered else "H2")
        if answered and not holds():
            self.tally.violated(f"H1: {point}:{number}: {kind} was answered, and is gone")
        if not holds():
            self.tried(call)
            if not holds():
                self.tally.violated(f"H2: {point}:{number}: {kind} cannot be asked again")
        return None

    @staticmethod
    def tried(call):
        try:
            return bool(call())
        except (AssertionError, OSError, ValueError):
            return False

    # Each gives (the call, a check that its effect is there).

    def push(self):
        self.hub.cli("release", "push", self.lab.release(1))
        return self.hub.json("release", "list")["releases"][0]["digest"]

    def change_exchange(self):
        return self.wire.exchange, lambda: self.wire.exchange(0)

    def change_enrol(self):
        token, agent = self.hub.token(), self.lab.agent(f"n{self.turn}")
        return (lambda: agent.enrol(self.hub, token=token),
                lambda: any(node["id"] == agent.name for node in self.hub.json("node", "list")["nodes"]) and
                os.path.exists(agent.data + "/identity/identity"))

    def change_renew(self):
        return self.wire.renew, lambda: self.wire.exchange(0)

    def change_token(self):
        tokens, agent = [], self.lab.agent(f"n{self.turn}")

        def usable():
            return bool(tokens) and (os.path.exists(agent.data + "/identity/identity") or
                                     bool(agent.enrol(self.hub, token=tokens[-1])))

        return lambda: tokens.append(self.hub.token()) or True, usable

    def change_key(self):
        key = self.lab.key(f"key-{self.turn}")[1]
        certificate = (self.hub.data + "/admin/cert.pem", self.hub.data + "/admin/key.pem", self.hub.data + "/admin/ca.pem")
        return (lambda: self.hub.cli("release", "key", "trust", key),
                lambda: key in tls_call(self.hub, *certificate, "GET", "/v1/keys")[1].decode())

    def change_release(self):
        file = self.lab.release(100 + self.turn)
        return (lambda: self.hub.cli("release", "push", file),
                lambda: f"e2e@{100 + self.turn}" in str(self.hub.json("release", "list")))

    def change_labels(self):
        return (lambda: self.hub.cli("node", "label", "wire", f"turn={self.turn}"),
                lambda: self.hub.node("wire")["labels"].get("turn") == str(self.turn))

    def change_revoke(self):
        name = f"n{self.turn}"
        self.lab.agent(name).enrol(self.hub)
        return lambda: self.hub.cli("node", "revoke", name), lambda: self.hub.node(name)["revoked"]

    def roll_out(self):
        return self.hub.json("rollout", "start", "e2e@1", "--to", "node=wire", "--waves", "10,50,100", "--supersede",
                             "--allow-halted")["id"]

    def shown(self, rollout):
        return self.hub.json("rollout", "show", rollout)

    def change_rollout(self):
        started = []
        return (lambda: started.append(self.roll_out()) or True,
                lambda: bool(started) and self.shown(started[-1])["state"] == "running")

    def act(self, verb, state, first=None):
        rollout = self.roll_out()
        if first:
            self.hub.cli("rollout", first, rollout)
        return lambda: self.hub.cli("rollout", verb, rollout), lambda: self.shown(rollout)["state"] == state

    def change_pause(self):
        return self.act("pause", "paused")

    def change_resume(self):
        return self.act("resume", "running", first="pause")

    def change_abort(self):
        return self.act("abort", "aborted")

    def change_promote(self):
        rollout = self.roll_out()
        return (lambda: self.hub.cli("rollout", "promote", rollout),
                lambda: self.shown(rollout)["wave"] > 1 or self.shown(rollout)["state"] == "completed")

    def change_plan(self):
        call = lambda: self.hub.json("rollout", "plan", "e2e@1", "--to", "node=wire")["matching"] == 1
        return call, call

    def change_artifact(self):
        self.roll_out()
        self.wire.exchange(0)  # told what it should run, it may fetch it

        def fetched():
            code, body = self.wire.call("GET", "/v1/artifacts/" + self.digest, headers={"range": "bytes=0-99"})
            return code == 206 and len(body) == 100

        return fetched, fetched

    def random_times(self):
        """kill -9 of the hub while real agents bring records: their retries are rationed (L2), so it goes on with new ones."""
        hub = self.lab.hub("random")
        dice = random.Random(mortal.SEED)
        nodes = [Mortal(self.lab, f"random-{i}", "--pipeline", self.lab.pipeline(f"random-{i}.yaml")) for i in range(2)]
        for node in nodes:
            node.enrol(hub)
        for _ in range(RANDOM_KILLS * mortal.SCALE):
            for node in nodes:
                node.begin()
                node.wait_answering()
            end = time.monotonic() + 0.3 + dice.expovariate(1)
            while time.monotonic() < end:
                for node in nodes:
                    node.feed()
                time.sleep(mortal.FEED_S)
            hub.process.kill()
            self.tally.killed("random")
            for node in nodes:
                node.process.stop()
            hub.start()
        for node in nodes:
            node.settle()
        check_records(self.tally, nodes, hub)


if __name__ == "__main__":
    unittest.main(verbosity=2)
