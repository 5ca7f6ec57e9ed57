"""An older agent against a newer hub and the other way round: unknown fields are passed over; a protocol that is too new is
refused by name. Also an exchange that is damaged on purpose."""
import os
import unittest

import harness
from fake_hub import FakeHub
from harness import field, fields, rows, tls_call, wait

DEAD_LETTER = 6  # Rule


class Peers(harness.Case):
    def setUp(self):
        super().setUp()
        self.hub = self.lab.hub()
        self.node = self.lab.agent("n1")
        self.node.enrol(self.hub)

    def test_newer_hub(self):
        self.hub.process.stop()
        fake = FakeHub(self.lab, self.hub)
        self.addCleanup(fake.close)
        # Fields that this agent does not know, at every level: it works as ever.
        fake.extra = field(1000, "a field of the future") + field(1001, 7) + field(9, "a note")
        self.node.start("--pipeline", self.lab.pipeline())
        self.assertEqual(self.node.post(rows(0, 3))[0], 200)
        wait("the records to be taken", self.node.drained)
        self.assertEqual(len(fake.records), 3)
        # A protocol that it does not speak: nothing of the answer is believed, it says so, and goes on deciding.
        fake.protocol = 2
        self.assertEqual(self.node.post(rows(3, 2))[0], 200)
        wait("the refusal", lambda: "the hub speaks protocol 2, this build only up to 1; update this agent"
             in self.node.process.text())
        self.assertEqual(self.node.status()["outbox"]["waiting"], 2)
        self.assertFalse(self.node.status()["hub"]["connected"])
        # Answers that are no answers.
        fake.protocol = 1
        for bad in (b"\xff\xff\xff", field(5, field(4, 1 << 40)), field(5, field(2, "../../etc/passwd")), field(9, b"\xff")):
            fake.extra = bad
            self.node.process.kill()  # a fresh start contacts at once, without a backoff
            told = self.node.process.text().count("the hub's answer was refused")
            self.node.start()
            wait("the refusal", lambda: self.node.process.text().count("the hub's answer was refused") > told)
            self.assertEqual(self.node.status()["outbox"]["waiting"], 2)
        fake.extra = b""
        self.node.process.kill()
        self.node.start()
        wait("the records to be taken", self.node.drained)

    def test_newer_agent(self):
        certificate, key, authority = harness.identity(self.node, self.lab.folder)

        def exchange(body):
            return tls_call(self.hub, certificate, key, authority, "POST", "/v1/exchange", body)

        incarnation = os.urandom(16)
        head = field(1, 1) + field(2, "99.0") + field(3, incarnation) + field(4, 1)
        probability = b"\x39" + b"\x00" * 6 + b"\xf0\x3f"  # field 7, the double 1
        record = (field(1, 1) + field(2, "e2e") + field(6, DEAD_LETTER) + probability + field(11, b"\xff\x00raw") +
                  field(12, "why") + field(99, "from the future"))
        stream = field(1, 4) + field(3, 1) + field(4, record) + field(60, "future")
        good = head + field(9, stream) + field(900, "future") + field(901, 3)
        code, body = exchange(good)
        self.assertEqual(code, 200, body)
        acks = [dict(fields(value)) for number, value in fields(body) if number == 4]
        self.assertEqual([(ack[1], ack[2]) for ack in acks], [(4, 1)])
        self.assertEqual(exchange(good)[0], 200)  # Q3: again, with one effect
        self.assertEqual(len(self.hub.dead_letters()), 1)
        # A protocol that is too new is refused by name, before anything of it is used.
        code, body = exchange(good.replace(head, field(1, 7) + head[2:]))
        self.assertEqual(code, 501, body)
        self.assertIn(b"the agent speaks protocol 7, this build only up to 1", body)
        self.assertIn(b"update the hub first", body)
        # Damaged on purpose: refused, and the hub stays well.
        for bad in (b"\xff", good[:-1], b"", head[:8], head + field(9, field(1, 9)), head + field(9, field(1, 3) + field(3, 1) + field(4, field(1, 1) + field(2, b"\xff")))):
            self.assertEqual(exchange(bad)[0], 400, bad)
        self.assertIn(exchange(b"\x00" * (5 << 20))[0], (400, 413))
        self.assertEqual(exchange(good)[0], 200)
        # A node's certificate opens no admin door, none opens nothing.
        self.assertEqual(tls_call(self.hub, certificate, key, authority, "GET", "/v1/nodes")[0], 403)
        self.assertEqual(tls_call(self.hub, None, None, authority, "POST", "/v1/exchange", good)[0], 401)


if __name__ == "__main__":
    unittest.main(verbosity=2)
