"""Mounts and networks of our own. A test that needs them runs again inside namespaces of its own: whatever it mounts, and every
interface it makes, is seen by nobody else and is gone with its last process, however that ends. Where that is not allowed the
test says "skipped: why" and ends with 77, which ctest counts as skipped and not as passed.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

SKIPPED = 77
INSIDE = "WAYBILL_INSIDE_NAMESPACES"


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(SKIPPED)


def enter(*kinds):
    """Runs this program again inside fresh namespaces: "mount", "net"."""
    if os.environ.get(INSIDE):
        return
    how = ["unshare", *(f"--{kind}" for kind in kinds)]
    if "mount" in kinds:
        how += ["--propagation", "private"]
    if os.geteuid() != 0:
        how += ["--map-root-user"]
    if not shutil.which("unshare"):
        skip("there is no unshare(1): run script/setup")
    tried = subprocess.run([*how, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        skip(f"this user may make no namespaces of its own ({tried.stderr.strip()}); run it as root")
    os.environ[INSIDE] = "1"
    os.execvp(how[0], [*how, sys.executable, "-B", *sys.argv])


def die_with_parent():
    """For preexec: the child is killed when the test ends, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class SmallDisk:
    """A file system of `mib` MiB with `inodes` inodes: ext4 on a loop device, or where that is not allowed a tmpfs."""

    def __init__(self, lab, name, mib=6, inodes=64):
        self.path = lab.path(name + ".disk")
        image = lab.path(name + ".ext4")
        os.mkdir(self.path)
        with open(image, "wb") as file:
            file.truncate(mib << 20)
        self.kind = "ext4 on a loop device"
        made = subprocess.run(["mkfs.ext4", "-q", "-b", "1024", "-m", "0", "-J", "size=1", "-N", str(inodes), image],
                              capture_output=True, text=True)
        tried = made if made.returncode else subprocess.run(["mount", "-o", "loop", image, self.path], capture_output=True, text=True)
        if tried.returncode != 0:
            self.kind = f"tmpfs, for a loop device is not to be had here ({tried.stderr.strip()})"
            tried = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,nr_inodes={inodes}", "none", self.path],
                                   capture_output=True, text=True)
        if tried.returncode != 0:
            skip(f"no small file system: {tried.stderr.strip()}")
        print(f"{name}: {self.kind}", flush=True)
        self.ballast = []

    def fill(self):
        """No byte left."""
        path = f"{self.path}/ballast"
        self.ballast.append(path)
        with open(path, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1024, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
        os.sync()  # what was taken without a block for it fails now, not later

    def fill_inodes(self):
        """No file can be made; there is room in those that exist."""
        try:
            while True:
                path = f"{self.path}/inode-{len(self.ballast)}"
                open(path, "x").close()
                self.ballast.append(path)
        except OSError:
            pass

    def free(self):
        for path in self.ballast:
            os.remove(path)
        self.ballast.clear()

    def close(self):
        for _ in range(50):
            if subprocess.run(["umount", self.path], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
