"""Writes docs/benchmarks/engine.md and its plots from what wb_engine_peers measured: medians, intervals, verdicts, and where
we lose. No word on the page depends on anything but the figures.

usage: page.py PLAN.json OUT.json FULL.json PAGE.md      FULL.json: wb_engine_bench's own report, or "-"
"""
import datetime
import html
import json
import math
import os
import platform
import random
import subprocess
import sys

SIZES = ("1", "64", "1024", "8192")
NAMES = {"1": "one row", "64": "64 rows", "1024": "1,024 rows", "8192": "8,192 rows"}


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


class Cell:
    """Peer against us in one discipline: microseconds a row, and how many times faster we are with its 95 % interval."""

    def __init__(self, pairs):
        self.ours_us, self.theirs_us = median([a for a, _ in pairs]), median([b for _, b in pairs])
        ratios = [b / a for a, b in pairs]
        self.times = median(ratios)
        chance = random.Random(1)
        drawn = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(2_000))
        self.low, self.high = drawn[50], drawn[-51]

    def says(self):
        if self.low > 1:
            return f"{number(self.times)}× [{number(self.low)}–{number(self.high)}]"
        if self.high < 1:
            return f"**{number(self.times)}×** [{number(self.low)}–{number(self.high)}]"
        return f"no difference [{number(self.low)}–{number(self.high)}]"


class Peer:
    def __init__(self, line, result):
        self.title, self.compiled, self.trainer, self.bytes = line["title"], line["compiled"], line["trainer"], line["bytes"]
        self.version, self.kind, self.compiled_s = line["version"], line["kind"], line.get("compiled_s")
        self.load_ms, self.rss_kib, self.latency = result["load_ms"], result["rss_kib"], result["latency"]
        self.batch, self.single = result["compared"]["batch"], result["compared"]["one_row"]
        self.cells = {size: Cell(pairs) for size, pairs in result["pairs"].items()}
        self.exact = self.batch["differ"] == 0 and self.single["differ"] == 0

    def margins(self):
        if self.exact:
            return "same bits"
        return f"differ by ≤ {max(self.batch['largest'], self.single['largest']):.1e}"


def number(value):
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def size_of(count):
    return f"{count:,}"


def head(*cells):
    return ["| " + " | ".join(cells) + " |", "|" + " --- |" * len(cells)]


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def fastest(peers, size):
    return min(peers, key=lambda peer: peer.cells[size].times, default=None)


def verdict(what, target, peers, sizes):
    """The hardest of the cells, as one line of the table of targets; None if nobody is there to compare with."""
    found = [(peer.cells[size], peer, size) for size in sizes for peer in peers if size in peer.cells]
    if not found:
        return None
    cell, peer, size = min(found, key=lambda one: one[0].times)
    where = peer.title if len(sizes) == 1 else f"{peer.title}, {NAMES[size]}"
    return what, f"≥ {target}×", f"{number(cell.times)}× [{number(cell.low)}–{number(cell.high)}] ({where})", \
        "met" if cell.low >= target else "missed"


def targets(model, peers):
    package, text = model["shape"]["bytes"], os.path.getsize(model["text"])
    form = "the ONNX file" if model["text"].endswith(".onnx") else "the library's own text"
    out = [verdict("one row, fastest exact library", 10, [peer for peer in peers if peer.exact and not peer.compiled], ["1"]),
           verdict("one row, fastest compiled", 3, [peer for peer in peers if peer.compiled], ["1"]),
           verdict("batches, fastest of all", 3, peers, SIZES[1:]),
           (f"package beside {form}", "≤ 1/10", f"1/{text / package:.1f} ({size_of(package)} of {size_of(text)} bytes)",
            "met" if package * 10 <= text else "missed")]
    return [line for line in out if line]


def table(model, ours, peers):
    lines = head("who", "margins", "one row: median, slowest in 100", *[f"{NAMES[size]}: µs a row, we are faster by" for size in SIZES],
                 "load", "memory", "bytes")
    own = {size: median([peer.cells[size].ours_us for peer in peers if size in peer.cells]) for size in SIZES
           if any(size in peer.cells for peer in peers)}
    lines.append(row("**waybill**", "", f"{number(ours['latency']['p50_us'])}, {number(ours['latency']['p99_us'])} µs",
                     *[number(own[size]) if size in own else "–" for size in SIZES], f"{number(ours['load_ms'])} ms",
                     f"{number(ours['rss_kib'] / 1024)} MiB", size_of(model["shape"]["bytes"])))
    for peer in peers:
        cells = [f"{number(peer.cells[size].theirs_us)}: {peer.cells[size].says()}" if size in peer.cells else "–" for size in SIZES]
        lines.append(row(peer.title, peer.margins(), f"{number(peer.latency['p50_us'])}, {number(peer.latency['p99_us'])} µs", *cells,
                         f"{number(peer.load_ms)} ms", f"{number(peer.rss_kib / 1024)} MiB", size_of(peer.bytes)))
    for absent in model["absent"]:
        lines.append(row(absent["title"], "not available here: " + absent["why"].removeprefix("not available here: "), *["–"] * 8))
    return lines


