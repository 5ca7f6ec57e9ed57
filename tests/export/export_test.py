#!/usr/bin/env python3
"""Models as C against the engine, bit for bit: compiled for this machine and for Cortex-M, run here and under QEMU.

usage: export_test.py SPECIMENS_PROGRAM
Each flavour compiles every specimen with the warnings that the export promises to pass, links them into one program and
runs it. QEMU has no Cortex-M0 with enough memory; its code runs on the M4, which knows all of its instructions.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
C99 = ["-std=c99"]
BARE = ["-ffreestanding", "-fbuiltin", "-DBARE", "-Os", "-mthumb", "-ffunction-sections", "-fdata-sections",
        "-isystem", os.path.join(HERE, "bare")]
FLAVOURS = {  # name: compiler for C, flags, whether it is bare metal
    "host -O2": ("gcc", C99 + ["-O2"], False),
    "host -Os": ("gcc", C99 + ["-Os"], False),
    "host, fused multiply-add wherever the compiler likes": ("gcc", ["-std=gnu11", "-O3", "-mfma", "-ffp-contract=fast"], False),
    "host, C read as C++": ("g++", ["-x", "c++", "-std=c++17", "-O1"], False),
    "Cortex-M4 without FPU": ("arm-none-eabi-gcc", C99 + BARE + ["-mcpu=cortex-m4", "-mfloat-abi=soft"], True),
    "Cortex-M4 with FPU": ("arm-none-eabi-gcc", C99 + BARE + ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"], True),
    "Cortex-M0": ("arm-none-eabi-gcc", C99 + BARE + ["-mcpu=cortex-m0", "-mfloat-abi=soft"], True),
}


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"failed ({done.returncode}): {' '.join(command[:12])} …\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def chunks(items, count):
    return [items[i::count] for i in range(count) if items[i::count]]


def compiled(folder, compiler, flags, sources):
    """Compiles sources where they stand, a few at a time, into folder; returns the objects."""
    os.makedirs(folder)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(run, [compiler, *WARNINGS, *flags, "-c", *part], cwd=folder) for part in chunks(sources, os.cpu_count())]
        for job in jobs:
            job.result()
    return sorted(glob.glob(os.path.join(folder, "*.o")))


def program(work, specimens, name, compiler, flags, bare):
    folder = os.path.join(work, name.replace(" ", "_"))
    sources = sorted(glob.glob(os.path.join(specimens, "check_*.c")))
    flags = flags + ["-I", HERE, "-I", specimens]
    cpp = compiler.replace("gcc", "g++")
    cpp_flags = [flag for flag in flags if not flag.startswith("-std=") and flag not in ("-x", "c++")] + ["-std=c++17"]
    if bare:
        cpp_flags += ["-fno-exceptions", "-fno-rtti"]
    objects = compiled(folder, compiler, flags, sources + ([os.path.join(HERE, "bare/start.c")] if bare else []))
    objects += compiled(folder + "_cpp", cpp, cpp_flags, sorted(glob.glob(os.path.join(specimens, "check_*.cpp"))))
    # main.c is C in every flavour
    plain = [flag for flag in flags if flag not in ("-x", "c++", "-std=c++17")]
    objects += compiled(folder + "_main", compiler.replace("g++", "gcc"), plain, [os.path.join(HERE, "main.c")])
    out = os.path.join(folder, "program")
    link = ["-nostartfiles", "-nostdlib", "-Wl,--gc-sections", "-T", os.path.join(HERE, "bare/mps2.ld")] if bare else []
    machine = [flag for flag in flags if flag.startswith(("-mcpu", "-mthumb", "-mfloat", "-mfpu"))]
    run([compiler.replace("g++", "gcc"), *machine, *link, *objects, *(["-lgcc"] if bare else []), "-o", out])
    return out


def check_sizes(specimens, said):
    """What the head comment promises, against what the linker makes of it for a part without an FPU."""
    compiler, flags, _ = FLAVOURS["Cortex-M4 without FPU"]
    for line in said:
        name, kind, tables, margins, answers = line.split()
        if kind != "c":
            continue
        with open(os.path.join(specimens, name + ".h"), encoding="utf-8") as header:
            text = header.read()
        wanted = [name + "_" + what for what in ("answers", "label") if f" {name}_{what}(" in text]
        out = os.path.join(specimens, name + ".elf")
        for more, at_most in (([], int(tables) + int(margins)), (wanted, int(tables) + int(margins) + int(answers))):
            run([compiler, *flags, name + ".c", "-nostdlib", "-T", os.path.join(HERE, "bare/mps2.ld"), "-Wl,--gc-sections", f"-Wl,-e,{name}_margins",
                 *[f"-Wl,-u,{symbol}" for symbol in more], "-lgcc", "-o", out], cwd=specimens)
            size = run(["arm-none-eabi-size", out]).split("\n")[1].split()
            if int(size[0]) > at_most or int(size[1]) + int(size[2]) > 0:
                sys.exit(f"{name}: at most {at_most} bytes of flash and no static RAM were said, the linker made {size[:3]}")
    print("flash: no more than was said")


def main():
    with tempfile.TemporaryDirectory() as work:
        specimens = os.path.join(work, "specimens")
        os.makedirs(specimens)
        names = run([sys.argv[1], specimens]).split("\n")[:-1]
        again = os.path.join(work, "again")
        os.makedirs(again)
        run([sys.argv[1], again])
        run(["diff", "-r", specimens, again])  # the same model gives the same text
        check_sizes(specimens, names)
        with open("/proc/cpuinfo", encoding="utf-8") as cpu:
            fuses = " fma " in cpu.read()
        for name, (compiler, flags, bare) in FLAVOURS.items():
            if "-mfma" in flags and not fuses:
                print(f"{name}: not run, this machine has none")
                continue
            out = program(work, specimens, name, compiler, flags, bare)
            command = [out]
            if bare:
                command = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none",
                           "-semihosting-config", "enable=on,target=native", "-kernel", out]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
            said = done.stdout + done.stderr
            if done.returncode != 0 or f"checked {len(names)}\nwrong 0\n" not in said:
                sys.exit(f"{name}: exit code {done.returncode}\n{said}")
            print(f"{name}: {len(names)} models, the engine's bits", flush=True)


main()
