"""The planted bugs: none is in the programs that are shipped, and a table that does not fit the sources is refused."""
import os
import pathlib
import subprocess
import sys

from specimen import ROOT, GateTest, main

sys.path.insert(0, str(ROOT / "tools"))
import planted_table  # noqa: E402

HEADER = '#define WB_PLANTED_BUGS(BUG) \\\n  BUG(kLeak, "leak", "Q1 Q4", "something is lost") \\\n  BUG(kSpin, "spin", "L", \\\n      "it never rests", "wb_a_test A.B")\n'
SOURCE = "int f() { return planted(Bug::kLeak) ? 1 : planted(Bug::kSpin) ? 2 : 0; }\n"
PAGE = ("# Planted\n| `leak` | something is lost | `src/a.cpp` | Q4 | seed 3 |\n"
        "| `spin` | it never rests | `src/a.cpp` | L | `wb_a_test A.B` |\n")


class PlantedTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("src/base/planted.h", HEADER)
        self.write("src/a.cpp", SOURCE)
        self.write("docs/operations/planted-bugs.md", PAGE)

    def check(self):
        return self.tool("planted_table.py", "--check", self.root)

    def test_fitting_table(self):
        result = self.check()
        self.assert_green(result)
        self.assertIn("all 2 bugs", result[1])

    def test_bug_that_is_planted_nowhere(self):
        self.write("src/a.cpp", SOURCE.replace("Bug::kSpin", "Bug::kOther"))
        self.assert_red(self.check(), "spin is planted nowhere")

    def test_bug_only_in_a_test(self):
        self.write("src/a_test.cpp", SOURCE)
        self.write("src/a.cpp", "")
        self.assert_red(self.check(), "leak is planted nowhere")

    def test_bug_without_a_row(self):
        self.write("docs/operations/planted-bugs.md", PAGE.replace("`spin`", "`span`"))
        self.assert_red(self.check(), "spin is missing", "span is no bug")

    def test_another_story(self):
        self.write("src/base/planted.h", HEADER.replace("never rests", "rests rarely"))
        self.assert_red(self.check(), "spin has another story, place or check")

    def test_another_check(self):
        self.write("src/base/planted.h", HEADER.replace("A.B", "A.C"))
        self.assert_red(self.check(), "spin has another story, place or check")

    def test_another_place(self):
        self.write("src/b.cpp", SOURCE)
        self.assert_red(self.check(), "leak has another story, place or check")

    def test_seen_as_something_else(self):
        self.write("docs/operations/planted-bugs.md", PAGE.replace("Q4", "U1"))
        self.assert_red(self.check(), "leak must break Q1 or Q4")

    def test_header_without_bugs(self):
        self.write("src/base/planted.h", "")
        self.assert_red(self.check(), "nothing was checked")


def strings_of(program: pathlib.Path) -> str:
    return subprocess.run(["strings", "-n", "4", program], check=True, capture_output=True, text=True).stdout


class ShippedProgramsTest(GateTest):
    """What is shipped has no planted bug in it: no symbol, no name, no story."""

    def test_programs_of_this_build(self):
        bugs = planted_table.read_bugs(ROOT)
        self.assertGreaterEqual(len(bugs), 20)
        folder = pathlib.Path(os.environ["WB_BINARY_DIR"]) / "bin"
        for name in ("waybill-agent", "waybill"):
            program = folder / name
            symbols = subprocess.run(["nm", "-C", program], check=True, capture_output=True, text=True).stdout
            self.assertNotIn("planted_bug", symbols)
            self.assertNotIn("kPlantedBugs", symbols)
            text = strings_of(program)
            self.assertIn("waybill", text)  # it is the program, and strings reads it
            for bug in bugs:
                self.assertNotIn(bug.story, text)
                self.assertNotIn(f"\n{bug.name}\n", text)

    def test_search_finds_what_is_there(self):
        program = self.write("program", "\0" + planted_table.read_bugs(ROOT)[0].story + "\0")
        self.assertIn(planted_table.read_bugs(ROOT)[0].story, strings_of(program))


if __name__ == "__main__":
    main()