def shape_of(model):
    shape = model["shape"]
    return (f"{shape['trees']:,} trees, {shape['nodes']:,} nodes, {shape['bytes_per_node']} bytes a node; accuracy on the rows asked "
            f"{model['accuracy']:.3f}; {model['distinct_rows']:,} distinct rows of {model['rows_count']:,}.")


def losses(models):
    lines, unclear = [], []
    for model, _, peers in models:
        for peer in peers:
            for size, cell in peer.cells.items():
                if cell.high < 1:
                    lines.append(f"- {NAMES[size]}, {model['title']}: {peer.title} takes {number(cell.theirs_us)} µs a row, we take "
                                 f"{number(cell.ours_us)}.")
                elif cell.low <= 1:
                    unclear.append(f"{NAMES[size]}, {model['name']}, {peer.title}")
    if not lines:
        lines = ["In no cell of this run."]
    if unclear:
        lines += ["", f"No difference that the interval lets us claim: {'; '.join(unclear)}."]
    return lines


COLOURS = {"waybill": "#1b7837", "xgboost": "#2166ac", "lightgbm": "#4393c3", "onnx": "#92c5de", "python": "#878787",
           "tl2cgen": "#d6604d", "lleaves": "#b2182b", "catboost": "#f4a582"}


def plot(path, title, models, size):
    """Horizontal bars on a logarithmic axis, a group for each model."""
    groups = [(model["title"], [("waybill", "waybill", median([peer.cells[size].ours_us for peer in peers if size in peer.cells]))]
               + [(peer.title, peer.kind, peer.cells[size].theirs_us) for peer in peers if size in peer.cells])
              for model, _, peers in models if any(size in peer.cells for peer in peers)]
    values = [us for _, bars in groups for _, _, us in bars]
    low = 10.0 ** math.floor(math.log10(min(values)))
    decades = max(math.ceil(math.log10(max(values) / low)), 1)
    left, width, y, out = 230, 560, 50, []
    for name, bars in groups:
        out.append(f'<text x="10" y="{y + 12}" font-weight="bold">{html.escape(name)}</text>')
        y += 20
        for label, kind, us in bars:
            long = width * math.log10(us / low) / decades
            out.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{html.escape(label)}</text>'
                       f'<rect x="{left}" y="{y + 1}" width="{long:.1f}" height="14" fill="{COLOURS[kind]}"/>'
                       f'<text x="{left + long + 5:.1f}" y="{y + 12}">{number(us)}</text>')
            y += 18
        y += 8
    grid = "".join(f'<line x1="{left + width * i / decades:.1f}" y1="40" x2="{left + width * i / decades:.1f}" y2="{y}" stroke="#ddd"/>'
                   f'<text x="{left + width * i / decades:.1f}" y="36" text-anchor="middle" fill="#666">{low * 10**i:g}</text>'
                   for i in range(decades + 1))
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{y + 10}" font-family="sans-serif" font-size="12">'
                   f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18" font-size="14" font-weight="bold">'
                   f'{html.escape(title)}</text>{grid}{"".join(out)}</svg>\n')


def full_trees(path):
    if path == "-":
        return []
    with open(path, encoding="utf-8") as file:
        runs = json.load(file)["benchmarks"]
    found = {}
    for run in runs:
        parts = run["name"].split("/")
        if parts[0] == "margins" and "label" in run:
            found.setdefault(run["label"], {})[parts[2]] = 1e6 / run["items_per_second"]
    goals = {"100x6x20": "0.33, 0.12", "500x8x50": "4.4, 1.8"}
    sizes = sorted({size for cells in found.values() for size in cells}, key=int)
    lines = ["## Full trees", "",
             "Trained trees are seldom full. `wb_engine_bench` (Google Benchmark) asks made-up ones: complete to their depth, at most 255",
             "thresholds a feature, rows that part ways at random. The goal is what a prototype of the kernels reached on such a machine.", "",
             *head("trees × depth × features", *[f"{int(size):,} a call: µs a row" for size in sizes], "goal: one row, in batches")]
    for shape, cells in found.items():
        one, many = cells.get("1"), min(cells.values())
        goal = goals.get(shape)
        met = goal and one <= float(goal.split(", ")[0]), goal and many <= float(goal.split(", ")[1])
        lines.append(row(shape.replace("x", " × "), *[number(cells[size]) if size in cells else "–" for size in sizes],
                         f"{goal}: {'met' if met[0] else 'missed'}, {'met' if met[1] else 'missed'}" if goal else "–"))
    return [*lines, ""]


