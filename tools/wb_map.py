"""Reads modules.cmake, the map of the tree, for the tools that keep it: one Module for each wb_map() line, in order."""
import pathlib
import re
from dataclasses import dataclass, field

_LINE = re.compile(r"wb_map\(\s*([\w/]+)\s+(\w+)([^)]*)\)")
_KEYS = ("USES", "THIRD", "DOORS")


@dataclass
class Module:
    name: str
    kind: str  # pure or io
    uses: list[str] = field(default_factory=list)
    third: list[str] = field(default_factory=list)
    doors: list[str] = field(default_factory=list)  # extra doors; "*" = every header

    @property
    def door(self) -> str:
        return f"{self.name}/{self.name.rsplit('/', 1)[-1]}.h"

    def is_door(self, header: str) -> bool:
        if header == self.door or "*" in self.doors:
            return True
        return header in (f"{self.name}/{extra}" for extra in self.doors)


def read_map(root: pathlib.Path) -> dict[str, Module]:
    path = root / "modules.cmake"
    text = re.sub(r"#.*", "", path.read_text())
    modules: dict[str, Module] = {}
    for name, kind, rest in _LINE.findall(text):
        module = Module(name, kind)
        lists = {"USES": module.uses, "THIRD": module.third, "DOORS": module.doors}
        current = None
        for word in rest.split():
            if word in _KEYS:
                current = lists[word]
            elif current is None:
                raise SystemExit(f"{path}: {name}: expected one of {', '.join(_KEYS)}, found {word}")
            else:
                current.append(word)
        modules[name] = module
    if not modules:
        raise SystemExit(f"{path}: no wb_map() line found; the gates need the map")
    return modules


def module_of(modules: dict[str, Module], path: str) -> Module | None:
    """The module that a path below src/ (or an include like "edge/outbox/outbox.h") belongs to: the longest match."""
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        name = "/".join(parts[:length])
        if name in modules:
            return modules[name]
    return None


def is_test_file(path: str) -> bool:
    """x_test.cpp, and the helpers test_x.h and test_x.cpp that only tests include."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return stem.endswith("_test") or stem.startswith("test_")
