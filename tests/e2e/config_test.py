"""Malformed or unknown YAML keys: lint and run end with exit code 78 and say file:line:column and the nearest valid name."""
import json
import os
import socket
import unittest

import harness
from harness import BIN, write

GOOD = """name: e2e
schema: [{name: a, type: number}]
sync:
  budget: 64KiB
  rules:
    - all: {}
"""


class Config(harness.Case):
    def lint_and_run(self, text, *expected):
        path = write(self.lab.path("bad.yaml"), text)
        lint = self.lab.run(BIN + "/waybill", "pipeline", "lint", path, code=78)
        run = self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", self.lab.path("node"), "--pipeline", path, code=78)
        for said in (lint.text, run.text):
            for text in expected:
                self.assertIn(text.replace("FILE", path), said)

    def test_unknown_key(self):
        self.lint_and_run(GOOD.replace("budget", "budgett"), "FILE:4:3: ", "unknown key 'budgett'", "did you mean 'budget'?")

    def test_unknown_rule(self):
        self.lint_and_run(GOOD.replace("all:", "novell:"), "FILE:6:7: unknown rule 'novell'; did you mean 'novel'?")

    def test_malformed(self):
        self.lint_and_run(GOOD + "  rules: [", "FILE:")
        self.lint_and_run(GOOD.replace("  budget", "\tbudget"), "FILE:4:1: a tab in the indentation")
        self.lint_and_run("", "FILE")
        self.lint_and_run("\x00\x01", "FILE")
        self.lint_and_run("[" * 5000, "FILE")

    def test_not_utf8(self):
        self.lint_and_run(GOOD.encode().replace(b"name: a", b"name: a\xff").decode("latin-1").encode("latin-1"), "FILE")

    def test_every_fault_is_named(self):
        self.lint_and_run(GOOD.replace("budget", "budgett").replace("schema", "shema"), "FILE:2:1", "'schema'", "FILE:4:3")

    def test_model_missing(self):
        path = write(self.lab.path("bad.yaml"), GOOD + "infer: {model: main}\n")
        said = self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", self.lab.path("node"), "--pipeline", path,
                            code=1).text
        self.assertIn("infer.model 'main'", said)
        self.assertIn("main.wbm", said)

    def test_damaged_model(self):
        path = write(self.lab.path("bad.yaml"), GOOD + "infer: {model: main}\n")
        model = harness.read(self.lab.model(), "rb")
        for bad in (model[:len(model) // 2], b"", model[:200] + bytes([model[200] ^ 1]) + model[201:]):
            write(self.lab.path("main.wbm"), bad)
            said = self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", self.lab.path("node"), "--pipeline", path,
                                code=78).text
            self.assertIn("main", said)

    def test_model_with_names_that_are_not_utf8(self):
        """A class name is text in every record: one that is not UTF-8 would make each exchange unreadable."""
        data = b"a,b,class\n" + b"".join(b"%d,%d,%s\n" % (a, b, b"h\xe9t" if a + b > 10 else b"cold")
                                        for a in range(20) for b in range(20))
        said = self.lab.waybill("fit", write(self.lab.path("latin.csv"), data), "--target", "class", "--trees", "2", "-o",
                                self.lab.path("latin.wbm"), code=1).text
        self.assertIn("the label 'h?t' is not UTF-8", said)

    def test_standard_output_holds_nothing_but_what_actions_write(self):
        path = write(self.lab.path("out.yaml"), GOOD + "source:\n  - stdin: {format: ndjson}\n"
                     "route:\n  actions:\n    - stdout: {when: all}\n    - file: {when: all, path: /nonexistent/alarms}\n")
        done = self.lab.run(BIN + "/waybill-agent", "run", "--data-dir", self.lab.path("node"), "--pipeline", path,
                            stdin='{"a": 1}\n{"a": 2}\n', env={"NO_COLOR": "1"})
        self.assertEqual([json.loads(line)["values"]["a"] for line in done.stdout.splitlines()], [1, 2])
        self.assertIn("all input is read", done.stderr)
        self.assertEqual(done.stderr.count("action to /nonexistent/alarms fails: cannot open it: No such file"), 1)
        self.assertNotIn("\x1b", done.stderr)

    def test_a_source_that_cannot_be_read_says_why(self):
        source = f"  - file: {{path: {self.lab.path('')}, format: ndjson}}"
        agent = self.lab.agent("node")
        agent.start("--pipeline", self.lab.pipeline(source=source))
        harness.wait("the reason", lambda: "it is a folder, not a file" in agent.process.text())

    def test_status_without_an_agent_says_what_to_do(self):
        said = self.lab.run(BIN + "/waybill-agent", "status", "--data-dir", self.lab.path("nothing"), code=1).text
        self.assertIn("give the folder that it was started with", said)
        agent = self.lab.agent("node").start("--pipeline", self.lab.pipeline())
        text = self.lab.run(BIN + "/waybill-agent", "status", "--data-dir", agent.data).text
        self.assertIn("hub       none: this node is not enrolled", text)
        self.assertIn("runs      e2e (the pipeline it was started with)", text)
        agent.process.stop()
        said = self.lab.run(BIN + "/waybill-agent", "status", "--data-dir", agent.data, code=1).text
        self.assertIn("(Connection refused): start it with waybill-agent run --data-dir", said)
        self.assertNotIn("boost", said)

    def test_a_start_that_failed_says_the_next_steps_at_the_next(self):
        said = self.lab.run(BIN + "/waybill", "hub", "--data-dir", self.lab.path("h"), "--listen", "7443", code=2).text
        self.assertIn("not an IP address of this machine and a port", said)
        self.assertFalse(os.path.exists(self.lab.path("h")))
        port = harness.free_port()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            self.lab.run(BIN + "/waybill", "hub", "--data-dir", self.lab.path("hub"), "--listen", f"127.0.0.1:{port}", code=1)
        hub = self.lab.hub()
        harness.wait("the next steps", lambda: "waybill node token create" in hub.process.text())

    def node_file(self, text, *expected):
        path = write(self.lab.path("node.yaml"), text)
        said = self.lab.run(BIN + "/waybill-agent", "run", "--config", path, code=78).text
        for text in expected:
            self.assertIn(text.replace("FILE", path), said)

    def test_node_file(self):
        data = f"data_dir: {self.lab.path('n')}\n"
        self.node_file(data + "lables: {site: lyon}\n", "FILE:2:1: ", "'lables'", "did you mean 'labels'?")
        self.node_file(data + "outbox: 5 parsecs\n", "FILE:2:9: ", "outbox")
        self.node_file(data + "flash_per_day: often\n", "FILE:2:16: ", "flash_per_day")
        self.node_file(data + "log: lots\n", "FILE:2:6: ", "log")
        self.node_file("pipeline: x.yaml\n", "data_dir")
        self.node_file(data + "a: [\n", "FILE:")
        self.node_file("", "FILE")
        self.assertFalse(os.path.exists(self.lab.path("n")))

    def test_labels_the_hub_would_refuse(self):
        """One bad label would make the hub refuse every exchange of this node; so it is refused here, at once."""
        node = ["--data-dir", self.lab.path("node"), "--pipeline", write(self.lab.path("good.yaml"), GOOD)]
        for label in ("site=" + "x" * 200, "k" * 200 + "=x", b"site=\xff\xfe", "nothing"):
            said = self.lab.run(BIN + "/waybill-agent", "run", *node, "--label", label, code=78).text
            self.assertIn("label", said)
        many = [word for i in range(65) for word in ("--label", f"k{i}=v")]
        self.assertIn("64", self.lab.run(BIN + "/waybill-agent", "run", *node, *many, code=78).text)
        self.node_file(f"data_dir: {self.lab.path('n')}\nlabels: {{site: {'x' * 200}}}\n", "FILE", "label")

    def test_bad_flags(self):
        node = ["--data-dir", self.lab.path("node"), "--pipeline", write(self.lab.path("good.yaml"), GOOD)]
        self.assertIn("--outbox", self.lab.run(BIN + "/waybill-agent", "run", *node, "--outbox", "plenty", code=78).text)
        self.assertIn("--flash-per-day", self.lab.run(BIN + "/waybill-agent", "run", *node, "--flash-per-day", "-1", code=78).text)
        self.assertIn("1MiB", self.lab.run(BIN + "/waybill-agent", "run", *node, "--outbox", "10KiB", code=78).text)
        self.lab.run(BIN + "/waybill-agent", "run", "--unknown-flag", code=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
