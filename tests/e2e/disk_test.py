"""A full disk and a damaged outbox file. The agent stays alive, says 503 while nothing can be kept, goes on when there is room,
and declares what a damaged medium took."""
import os
import signal
import subprocess
import unittest

import harness
from harness import BIN, read, rows, wait, write


class Disk(harness.Case):
    def offline_agent(self):
        """Enrolled at a hub that is down: what it takes in stays in its outbox."""
        self.hub = self.lab.hub()
        node = self.lab.agent("n1")
        node.enrol(self.hub)
        self.hub.process.stop()
        return node

    def test_full_disk(self):
        # A mount namespace of its own; without root inside a user namespace, where the system allows that.
        own_mounts = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "--propagation", "private"]
        allowed = subprocess.run([*own_mounts, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"], capture_output=True, text=True)
        if allowed.returncode != 0:
            self.skipTest(f"NOT CHECKED: a full disk needs a mount namespace: {allowed.stderr.strip()}")
        node = self.offline_agent()
        # A tmpfs of 2 MiB that only the agent's process tree sees. Its `ballast` is what fills the disk.
        mount = self.lab.path("mount")
        os.mkdir(mount)
        inside = mount + "/node"
        script = (f"mount -t tmpfs -o size=2m none {mount} && cp -a {node.data} {inside} && "
                  f"exec {BIN}/waybill-agent run --data-dir {inside} --pipeline {self.lab.pipeline()}")
        node.process = self.lab.spawn("n1", [*own_mounts, "sh", "-ec", script])
        root = f"/proc/{node.process.pid}/root"
        node.data = root + inside
        node.wait_answering()
        acked = set()
        for i in range(0, 100, 10):
            self.assertEqual(node.post(rows(i, 10))[0], 200)
            acked.update(f"t{j}" for j in range(i, i + 10))
        with open(root + mount + "/ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        # Nothing can be kept: 503, nothing of the request is taken, the agent answers and says why.
        at = 1000

        def refused():
            nonlocal at
            try:
                code, _ = node.post(rows(at, 20), timeout=2)
            except OSError:
                return False  # no answer is no promise either
            if code == 200:
                acked.update(f"t{j}" for j in range(at, at + 20))
            at += 20
            return code == 503

        wait("a 503", refused)
        status = wait("the reason in the status", lambda: node.status() if node.status()["store"]["error"] else None)
        self.assertRegex(status["store"]["error"], "full|space|disk")
        self.assertTrue(node.process.alive())
        os.remove(root + mount + "/ballast")

        def recovered():
            nonlocal at
            code, _ = node.post(rows(at, 1), timeout=5)
            if code == 200:
                acked.add(f"t{at}")
            at += 1
            return code == 200

        wait("200 again", recovered)
        self.assertEqual(node.status()["store"]["error"], "")
        # Nothing acknowledged is lost, nothing is twice.
        self.hub.start()
        wait("an empty outbox", node.drained)
        tags = [record["tag"] for record in self.hub.records()]
        self.assertEqual(len(tags), len(set(tags)))
        self.assertEqual(acked - set(tags), set())
        self.assertEqual(node.status()["records"]["lost"], 0)

    def test_file_size_limit(self):
        """A write that fails with EFBIG instead of ENOSPC (RLIMIT_FSIZE; a quota) is the same to a producer."""
        node = self.offline_agent()

        def limited():
            import resource
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (192 << 10, resource.RLIM_INFINITY))

        node.start("--pipeline", self.lab.pipeline(), preexec=limited)
        acked = set()
        at = 0

        def refused():
            nonlocal at
            try:
                code, _ = node.post(rows(at, 200), timeout=5)
            except OSError:
                return False
            if code == 200:
                acked.update(f"t{j}" for j in range(at, at + 200))
            at += 200
            return code == 503

        wait("a 503", refused)
        self.assertTrue(node.process.alive())
        node.process.stop()
        node.start()
        self.hub.start()
        wait("an empty outbox", node.drained)
        tags = [record["tag"] for record in self.hub.records()]
        self.assertEqual(len(tags), len(set(tags)))
        self.assertEqual(acked - set(tags), set())

    def test_small_outbox_drops_by_policy_and_counts(self):
        node = self.offline_agent()
        node.start("--pipeline", self.lab.pipeline(), "--outbox", "1MiB")
        sent = 0
        while not node.status()["records"].get("by_rule", {}).get("all", {}).get("evicted"):
            self.assertEqual(node.post(rows(sent, 500))[0], 200)
            sent += 500
            self.assertLess(sent, 100_000)
        self.assertLessEqual(os.path.getsize(node.data + "/outbox.db"), 1 << 20)
        self.hub.start()
        wait("an empty outbox", node.drained)
        status = node.status()
        evicted = status["records"]["by_rule"]["all"]["evicted"]
        tags = [record["tag"] for record in self.hub.records()]
        # Q4: produced = effected + dropped by policy + declared lost.
        self.assertEqual(len(tags), len(set(tags)))
        self.assertEqual(len(tags) + evicted + status["records"]["lost"], sent)
        self.assertEqual(status["records"]["lost"], 0)

    def damaged(self, damage):
        """Takes in 3,000 records, has `damage(path)` spoil the file, and starts again: the start goes on, and takes in more."""
        node = self.offline_agent()
        node.start("--pipeline", self.lab.pipeline())
        for i in range(0, 3000, 500):
            self.assertEqual(node.post(rows(i, 500))[0], 200)
        node.process.stop()
        damage(node.data + "/outbox.db")
        node.start()
        self.assertEqual(node.post(rows(5000, 1))[0], 200)
        self.hub.start()
        wait("a contact", lambda: node.status()["hub"]["connected"])
        self.assertIn("the loss is counted and reported", node.process.text())
        wait("the damage to be known at the hub", lambda: self.hub.node("n1")["counters"]["damaged_rows"] > 0)
        return node

    def test_flipped_bytes(self):
        def flip(path):
            data = bytearray(read(path, "rb"))
            for at in range(len(data) // 2, len(data) // 2 + 20_000, 1_000):
                data[at] ^= 0x55
            write(path, bytes(data))

        node = self.damaged(flip)
        wait("an empty outbox", node.drained)
        tags = [record["tag"] for record in self.hub.records()]
        self.assertEqual(len(tags), len(set(tags)))
        self.assertIn("t5000", tags)
        self.assertLessEqual(set(tags), {f"t{i}" for i in [*range(3000), 5000]})
        self.assertGreater(len(tags), 100)
        lost = node.status()["records"]["lost"]
        self.assertGreater(lost, 0)
        self.assertEqual(len(tags) + lost, 3001)  # Q4
        wait("the loss at the hub", lambda: self.hub.node("n1")["counters"]["lost"] == lost)

    def replaced(self, node):
        """A new file, with what could be read of the old one."""
        self.assertIn("set aside", node.process.text())
        self.assertTrue(any(name.startswith("outbox.db.damaged-") for name in os.listdir(node.data)))
        status = node.status()

        def kept(status):
            return sum(lane["waiting"] + lane["effected"] for lane in status["outbox"]["lanes"].values())

        self.assertGreaterEqual(kept(status), 1)
        # It is whole again: the next start finds nothing wrong and everything taken in.
        node.process.kill()
        before = len(node.process.text())
        node.start()
        self.assertNotIn("damaged", node.process.text()[before:])
        self.assertEqual(kept(node.status()), kept(status))
        return status

    def test_truncated(self):
        status = self.replaced(self.damaged(lambda path: os.truncate(path, os.path.getsize(path) // 2)))
        self.assertGreater(status["records"]["lost"], 0)  # the half that was cut off is declared (Q4)

    def test_no_database_at_all(self):
        status = self.replaced(self.damaged(lambda path: write(path, os.urandom(200_000))))
        # Without its counters nobody knows what was sent today: the budget counts as spent (B2), what is taken in waits.
        self.assertEqual(status["outbox"]["budget_left_bytes"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
