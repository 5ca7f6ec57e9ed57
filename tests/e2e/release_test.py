"""A release that is truncated, bit-flipped, oversized or signed by a stranger is refused by name, at the push and at the node,
and the node keeps running the one it has."""
import hashlib
import os
import unittest

import harness
from fake_hub import FakeHub, desired
from harness import read, rows, wait, write


class Release(harness.Case):
    def start(self):
        self.hub = self.lab.hub()
        self.hub.cli("release", "key", "trust", self.lab.key()[1])
        self.node = self.lab.agent("n1")
        self.node.enrol(self.hub)

    def roll_out(self, version):
        file = self.lab.release(version)
        self.hub.cli("release", "push", file)
        self.hub.cli("rollout", "start", f"e2e@{version}", "--to", "all", "--waves", "100", "--probation", "1s",
                     "--probation-records", "0", "--supersede")
        return file

    def running(self, name):
        at = [10_000]

        def committed():
            self.node.post(rows(at[0], 20))
            at[0] += 20
            return self.node.status()["deploy"]["running"] == name

        wait(f"{name} to run", committed)

    def keeps(self, name):
        self.assertTrue(self.node.process.alive())
        self.assertEqual(self.node.status()["deploy"]["running"], name)
        self.assertEqual(self.node.post(rows(0, 1))[0], 200)

    def test_push(self):
        self.start()
        file = self.lab.release(1)
        good = read(file, "rb")
        bad = self.lab.path("bad.wbr")

        def push(content, *expected):
            said = self.hub.cli("release", "push", write(bad, content), code=1).text
            for text in expected:
                self.assertIn(text, said)
            self.assertEqual(self.hub.json("release", "list")["releases"], [])

        push(b"", bad)
        push(good[:len(good) // 2], bad)
        push(good[:-1], bad)
        push(good + b"x", bad)
        for at in range(10, len(good), len(good) // 12):
            push(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], "")
        with open(bad, "wb") as big:
            big.truncate((64 << 20) + 1)
        self.assertIn("64", self.hub.cli("release", "push", bad, code=1).text)
        stranger = self.lab.release("2", key="stranger")
        said = self.hub.cli("release", "push", stranger, code=1).text
        self.assertIn("key", said)
        self.assertIn("trust", said)
        # A second one under the same name and version is not the same release.
        self.hub.cli("release", "push", file)
        self.hub.cli("release", "push", file)
        other = self.lab.pipeline("other.yaml", model=True, rules="    - sample: {rate: 0.5}")
        self.assertIn("e2e@1", self.hub.cli("release", "push", self.lab.release(1, pipeline=other), code=1).text)

    def test_key_that_the_node_does_not_trust(self):
        """K2: the hub trusts the second key, but this node was enrolled before: it refuses, says so, and keeps the old one."""
        self.start()
        self.node.start(ready=False)
        self.roll_out(1)
        self.running("e2e@1")
        self.hub.cli("release", "key", "trust", self.lab.key("second")[1])
        file = self.lab.release(2, key="second")
        self.hub.cli("release", "push", file)
        self.hub.cli("rollout", "start", "e2e@2", "--to", "all", "--waves", "100", "--probation", "1s", "--supersede")
        wait("the refusal", lambda: "DEPLOY_REJECTED/SIGNATURE" in str(self.node.status()["deploy"]["quarantined"]))
        self.keeps("e2e@1")
        wait("the hub to know", lambda: "DEPLOY_REJECTED/SIGNATURE" in str(self.hub.node("n1")))

    def changed_slot(self, change):
        """What lies on the disk was changed between fetch and restart, and no hub is there to help."""
        self.start()
        self.node.start(ready=False)
        self.roll_out(1)
        self.running("e2e@1")
        two = hashlib.sha256(read(self.roll_out(2), "rb")).hexdigest()
        self.running("e2e@2")
        self.hub.process.stop()
        self.node.process.stop()
        slot = self.node.data + "/slots/" + two
        write(slot, change(read(slot, "rb")))
        self.node.start(ready=False)
        wait("the old release", lambda: self.node.status()["deploy"]["running"] == "e2e@1")
        self.keeps("e2e@1")
        self.assertIn("DEPLOY_DAMAGED: the stored release e2e@2 is damaged", self.node.status()["deploy"]["last_refusal"])
        self.hub.start()
        wait("a contact", lambda: self.node.status()["hub"]["connected"])
        self.assertTrue(self.node.process.alive())

    def test_slot_flipped(self):
        self.changed_slot(lambda good: good[:len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1:])

    def test_slot_truncated(self):
        self.changed_slot(lambda good: good[:len(good) // 3])

    def test_all_slots_changed(self):
        """Nothing loadable is left: a declared safe mode, alive, and the next release ends it."""
        self.start()
        self.node.start(ready=False)
        digest = hashlib.sha256(read(self.roll_out(1), "rb")).hexdigest()
        self.running("e2e@1")
        self.node.process.stop()
        write(self.node.data + "/slots/" + digest, b"not a release")
        self.hub.process.stop()
        self.node.start(ready=False)
        wait("safe mode", lambda: "safe mode: the stored release e2e@1 is damaged" in self.node.process.text())
        self.assertEqual(self.node.status()["deploy"]["running"], "")
        self.assertEqual(self.node.post(rows(0, 1))[0], 503)
        self.assertEqual(self.node.call("GET", "/ready")[0], 503)
        self.hub.start()
        self.roll_out(2)
        self.running("e2e@2")

    def test_a_hub_that_lies(self):
        self.start()
        self.node.start(ready=False)
        self.roll_out(1)
        self.running("e2e@1")
        good = read(self.lab.release(2), "rb")
        stranger = read(self.lab.release(3, key="stranger"), "rb")
        generation = self.node.status()["deploy"]["desired_generation"]
        self.hub.process.stop()
        fake = FakeHub(self.lab, self.hub)
        self.addCleanup(fake.close)

        def offer(code, artifact, name="e2e@2", served=None, **lies):
            nonlocal generation
            generation += 1
            digest = lies.get("digest") or hashlib.sha256(artifact).hexdigest()
            fake.artifacts = {digest: artifact if served is None else served}
            fake.desired = desired(generation, artifact, name, **lies)
            wait(f"{code}", lambda: self.node.status()["deploy"]["desired_generation"] == generation and
                 (code in str(self.node.status()["deploy"]["quarantined"]) or
                  code in self.node.status()["deploy"]["last_refusal"]), 60)
            self.keeps("e2e@1")

        offer("DEPLOY_REJECTED/SIGNATURE", stranger, "e2e@3")
        offer("DEPLOY_REJECTED/NAME", good, "e2e@4")  # mix-and-match: signed, but not what it is called (K3)
        cut = good[:len(good) - 100]
        offer("DEPLOY_REJECTED/STRUCTURE", cut)
        garbage = os.urandom(1000)
        offer("DEPLOY_REJECTED/STRUCTURE", garbage)
        flipped = read(self.lab.release(5), "rb")
        offer("DEPLOY_REJECTED/DIGEST", flipped, "e2e@5",
              served=flipped[:200] + bytes([flipped[200] ^ 1]) + flipped[201:])
        # Longer than its assignment says: never fetched beyond it (U7).
        six = read(self.lab.release(6), "rb")
        offer("DEPLOY_REJECTED/", six, "e2e@6", size=len(six) - 10)
        # And an honest one is still taken.
        seven = read(self.lab.release(7), "rb")
        generation += 1
        fake.artifacts = {hashlib.sha256(seven).hexdigest(): seven}
        fake.desired = desired(generation, seven, "e2e@7")
        self.running("e2e@7")


if __name__ == "__main__":
    unittest.main(verbosity=2)
