"""A network of its own: the hub in one network namespace, the nodes in another, a veth between them. 5 and 20 % of the packets are
dropped at random in each direction (nftables), the link is capped at 50 kbit/s (tbf), and parted altogether. Records arrive once (Q1, Q3,
Q4); over 50 kbit/s a release gets through while a backlog of records waits, for control is not starved by data; after a partition
everything converges (U9).
"""
# Checks Q1 Q3 Q4 U9.
import shutil
import subprocess
import time
import unittest

import namespaces

namespaces.enter("net", "mount")

import mortal  # noqa: E402
from mortal import BIN, Mortal, Tally, check_records, harness  # noqa: E402
from harness import wait  # noqa: E402

HUB, NODES = "10.77.0.1", "10.77.0.2"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Link:
    """wb0 here (the nodes), wb1 in the hub's namespace, which lives as long as its holder."""

    def __init__(self, lab):
        for tool in ("ip", "tc", "nft", "nsenter"):
            if not shutil.which(tool):
                namespaces.skip(f"there is no {tool}: run script/setup")
        self.holder = lab.spawn("holder", ["unshare", "--net", "sleep", "infinity"], preexec=namespaces.die_with_parent)
        self.there = ("nsenter", "--target", str(self.holder.pid), "--net")
        own = run("readlink", "/proc/self/ns/net")
        wait("the hub's namespace", lambda: run("readlink", f"/proc/{self.holder.pid}/ns/net") != own)
        try:
            run("ip", "link", "set", "lo", "up")
            run(*self.there, "ip", "link", "set", "lo", "up")
            run("ip", "link", "add", "wb0", "type", "veth", "peer", "name", "wb1", "netns", str(self.holder.pid))
            for prefix, name, address in (((), "wb0", NODES), (self.there, "wb1", HUB)):
                run(*prefix, "ip", "address", "add", address + "/24", "dev", name)
                run(*prefix, "ip", "link", "set", name, "up")
                run(*prefix, "nft", "add table inet faults; add chain inet faults input { type filter hook input priority 0; }")
        except RuntimeError as error:
            namespaces.skip(f"no network of our own: {error}")

    def drop(self, percent):
        for prefix, name in (((), "wb0"), (self.there, "wb1")):
            run(*prefix, "nft", "flush chain inet faults input")
            if percent:
                which = f"numgen random mod 100 < {percent}" if percent < 100 else ""
                run(*prefix, "nft", f"add rule inet faults input iifname {name} {which} counter drop")

    def dropped(self):
        words = (run("nft", "list", "ruleset") + run(*self.there, "nft", "list", "ruleset")).split()
        return sum(int(words[i + 1]) for i, word in enumerate(words) if word == "packets")

    def cap(self, rate):
        for prefix, name in (((), "wb0"), (self.there, "wb1")):
            if rate:
                run(*prefix, *f"tc qdisc add dev {name} root tbf rate {rate} burst 4kb latency 1s".split())
            else:
                run(*prefix, *f"tc qdisc del dev {name} root".split())


class FarHub(harness.Hub):
    """In the other namespace; so are the commands that ask it."""

    address = HUB

    def __init__(self, lab, name, link):
        super().__init__(lab, name)
        self.link = link
        self.prefix = link.there

    def cli(self, *words, code=0):
        return self.lab.run(*self.link.there, BIN + "/waybill", *words, "--data-dir", self.data, code=code)


class Network(harness.Case):
    maxDiff = None

    def test_loss_cap_and_partition(self):
        tally = Tally("network", [])
        link = Link(self.lab)
        hub = FarHub(self.lab, "hub", link).start()
        hub.cli("release", "key", "trust", self.lab.key()[1])
        node = Mortal(self.lab, "records", "--pipeline", self.lab.pipeline())
        follower = Mortal(self.lab, "follower")
        node.enrol(hub)
        follower.enrol(hub, token=hub.token("--label", "line=release"))
        for one in (node, follower):
            one.begin()
            one.wait_answering()
        for percent in (5, 20):
            link.drop(percent)
            end = time.monotonic() + 4
            while time.monotonic() < end or not link.dropped():
                self.assertTrue(node.feed())
                time.sleep(mortal.FEED_S)
            wait(f"records through {percent} % loss", node.drained, 180)
            print(f"network: {percent} % loss, {link.dropped()} packets dropped", flush=True)

        def roll_out(version):
            hub.cli("release", "push", self.lab.release(version))
            hub.cli("rollout", "start", f"e2e@{version}", "--to", "line=release", "--waves", "100", "--probation", "300ms",
                    "--probation-records", "0", "--supersede")

        def runs(version):
            follower.feed()
            return follower.status()["deploy"]["running"] == f"e2e@{version}"

        roll_out(1)
        wait("a release through 20 % loss", lambda: runs(1), 180)
        link.drop(0)

        link.cap("50kbit")
        for _ in range(40):
            self.assertTrue(follower.feed(100))
        roll_out(2)
        wait("a release through 50 kbit/s", lambda: runs(2), 180)
        self.assertGreater(follower.status()["outbox"]["waiting"], 0, "the backlog was gone before the release came: it proves nothing")
        link.cap(None)

        link.drop(100)
        roll_out(3)
        for _ in range(100):
            self.assertTrue(node.feed())
            self.assertFalse(runs(3))
        link.drop(0)
        for one in (node, follower):
            one.process.kill()
            one.begin()
            one.wait_answering()
        wait("the release after the partition", lambda: runs(3), 120)
        for one in (node, follower):
            wait("an empty outbox", one.drained, 120)
        wait("the hub to know", lambda: hub.node("follower")["reported"]["running_name"] == "e2e@3", 60)
        check_records(tally, [node, follower], hub)
        self.assertEqual(tally.violations, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
