"""A record that does not get through to the hub, for what is in it: behind a proxy that refuses it, all others arrive, it is
declared lost, and a dead letter says why. A proxy that refuses everything for a while costs no record."""
import unittest

import harness
from fake_hub import FakeHub
from harness import field, fields, rows, tls_call, wait

DEAD_LETTER = 4  # Lane


class Proxy(FakeHub):
    """Stands at the port of a hub that moved to another one, passes on what it does not refuse, and asks the node to come often."""

    def __init__(self, lab, hub, node):
        super().__init__(lab, hub)
        hub.port = 0
        self.hub = hub.start()
        self.identity = harness.identity(node, lab.folder)
        self.refused = []  # how many records each refused request had
        self.refuses = lambda lane, record: False
        self.closed = None  # the status that everything is answered with

    def post(self, body):
        records = [(lane, record) for number, stream in fields(body) if number == 9
                   for lane in [dict(pair for pair in fields(stream) if pair[0] == 1)[1]]
                   for key, record in fields(stream) if key == 4]
        if self.closed or any(self.refuses(*one) for one in records):
            self.refused.append(len(records))
            return self.closed or 400, b"this proxy does not like it\n"
        status, answer = tls_call(self.hub, *self.identity, "POST", "/v1/exchange", body)
        return status, answer + field(6, field(2, 500) + field(3, 1))


class Refusal(harness.Case):
    def setUp(self):
        super().setUp()
        self.hub = self.lab.hub()
        self.node = self.lab.agent("n1")
        self.node.enrol(self.hub)
        self.hub.process.stop()
        self.proxy = Proxy(self.lab, self.hub, self.node)
        self.addCleanup(self.proxy.close)
        self.node.start("--pipeline", self.lab.pipeline())
        wait("the first contact", lambda: self.node.status()["hub"]["connected"])

    def lost(self):
        records = self.node.status()["records"]
        return records["lost"], records["refused_by_hub"]

    def test_one_record(self):
        self.proxy.refuses = lambda lane, record: lane != DEAD_LETTER and b"poison" in record
        sent = rows(0, 9) + rows(9, 1, tag="poison") + rows(10, 10)
        self.assertEqual(self.node.post(sent)[0], 200)
        wait("all others to arrive", lambda: self.node.drained() and self.lost() == (1, 1), 120)
        self.assertEqual(sorted(row["tag"] for row in self.hub.records()),
                         sorted(row["tag"] for row in sent if row["tag"] != "poison"))  # Q3: each once
        letters = self.hub.dead_letters()
        self.assertEqual(len(letters), 1)
        self.assertIn("the hub answered HTTP 400: this proxy does not like it", letters[0]["reason"])
        self.assertIn("poison", letters[0]["raw"])
        # Q4: both sides count it as lost, and nothing else.
        wait("the report", lambda: self.hub.node("n1")["counters"]["refused_by_hub"] == 1)
        streams = self.hub.node("n1")["streams"]
        self.assertEqual(sum(one["lost"] for one in streams), 1, streams)
        self.assertEqual(sum(one["evicted"] + one["hub_gap"] for one in streams), 0, streams)
        self.assertEqual(self.proxy.refused[-2:], [1, 1])

    def test_everything_for_a_while(self):
        self.proxy.closed = 413
        self.assertEqual(self.node.post(rows(0, 5))[0], 200)
        # Long enough for the search to come down to one record, and for an exchange without any.
        wait("the search", lambda: {0, 1} <= set(self.proxy.refused), 120)
        self.proxy.closed = None
        wait("all to arrive", self.node.drained, 120)
        self.assertEqual(self.lost(), (0, 0))
        self.assertEqual(len(self.hub.records()), 5)
        self.assertEqual(self.hub.dead_letters(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
