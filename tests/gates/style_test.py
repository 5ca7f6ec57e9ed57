"""tools/check_style.py, clang-format, script/map --check and the warnings that are errors."""
import shutil
import sys

from specimen import ROOT, GateTest, main

MAP = "wb_map(core pure USES)\nwb_map(world io USES core)\n"
HEADER = "#pragma once\n// core: what it is.\nint f();\n"
EVIDENCE = ("<!-- evidence: written by script/map from evidence.json, planted-bugs.md and found.md -->\n"
            "<!-- end of evidence -->\n")
PAGE = "# A\n\n<!-- module table: written by script/map from modules.cmake -->\n<!-- end of module table -->\n\nafter\n"


class StyleTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("modules.cmake", MAP)
        self.write("src/core/core.h", HEADER)

    def check(self):
        return self.tool("check_style.py", self.root)

    def test_innocent_tree(self):
        self.write("src/world/a.cpp", "#include <memory>\nstd::shared_ptr<int> p;\n")  # io may
        self.assert_green(self.check())

    def test_long_source(self):
        self.write("src/core/a.cpp", "\n" * 801)
        self.assert_red(self.check(), "801 lines; a source stops at 800")

    def test_long_header(self):
        self.write("src/core/core.h", HEADER + "\n" * 298)
        self.assert_red(self.check(), "301 lines; a header stops at 300")

    def test_header_without_guard(self):
        self.write("src/core/core.h", "// core: what it is.\nint f();\n")
        self.assert_red(self.check(), "src/core/core.h:1: a header starts with #pragma once")

    def test_header_without_idea(self):
        self.write("src/core/core.h", "#pragma once\nint f();\n")
        self.assert_red(self.check(), "tells a stranger the idea")

    def test_shared_ptr_in_pure(self):
        self.write("src/core/a.cpp", "#include <memory>\nauto p = std::make_shared<int>(1);\n")
        self.assert_red(self.check(), "src/core/a.cpp:2: shared_ptr is banned in pure modules")

    def test_trailing_blank(self):
        self.write("src/core/a.cpp", "int x; \n")
        self.assert_red(self.check(), "src/core/a.cpp:1: tab or trailing blank")


class FormatTest(GateTest):
    def test_red_then_green(self):
        shutil.copy(ROOT / ".clang-format", self.root)
        shutil.copytree(ROOT / "script", self.root / "script")
        self.write("src/a.cpp", "int  f( ){return 1 ;}\n")
        self.run_gate("git", "init", "-q", ".")
        script = self.root / "script/format"
        self.assert_red(self.run_gate(script, "--check"), "src/a.cpp", "code should be clang-formatted")
        self.assert_green(self.run_gate(script))
        self.assert_green(self.run_gate(script, "--check"))


class MapTableTest(GateTest):
    def table(self, *arguments):
        return self.run_gate(sys.executable, ROOT / "tools/map_table.py", *arguments, self.root)

    def test_stale_table(self):
        self.write("modules.cmake", MAP)
        page = self.write("ARCHITECTURE.md", PAGE)
        self.assert_red(self.table("--check"), "is stale. Run script/map")
        self.assert_green(self.table())
        self.assert_green(self.table("--check"))
        self.assertIn("| core | pure | `core/core.h` | – | – |", page.read_text())
        self.assertTrue(page.read_text().endswith("after\n"))
        self.write("modules.cmake", MAP + "wb_map(apps io USES core world)\n")
        self.assert_red(self.table("--check"), "is stale")

    def test_stale_promises(self):
        page = self.write("docs/operations/promises.md", "| id | promise | checked in |\n| --- | --- | --- |\n| Q3 | once | |\n| Q4 | all | |\n\n" + EVIDENCE)
        self.write("docs/operations/planted-bugs.md", "")
        self.write("docs/operations/found.md", "")
        self.write("src/core/a_test.cpp", "// Q3: once\nint Q4;\n")

        def promises(*arguments):
            return self.run_gate(sys.executable, ROOT / "tools/promise_table.py", *arguments, self.root)

        self.assert_red(promises("--check"), "is stale. Run script/map")
        self.assert_green(promises())
        self.assert_green(promises("--check"))
        self.assertIn("| Q3 | once | `src/core/a_test.cpp` |\n| Q4 | all | not yet |", page.read_text())
        self.write("src/core/a_test.cpp", "// Q3–Q5: once\n")
        self.assert_red(promises("--check"), "no row in docs/operations/promises.md for Q5")


if __name__ == "__main__":
    main()
