"""Compiles one file twice with the flags of a pure module: it must pass, and with -DWB_MISUSE fail with the words it names."""
import re
import subprocess
import sys


def compile_it(compiler: str, include: str, path: str, *more: str) -> tuple[int, str]:
    command = [compiler, "-std=c++2b", "-fsyntax-only", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror",
               "-fdiagnostics-color=never", "-I", include, *more, path]
    done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    return done.returncode, done.stdout + done.stderr


def main() -> None:
    compiler, include, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        words = re.findall(r"^// refused: (.+)$", file.read(), re.MULTILINE)
    if not words:
        raise SystemExit(f"{path}: has no line '// refused: <words of the compiler, | between compilers>'")
    code, text = compile_it(compiler, include, path)
    if code != 0:
        raise SystemExit(f"{path}: must compile without WB_MISUSE, or its failure proves nothing:\n{text}")
    code, text = compile_it(compiler, include, path, "-DWB_MISUSE")
    if code == 0:
        raise SystemExit(f"{path}: the misuse compiles. What refused it is gone.")
    if not any(word.strip() in text for word in words[0].split("|")):
        raise SystemExit(f"{path}: fails, but not for the reason it names ({words[0]}):\n{text}")
    print(f"{path}: refused, as it must be")


if __name__ == "__main__":
    main()
