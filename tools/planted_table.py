"""The planted bugs of src/base/planted.h and the page that says who saw them. usage: planted_table.py [--check] [ROOT]

--check: fails if the table of the page and that of the header name different bugs, if a bug is planted nowhere, or if a
story, a place, a check or a promise in the page is not the header's any more. Nothing is built or run: that is tools/planted.
"""
import dataclasses
import pathlib
import re
import sys

HEADER = "src/base/planted.h"
PAGE = "docs/operations/planted-bugs.md"
BEGIN = "<!-- planted table: written by tools/planted -->"
END = "<!-- end of planted table -->"
_BUG = re.compile(r'BUG\((k\w+),\s*"([a-z0-9-]+)",\s*"([A-Z0-9 ]+)",\s*"([^"]+)"(?:,\s*"([^"]+)")?\)')
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \| (.+?) \| (?:seed (\d+)|`(.+)`) \|$", re.MULTILINE)


@dataclasses.dataclass
class Bug:
    enumerator: str
    name: str
    promises: list[str]
    story: str
    places: list[str]
    check: str = ""  # who must see it; "" = the simulator

    def row(self, seen: list[str], seed: int) -> str:
        where = ", ".join(f"`{place}`" for place in self.places)
        return f"| `{self.name}` | {self.story} | {where} | {' '.join(seen)} | {f'`{self.check}`' if self.check else f'seed {seed}'} |"


@dataclasses.dataclass
class Row:
    story: str
    places: str
    seen: list[str]
    seed: int
    check: str = ""


def read_bugs(root: pathlib.Path) -> list[Bug]:
    text = re.sub(r"\\\n\s*", "", (root / HEADER).read_text())
    sources = {path.relative_to(root).as_posix(): path.read_text()
               for path in sorted((root / "src").rglob("*.cpp")) if not path.stem.endswith("_test")}
    bugs = []
    for enumerator, name, promises, story, check in _BUG.findall(text):
        planted = re.compile(rf"\bplanted\(Bug::{enumerator}\)")
        bugs.append(Bug(enumerator, name, promises.split(), story,
                        [place for place, source in sources.items() if planted.search(source)], check))
    return bugs


def read_page(root: pathlib.Path) -> dict[str, Row]:
    return {name: Row(story, places, seen.split(), int(seed or 0), check)
            for name, story, places, seen, seed, check in _ROW.findall((root / PAGE).read_text())}


def write_page(root: pathlib.Path, rows: list[str]) -> None:
    page = root / PAGE
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    table = ["| bug | what is wrong | where | seen as a break of | by |", "| --- | --- | --- | --- | --- |", *rows]
    page.write_text(head + BEGIN + "\n" + "\n".join(table) + "\n" + END + tail)


def faults(root: pathlib.Path) -> list[str]:
    bugs = read_bugs(root)
    page = read_page(root)
    found = []
    if not bugs:
        found.append(f"{HEADER}: no bug was found; nothing was checked")
    for bug in bugs:
        if not bug.places:
            found.append(f"{HEADER}: {bug.name} is planted nowhere: no source says planted(Bug::{bug.enumerator})")
        row = page.get(bug.name)
        if row is None:
            found.append(f"{PAGE}: {bug.name} is missing. Run tools/planted {bug.name}")
        elif row.story != bug.story or row.places != ", ".join(f"`{place}`" for place in bug.places) or row.check != bug.check:
            found.append(f"{PAGE}: {bug.name} has another story, place or check now. Run tools/planted {bug.name}")
        elif not set(row.seen) & set(bug.promises):
            found.append(f"{PAGE}: {bug.name} must break {' or '.join(bug.promises)}, the page says {' '.join(row.seen)}."
                         f" Run tools/planted {bug.name}")
    names = [bug.name for bug in bugs]
    found += [f"{HEADER}: {name} stands there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found += [f"{PAGE}: {name} is no bug of {HEADER} any more; remove its row" for name in page if name not in names]
    return found


def main() -> None:
    roots = [word for word in sys.argv[1:] if word != "--check"]
    root = pathlib.Path(roots[0]) if roots else pathlib.Path(__file__).resolve().parent.parent
    found = faults(root)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        raise SystemExit(1)
    print(f"planted: the page knows all {len(read_bugs(root))} bugs")


if __name__ == "__main__":
    main()
