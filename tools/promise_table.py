"""Writes where each promise is checked into docs/operations/promises.md. usage: promise_table.py [--check] [ROOT]

A check names its promise in a comment ("// Q3 Q4", "// U1–U5"); this collects the files that do. An id that the page does
not know is refused, so that a misspelt id does not count for nothing. Which planted bugs the simulator's checkers saw is taken
from docs/operations/planted-bugs.md.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import planted_table  # noqa: E402

_ROW = re.compile(r"^\| ([A-Z]\d) \| (.+?) \| (.*)\|$")
_ID = re.compile(r"\b([QSRUFKITHLB])(\d)(?:\s*(?:–|-|\.\.)\s*\1(\d))?\b")
_COMMENT = re.compile(r"(?:^|\s)(?://|#)(.*)$")


def ids_in(text: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        comment = _COMMENT.search(line)
        if comment:
            for letter, first, last in _ID.findall(comment.group(1)):
                found.update(f"{letter}{n}" for n in range(int(first), int(last or first) + 1))
    return found


def checks(root: pathlib.Path) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    files = [p for p in (root / "src").rglob("*") if p.suffix in (".cpp", ".h")]
    files = [p for p in files if p.stem.endswith("_test") or p.stem.startswith("test_") or p.relative_to(root).parts[1] == "sim"]
    files += [p for p in (root / "tests").rglob("*") if p.is_file() and p.suffix not in (".md", ".pyc") and "gates" not in p.parts]
    for path in sorted(files):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for promise in ids_in(text):
            places.setdefault(promise, []).append(path.relative_to(root).as_posix())
    return places


CAUGHT_BEGIN = "<!-- what the checks caught: written by script/map from the page of planted bugs -->"
CAUGHT_END = "<!-- end of what the checks caught -->"


def caught(root: pathlib.Path, text: str, promises: list[str]) -> str:
    """The page with its second table: promise → planted bugs that were seen to break it."""
    head, begin, rest = text.partition(CAUGHT_BEGIN)
    _, end, tail = rest.partition(CAUGHT_END)
    if not begin or not end:
        return text
    by: dict[str, list[str]] = {}
    for name, row in planted_table.read_page(root).items():
        for promise in row.seen:
            by.setdefault(promise, []).append(f"`{name}`")
    lines = [f"| {promise} | {', '.join(by[promise])} |" for promise in promises if promise in by]
    none = ", ".join(promise for promise in promises if promise not in by)
    table = "\n".join(["| id | planted bugs that the simulator saw |", "| --- | --- |", *lines])
    return f"{head}{CAUGHT_BEGIN}\n{table}\n\nNo bug is planted for {none}; what checks them stands in the first table.\n{CAUGHT_END}{tail}"


def fresh_page(root: pathlib.Path, text: str) -> str:
    places = checks(root)
    lines = []
    known = set()
    for line in text.splitlines():
        row = _ROW.match(line)
        if row:
            known.add(row.group(1))
            where = ", ".join(f"`{place}`" for place in places.get(row.group(1), [])) or "not yet"
            line = f"| {row.group(1)} | {row.group(2)} | {where} |"
        lines.append(line)
    unknown = {promise: where for promise, where in places.items() if promise not in known}
    if unknown:
        raise SystemExit("promises: no row in docs/operations/promises.md for "
                         + "; ".join(f"{promise} ({', '.join(where)})" for promise, where in sorted(unknown.items())))
    return caught(root, "\n".join(lines) + "\n", list(dict.fromkeys(m.group(1) for m in map(_ROW.match, lines) if m)))


def main() -> None:
    words = sys.argv[1:]
    roots = [word for word in words if word != "--check"]
    root = pathlib.Path(roots[0]) if roots else pathlib.Path(__file__).resolve().parent.parent
    page = root / "docs/operations/promises.md"
    text = page.read_text()
    fresh = fresh_page(root, text)
    if fresh == text:
        print("promises: the table is up to date")
    elif "--check" in words:
        raise SystemExit("promises: docs/operations/promises.md is stale. Run script/map and commit the result.")
    else:
        page.write_text(fresh)
        print("promises: wrote where each promise is checked")


if __name__ == "__main__":
    main()
