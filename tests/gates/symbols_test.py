"""tools/check_symbols.py refuses a pure archive that reaches the world, also through an inline function of a header."""
import os
import subprocess

from specimen import GateTest, main

MAP = "wb_map(core pure USES)\nwb_map(world io USES core)\n"
INNOCENT = """#include <cmath>
#include <string>
#include <vector>
const std::string& name() { static const std::string text = "guarded"; return text; }
double root(double x) { return std::sqrt(x) + std::stod("1.5"); }
std::vector<int> many(int n) { return std::vector<int>(static_cast<size_t>(n)); }
"""
PLANTED = {
    "clock": ("clock", "#include <chrono>\nlong f() { return std::chrono::system_clock::now().time_since_epoch().count(); }"),
    "steady clock": ("clock", "#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }"),
    "time": ("clock", "#include <ctime>\nlong f() { return time(nullptr); }"),
    "clock_gettime": ("clock", "#include <ctime>\nint f(timespec* t) { return clock_gettime(CLOCK_MONOTONIC, t); }"),
    "rand": ("entropy", "#include <cstdlib>\nint f() { return rand(); }"),
    "random_device": ("entropy", "#include <random>\nunsigned f() { return std::random_device{}(); }"),
    "getrandom": ("entropy", "#include <sys/random.h>\nlong f(void* p) { return getrandom(p, 8, 0); }"),
    "thread": ("thread", "#include <thread>\nvoid f() { std::thread([] {}).join(); }"),
    "mutex": ("thread", "#include <mutex>\nstd::mutex m;\nvoid f() { std::lock_guard<std::mutex> hold(m); }"),
    "open": ("file", "#include <fcntl.h>\nint f() { return open(\"x\", O_RDONLY); }"),
    "fopen": ("file", "#include <cstdio>\nvoid* f() { return fopen(\"x\", \"r\"); }"),
    "ifstream": ("file", "#include <fstream>\nint f() { std::ifstream in(\"x\"); return in.get(); }"),
    "filesystem": ("file", "#include <filesystem>\nbool f() { return std::filesystem::exists(\"x\"); }"),
    "socket": ("socket", "#include <sys/socket.h>\nint f() { return socket(AF_INET, SOCK_STREAM, 0); }"),
    "getenv": ("environment", "#include <cstdlib>\nconst char* f() { return getenv(\"HOME\"); }"),
    "cout": ("stream", "#include <iostream>\nvoid f() { std::cout << 1; }"),
    "printf": ("stream", "#include <cstdio>\nvoid f(int n) { printf(\"%d\", n); }"),
    "stderr": ("stream", "#include <cstdio>\nvoid f() { fputs(\"x\", stderr); }"),
}


class SymbolsTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("modules.cmake", MAP)
        self.write("src/core/CMakeLists.txt", "")

    def archive(self, name, code):
        folder = self.root / "build/src" / name
        folder.mkdir(parents=True, exist_ok=True)
        source = self.write(f"{name}.cpp", code)
        archive = folder / f"libwb_{name}.a"
        archive.unlink(missing_ok=True)
        subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-c", source, "-o", folder / "a.o"], check=True)
        subprocess.run(["ar", "rcs", archive, folder / "a.o"], check=True)

    def check(self):
        return self.tool("check_symbols.py", self.root / "build", self.root)

    def test_innocent_archive(self):
        self.archive("core", INNOCENT)
        self.archive("world", "#include <ctime>\nlong f() { return time(nullptr); }")  # io may
        result = self.check()
        self.assert_green(result)
        self.assertIn("1 pure archives, 0 refused", result[1])

    def test_each_planted_call(self):
        for name, (what, code) in PLANTED.items():
            with self.subTest(name):
                self.archive("core", code)
                self.assert_red(self.check(), f"({what}); pure code may not")

    def test_missing_archive_is_not_success(self):
        self.assert_red(self.check(), "is not built")


if __name__ == "__main__":
    main()
