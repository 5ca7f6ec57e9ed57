"""Reused and expired tokens, foreign certificates, and two processes on one folder: each is refused by name."""
import os
import time
import unittest

import harness
from harness import BIN, read, rows, wait, write


class Identity(harness.Case):
    def test_tokens(self):
        hub = self.lab.hub()
        token = hub.token()
        self.lab.agent("n1").enrol(hub, token=token)
        self.assertIn("used", self.lab.agent("n2").enrol(hub, token=token, code=1).text)
        expired = hub.token("--ttl", "1s")
        over = time.monotonic() + 1.1
        n3 = self.lab.agent("n3")
        wait("the token to expire", lambda: time.monotonic() > over)
        self.assertIn("expired", n3.enrol(hub, token=expired, code=1).text)
        self.assertIn("refused", n3.enrol(hub, token="wb1-0000000000000000-" + token.rsplit("-", 1)[1], code=1).text)
        self.assertIn("wb1-", n3.enrol(hub, token="nonsense", code=2).text)
        pin = "0" * 32
        said = n3.enrol(hub, token=hub.token().rsplit("-", 1)[0] + "-" + pin, code=1).text
        self.assertIn("pin", said)
        self.assertIn("already", self.lab.agent("n1").enrol(hub, code=1).text)
        said = n3.enrol(hub, "--label", "site=" + "x" * 200, code=2).text
        self.assertIn("label 'site'", said)
        # Nothing of all this is a node, and the refused one can still join.
        self.assertEqual([node["id"] for node in hub.json("node", "list")["nodes"]], ["n1"])
        n3.enrol(hub)
        self.assertEqual(len(hub.json("node", "list")["nodes"]), 2)

    def test_foreign_certificate(self):
        ours, theirs = self.lab.hub("ours"), self.lab.hub("theirs")
        node = self.lab.agent("n1")
        node.enrol(ours)
        path = node.data + "/identity/identity"
        good = read(path)
        # The other hub's certificate is not the one this node trusts: nothing is sent to it.
        write(path, good.replace(ours.url, theirs.url))
        node.start("--pipeline", self.lab.pipeline())
        wait("the refusal in the agent's log",
             lambda: theirs.url + " is not the hub we trust" in node.process.text())
        self.assertEqual(node.post(rows(0, 3))[0], 200)  # it decides without a hub
        node.process.stop()
        # A node that does trust it, but carries a certificate of another CA, is refused by the hub, and both sides say so.
        authority = read(theirs.data + "/admin/ca.pem")
        write(path, good[:good.index("authority\n") + 10].replace(ours.url, theirs.url) + authority)
        node.start()
        wait("the hub's refusal in the agent's log", lambda: "refused our certificate" in node.process.text())
        wait("the refusal in the hub's log", lambda: "certificate" in theirs.process.text().split("hub ready at")[1])
        self.assertEqual(theirs.json("node", "list")["nodes"], [])
        node.process.stop()
        # Back at its own hub, everything is still there.
        write(path, good)
        node.start()
        wait("the records", lambda: len(ours.records()) == 3)
        # The admin's tools say the same.
        env = {"WAYBILL_HUB": theirs.url, "WAYBILL_CREDENTIALS": ours.data + "/admin"}
        self.assertIn("is not the hub we trust",
                      self.lab.run(BIN + "/waybill", "node", "list", env=env, code=1).text)

    def test_revoked(self):
        hub = self.lab.hub()
        node = self.lab.agent("n1")
        node.enrol(hub)
        node.start("--pipeline", self.lab.pipeline())
        wait("a first contact", lambda: node.status()["hub"]["connected"])
        hub.cli("node", "revoke", "n1")
        self.assertEqual(node.post(rows(0, 2))[0], 200)
        wait("the refusal in the agent's log", lambda: "revoked" in node.process.text())
        self.assertEqual(hub.records(), [])
        self.assertEqual(node.status()["outbox"]["waiting"], 2)

    def test_damaged_identity(self):
        hub = self.lab.hub()
        node = self.lab.agent("n1")
        node.enrol(hub)
        path = node.data + "/identity/identity"
        good = read(path)
        command = [BIN + "/waybill-agent", "run", "--data-dir", node.data]
        for bad in ("", "node_id n1\n", good[:len(good) // 2], good.replace("BEGIN CERTIFICATE", "BEGIN CERTIFICATF")):
            write(path, bad)
            said = self.lab.run(*command, code=1).text
            self.assertIn("identity", said)
            self.assertIn("enrol", said)
        write(path, good)
        os.rename(node.data + "/identity/key.pem", self.lab.path("key.pem"))
        self.assertIn("key.pem", self.lab.run(*command, code=1).text)
        self.assertIn("enrolled", self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", self.lab.path("nobody"),
                                               code=1).text)

    def test_two_on_one_folder(self):
        hub = self.lab.hub()
        said = self.lab.waybill("hub", "--data-dir", hub.data, "--listen", "127.0.0.1:0", code=1).text
        self.assertIn(f"process {hub.process.pid}", said)
        self.assertIn(hub.data, said)
        node = self.lab.agent("n1")
        node.enrol(hub)
        node.start("--pipeline", self.lab.pipeline())
        said = self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", node.data, "--pipeline",
                            self.lab.path("pipeline.yaml"), code=1).text
        self.assertIn(f"process {node.process.pid}", said)
        self.assertIn(node.data, said)
        # The first ones do not notice.
        self.assertEqual(node.post(rows(0, 2))[0], 200)
        wait("the records", lambda: len(hub.records()) == 2)
        # A lock dies with its process: no start is blocked by a leftover.
        node.process.kill()
        node.start()
        hub.process.kill()
        hub.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
