"""`pip wheel sdk/python`, and what it makes installed alone into the folder given. usage: make_wheel.py FOLDER"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

SDK = pathlib.Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


def main(site):
    with tempfile.TemporaryDirectory(prefix="waybill-wheel-") as folder:
        # What builds it is pinned in requirements.txt and here already: nothing is fetched.
        subprocess.run([*PIP, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, str(SDK)], check=True)
        wheels = list(pathlib.Path(folder).glob("waybill-*.whl"))
        assert len(wheels) == 1, wheels
        shutil.rmtree(site, ignore_errors=True)
        subprocess.run([*PIP, "install", "--no-deps", "--target", site, str(wheels[0])], check=True)
        print(f"{wheels[0].name}: {wheels[0].stat().st_size} bytes")


main(sys.argv[1])
