#!/usr/bin/env python3
"""Gate: every #include is one that modules.cmake allows. usage: check_includes.py [ROOT]

- A project header of another module: that module stands in USES, and the header is its door (or one of its DOORS).
- A third-party header: its library stands in THIRD. A test (x_test.cpp, test_x.h) may
  include any library, but no other module.
- A pure module: standard headers that bring no clock, entropy, file, thread or stream.
- A header that is neither ours, standard nor a listed library is refused: add it to the tables below on purpose.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wb_map import Module, is_test_file, module_of, read_map  # noqa: E402

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# library → what its headers start with (a trailing slash) or are named
THIRD = {
    "openssl": ("openssl/",),
    "protobuf": ("google/protobuf/",),
    "zstd": ("zstd.h", "zstd_errors.h", "zdict.h"),
    "boost": ("boost/",),
    "sqlite": ("sqlite3.h",),
    "yaml": ("yaml-cpp/",),
    "mosquitto": ("mosquitto.h", "mqtt_protocol.h"),
    "simdjson": ("simdjson.h",),
    "highway": ("hwy/",),
    "muparser": ("muParserDLL.h", "muParser.h", "muParserDef.h"),
    "spdlog": ("spdlog/", "fmt/"),
    "cli11": ("CLI/",),
    "json": ("nlohmann/",),
    "xgboost": ("xgboost/",),
    "nanobind": ("nanobind/",),
    "gtest": ("gtest/", "gmock/"),
    "benchmark": ("benchmark/",),
}
TEST_ONLY = ("gtest", "benchmark")

# Generated from api/proto. The wire's types are for whoever says THIRD protobuf; the hub's rows are the hub's own.
WIRE_TYPES = "waybill.pb.h"
HUB_TYPES = "hub.pb.h"

# What a pure module may take from the standard library: values, containers, algorithms, integer and float arithmetic.
PURE_STANDARD = set(
    """algorithm any array bit bitset cassert cctype cerrno cfloat charconv cinttypes climits cmath compare concepts
    cstddef cstdint cstdlib cstring deque exception functional initializer_list iterator limits list map memory new
    numbers numeric optional queue ranges set span stack stdexcept string string_view tuple type_traits typeindex
    unordered_map unordered_set utility variant vector version cstdio""".split()
)
# Formatting into strings only: what would reach a stream or a file is refused by check_symbols.
IO_STANDARD = PURE_STANDARD | set(
    """atomic barrier bit chrono codecvt condition_variable csignal ctime execution filesystem fstream future iomanip
    ios iosfwd iostream istream latch locale memory_resource mutex ostream random ratio regex semaphore shared_mutex
    sstream stop_token streambuf thread system_error typeinfo csetjmp cstdarg clocale cwchar""".split()
)
POSIX = re.compile(r"^(sys|netinet|arpa|net|linux)/[\w.]+$")
POSIX_NAMES = set(
    """dirent.h dlfcn.h errno.h fcntl.h fnmatch.h glob.h grp.h ifaddrs.h limits.h malloc.h netdb.h poll.h pthread.h
    pwd.h sched.h signal.h spawn.h stddef.h stdint.h stdio.h stdlib.h string.h syslog.h termios.h time.h unistd.h utime.h""".split()
)


def library_of(header: str) -> str | None:
    for library, names in THIRD.items():
        if any(header.startswith(n) if n.endswith("/") else header == n for n in names):
            return library
    return None


def fault_of(modules, module: Module | None, is_test: bool, quote: str, header: str) -> str | None:
    """Why this include is refused, or None. `module` is None for code outside src/ (tests, bench, fuzz): it may use all."""
    if quote == '"':
        if header == WIRE_TYPES:
            if module is None or "protobuf" in module.third:
                return None
            return f"{module.name} includes wire types, but its line in modules.cmake has no THIRD protobuf"
        if header == HUB_TYPES:
            if module is None or module.name.startswith("hub/"):
                return None
            return f"{HUB_TYPES} is private to the hub's modules; what both sides share is in {WIRE_TYPES}"
        other = module_of(modules, header)
        if module is None and header.startswith(("bench/", "fuzz/", "tests/")):
            return None  # a header that benches, fuzz targets or tests share among themselves
        if other is None:
            return "not a path from src/ into a module of modules.cmake; write \"module/file.h\""
        if module is None:
            return None
        if is_test_file(header) and not is_test:
            return f"{header} is a helper of tests; what the product needs belongs elsewhere"
        if other is module:
            return None
        if other.name not in module.uses:
            return f"{module.name} may not use {other.name}; its line in modules.cmake allows: {' '.join(module.uses) or 'nothing'}"
        if not other.is_door(header):
            return f"{header} is private to {other.name}; its door is {other.door}"
        return None
    library = library_of(header)
    if library is not None:
        if module is None or is_test:
            return None
        if library in TEST_ONLY:
            return f"{library} is for tests only"
        if library not in module.third:
            return f"{module.name} may not use {library}; its line in modules.cmake allows: {' '.join(module.third) or 'none'}"
        return None
    pure = module is not None and module.kind == "pure" and not is_test
    if header in (PURE_STANDARD if pure else IO_STANDARD):
        return None
    if not pure and (POSIX.match(header) or header in POSIX_NAMES):
        return None
    if pure and (header in IO_STANDARD or POSIX.match(header) or header in POSIX_NAMES):
        return f"{module.name} is pure: <{header}> brings a clock, entropy, a file, a thread or a stream; that belongs in world"
    return f"<{header}> is no library the project knows; if it is meant, add it to tools/check_includes.py and docs/decisions"


def check(root: pathlib.Path) -> tuple[int, list[str]]:
    modules = read_map(root)
    faults: list[str] = []
    files_count = 0
    for folder in ("src", "tests", "bench", "fuzz"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".cpp", ".h") or "gates" in path.relative_to(root).parts:
                continue
            files_count += 1
            relative = path.relative_to(root).as_posix()
            module = None
            if folder == "src":
                module = module_of(modules, path.relative_to(root / "src").as_posix())
                if module is None:
                    faults.append(f"{relative}: belongs to no module of modules.cmake")
                    continue
            is_test = module is None or is_test_file(relative)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = _INCLUDE.match(line)
                if found:
                    fault = fault_of(modules, module, is_test, *found.groups())
                    if fault:
                        faults.append(f"{relative}:{number}: {fault}")
    return files_count, faults


def main() -> None:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    files_count, faults = check(root)
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    if files_count == 0:
        raise SystemExit(f"check_includes: no source under {root}; nothing was checked")
    print(f"check_includes: {files_count} files, {len(faults)} refused")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
