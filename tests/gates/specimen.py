"""What every gate's self-test needs: a small tree on disk, a command run over it, and what it said."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class GateTest(unittest.TestCase):
    """Each gate is shown green on an innocent tree and red on the same tree with one planted violation."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="wb-gate-")
        self.addCleanup(self._folder.cleanup)
        self.root = pathlib.Path(self._folder.name)

    def write(self, path: str, text: str, mode: int = 0o644) -> pathlib.Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def run_gate(self, *command, cwd=None) -> tuple[int, str]:
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, cwd=cwd or self.root, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def tool(self, name: str, *arguments) -> tuple[int, str]:
        return self.run_gate(sys.executable, ROOT / "tools" / name, *arguments)

    def assert_green(self, result: tuple[int, str]):
        self.assertEqual(result[0], 0, f"the innocent tree must pass:\n{result[1]}")

    def assert_red(self, result: tuple[int, str], *says: str):
        code, text = result
        flat = " ".join(text.split())  # CMake wraps its messages
        self.assertNotEqual(code, 0, f"the planted violation was not seen:\n{text}")
        for part in says:
            self.assertIn(part, flat)


def main():
    unittest.main(argv=[sys.argv[0], "-v"])
