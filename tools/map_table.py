"""Generates the module table between two markers of ARCHITECTURE.md from modules.cmake. usage: map_table.py [--check] [ROOT]"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wb_map import read_map  # noqa: E402

BEGIN = "<!-- module table: written by script/map from modules.cmake -->"
END = "<!-- end of module table -->"


def table(root: pathlib.Path) -> str:
    rows = ["| module | kind | door | may use | libraries |", "| --- | --- | --- | --- | --- |"]
    for module in read_map(root).values():
        door = f"`{module.door}`"
        if module.doors == ["*"]:
            door = "every header"
        elif module.doors:
            extras = [f"`{module.name}/{extra}`" for extra in module.doors]
            door = ", ".join(([door] if (root / "src" / module.door).exists() else []) + extras)
        elif module.name in ("apps", "python"):
            door = "–"  # what others start or import, not include
        rows.append(f"| {module.name} | {module.kind} | {door} | {', '.join(module.uses) or '–'} | {', '.join(module.third) or '–'} |")
    return "\n".join(rows)


def main() -> None:
    words = sys.argv[1:]
    checking = "--check" in words
    roots = [word for word in words if word != "--check"]
    root = pathlib.Path(roots[0]) if roots else pathlib.Path(__file__).resolve().parent.parent
    page = root / "ARCHITECTURE.md"
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{page}: needs one line '{BEGIN}' and one line '{END}'; put them back where the table belongs")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    fresh = f"{head}{BEGIN}\n{table(root)}\n{END}{tail}"
    if fresh == text:
        print("map: the table in ARCHITECTURE.md is up to date")
    elif checking:
        raise SystemExit("map: the table in ARCHITECTURE.md is stale. Run script/map and commit the result.")
    else:
        page.write_text(fresh)
        print("map: wrote the table into ARCHITECTURE.md")


if __name__ == "__main__":
    main()
