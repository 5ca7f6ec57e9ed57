"""Through a proxy that misbehaves: refusals, latency, trickled bytes, connections that are half open, cut in the middle or reset. The
agent decides and keeps all the while; whatever the wire did to an exchange, a record has one effect and none is lost (Q1, Q3, Q4), and
when the wire is mended a rollout that began on the broken one ends (U9), also for who met every fault on the way.
"""
# Checks Q1 Q3 Q4 U9 T3 H6.
import time
import unittest

import mortal
from mortal import Mortal, Tally, check_records, harness
from harness import read, wait, write
from proxy import FAULTS, FaultProxy

SECONDS_A_FAULT = 4


class Proxy(harness.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.tally = Tally("proxy", [])
        self.hub = self.lab.hub()
        self.proxy = FaultProxy(self.hub.port)
        self.addCleanup(self.proxy.close)

    def through_proxy(self, name, *words, token=None):
        node = Mortal(self.lab, name, *words)
        node.enrol(self.hub, token=token)
        path = node.data + "/identity/identity"
        write(path, read(path).replace(self.hub.url, f"https://127.0.0.1:{self.proxy.port}"))
        return node

    def test_every_fault(self):
        self.hub.cli("release", "key", "trust", self.lab.key()[1])
        nodes = [self.through_proxy(f"records-{i}", "--pipeline", self.lab.pipeline(f"{i}.yaml")) for i in range(2)]
        follower = self.through_proxy("follower", token=self.hub.token("--label", "line=release"))
        for node in [*nodes, follower]:
            node.begin()
            node.wait_answering()
        wait("a first contact", lambda: all(node.status()["hub"]["connected"] for node in [*nodes, follower]))
        for fault in FAULTS[1:]:
            self.proxy.set(fault)
            self.proxy.drop_all()
            refused, end = 0, time.monotonic() + SECONDS_A_FAULT * mortal.SCALE
            while time.monotonic() < end or not self.proxy.met[fault]:
                refused += sum(not node.feed() for node in nodes)  # T3: nothing the hub's wire does stops taking in
                self.assertLess(time.monotonic(), end + 90, f"{fault} was never met")
                time.sleep(mortal.FEED_S)
            self.assertEqual(refused, 0, fault)
            if fault == "latency":  # slow, and nothing worse: everything works
                wait("records through a slow wire", lambda: all(node.drained() for node in nodes), 120)
        version = self.lab.release(1)
        self.hub.cli("release", "push", version)
        self.hub.cli("rollout", "start", "e2e@1", "--to", "line=release", "--waves", "100", "--probation", "300ms",
                     "--probation-records", "0")
        self.proxy.set("none")
        for node in nodes:  # a restart forgets the pause after failures; what waits goes up at once
            node.process.stop()
            node.settle()
        follower.process.kill()
        follower.begin()
        follower.wait_answering()

        wait("the release", lambda: (follower.feed(), follower.status()["deploy"]["running"] == "e2e@1")[1], 90)
        wait("the hub to know", lambda: self.hub.node("follower")["reported"]["running_name"] == "e2e@1", 90)
        check_records(self.tally, nodes, self.hub)
        print(f"proxy: {self.proxy.connections} connections, faults met: {self.proxy.met}", flush=True)
        self.assertEqual(self.tally.violations, [])

    def test_half_open_does_not_stop_a_hub(self):
        """Connections that are opened and say nothing, or half of a request: others are served meanwhile (H6)."""
        import socket
        idle = [socket.create_connection(("127.0.0.1", self.hub.port)) for _ in range(300)]
        self.addCleanup(lambda: [one.close() for one in idle])
        for one in idle[::2]:
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the head of a handshake
        node = Mortal(self.lab, "n1", "--pipeline", self.lab.pipeline())
        node.enrol(self.hub)
        node.begin()
        node.wait_answering()
        wait("a record", node.feed)
        wait("an empty outbox", node.drained)
        self.assertEqual(len(self.hub.records()), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
