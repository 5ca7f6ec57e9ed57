"""tools/check_includes.py refuses what modules.cmake does not allow, and only that."""
from specimen import GateTest, main

MAP = """wb_map(base        pure USES       THIRD openssl DOORS *)
wb_map(edge/outbox pure USES base)
wb_map(edge/agent  pure USES base edge/outbox DOORS pipeline.h)
wb_map(hub/api     pure USES base             THIRD protobuf)
wb_map(world       io   USES base  THIRD sqlite)
wb_map(apps        io   USES base edge/agent world)
"""


class IncludesTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("modules.cmake", MAP)
        self.write("src/base/bytes.h", "#include <vector>\n")
        self.write("src/base/checksum.cpp", "#include <openssl/evp.h>\n")
        self.write("src/edge/outbox/outbox.h", '#include "base/bytes.h"\n')
        self.write("src/edge/outbox/rows.h", '#include "base/bytes.h"\n')
        self.write("src/edge/outbox/outbox_test.cpp", '#include <gtest/gtest.h>\n#include <fstream>\n#include "edge/outbox/rows.h"\n')
        self.write("src/edge/agent/agent.cpp", '#include "edge/outbox/outbox.h"\n')
        self.write("src/hub/api/hub.cpp", '#include "waybill.pb.h"\n#include "hub.pb.h"\n')
        self.write("src/world/disk.cpp", "#include <sqlite3.h>\n#include <sys/stat.h>\n#include <thread>\n")
        self.write("src/apps/main.cpp", '#include "edge/agent/pipeline.h"\n')

    def check(self):
        return self.tool("check_includes.py", self.root)

    def planted(self, path, line):
        self.write(path, line + "\n")
        return self.check()

    def test_innocent_tree(self):
        result = self.check()
        self.assert_green(result)
        self.assertIn("9 files, 0 refused", result[1])

    def test_module_that_the_line_does_not_name(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", '#include "edge/agent/agent.h"'),
                        "src/edge/outbox/a.cpp:1: edge/outbox may not use edge/agent")

    def test_private_header(self):
        self.assert_red(self.planted("src/edge/agent/a.cpp", '#include "edge/outbox/rows.h"'),
                        "edge/outbox/rows.h is private to edge/outbox; its door is edge/outbox/outbox.h")

    def test_library_that_the_line_does_not_name(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", "#include <sqlite3.h>"), "edge/outbox may not use sqlite")

    def test_test_framework_outside_a_test(self):
        self.assert_red(self.planted("src/world/a.cpp", "#include <gtest/gtest.h>"), "gtest is for tests only")

    def test_test_helper_outside_a_test(self):
        self.write("src/edge/outbox/test_disk.h", "#include <gtest/gtest.h>\n")
        self.assert_green(self.planted("src/edge/outbox/a_test.cpp", '#include "edge/outbox/test_disk.h"'))
        self.assert_red(self.planted("src/edge/outbox/a.cpp", '#include "edge/outbox/test_disk.h"'), "is a helper of tests")

    def test_clock_in_a_pure_module(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", "#  include <chrono>"), "edge/outbox is pure: <chrono> brings a clock")

    def test_file_in_a_pure_module(self):
        self.assert_red(self.planted("src/edge/outbox/a.h", "#include <unistd.h>"), "edge/outbox is pure: <unistd.h>")

    def test_unknown_library(self):
        self.assert_red(self.planted("src/world/a.cpp", "#include <curl/curl.h>"), "<curl/curl.h> is no library the project knows")

    def test_path_that_is_not_from_src(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", '#include "outbox.h"'), "not a path from src/")

    def test_hub_rows_on_the_edge(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", '#include "hub.pb.h"'), "hub.pb.h is private to the hub's modules")

    def test_wire_types_without_protobuf(self):
        self.assert_red(self.planted("src/edge/outbox/a.cpp", '#include "waybill.pb.h"'), "no THIRD protobuf")

    def test_source_of_no_module(self):
        self.assert_red(self.planted("src/stray/a.cpp", ""), "src/stray/a.cpp: belongs to no module")

    def test_empty_tree_is_not_success(self):
        self.assert_red(self.tool("check_includes.py", self.write("other/modules.cmake", MAP).parent), "nothing was checked")


if __name__ == "__main__":
    main()
