"""wb_map(), wb_module() and wb_check_orphans() refuse at configure what the map does not allow."""
import shutil

from specimen import ROOT, GateTest, main

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(specimen LANGUAGES CXX)
set(CMAKE_CXX_COMPILER_WORKS TRUE)
list(APPEND CMAKE_MODULE_PATH {root}/cmake)
include(WaybillModule)
include(modules.cmake)
wb_add_modules()
wb_check_orphans()
"""
MAP = """wb_map(base        pure USES       THIRD openssl)
wb_map(edge/outbox pure USES base)
wb_map(edge/sync   pure USES base)
wb_map(world       io   USES base  THIRD sqlite)
"""


class ModuleTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("CMakeLists.txt", CMAKE.format(root=ROOT))
        self.write("modules.cmake", MAP)
        self.module("base")
        self.module("edge/outbox")
        self.module("edge/sync")
        self.module("world")

    def module(self, name, arguments=""):
        self.write(f"src/{name}/CMakeLists.txt", f"wb_module({name} SOURCES a.cpp {arguments})\n")
        self.write(f"src/{name}/a.cpp", "")

    def configure(self):
        shutil.rmtree(self.root / "build", ignore_errors=True)
        return self.run_gate("cmake", "-G", "Ninja", "-S", self.root, "-B", self.root / "build")

    def test_innocent_tree_configures(self):
        self.assert_green(self.configure())

    def test_pure_using_io(self):
        self.write("modules.cmake", MAP + "wb_map(sim pure USES base world)\n")
        self.assert_red(self.configure(), "sim is pure but uses world, which is io", "Pure never uses io")

    def test_arrow_to_a_later_line(self):
        self.write("modules.cmake", MAP.replace("edge/outbox pure USES base", "edge/outbox pure USES base edge/sync"))
        self.assert_red(self.configure(), "edge/outbox uses edge/sync, which is not on an earlier line")

    def test_unknown_kind(self):
        self.write("modules.cmake", MAP.replace("world       io", "world       free"))
        self.assert_red(self.configure(), "kind is 'free'; it must be pure or io")

    def test_module_without_a_line(self):
        self.write("modules.cmake", MAP.replace("wb_map(edge/sync   pure USES base)\n", "wb_map(edge/later pure USES base)\n"))
        self.write("src/edge/later/CMakeLists.txt", "wb_module(edge/never SOURCES a.cpp)\n")
        self.assert_red(self.configure(), "wb_module(edge/never): modules.cmake has no such line")

    def test_use_that_the_line_does_not_allow(self):
        self.module("edge/sync", "USES base edge/outbox")
        self.assert_red(self.configure(), "wb_module(edge/sync): may not use edge/outbox")

    def test_library_that_the_line_does_not_allow(self):
        self.module("edge/sync", "THIRD sqlite")
        self.assert_red(self.configure(), "wb_module(edge/sync): may not use third-party sqlite")

    def test_misspelt_argument(self):
        self.module("edge/sync", "TEST a_test.cpp")
        self.assert_red(self.configure(), "wb_module(edge/sync): does not know")

    def test_orphan_source(self):
        self.write("src/edge/sync/forgotten.cpp", "")
        self.assert_red(self.configure(), "forgotten.cpp is named by no target")

    def test_orphan_test(self):
        self.write("src/edge/sync/sync_test.cpp", "")
        self.assert_red(self.configure(), "sync_test.cpp is named by no target")

    def test_orphan_scenario(self):
        self.write("tests/scenario/lost.scenario", "")
        self.assert_red(self.configure(), "lost.scenario is named by no target")


if __name__ == "__main__":
    main()
