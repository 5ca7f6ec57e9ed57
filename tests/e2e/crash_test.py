"""kill -9 of the agent and of the hub while records flow, and a hub that is away. Every record that was answered with 200 under
the rule `all` is at the hub exactly once (Q1, Q3, Q4); what was never answered is there at most once per try."""
import collections
import os
import threading
import time
import unittest

import harness
from harness import rows, wait

KILLS = 12


class Producer:
    """Posts batches one after another. A batch without an answer is given up, never repeated: so at most once each."""

    def __init__(self, node):
        self.node = node
        self.acked, self.sent = set(), set()
        self.at = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.ending.is_set():
            batch = rows(self.at, 5)
            self.at += 5
            tags = {row["tag"] for row in batch}
            self.sent |= tags
            try:
                if self.node.post(batch, timeout=10)[0] == 200:
                    self.acked |= tags
            except (OSError, IndexError, ValueError):
                self.ending.wait(0.01)

    def end(self):
        self.ending.set()
        self.thread.join()


class Crash(harness.Case):
    def setUp(self):
        super().setUp()
        self.hub = self.lab.hub()
        self.node = self.lab.agent("n1")
        self.node.enrol(self.hub)

    def check(self, producer):
        """Everything acknowledged is at the hub once; nothing that was never sent is."""
        producer.end()
        wait("an empty outbox", self.node.drained, 120)
        times = collections.Counter(record["tag"] for record in self.hub.records())
        self.assertEqual({tag for tag, count in times.items() if count > 1}, set(), "more than one effect (Q3)")
        self.assertEqual(producer.acked - set(times), set(), "acknowledged, but not at the hub (Q1)")
        self.assertLessEqual(set(times), producer.sent)
        status = self.node.status()
        lane = [lane for lane in status["outbox"]["lanes"].values() if lane["produced"]]
        self.assertEqual(sum(one["produced"] for one in lane), len(times))  # Q4, with nothing waiting
        self.assertEqual(status["records"]["lost"], 0)

    def kill_loop(self, victim, start_again, kills=KILLS):
        self.node.start("--pipeline", self.lab.pipeline())
        producer = Producer(self.node)
        try:
            for _ in range(kills):
                before = len(producer.acked)
                wait("records to flow", lambda: len(producer.acked) > before + 20)
                victim().kill()
                start_again()
        except BaseException:
            producer.end()
            raise
        self.check(producer)

    def test_kill_the_agent(self):
        self.kill_loop(lambda: self.node.process, lambda: self.node.start())

    def test_kill_the_hub(self):
        def start_again():
            received = lambda: self.node.status()["records"]["by_rule"]["all"]["uploaded"]
            before = received()
            self.hub.start()
            # An exchange that was cut in flight is a retry, and retries are rationed (L2): once the ration is spent, the
            # node waits for its next regular contact, up to a minute.
            wait("an upload after the crash", lambda: received() > before, 90)

        self.kill_loop(lambda: self.hub.process, start_again, kills=5)

    def test_hub_away(self):
        self.hub.process.stop()
        self.node.start("--pipeline", self.lab.pipeline(model=False))
        for i in range(0, 50, 5):
            self.assertEqual(self.node.post(rows(i, 5))[0], 200)
        status = self.node.status()
        self.assertEqual((status["outbox"]["waiting"], status["hub"]["connected"]), (50, False))
        # Also over a restart of the node, still without a hub.
        self.node.process.kill()
        self.node.start()
        self.assertEqual(self.node.status()["outbox"]["waiting"], 50)
        self.assertEqual(self.node.post(rows(50, 5))[0], 200)
        self.hub.start()
        wait("an empty outbox", self.node.drained)
        self.assertEqual(sorted(int(r["tag"][1:]) for r in self.hub.records()), list(range(55)))
        # And away once more, in the middle.
        self.hub.process.kill()
        self.assertEqual(self.node.post(rows(55, 5))[0], 200)
        wait("the agent to notice", lambda: not self.node.status()["hub"]["connected"])
        self.hub.start()
        wait("an empty outbox", self.node.drained)
        self.assertEqual(sorted(int(r["tag"][1:]) for r in self.hub.records()), list(range(60)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
