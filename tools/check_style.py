#!/usr/bin/env python3
"""Gate: the rules of STYLE.md that a line counter can keep. usage: check_style.py [ROOT]

Sizes (a source stops at 800 lines and warns at 500, a header stops at 300), `#pragma once`, a head comment that tells
the idea, no shared_ptr in pure modules, and no tabs or trailing blanks.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wb_map import is_test_file, module_of, read_map  # noqa: E402

SOURCE_LINES_MAX = 800
SOURCE_LINES_WARN = 500
HEADER_LINES_MAX = 300
_SHARED = re.compile(r"\b(shared_ptr|make_shared|weak_ptr)\b")


def faults_of(relative: str, text: str, pure: bool) -> tuple[list[str], list[str]]:
    lines = text.splitlines()
    faults: list[str] = []
    warnings: list[str] = []
    is_header = relative.endswith(".h")
    maximum = HEADER_LINES_MAX if is_header else SOURCE_LINES_MAX
    if len(lines) > maximum:
        faults.append(f"{relative}: {len(lines)} lines; a {'header' if is_header else 'source'} stops at {maximum}. Split it by story.")
    elif len(lines) > SOURCE_LINES_WARN:
        warnings.append(f"{relative}: {len(lines)} lines; consider splitting it before {SOURCE_LINES_MAX}")
    if is_header:
        if not lines or lines[0] != "#pragma once":
            faults.append(f"{relative}:1: a header starts with #pragma once")
        if len(lines) < 2 or not lines[1].startswith("//"):
            faults.append(f"{relative}:2: a header's second line starts the comment that tells a stranger the idea")
    for number, line in enumerate(lines, 1):
        if "\t" in line or line != line.rstrip():
            faults.append(f"{relative}:{number}: tab or trailing blank")
        if pure and _SHARED.search(line.split("//")[0]):
            faults.append(f"{relative}:{number}: shared_ptr is banned in pure modules; own by value or unique_ptr")
    return faults, warnings


def main() -> None:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    modules = read_map(root)
    faults: list[str] = []
    warnings: list[str] = []
    files_count = 0
    for folder in ("src", "tests", "bench", "fuzz"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".cpp", ".h"):
                continue
            files_count += 1
            relative = path.relative_to(root).as_posix()
            module = module_of(modules, path.relative_to(root / "src").as_posix()) if folder == "src" else None
            pure = module is not None and module.kind == "pure" and not is_test_file(relative)
            found, warned = faults_of(relative, path.read_text(), pure)
            faults += found
            warnings += warned
    for line in [f"warning: {w}" for w in warnings] + faults:
        print(line, file=sys.stderr)
    if files_count == 0:
        raise SystemExit(f"check_style: no source under {root}; nothing was checked")
    print(f"check_style: {files_count} files, {len(warnings)} warned, {len(faults)} refused")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
