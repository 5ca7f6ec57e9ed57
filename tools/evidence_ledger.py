"""The ledger of what was run: docs/operations/evidence.json, one run a line, and the tables that script/map writes from it.

A run is what one checking program did: when, at which commit, how much, how often it decided each promise, and how many
violations it saw. Only tools/evidence adds runs, from files that the programs wrote themselves.
"""
import datetime
import json
import pathlib

LEDGER = "docs/operations/evidence.json"
# Program → the column of the table that it counts in.
COLUMNS = {"waybill sim": "simulator", "wb_crash_points": "crash points", "kill tests": "real faults", "tools/fuzz": "fuzzing",
           "ctest": "tests"}
FIELDS = {"program": str, "what": str, "finished_unix_s": int, "seconds": int, "violations": int, "sizes": dict, "decided": dict}


def read(root: pathlib.Path) -> list[dict]:
    path = root / LEDGER
    return json.loads(path.read_text()) if path.exists() else []


def write(root: pathlib.Path, runs: list[dict]) -> None:
    runs = sorted(runs, key=lambda run: (run["finished_unix_s"], run["program"], run["what"]))
    (root / LEDGER).write_text("[\n" + ",\n".join(json.dumps(run) for run in runs) + "\n]\n")


def fault_of(run: dict, promises: list[str]) -> str:
    """Why this is no run of a checking program; "" if it is one."""
    for field, kind in FIELDS.items():
        if not isinstance(run.get(field), kind):
            return f"has no {field}"
    if run["program"] not in COLUMNS:
        return f"is of an unknown program, {run['program']}; known are {', '.join(COLUMNS)}"
    unknown = [promise for promise in run["decided"] if promise not in promises]
    if unknown:
        return f"decides {', '.join(unknown)}, which docs/operations/promises.md does not know"
    return ""


def same(one: dict, other: dict) -> bool:
    return all(one[field] == other[field] for field in ("program", "what", "finished_unix_s"))


def decided(runs: list[dict]) -> dict[str, dict[str, int]]:
    """Promise → column → how often it was decided."""
    out: dict[str, dict[str, int]] = {}
    for run in runs:
        column = COLUMNS[run["program"]]
        for promise, times in run["decided"].items():
            of = out.setdefault(promise, {})
            of[column] = of.get(column, 0) + times
    return out


def amounts(sizes: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {unit.replace('_', ' ').replace('device hours', 'device-hours')}" for unit, count in sizes.items())


def totals(runs: list[dict]) -> str:
    """One sentence per column: how much in all, and how much of it was broken."""
    lines = []
    for program, column in COLUMNS.items():
        mine = [run for run in runs if run["program"] == program]
        if not mine:
            continue
        sizes: dict[str, int] = {}
        for run in mine:
            for unit, count in run["sizes"].items():
                sizes[unit] = sizes.get(unit, 0) + count
        lines.append(f"- {column}: {amounts(sizes)}; {sum(run['violations'] for run in mine):,} violations")
    return "\n".join(lines)


def runs_table(runs: list[dict]) -> str:
    rows = ["| date | commit | program | what | how much | outcome |", "| --- | --- | --- | --- | --- | --- |"]
    for run in runs:
        date = datetime.datetime.fromtimestamp(run["finished_unix_s"], datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
        outcome = "held" if run["violations"] == 0 else f"**{run['violations']:,} violations**"
        rows.append(f"| {date} | {run['commit']} | {run['program']} | {run['what']} | {amounts(run['sizes'])} | {outcome} |")
    return "\n".join(rows)
