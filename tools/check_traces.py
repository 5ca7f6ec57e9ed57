#!/usr/bin/env python3
"""Gate: programs that were built from the same sources leave the same trace. usage: check_traces.py PROGRAM... -- ARGUMENTS

Runs each program with the same arguments, as many at a time as there are cores, and compares the trace hashes it prints:
every word of 16 or more hex digits on a line that says "trace". A run that fails, or prints no hash, is a failure: no data
is never a verdict.
"""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

_HASH = re.compile(r"\b[0-9a-f]{16,64}\b")


def traces(program: str, arguments: list[str]) -> list[str]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program} {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = [word for line in done.stdout.splitlines() if "trace" in line for word in _HASH.findall(line)]
    if not found:
        raise SystemExit(f"{program} {' '.join(arguments)}: printed no trace hash; there is nothing to compare\n{done.stdout[-2000:]}")
    return found


def main() -> None:
    words = sys.argv[1:]
    if "--" not in words or words.index("--") < 2:
        raise SystemExit(__doc__)
    programs, arguments = words[: words.index("--")], words[words.index("--") + 1 :]
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        found = list(cores.map(lambda program: traces(program, arguments), programs))
    first = found[0]
    for program, other in zip(programs[1:], found[1:]):
        if other != first:
            at = next((i for i, (a, b) in enumerate(zip(first, other)) if a != b), min(len(first), len(other)))
            raise SystemExit(f"check_traces: {programs[0]} and {program} differ from hash {at + 1} on: the core is not deterministic.\n"
                             f"  {first[at:at + 1]} against {other[at:at + 1]}\n  repeat: {program} {' '.join(arguments)}")
    print(f"check_traces: {len(programs)} programs, {len(first)} equal trace hashes")


if __name__ == "__main__":
    main()
