#!/usr/bin/env python3
"""Gate: a pure archive calls nothing that touches the world. usage: check_symbols.py BUILD_DIR [ROOT]

Runs nm over libwb_<module>.a of every module that modules.cmake calls pure, and refuses undefined symbols that reach
clocks, entropy, threads, files, sockets, the environment or the standard streams, also through a library's header.
Locks of function-local statics (__cxa_guard_*) are what the compiler needs and are allowed.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wb_map import Module, read_map  # noqa: E402

DENIED = [
    ("clock", r"clock_(gettime|getres|settime|nanosleep)|gettimeofday|time|times|clock|ftime|timespec_get|difftime"
              r"|localtime(_r)?|mktime|strftime|nanosleep|usleep|sleep|timer_\w+|alarm|_ZNSt6chrono.*3nowEv"),
    ("entropy", r"s?rand(_r)?|s?random(_r)?|[dlmnej]rand48(_r)?|getrandom|getentropy|arc4random\w*|_ZNSt13random_device.*"
                r"|RAND_\w+|EVP_PKEY_keygen(_init)?|EVP_PKEY_generate|EVP_PKEY_Q_keygen|RSA_generate\w*|EC_KEY_generate\w*"),
    ("thread", r"pthread_(?!once)\w+|thrd_\w+|mtx_\w+|cnd_\w+|sem_\w+|sched_\w+|fork|vfork|clone|_ZNSt6thread.*"
               r"|_ZNSt18condition_variable.*|_ZNSt13__future_base.*|_ZNSt11this_thread.*"),
    ("file", r"(f|fre|fd|p)?open(64|at|at64|dir)?|creat(64)?|p?readv?(64)?|p?writev?(64)?|close|lseek(64)?|f(read|write|gets|getc"
             r"|putc|puts|seek|tell|flush|close|sync|datasync|truncate|lock)(64|_unlocked)?|(un)?link(at)?|rename(at)?2?|remove"
             r"|mkdir(at)?|rmdir|l?f?stat(64|at|at64|x|vfs)?|__[lf]?xstat(64)?|readdir(64)?(_r)?|mkstemp\w*|tmpfile(64)?|mmap(64)?"
             r"|munmap|flock|fcntl(64)?|ioctl|access|chmod|chown|realpath|readlink|getcwd|chdir|BIO_new_file"
             r"|_ZNSt.*basic_[io]?fstream.*|_ZNSt.*basic_filebuf.*|_ZNSt10filesystem.*"),
    ("socket", r"socket(pair)?|connect|bind|listen|accept4?|send(to|msg|mmsg|file)?|recv(from|msg|mmsg)?|p?poll|p?select"
               r"|epoll_\w+|eventfd|getaddrinfo|gethostby\w+|getsockopt|setsockopt|shutdown"),
    ("environment", r"(secure_)?getenv|setenv|putenv|unsetenv|environ|system|exec[lv]p?e?|posix_spawnp?|getpid|gethostname|uname"
                    r"|syscall|kill|raise|signal|sigaction|exit|_exit|atexit|setlocale|dlopen|dlsym"),
    ("stream", r"_ZNSt8ios_base4Init.*|_ZSt[34](cin|cout|cerr|clog)|_ZSt4(cin|cout|cerr|clog)|_ZSt3cin|puts|putchar|printf|vprintf"
               r"|stdout|stdin|__printf_chk|perror"),
]
_DENIED = [(what, re.compile(rf"^(?:{pattern})$")) for what, pattern in DENIED]

# base ends the process when an invariant is broken, and says where: the one place that writes to stderr.
MODULE_ALLOWED = {"base": {"stderr", "fprintf", "__fprintf_chk", "abort"}}
# Debian 12's protobuf headers include <iostream>, whose guard object comes along. The streams themselves stay refused.
IOSTREAM_GUARD = ("_ZNSt8ios_base4InitC1Ev", "_ZNSt8ios_base4InitD1Ev")
STDERR = ("stderr", "fprintf", "__fprintf_chk", "vfprintf", "__vfprintf_chk", "fputs", "fwrite")


def undefined_symbols(archive: pathlib.Path) -> dict[str, str]:
    """symbol → the object file that needs it, without what another object of the same archive defines."""
    text = subprocess.run(["nm", "-A", str(archive)], check=True, capture_output=True, text=True).stdout
    needed: dict[str, str] = {}
    defined = set()
    for line in text.splitlines():
        place, _, rest = line.rpartition(":")
        words = rest.split()
        if len(words) == 2 and words[0] in ("U", "w"):
            needed.setdefault(words[1].split("@")[0], place.rsplit(":", 1)[-1])
        elif len(words) == 3:
            defined.add(words[2])
    return {symbol: place for symbol, place in needed.items() if symbol not in defined}


def refused(module: Module, symbol: str) -> str | None:
    if symbol in MODULE_ALLOWED.get(module.name, ()):
        return None
    if symbol in IOSTREAM_GUARD and ("protobuf" in module.third or "wire" in module.uses):
        return None
    if symbol in STDERR:
        return "stream"
    for what, pattern in _DENIED:
        if pattern.match(symbol):
            return what
    return None


def check(build: pathlib.Path, root: pathlib.Path) -> tuple[int, list[str]]:
    faults: list[str] = []
    archives_count = 0
    for module in read_map(root).values():
        if module.kind != "pure" or not (root / "src" / module.name / "CMakeLists.txt").exists():
            continue
        archive = build / "src" / module.name / f"libwb_{module.name.replace('/', '_')}.a"
        if not archive.exists():
            faults.append(f"{archive}: is not built; build the tree first")
            continue
        archives_count += 1
        for symbol, place in sorted(undefined_symbols(archive).items()):
            what = refused(module, symbol)
            if what:
                faults.append(f"{module.name}: {place} calls {symbol} ({what}); pure code may not. Take it in as an event or a value.")
    return archives_count, faults


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    build = pathlib.Path(sys.argv[1])
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).resolve().parent.parent)
    archives_count, faults = check(build, root)
    for fault in faults:
        print(fault, file=sys.stderr)
    if archives_count == 0:
        raise SystemExit(f"check_symbols: no pure archive under {build}; nothing was checked")
    print(f"check_symbols: {archives_count} pure archives, {len(faults)} refused")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
