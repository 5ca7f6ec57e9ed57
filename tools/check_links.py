#!/usr/bin/env python3
"""Gate: every relative link in a Markdown page leads to something, its #heading included. usage: check_links.py [ROOT]

Pages under build/ and hidden folders are not ours. Links with a scheme (https:, mailto:) are not followed: a gate must not
depend on the network.
"""
import pathlib
import re
import sys
import urllib.parse

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)>\s]+)>?[^)]*\)")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:")


def anchors_of(page: pathlib.Path) -> set[str]:
    headings = re.findall(r"^#+\s+(.*?)\s*$", _FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults_of(root: pathlib.Path, page: pathlib.Path) -> tuple[int, list[str]]:
    text = _FENCE.sub(lambda block: "\n" * block.group().count("\n"), page.read_text())
    faults = []
    links_count = 0
    for number, line in enumerate(text.splitlines(), 1):
        for target in _LINK.findall(line):
            if _SCHEME.match(target):
                continue
            links_count += 1
            path, _, anchor = urllib.parse.unquote(target).partition("#")
            found = (page.parent / path).resolve() if path else page
            place = f"{page.relative_to(root)}:{number}"
            if not found.exists() or root not in (found, *found.parents):
                faults.append(f"{place}: {target} leads nowhere in this tree")
            elif anchor and found.suffix == ".md" and anchor not in anchors_of(found):
                faults.append(f"{place}: {found.relative_to(root)} has no heading '#{anchor}'")
    return links_count, faults


def main() -> None:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent).resolve()
    links_count = 0
    faults: list[str] = []
    pages = [page for page in sorted(root.rglob("*.md"))
             if not any(part == "build" or part.startswith(".") for part in page.relative_to(root).parts)]
    if not pages:
        raise SystemExit(f"check_links: no page under {root}; nothing was checked")
    for page in pages:
        count, found = faults_of(root, page)
        links_count += count
        faults += found
    for line in faults:
        print(line, file=sys.stderr)
    print(f"check_links: {len(pages)} pages, {links_count} links, {len(faults)} refused")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
