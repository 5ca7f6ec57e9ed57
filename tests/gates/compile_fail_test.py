"""tests/compile_fail/must_fail.py sees a misuse that compiles, one that fails for another reason, and one that never compiled."""
import os
import sys

from specimen import ROOT, GateTest, main

RULE = "// refused: return-statement with a value|should not return a value\n"


class CompileFailTest(GateTest):
    def check(self, code):
        source = self.write("a.cpp", code)
        return self.run_gate(sys.executable, ROOT / "tests/compile_fail/must_fail.py", os.environ.get("CXX", "g++"), self.root, source)

    def test_refused_misuse(self):
        self.assert_green(self.check(RULE + "#ifdef WB_MISUSE\nvoid f() { return 1; }\n#endif\n"))

    def test_misuse_that_compiles(self):
        self.assert_red(self.check(RULE + "int f() { return 1; }\n"), "the misuse compiles")

    def test_other_reason(self):
        self.assert_red(self.check(RULE + "#ifdef WB_MISUSE\nint f() { return x; }\n#endif\n"), "not for the reason it names")

    def test_never_compiled(self):
        self.assert_red(self.check(RULE + "void f() { return 1; }\n"), "must compile without WB_MISUSE")

    def test_without_rule(self):
        self.assert_red(self.check("int f();\n"), "has no line '// refused:")


if __name__ == "__main__":
    main()
