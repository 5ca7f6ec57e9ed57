"""tools/evidence and the table of promises: figures come from files that programs left, and count once."""
import json

from specimen import ROOT, GateTest, main

PAGE = ("# Promises\n| id | promise | checked in |\n| --- | --- | --- |\n| Q1 | kept | |\n| Q2 | in order | |\n\n"
        "<!-- evidence: written by script/map from evidence.json, planted-bugs.md and found.md -->\n<!-- end of evidence -->\n")
RUN = {"program": "waybill sim", "what": "seeds 1 to 2", "finished_unix_s": 1_700_000_000, "seconds": 9, "violations": 0,
       "sizes": {"histories": 2, "device_hours": 1234}, "decided": {"Q1": 1500}}


class EvidenceTest(GateTest):
    def setUp(self):
        super().setUp()
        self.page = self.write("docs/operations/promises.md", PAGE)
        self.write("docs/operations/planted-bugs.md", "")
        self.write("docs/operations/found.md", "| Q2 Q1 | it went | by hand | a test |\n")
        self.write("src/a_test.cpp", "// Q2: checked here\n")
        self.write("tests/b.py", "# Q1\n")

    def add(self, run, name="run.json"):
        return self.run_gate(ROOT / "tools/evidence", "add", "--root", self.root, "--commit", "abc", self.write(name, json.dumps(run)))

    def table(self, *words):
        return self.tool("promise_table.py", *words, self.root)

    def test_a_run_is_counted(self):
        self.assert_green(self.add(RUN))
        self.assert_green(self.table())
        page = self.page.read_text()
        self.assertIn("| Q1 | 1,500 | – | – | – | – | 1 | – |", page)
        self.assertIn("| Q2 | – | – | – | – | – | 1 | – |", page)
        self.assertIn("2 histories, 1,234 device-hours; 0 violations", page)
        self.assertIn("| 2023-11-14 22:13 | abc | waybill sim | seeds 1 to 2 | 2 histories, 1,234 device-hours | held |", page)
        self.assert_green(self.table("--check"))

    def test_the_same_run_counts_once_and_another_is_added(self):
        self.add(RUN)
        self.assertIn("is in the ledger already", self.add(RUN)[1])
        self.add({**RUN, "finished_unix_s": 1_700_000_001, "decided": {"Q1": 1}})
        self.table()
        self.assertIn("| Q1 | 1,501 |", self.page.read_text())

    def test_a_broken_run_says_so(self):
        self.add({**RUN, "violations": 3})
        self.table()
        self.assertIn("**3 violations**", self.page.read_text())

    def test_a_stale_page(self):
        self.table()
        self.add(RUN)
        self.assert_red(self.table("--check"), "is stale")

    def test_what_is_no_run_is_refused(self):
        self.assert_red(self.add({**RUN, "decided": {"Z9": 1}}), "decides Z9", "nothing was added")
        self.assert_red(self.add({**RUN, "program": "guess"}), "unknown program")
        self.assert_red(self.add({"program": "waybill sim"}), "has no what")

    def test_a_mistake_of_an_unknown_promise(self):
        self.write("docs/operations/found.md", "| Z9 | it went | by hand | a test |\n")
        self.assert_red(self.table(), "names Z9")

    def test_rows_of_the_fuzzer(self):
        self.write("work/wire.row", "wire  1000 10 5 3   ok\n")
        self.write("work/yaml.row", "yaml  ? 0 0 0   FINDING: fuzz_yaml x\n")
        self.assert_green(self.run_gate(ROOT / "tools/evidence", "add", "--root", self.root, self.root / "work"))
        self.assertIn('"violations": 1, "sizes": {"executions": 1000}', (self.root / "docs/operations/evidence.json").read_text())


if __name__ == "__main__":
    main()
