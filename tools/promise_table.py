"""Writes where each promise is checked into docs/operations/promises.md. usage: promise_table.py [--check] [ROOT]

A check names its promise in a comment ("// Q3 Q4", "// U1–U5"); this collects the files that do. An id that the page does
not know is refused, so that a misspelt id does not count for nothing. How often each was decided comes from the ledger
(tools/evidence_ledger.py), which planted bugs its checks saw from planted-bugs.md, and what they found from found.md.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import evidence_ledger  # noqa: E402
import planted_table  # noqa: E402

PAGE = "docs/operations/promises.md"
FOUND = "docs/operations/found.md"
BEGIN = "<!-- evidence: written by script/map from evidence.json, planted-bugs.md and found.md -->"
END = "<!-- end of evidence -->"

_ROW = re.compile(r"^\| ([A-Z]\d) \| (.+?) \| (.*)\|$")
_ID = re.compile(r"\b([QSWRUFKITHLB])(\d)(?:\s*(?:–|-|\.\.)\s*\1(\d))?\b")
_FOUND = re.compile(r"^\| ((?:[A-Z]\d ?)+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
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


def known(root: pathlib.Path) -> list[str]:
    """The ids of the page, in its order."""
    lines = (root / PAGE).read_text().partition(BEGIN)[0].splitlines()
    return [row.group(1) for row in map(_ROW.match, lines) if row]


def found_by_id(root: pathlib.Path, promises: list[str]) -> dict[str, int]:
    """How many mistakes of FOUND broke each promise."""
    out: dict[str, int] = {}
    for ids, *_ in _FOUND.findall((root / FOUND).read_text()):
        for promise in ids.split():
            if promise not in promises:
                raise SystemExit(f"promises: {FOUND} names {promise}, which {PAGE} does not know")
            out[promise] = out.get(promise, 0) + 1
    return out


def evidence(root: pathlib.Path, promises: list[str]) -> str:
    """The generated part: how often each promise was decided, what that caught, and the runs."""
    planted: dict[str, list[str]] = {}
    for name, row in planted_table.read_page(root).items():
        for promise in row.seen:
            planted.setdefault(promise, []).append(f"`{name}`")
    runs = evidence_ledger.read(root)
    times = evidence_ledger.decided(runs)
    found = found_by_id(root, promises)
    columns = list(evidence_ledger.COLUMNS.values())
    lines = [f"| id | {' | '.join(columns)} | mistakes found | planted bugs seen |", "| --- |" + " ---: |" * (len(columns) + 1) + " --- |"]
    for promise in promises:
        counts = [f"{times[promise][column]:,}" if times.get(promise, {}).get(column) else "–" for column in columns]
        lines.append(f"| {promise} | {' | '.join(counts)} | {found.get(promise, '–')} | {', '.join(planted.get(promise, [])) or '–'} |")
    none = ", ".join(promise for promise in promises if promise not in planted)
    missing = f"No bug is planted for {none}; what checks them stands in the first table.\n\n" if none else ""
    return "\n".join(lines) + f"\n\n{missing}In all:\n\n{evidence_ledger.totals(runs)}\n\n{evidence_ledger.runs_table(runs)}"


def fresh_page(root: pathlib.Path, text: str) -> str:
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"promises: {PAGE} has lost the marks around its generated part: {BEGIN} and {END}")
    promises, places, lines = known(root), checks(root), []
    for line in head.splitlines():
        if row := _ROW.match(line):
            where = ", ".join(f"`{place}`" for place in places.get(row.group(1), [])) or "not yet"
            line = f"| {row.group(1)} | {row.group(2)} | {where} |"
        lines.append(line)
    unknown = {promise: where for promise, where in places.items() if promise not in promises}
    if unknown:
        raise SystemExit(f"promises: no row in {PAGE} for "
                         + "; ".join(f"{promise} ({', '.join(where)})" for promise, where in sorted(unknown.items())))
    return "\n".join([*lines, BEGIN, evidence(root, promises), END]) + tail


def main() -> None:
    words = sys.argv[1:]
    roots = [word for word in words if word != "--check"]
    root = pathlib.Path(roots[0]) if roots else pathlib.Path(__file__).resolve().parent.parent
    page = root / PAGE
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
