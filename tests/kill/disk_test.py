"""No byte and no inode left, on a small file system of its own (ext4 on a loop device, or a tmpfs). The agent and the hub stay up, start
again after a kill -9, say what is wrong, keep control going, and go on by themselves when there is room. What was acknowledged is never
lost (Q1, Q3, Q4, Q7, H1), and a node keeps the release it has until another fits (U2, R1, U9).
"""
# Checks Q1 Q3 Q4 Q7 R1 U2 U9 H1.
import unittest

import namespaces

namespaces.enter("mount")

import mortal  # noqa: E402
from mortal import BIN, Mortal, Tally, check_records, harness  # noqa: E402
from harness import wait  # noqa: E402
from namespaces import SmallDisk  # noqa: E402


class Disk(harness.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.tally = Tally("disk", [])

    def disk(self, name, **size):
        disk = SmallDisk(self.lab, name, **size)
        self.cleanups = getattr(self, "cleanups", []) + [disk]
        return disk

    def finish(self):
        for process in self.lab.processes:
            process.kill()
        for disk in getattr(self, "cleanups", []):
            disk.close()
        super().finish()

    def local_node(self, disk, hub):
        node = Mortal(self.lab, "node", "--pipeline", self.lab.pipeline())
        node.data = disk.path + "/node"
        node.enrol(hub)
        node.begin()
        node.wait_answering()
        for _ in range(30):
            self.assertTrue(node.feed())
        return node

    def all_arrived(self, node, hub):
        node.settle()
        check_records(self.tally, [node], hub)
        self.assertEqual(self.tally.violations, [])

    def recovers(self, node, hub):
        wait("200 again", node.feed)
        self.assertEqual(node.status()["store"]["error"], "")
        node.process.kill()
        self.all_arrived(node, hub)

    def test_agent_without_a_byte(self):
        hub, disk = self.lab.hub(), self.disk("agent-bytes")
        node = self.local_node(disk, hub)
        disk.fill()
        for _ in range(20):
            wait("200: there is room in what the store owns, and the hub empties it", lambda: node.feed(50), 60)
        hub.process.kill()
        wait("a 503", lambda: not node.feed(50))
        self.assertRegex(wait("the reason", lambda: node.status()["store"]["error"]), "full")
        node.process.kill()
        node.begin_again()
        self.assertEqual(node.call("GET", "/ready")[0], 200)
        wait("the reason after a start on the full disk", lambda: "full" in node.status()["store"]["error"])
        self.assertEqual(node.status()["store"]["failures"], 0)  # what control saves fits (R1)
        self.assertFalse(node.feed(50))
        hub.start()
        wait("a contact with the disk full", lambda: hub.node("node")["last_contact_ms"] and node.status()["hub"]["connected"], 90)
        wait("200 on the full disk, once the hub has emptied the outbox", node.feed, 60)
        disk.free()
        self.recovers(node, hub)

    def test_rollback_and_renewal_without_a_byte(self):
        """R1, U3: a release is in probation when the disk fills. The agent is killed again and again: it takes the release back by
        itself, and tells the hub, in its critical lane; then its certificate is renewed. All of it without a free byte."""
        hub, disk = self.lab.hub(), self.disk("rollback")
        hub.cli("release", "key", "trust", self.lab.key()[1])
        node = Mortal(self.lab, "node")
        node.data = disk.path + "/node"
        node.enrol(hub)
        node.begin()
        node.wait_answering()
        for version, probation in ((1, "300ms"), (2, "1h")):
            hub.cli("release", "push", self.lab.release(version))
            hub.cli("rollout", "start", f"e2e@{version}", "--to", "all", "--waves", "100", "--probation", probation, "--probation-records",
                    "0" if version == 1 else "1000000", "--supersede")
            wait(f"release {version}", lambda: (node.feed(), node.status()["deploy"])[1]["running" if version == 1 else "candidate"]
                 == f"e2e@{version}" and (version == 1 or node.status()["deploy"]["phase"] == "probation"), 60)
        wait("an empty outbox", node.drained)
        disk.fill()
        hub.process.kill()
        wait("a refusal", lambda: not node.feed(50))
        for _ in range(4):
            node.process.kill()
            node.begin_again()
            wait("the first release to run again", lambda: node.status()["deploy"]["running"] == "e2e@1")
        wait("the second one to be taken back", lambda: node.status()["deploy"]["phase"] == "rolled_back", 30)
        self.assertFalse(node.feed(50))

        hub.start()

        def told():
            return [event for event in hub.json("track", "node", "node")["events"] if event["kind"] == "release_refused"]

        wait("the hub to hear of it", told, 60)
        self.assertIn("CRASH", told()[0]["text"])
        self.assertEqual(node.status()["outbox"]["lanes"]["critical"]["effected"], 1)
        before = harness.read(node.data + "/identity/identity")
        node.process.kill()
        node.begin(env=mortal.clock("+75d x4"))
        wait("a renewed certificate", lambda: harness.read(node.data + "/identity/identity") != before, 60)
        node.process.kill()
        disk.free()
        self.all_arrived(node, hub)

    def test_agent_without_an_inode(self):
        hub, disk = self.lab.hub(), self.disk("agent-inodes")
        node = self.local_node(disk, hub)
        disk.fill_inodes()
        for _ in range(30):
            self.assertTrue(node.feed())  # the files that are needed are there
        node.process.kill()
        node.begin_again()
        self.assertTrue(node.feed())
        disk.free()
        self.recovers(node, hub)

    def test_hub(self):
        disk = self.disk("hub", mib=12)
        hub = harness.Hub(self.lab, "hub")
        hub.data = disk.path + "/hub"
        hub.start()
        node = Mortal(self.lab, "node", "--pipeline", self.lab.pipeline())
        node.enrol(hub)
        for fill in (disk.fill, disk.fill_inodes):
            node.begin()
            node.wait_answering()
            wait("a record", node.feed)
            wait("an empty outbox", node.drained, 60)
            fill()
            for _ in range(40):
                self.assertTrue(node.feed())
            self.assertTrue(hub.process.alive())
            hub.process.kill()
            hub.start()
            self.assertEqual([one["id"] for one in hub.json("node", "list")["nodes"]], ["node"])
            for _ in range(40):
                self.assertTrue(node.feed())
            disk.free()
            node.process.stop()
            node.settle()
            check_records(self.tally, [node], hub)
            node.process.stop()
        self.assertEqual(self.tally.violations, [])

    def test_release_that_does_not_fit(self):
        hub, disk = self.lab.hub(), self.disk("release")
        hub.cli("release", "key", "trust", self.lab.key()[1])
        node = Mortal(self.lab, "node")
        node.data = disk.path + "/node"
        node.enrol(hub)
        node.begin()
        node.wait_answering()

        def roll_out(version):
            hub.cli("release", "push", self.lab.release(version))
            hub.cli("rollout", "start", f"e2e@{version}", "--to", "all", "--waves", "100", "--probation", "300ms", "--probation-records",
                    "0", "--supersede")

        def runs(version):
            node.feed()
            return node.status()["deploy"]["running"] == f"e2e@{version}"

        roll_out(1)
        wait("the first release", lambda: runs(1))
        wait("an empty outbox", node.drained)
        disk.fill()
        roll_out(2)
        wait("the second one to be tried", lambda: "No space" in (node.feed(50), node.status())[1]["deploy"]["waiting_for"], 60)
        self.assertTrue(runs(1))
        self.assertEqual(node.call("GET", "/ready")[0], 200)
        disk.free()
        wait("the second release", lambda: runs(2), 120)
        wait("the hub to know", lambda: hub.node("node")["reported"]["running_name"] == "e2e@2", 60)
        node.process.kill()
        self.all_arrived(node, hub)


if __name__ == "__main__":
    unittest.main(verbosity=2)
