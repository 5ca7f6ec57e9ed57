"""Broken records, missing and extra columns, values that are not finite. A bad row never costs a good one, what could not be
read arrives as a dead letter, and nothing makes the hub refuse an exchange."""
import json
import subprocess
import unittest

import harness
from harness import HTTP_SOURCE, rows, wait, write


class Records(harness.Case):
    def start(self, **pipeline):
        self.hub = self.lab.hub()
        self.node = self.lab.agent("n1")
        self.node.enrol(self.hub)
        self.lab.model()
        self.node.start("--pipeline", self.lab.pipeline(**pipeline))

    def at_hub(self, count, letters):
        found = wait(f"{count} records at the hub", lambda: [r for r in [self.hub.records()] if len(r) >= count])[0]
        dead = wait(f"{letters} dead letters", lambda: [r for r in [self.hub.dead_letters()] if len(r) >= letters])[0]
        self.assertEqual((len(found), len(dead)), (count, letters))
        return found, dead

    def test_http(self):
        self.start()
        # JSON: the bad rows are named, the good ones kept.
        code, body = self.node.post(rows(0, 2) + [{"a": "much", "b": 1, "tag": "x", "ts": 5}] + rows(2, 1) +
                                    [{"a": 1, "tag": "x", "ts": 6}])
        self.assertEqual(code, 400, body)
        answer = json.loads(body)
        self.assertEqual((answer["accepted"], answer["rejected"]), (3, 2))
        self.assertIn("row 3: field 'a'", answer["errors"][0])
        self.assertIn("row 5: field 'b'", answer["errors"][1])
        self.assertIn("the accepted rows are kept", answer["next"])
        # Extra columns are ignored.
        self.assertEqual(self.node.post(rows(3, 1, unknown={"deep": [1, 2]}))[0], 200)
        # Bodies that are no JSON, cut short, empty, or not UTF-8; CSV with a bad row and with a column missing.
        for bad in (b"{", b"", b'[{"a":1,"b":2,"tag":"x","ts":1}', b"\x00\xff\xfe", b"[" * 100000,
                    b'[{"a":1,"b":2,"tag":"\xff","ts":1}]', b'{"a":1e999,"b":2,"tag":"x","ts":1}'):
            code, body = self.node.post(bad)
            self.assertEqual(code, 400, (bad[:40], body))
            self.assertTrue(json.loads(body)["errors"], body)
        code, body = self.node.post(b"a,b,tag,ts\n4,4,good,9\n5,5,caf\xe9,10\n6\n", "text/csv")
        self.assertEqual((code, json.loads(body)["accepted"], json.loads(body)["rejected"]), (400, 1, 2), body)
        self.assertIn("row 2: the text is not UTF-8", body)
        self.assertEqual(self.node.post(b"a,tag,ts\n1,x,11\n", "text/csv")[0], 400)
        try:
            self.assertEqual(self.node.post(b"x" * (5 << 20))[0], 413)
        except OSError as error:  # the agent answers and closes while the body is still on its way
            self.assertRegex(str(error), "Broken pipe|reset by peer")
        self.assertEqual(self.node.post(b"<a/>", "application/xml")[0], 415)
        self.assertEqual(self.node.call("GET", "/nothing")[0], 404)
        # All of it arrives, and the agent is well.
        status = self.node.status()
        letters = status["records"]["dead_letters"]
        self.assertEqual(letters, status["records"]["rejected"])
        found, dead = self.at_hub(6, letters)
        self.assertEqual(sorted(r["tag"] for r in found), ["good", "t0", "t1", "t2", "t3", "x"])  # x: the row before the cut
        self.assertTrue(any("row 3: field 'a'" in letter["reason"] and "much" in letter["raw"] for letter in dead))
        self.assertEqual(self.node.post(rows(10, 1))[0], 200)

    def test_dead_letters_are_capped_and_cut_between_characters(self):
        self.start()
        # 1,000 broken rows in one batch: all counted, at most 256 kept. Each is longer than a dead letter may be, and the
        # cut falls inside a character, of the text and of what the reason cites.
        euro = "\u20ac" * 1000
        bad = "\n".join(json.dumps({"a": euro, "b": 1, "tag": "x" * (i % 3), "ts": i}, ensure_ascii=False)
                        for i in range(1000))
        code, body = self.node.post(bad.encode(), "application/x-ndjson")
        answer = json.loads(body)
        self.assertEqual((code, answer["accepted"], answer["rejected"]), (400, 0, 1000))
        self.assertLess(len(body), 1 << 20)
        odd = json.dumps({"\u20ac" * 300: 1}, ensure_ascii=False).encode() + b"\n"
        self.assertEqual(self.node.post(odd, "application/x-ndjson")[0], 400)
        self.assertEqual(self.node.post(rows(0, 1))[0], 200)
        self.assertEqual(self.node.status()["records"]["rejected"], 1001)
        _, dead = self.at_hub(1, 257)
        for letter in dead:
            self.assertLessEqual(len(letter["raw"].encode()), 1024 + 3)
        self.assertEqual(self.hub.node("n1")["counters"]["lost"], 0)

    def test_not_finite_is_never_confident(self):
        self.start(model=True, rules="    - low_confidence: {below: 0.01, rate: 0.5}\n    - sample: {rate: 1}")
        body = "a,b,tag,ts\n1,1,fine,1\nnan,1,nan,2\ninf,1,inf,3\n1,-inf,ninf,4\n,1,missing,5\n1e300,1,huge,6\n"
        self.assertEqual(self.node.post(body.encode(), "text/csv")[0], 200)
        found, _ = self.at_hub(6, 0)
        by_tag = {record["tag"]: record for record in found}
        self.assertEqual(by_tag["fine"]["rule"], "sample")
        self.assertEqual(by_tag["fine"]["label"], "cold")
        self.assertGreater(by_tag["fine"]["confidence"], 0.4)
        for tag in ("nan", "inf", "ninf", "missing", "huge"):
            record = by_tag[tag]
            self.assertEqual(record["rule"], "not_finite", record)
            self.assertIn(record["label"], ("", None), record)
            self.assertEqual(record["confidence"], 0, record)

    def test_mqtt_and_files(self):
        port = self.lab.broker()
        follow = write(self.lab.path("in.csv"), b"a,b,tag,ts\n1,1,f1,1\nbroken,1,f2,2\n2,2,caf\xe9,3\n3,3,f3,4\n")
        self.start(source=f"  - mqtt: {{url: 'mqtt://127.0.0.1:{port}', topic: 'in/#', format: json, client_id: n1}}\n"
                          f"  - file: {{path: {follow}, format: csv, mode: tail, poll: 50ms}}\n{HTTP_SOURCE}")
        wait("the subscription", lambda: "connected" in self.node.process.text())

        def publish(payload):
            how = ["-s"] if payload else ["-n"]
            subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "in/x", *how],
                           input=payload, check=True, timeout=30)

        publish(json.dumps(rows(0, 2)).encode())
        publish(b"not json \xff")
        publish(b"")
        publish(json.dumps({"a": 1, "b": "two", "tag": "m", "ts": 3}).encode())
        publish(json.dumps(rows(2, 1)).encode())
        with open(follow, "ab") as file:
            file.write(b"9,9,f4,5\n")
        wait("7 records in", lambda: self.node.status()["records"]["in"] >= 10)
        found, dead = self.at_hub(6, self.node.status()["records"]["dead_letters"])
        self.assertEqual(sorted(r["tag"] for r in found), ["f1", "f3", "f4", "t0", "t1", "t2"])
        self.assertTrue(any("'b'" in letter["reason"] for letter in dead))
        self.assertTrue(any("broken" in letter["raw"] for letter in dead))
        self.assertTrue(any("not UTF-8" in letter["reason"] for letter in dead))
        # MQTT: 2 (not JSON, wrong kind) or 3 (empty payload); file: 2.
        self.assertIn(len(dead), (4, 5))


if __name__ == "__main__":
    unittest.main(verbosity=2)
