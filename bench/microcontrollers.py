#!/usr/bin/env python3
"""What exported models take on a Cortex-M4: flash by the linker, RAM by a painted stack, instructions by QEMU's count.

usage: bench/microcontrollers.py [--write]     after building the targets waybill and wb_microcontroller_models
Prints the table; --write puts it into docs/benchmarks/microcontrollers.md. The figures are counts, not times: every run gives the
same. A real core takes more cycles than instructions (flash waits, branches), and QEMU says nothing about those.
"""
import csv
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BARE = os.path.join(ROOT, "tests/export/bare")
BIN = os.path.join(ROOT, "build/release/bin")
PAGE = os.path.join(ROOT, "docs/benchmarks/microcontrollers.md")
COMMON = ["-std=gnu99", "-Os", "-mcpu=cortex-m4", "-mthumb", "-ffreestanding", "-fbuiltin", "-ffunction-sections", "-fdata-sections",
          "-isystem", BARE]
SOFT = COMMON + ["-mfloat-abi=soft"]
HARD = COMMON + ["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
ROWS = 512


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def flash(work, name, flags, entries):
    out = os.path.join(work, "flash.elf")
    run(["arm-none-eabi-gcc", *flags, name + ".c", "-nostdlib", "-T", os.path.join(BARE, "mps2.ld"), "-Wl,--gc-sections",
         f"-Wl,-e,{name}_margins", *[f"-Wl,-u,{entry}" for entry in entries], "-lgcc", "-o", out], cwd=work)
    return int(run(["arm-none-eabi-size", out]).split("\n")[1].split()[0])


def counted(work, name, flags, margin, has_answers):
    """Instructions and stack for each call, on the rows of rows.h."""
    out = os.path.join(work, "measure.elf")
    defines = [f"-DMODEL={name}", f'-DMODEL_SOURCE="{name}.c"', f"-DMARGIN={margin}"] + (["-DHAS_ANSWERS"] if has_answers else [])
    run(["arm-none-eabi-gcc", *flags, *defines, "-I", work, os.path.join(BARE, "measure.c"), os.path.join(BARE, "start.c"), "-nostdlib",
         "-T", os.path.join(BARE, "mps2.ld"), "-Wl,--gc-sections", "-lgcc", "-o", out])
    said = run(["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0",
                "-semihosting-config", "enable=on,target=native", "-kernel", out])
    figures = {key: int(value) for key, value in re.findall(r"(\w+) (\d+)\n", said)}
    if not 500 <= figures["ticks_of_40000"] <= 2000:
        sys.exit(f"SysTick does not follow the count of instructions: {figures}")
    each = 40000 / figures["ticks_of_40000"] / figures["rows"]
    return {what: round(figures[what + "_ticks"] * each) for what in ("margins", "answers")}, figures


def write_rows(work, rows):
    with open(os.path.join(work, "rows.h"), "w", encoding="utf-8") as out:
        out.write(f"#define ROWS {len(rows)}U\nstatic const float rows[] = {{\n")
        for row in rows:
            out.write(", ".join(f"{float(value).hex()}f" for value in row) + ",\n")
        out.write("};\n")


def measure(work, title, model, rows):
    name = os.path.splitext(os.path.basename(model))[0]
    run([os.path.join(BIN, "waybill"), "model", "export", model, "-o", os.path.join(work, name + ".c")])
    with open(os.path.join(work, name + ".h"), encoding="utf-8") as header:
        text = header.read()
    margin = re.search(r"(float|double) margins\[", text).group(1)
    has_answers = f"{name}_answers(" in text
    tables = int(re.search(r"flash +(\d+)", text).group(1))
    splits = re.search(r"(\d+) with (\d+) splits", text)
    write_rows(work, rows)
    every = [f"{name}_{what}" for what in ("answers", "label") if f" {name}_{what}(" in text]
    soft, figures = counted(work, name, SOFT, margin, has_answers)
    said = int(re.search(r"at most (\d+) bytes of stack", text).group(1))
    if max(figures["margins_stack"], figures["answers_stack"]) > said:
        sys.exit(f"{title}: at most {said} bytes of stack were said: {figures}")
    hard, _ = counted(work, name, HARD, margin, has_answers)
    return [title, f"{splits.group(1)}, {splits.group(2)}", tables, flash(work, name, SOFT, []) - tables,
            flash(work, name, HARD, []) - tables, flash(work, name, SOFT, every) - flash(work, name, SOFT, []),
            figures["margins_stack"], figures["answers_stack"], soft["margins"], hard["margins"], soft["answers"], hard["answers"]]


def shuttle_model(work, name, trees, depth):
    model = os.path.join(work, name + ".wbm")
    run([os.path.join(BIN, "waybill"), "fit", os.path.join(ROOT, "build/data/shuttle.csv"), "--target", "class", "--trees", str(trees),
         "--depth", str(depth), "-o", model])
    return model


def main():
    chance = random.Random(1)
    table = []
    with tempfile.TemporaryDirectory() as work:
        run([os.path.join(BIN, "wb_microcontroller_models"), work])
        for title, name, features in (("1 tree × depth 4, 4 features", "one_tree", 4), ("20 × 4, 8 features", "boosted_20x4", 8),
                                      ("100 × 6, 20 features", "boosted_100x6", 20),
                                      ("20 × 4, 8 features, f64 sums", "boosted_20x4_f64", 8),
                                      ("100 × 6, 20 features, f64 sums", "boosted_100x6_f64", 20)):
            rows = [[chance.gauss(0, 1) for _ in range(features)] for _ in range(ROWS)]
            table.append(measure(work, title, os.path.join(work, name + ".wbm"), rows))
        with open(os.path.join(ROOT, "build/data/shuttle.csv"), encoding="utf-8") as data:
            lines = list(csv.reader(data))[1:]
        rows = [line[:9] for line in chance.sample(lines, ROWS)]
        for rounds in (5, 50):
            model = shuttle_model(work, f"shuttle_{rounds}", rounds, 4)
            table.append(measure(work, f"Shuttle, 7 classes, {rounds} rounds × depth 4, trained", model, rows))
    heads = ["model", "trees, splits", "tables", "code, no FPU", "code, FPU", "more for answers, no FPU", "stack of margins",
             "stack of answers", "instructions of margins, no FPU", "FPU", "of answers, no FPU", "FPU"]
    text = "| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads) + "\n"
    for row in table:
        text += "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row) + " |\n"
    print(text)
    if sys.argv[1:] == ["--write"]:
        with open(PAGE, encoding="utf-8") as page:
            before, rest = page.read().split("<!-- written by bench/microcontrollers.py -->\n")
        after = rest.split("<!-- end -->")[1]
        with open(PAGE, "w", encoding="utf-8") as page:
            page.write(before + "<!-- written by bench/microcontrollers.py -->\n" + text + "<!-- end -->" + after)


main()
