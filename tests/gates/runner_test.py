"""tools/gate.sh, which script/test and .ci/run count with: a red gate, a red test and a missing test each turn the run red."""
import shutil

from specimen import ROOT, GateTest, main

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(specimen LANGUAGES NONE)
enable_testing()
add_test(NAME good COMMAND true)
{more}
"""


class RunnerTest(GateTest):
    def setUp(self):
        super().setUp()
        shutil.copytree(ROOT / "tools", self.root / "tools")

    def run_with(self, *lines, more=""):
        self.write("CMakeLists.txt", CMAKE.format(more=more))
        self.assert_green(self.run_gate("cmake", "-G", "Ninja", "-S", self.root, "-B", self.root / "build/specimen"))
        self.write("run", "\n".join(["set -u", "source tools/gate.sh", *lines, "finish"]) + "\n")
        return self.run_gate("bash", "run")

    def last_line(self, result):
        return result[1].splitlines()[-1]

    def test_all_passed(self):
        result = self.run_with('gate "one" true', "run_ctest build/specimen")
        self.assert_green(result)
        self.assertEqual(self.last_line(result), "2 passed, 0 failed")

    def test_red_gate(self):
        result = self.run_with('gate "one" sh -c "echo what was wrong; exit 1"', 'gate "two" true')
        self.assert_red(result, "what was wrong", "FAILED")
        self.assertEqual(self.last_line(result), "1 passed, 1 failed")

    def test_red_test(self):
        result = self.run_with("run_ctest build/specimen", more="add_test(NAME bad COMMAND false)")
        self.assert_red(result)
        self.assertEqual(self.last_line(result), "1 passed, 1 failed")

    def test_missing_binary(self):
        result = self.run_with("run_ctest build/specimen", more="add_test(NAME gone COMMAND /no/such/test)")
        self.assert_red(result)
        self.assertEqual(self.last_line(result), "1 passed, 1 failed")

    def test_disabled_test_is_not_a_pass(self):
        more = "add_test(NAME off COMMAND true)\nset_tests_properties(off PROPERTIES DISABLED TRUE)"
        result = self.run_with("run_ctest build/specimen", more=more)
        self.assert_red(result)
        self.assertEqual(self.last_line(result), "1 passed, 1 failed")

    def test_nothing_was_run(self):
        self.assert_red(self.run_with("run_ctest build/specimen -R nothing_has_this_name"))
        self.assert_red(self.run_with())


if __name__ == "__main__":
    main()
