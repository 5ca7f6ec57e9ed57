"""The clang-tidy gate: .clang-tidy turns a planted bug into a failure."""
import shutil

from specimen import ROOT, GateTest, main

COMPILE = '[{{"directory": "{root}", "file": "src/a.cpp", "command": "clang++ -std=c++2b -c src/a.cpp"}}]\n'
PLANTED = {
    "bugprone-use-after-move": "#include <string>\n#include <utility>\nvoid take(std::string);\n"
                               "size_t f(std::string s) { take(std::move(s)); return s.size(); }\n",
    "bugprone-infinite-loop": "int f(int n) { int i = 0; while (i < n) { } return i; }\n",
    "performance-for-range-copy": "#include <string>\n#include <vector>\n"
                                  "size_t f(const std::vector<std::string>& v) { size_t n = 0; for (const auto s : v) n += s.size(); return n; }\n",
    "readability-function-size": "int f() {\n" + "  f();\n" * 80 + "  return 1;\n}\n",
}


class TidyTest(GateTest):
    def check(self, code):
        shutil.copy(ROOT / ".clang-tidy", self.root)
        self.write("src/a.cpp", code)
        self.write("compile_commands.json", COMPILE.format(root=self.root))
        return self.run_gate("clang-tidy", "--quiet", "-p", self.root, "src/a.cpp")

    def test_innocent_source(self):
        self.assert_green(self.check("int f(int x) { return x + 1; }\n"))

    def test_each_planted_bug(self):
        for name, code in PLANTED.items():
            with self.subTest(name):
                self.assert_red(self.check(code), name)


if __name__ == "__main__":
    main()
