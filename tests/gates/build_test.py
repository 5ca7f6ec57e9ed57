"""Warnings are errors, floats are never contracted, and pure modules build without exceptions or RTTI."""
from specimen import ROOT, GateTest, main

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(specimen LANGUAGES C CXX)
list(APPEND CMAKE_MODULE_PATH {root}/cmake)
include(Toolchain)
include(WaybillModule)
wb_map(core pure USES)
wb_map(world io USES core)
wb_add_modules()
"""


class BuildTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("CMakeLists.txt", CMAKE.format(root=ROOT))

    def build(self, module, code):
        self.write(f"src/{module}/CMakeLists.txt", f"wb_module({module} SOURCES a.cpp)\n")
        self.write(f"src/{module}/a.cpp", code)
        code_text = self.run_gate("cmake", "-G", "Ninja", "-S", self.root, "-B", self.root / "build", "-DCMAKE_BUILD_TYPE=Debug")
        return code_text if code_text[0] else self.run_gate("cmake", "--build", self.root / "build")

    def test_innocent_source(self):
        self.assert_green(self.build("core", "int f(int x) { return x; }\n"))

    def test_unused_variable(self):
        self.assert_red(self.build("core", "int f() { int unused; return 1; }\n"), "-Werror=unused-variable")

    def test_shadowed_name(self):
        self.assert_red(self.build("core", "int f(int x) { { int x = 2; return x; } }\n"), "-Werror=shadow")

    def test_exception_in_pure(self):
        self.assert_red(self.build("core", "void f() { throw 1; }\n"), "exception handling disabled")
        self.assert_green(self.build("world", "void g() { throw 1; }\n") if self.run_gate("rm", "-r", "src/core")[0] == 0 else (1, ""))

    def test_rtti_in_pure(self):
        code = "struct A { virtual ~A() = default; };\nstruct B : A {};\nB* f(A* a) { return dynamic_cast<B*>(a); }\n"
        self.assert_red(self.build("core", code), "dynamic_cast")


class FlagsTest(GateTest):
    def test_contraction_is_off(self):
        self.assertIn("-ffp-contract=off", (ROOT / "cmake/Toolchain.cmake").read_text())


if __name__ == "__main__":
    main()