METHOD = """## How it is measured

- **Models** are trained in the run, with the libraries, on real data (`script/data --all`: Statlog's Shuttle, LetterRecognition and
  Satellite from Debian's r-cran-mlbench, and dataset-fashion-mnist), and asked rows that they were not trained on. Our package is what
  `waybill model import` makes of the library's own file; of scikit-learn's, through ONNX.
- **One process, one core.** The libraries are loaded into one program (`bench/engine/engine_peers.cpp`), pinned to a core, one thread
  each, and asked through their C functions: XGBoost in place from dense rows, with a proxy matrix kept between calls; LightGBM by its fast call for single rows; ONNX Runtime
  with tensors over our memory and the graph cut after its trees; TL2cgen's C, lleaves' object code and CatBoost's exported C++ compiled
  with `-O3 -march=native` (lleaves: LLVM's own, up to 100 trees in one block, beyond that in its
  default ones, which compile in minutes and not in tens of them) and called directly, rows in the form that they like. scikit-learn has only a
  Python form, and CatBoost's own evaluator is not to be had as a C library from PyPI or Debian, so both are also asked from
  Python: a process of its own on the same core that times its own calls, **Python's overhead included**.
- **Margins first.** All margins of all rows, in one call, and of 1,024 rows one by one, are compared with ours. "Same bits" means every
  one; else the largest difference stands there.
- **Time** is processor time of all threads, over blocks that take turns: ours, theirs, theirs, ours. Each four blocks give one
  ratio; the table shows the median and its 95 % interval (bootstrap, 2,000 draws). We say "faster" only where the interval lies
  above 1; **bold** is where we are slower. One row: 2,048 different rows in turn, fewer a block where a library is slow. A median and the
  slowest in a hundred by the clock are of single calls, taking the time itself included.
- **Load** is from the file to ready, in a fresh process, library included, median of five (Python: one start, with
  what the library imports when it loads a model). **Memory** is how much the process then grew after 2,048 rows (Python: by loading). **Bytes** is what a
  device needs beside the library: the model file, or the compiled object, stripped. For XGBoost that is UBJSON; the target of a
  tenth is held against its JSON.
"""


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    with open("/proc/loadavg", encoding="ascii") as file:
        load = file.read().split()[0]
    return model, os.cpu_count(), load, platform.freedesktop_os_release().get("PRETTY_NAME", "unknown system")


def main():
    plan_path, out_path, full_path, page = sys.argv[1:]
    with open(plan_path, encoding="utf-8") as file:
        plan = json.load(file)
    with open(out_path, encoding="utf-8") as file:
        out = json.load(file)
    models = [(model, result["ours"], [Peer(*both) for both in zip(model["peers"], result["peers"], strict=True)])
              for model, result in zip(plan["models"], out["models"], strict=True)]
    # scikit-learn's models come to us through ONNX and are held against its runtime.
    wrong = [f"{model['title']}: {peer.title}: {peer.margins()}" for model, _, peers in models for peer in peers
             if peer.trainer and model["trainer"] in ("xgboost", "lightgbm", "catboost") and not peer.exact]
    if wrong:
        sys.exit("page: our margins are not those of the library that trained; nothing was written\n" + "\n".join(wrong))
    processor, cores, load, system = machine()
    compiler = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=False).stdout.strip()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    versions = sorted({f"{peer.title.split(' (')[0]} {peer.version}" for _, _, peers in models for peer in peers})
    base = os.path.splitext(page)[0]
    name = os.path.basename(base)
    lines = ["# How long the engine takes, beside its peers", "", "<!-- written by script/bench engine: edit bench/engine/page.py -->", "",
             f"`script/bench engine`, {datetime.date.today():%d %B %Y}, at {commit}, one core of {cores} of {processor}, {system}, g++ {compiler}, release preset. "
             f"Load average at the end {load} (the bench itself adds about 1). Taking the time costs {number(out['clock_us'])} µs a call.",
             "", f"Versions: {'; '.join(versions)}.", "", "## Targets", "",
             *head("model", "what", "target", "measured [95 % interval]", "verdict")]
    for model, _, peers in models:
        lines += [row(model["name"], *line) for line in targets(model, peers)]
    lines += ["", "## Where we are slower", "", *losses(models), "", f"![One row]({name}-one-row.svg)", "", f"![Batches]({name}-batch.svg)", "",
              "Microseconds a row, logarithmic.", ""]
    if plan["missing"]:
        lines += ["Not measured, because who trains it is not available here:", "",
                  *[f"- {model['title']}: {model['why'].removeprefix('not available here: ')}" for model in plan["missing"]], ""]
    for model, ours, peers in models:
        lines += [f"## {model['title']}", "", f"`{model['name']}`: {shape_of(model)}", "", *table(model, ours, peers), ""]
        took = [f"{peer.title.split(' (')[0]} {peer.compiled_s:.0f} s" for peer in peers if peer.compiled_s]
        if took:
            lines += [f"Compiling took {', '.join(took)} (by the clock, beside other work).", ""]
    lines += full_trees(full_path)
    lines += METHOD.splitlines()
    plot(base + "-one-row.svg", "One row a call: µs", models, "1")
    plot(base + "-batch.svg", "Batches: µs a row" if plan["smoke"] else "1,024 rows a call: µs a row", models, "64" if plan["smoke"] else "1024")
    with open(page, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines[8:lines.index("## Where we are slower")]))


main()
