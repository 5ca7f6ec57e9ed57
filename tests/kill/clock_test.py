"""Clocks that lie (faketime): the agent and the hub at 1970 and 2106, running ten times as fast, and set back by a year in between.
Intervals do not follow them and nothing of taking in, deciding, rolling out or sending stops (T1, T3). Certificates are the one thing
that a wall clock may decide: a node whose clock says that the hub's certificate is not valid now keeps what it has and says why, and
comes back by itself when the clock is mended.
"""
# Checks Q1 Q3 Q4 T1 T3 H1.
import os
import unittest

import mortal
from mortal import Mortal, Tally, check_records, clock, harness
from harness import wait, write

NODE_CLOCKS = {"epoch": "@1970-01-01 00:00:01", "2106": "@2106-02-07 06:28:16", "fast": "+0 x10", "behind": "-400d", "ahead": "+60d"}
TRUSTED = ("fast", "ahead")  # a clock within the hub's certificate


class Clocks(harness.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        if not os.path.exists(mortal.FAKETIME):
            self.skipTest("faketime is missing: run script/setup")
        self.tally = Tally("clocks", [])

    def test_nodes(self):
        hub = self.lab.hub()
        nodes = {}
        for name, text in NODE_CLOCKS.items():
            node = nodes[name] = Mortal(self.lab, name, "--pipeline", self.lab.pipeline(name + ".yaml"))
            node.enrol(hub)
            node.begin(env=clock(text))
            node.wait_answering()
            wait("a record", node.feed)
            for _ in range(20):
                self.assertTrue(node.feed(), f"{name}: taking in stopped (T3)")
        hand = write(self.lab.path("clock"), "-400d")
        mended = nodes["mended"] = Mortal(self.lab, "mended", "--pipeline", self.lab.pipeline("mended.yaml"))
        mended.enrol(hub)
        mended.begin(env={"LD_PRELOAD": mortal.FAKETIME, "FAKETIME_TIMESTAMP_FILE": hand, "FAKETIME_NO_CACHE": "1"})
        mended.wait_answering()
        wait("a record", mended.feed)
        wait("it to say why it cannot talk", lambda: "certificate" in mended.process.text(), 60)
        write(hand, "+0")  # while it runs: no restart, no person
        wait("it to come back by itself", mended.drained, 180)
        for name in TRUSTED:
            wait(f"{name} to have sent all", nodes[name].drained, 60)
        for name in sorted(set(NODE_CLOCKS) - set(TRUSTED)):
            node = nodes[name]
            wait(f"{name} to say why it cannot talk", lambda: "certificate" in node.process.text(), 60)
            self.assertEqual(node.status()["outbox"]["waiting"], len(node.acked))
        # The clock jumps to the right time while nothing was lost; and for one more life to 1970 and back.
        for name, node in nodes.items():
            node.process.kill()
            node.settle()
            node.process.stop()
            node.begin(env=clock("@1970-01-01 00:00:01"))
            node.wait_answering()
            wait("a record", node.feed)
            node.process.kill()
            node.settle()
        check_records(self.tally, list(nodes.values()), hub)
        self.assertEqual(self.tally.violations, [])

    def test_a_hub_in_another_year(self):
        """The hub's first start at 2106: CA, certificates, tokens and rollouts are made there, and nodes with the same clock work. Then
        its clock goes back a year, before its own CA was made, and nobody trusts anybody: the node runs its release and keeps what it decided. When the clock is
        mended all of it goes up, and what was acknowledged before is still there (H1)."""
        there = clock(NODE_CLOCKS["2106"])
        hub = harness.Hub(self.lab, "hub")
        with self.everything(there):
            hub.start()
            hub.cli("release", "key", "trust", self.lab.key()[1])
            node = Mortal(self.lab, "n1")
            node.enrol(hub)
            node.begin()
            node.wait_answering()
            hub.cli("release", "push", self.lab.release(1))
            hub.cli("rollout", "start", "e2e@1", "--to", "all", "--waves", "100", "--probation", "300ms", "--probation-records", "0")
            wait("the release", lambda: node.feed() and node.status()["deploy"]["running"] == "e2e@1", 60)
            wait("an empty outbox", node.drained, 60)
            self.assertTrue(node.acked <= {record["tag"] for record in hub.records()})
        with self.everything(clock("@2105-06-07 06:28:16")):  # before the CA was made: nobody trusts anybody
            hub.process.kill()
            hub.start()
            node.process.kill()
            node.begin()
            node.wait_answering()
            wait("the release to run without its hub", lambda: node.feed())
            wait("the node to say why it cannot talk", lambda: "not yet valid" in node.process.text(), 60)
            self.assertFalse(node.drained())
        with self.everything(there):
            hub.process.kill()
            hub.start()
            node.process.kill()
            node.settle()
            check_records(self.tally, [node], hub)
        self.assertEqual(self.tally.violations, [])

    def everything(self, environment):
        """Every process that starts inside has this clock."""
        before = {key: os.environ.get(key) for key in environment}

        class Inside:
            def __enter__(self):
                os.environ.update(environment)

            def __exit__(self, *_):
                for key, value in before.items():
                    os.environ.pop(key) if value is None else os.environ.update({key: value})

        return Inside()


if __name__ == "__main__":
    unittest.main(verbosity=2)
