"""A kill row per effect: the agent dies by SIGKILL immediately before and after each of its effects, and at each step of its
start, enrolment and renewal. What was accepted is at the hub once (Q1, Q3, Q4), a token is not used up by a crash (I6), what runs was
released and is what is reported (U1, F6), and every rollout ends (U9).

The table is the program's own: `waybill-agent-killable rows`. A row that no run reaches is a failure.
"""
# Checks Q1 Q3 Q4 Q5 S1 U1 U9 F6 I2 I6.
import hashlib
import os
import queue
import random
import signal
import threading
import time
import unittest

import mortal
from mortal import Mortal, Tally, Together, check_records, harness, numbers
from harness import BIN, HTTP_SOURCE, read, wait, write  # found by mortal

# Which occurrences of a point one life can reach.
OFTEN = (1, 2, 3)
OCCURRENCES = {
    "Store": (1, 2, 3, 4, 5, 9, 17), "Stored": (1, 2, 3, 4, 5, 6, 7, 9), "Answer": (1, 2, 3, 5, 7), "Act": (1, 2, 3, 5, 9, 14),
    "LoadRows": OFTEN, "RowsLoaded": OFTEN, "SendExchange": OFTEN, "ExchangeEnded": OFTEN, "Shadow": (1, 2), "FetchRange": (1, 2), "FetchEnded": (1, 2),
    "WriteSlot": (1, 2), "ReadSlot": (1, 2),
}
RECORD_AGENTS = 3
RELEASE_AGENTS = 4
RANDOM_KILLS = 60
TRIES_MAX = 4
STAGES = ("Log", "FetchRange", "FetchEnded", "WriteSlot", "SealSlot", "ReadSlot", "Shadow", "RemoveSlot")


class Agents(harness.Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.rows = mortal.rows_of("waybill-agent-killable")
        self.tally = Tally("agent", [row["point"] for row in self.rows])
        self.digests = {}  # of releases, by name
        self.hub = self.lab.hub()
        self.hub.cli("release", "key", "trust", self.lab.key()[1])

    def points(self, story):
        return [row["point"] for row in self.rows if row["story"] == story]

    def lives(self, points):
        """(point, occurrence) of every life, the rarer occurrences last."""
        return sorted(((point, number) for point in points
                       for number in numbers(*OCCURRENCES.get(point.split(":")[1], (1,)))), key=lambda life: life[1])

    def node(self, name, *words, labels=()):
        node = Mortal(self.lab, name, *words)
        node.enrol(self.hub, token=self.hub.token(*labels))
        return node

    def record_node(self, name):
        """Local pipeline, so that its crashes are not charged to a release: HTTP, a followed file, and an action per row."""
        follow = write(self.lab.path(name + ".csv"), "a,b,tag,ts\n")
        source = f"{HTTP_SOURCE}\n  - file: {{path: {follow}, format: csv, mode: tail, poll: 50ms}}"
        path = self.lab.pipeline(name + ".yaml", source=source)
        write(path, read(path) + f"route:\n  actions:\n    - file: {{path: {self.lab.path(name + '.acts')}, when: all}}\n")
        node = self.node(name, "--pipeline", path)
        node.follow = open(follow, "a")
        self.addCleanup(node.follow.close)
        return node

    def test_every_point(self):
        together = Together()
        record_lives = queue.Queue()
        patient = [point for point in self.points("records") if "CancelExchange" in point]
        for life in self.lives([point for point in self.points("records") if point not in patient]):
            record_lives.put(life)
        nodes = [self.record_node(f"records-{i}") for i in range(RECORD_AGENTS)]
        for node in nodes:
            together.go(self.records, node, record_lives)
        nodes.append(self.record_node("patient"))
        together.go(self.cancels, nodes[-1], self.lives(patient))
        nodes += [self.record_node(f"random-{i}") for i in range(2)]
        for node in nodes[-2:]:
            together.go(self.random_times, node, RANDOM_KILLS * mortal.SCALE // 2)
        together.go(self.beginnings)
        releases = [self.node(f"release-{i}", labels=("--label", "line=release")) for i in range(RELEASE_AGENTS)]
        together.go(self.releases, releases)
        together.go(self.damage)
        together.join()
        for node in nodes + releases:
            node.settle()
        check_records(self.tally, nodes + releases, self.hub)
        self.check_decided_by_releases(releases)
        self.tally.close(self)

    # ---- stories

    def records(self, node, lives):
        while True:
            try:
                point, number = lives.get_nowait()
            except queue.Empty:
                return
            stopping = point == "at:Stopping"

            def feed():
                if node.feed() and stopping:
                    node.process.signal(signal.SIGTERM)

            self.reached(node.die(self.tally, point, number, feed), node, point, number)

    def random_times(self, node, kills):
        """At no point in particular: kill -9 from outside, some time after the first record was taken."""
        dice = random.Random(f"{mortal.SEED} {node.name}")
        for _ in range(kills):
            node.begin()
            wait("a record", node.feed)
            end = time.monotonic() + dice.expovariate(4)
            while time.monotonic() < end:
                node.feed()
                time.sleep(dice.random() * mortal.FEED_S)
            node.process.kill()
            self.tally.killed("random")

    def cancels(self, node, lives):
        """A long-poll that is parked for long when records come: a node that sent some lately parks for two seconds only."""
        for point, number in lives:
            node.settle().process.stop()
            node.begin(f"{point}:{number}")
            node.wait_answering()
            deadline = time.monotonic() + mortal.REACH_S
            while node.process.alive() and time.monotonic() < deadline:
                try:
                    if node.drained() and node.status()["hub"]["last_contact_ms_ago"] > 2_500:
                        node.feed()
                except OSError:
                    pass
                time.sleep(mortal.FEED_S)
            reached = not node.process.alive() and node.died(self.tally, point)
            node.process.kill()
            self.reached(reached, node, point, number)

    def beginnings(self):
        """Enrolment and first start: each life is a new node, and each next one finishes what the first began."""
        turn = 0
        for point in self.points("enrolment") + self.points("first_start"):
            for _ in numbers(1, 1):
                node = Mortal(self.lab, f"new-{turn}", "--pipeline", self.lab.pipeline(f"new-{turn}.yaml"))
                turn += 1
                token = self.hub.token()
                if point in self.points("enrolment"):
                    self.lab.run(f"{BIN}/waybill-agent-killable", "--die", f"{point}:1", "enroll", "--hub", self.hub.url, "--token",
                                 token, "--data-dir", node.data, "--name", node.name, code=-signal.SIGKILL)
                    self.tally.killed(point)
                if point != "at:IdentityKept":  # there the node is enrolled, and enrolling again says so
                    node.enrol(self.hub, token=token)
                if point in self.points("first_start"):
                    self.reached(node.die(self.tally, point, 1), node, point, 1)
                node.begin()
                node.wait_answering()
                wait("a record of the new node", lambda: node.feed())
                wait("its contact", node.drained)
                node.process.stop()
        self.renewals()

    def renewals(self):
        """A certificate in the last third of its life, by a clock that is ahead: renewal is tried 20 s after the start, and this
        clock is also four times as fast."""
        node = self.node("renewing", "--pipeline", self.lab.pipeline("renewing.yaml"))
        for point in self.points("renewal"):
            before = harness.identity(node, self.lab.folder)[0]
            node.begin(f"{point}:1", env=mortal.clock("+75d x4"))
            wait(f"{point}", lambda: not node.process.alive(), mortal.REACH_S)
            self.reached(node.died(self.tally, point), node, point, 1)
            # I2: whichever certificate is on the disk serves.
            node.begin()
            node.wait_answering()
            wait("a record of the renewed node", lambda: node.feed())
            wait("its contact", node.drained)
            node.process.stop()

    def releases(self, nodes):
        """One release a round; in each, every node dies up to twice on its way to it."""
        lives = self.lives(self.points("release"))
        tries = dict.fromkeys(lives, 0)
        self.big_model()
        version = 0
        while lives or version < 3:
            version += 1
            file = self.lab.release(version)
            self.digests[f"e2e@{version}"] = hashlib.sha256(read(file, "rb")).hexdigest()
            self.hub.cli("release", "push", file)
            together, unmet, started = Together(), [], threading.Event()
            for node in nodes:
                together.go(self.one_release, node, self.share(lives, version), f"e2e@{version}", started, unmet)
            try:
                self.hub.cli("rollout", "start", f"e2e@{version}", "--to", "line=release", "--waves", "100", "--probation", "300ms",
                             "--probation-records", "0", "--supersede")
            finally:
                started.set()
                together.join()
            for life in unmet:
                tries[life] += 1
                if tries[life] < TRIES_MAX:
                    lives.append(life)
                else:
                    self.tally.violated(f"{life}: not reached in {TRIES_MAX} rollouts")
            self.check_reports(nodes)
            for node in nodes:
                node.process.stop()

    def share(self, lives, version):
        """The lives of one node in one round, in the order in which a release meets their points."""
        own = []
        for life in list(lives):
            shadow = "Shadow" in life[0]
            if version < 2 or ("RemoveSlot" in life[0] and version < 4):
                continue  # the third release is the first that leaves something to remove
            # A third start without a clean end takes a release for bad (U3), and rightly: one kill that is charged to the
            # release that runs, and one that is charged to the candidate.
            if any(("Shadow" in other[0]) == shadow for other in own):
                continue
            own.append(life)
            lives.remove(life)
        return sorted(own, key=lambda life: STAGES.index(life[0].split(":")[1]))

    def one_release(self, node, lives, name, started, unmet):
        for point, number in lives:
            node.begin(f"{point}:{number}")
            started.wait()
            if not self.dies_on_its_way(node, point, name):
                node.process.kill()
                unmet.append((point, number))
        node.begin()
        started.wait()
        node.wait_answering()
        wait(f"{node.name} to run {name}", lambda: node.feed() and node.status()["deploy"]["running"] == name, 90)
        wait(f"{node.name} to have said so", lambda: self.hub.node(node.name)["reported"]["running_name"] == name)

    def dies_on_its_way(self, node, point, name):
        deadline = time.monotonic() + mortal.REACH_S
        while time.monotonic() < deadline:
            node.feed()
            time.sleep(mortal.FEED_S)
            if not node.process.alive():
                return node.died(self.tally, point)
            try:
                arrived = node.status()["deploy"]["running"] == name
            except (OSError, AssertionError):
                continue
            if arrived:  # what follows the commit is performed before the next status: it did not meet its point
                return False
        return False

    def big_model(self):
        """More bytes than one range has: trees that learn noise, and answer p all but always, so that few records are enough for
        the node to find its answers distributed as they should be. It is what lab.release() packs from now on."""
        dice = random.Random(1)
        rows = [f"{20 * dice.random():.3f},{20 * dice.random():.3f},{dice.choice('ppppppppppppqrstu')}" for _ in range(3000)]
        data = write(self.lab.path("noise.csv"), "a,b,class\n" + "\n".join(rows) + "\n")
        self.lab.waybill("fit", data, "--target", "class", "--trees", "100", "--depth", "7", "-o", self.lab.path("main.wbm"))

    def damage(self):
        """A store that is damaged while it is in use: the agent says so and ends, and dies on the way."""
        for turn, point in enumerate(self.points("damage")):
            node = Mortal(self.lab, f"damaged-{turn}", "--pipeline", self.lab.pipeline(f"damaged-{turn}.yaml"), "--outbox", "4MiB")
            node.begin(f"{point}:1")
            node.wait_answering()
            while not node.status()["records"].get("by_rule", {}).get("all", {}).get("evicted"):
                node.feed(500)  # a full outbox evicts: it will touch any page of the file, which is larger than the log
            size = os.path.getsize(node.data + "/outbox.db")
            with open(node.data + "/outbox.db", "r+b") as file:
                file.seek(4096)
                file.write(os.urandom(size - 4096))
            wait(f"{point}", lambda: not node.feed(500) and not node.process.alive(), mortal.REACH_S)
            self.reached(node.died(self.tally, point), node, point, 1)
            # Q5: the next start is a start. What could not be read is counted.
            node.begin()
            node.wait_answering()
            wait("a record after the repair", node.feed)
            self.assertIn("damaged", node.process.text())
            node.process.stop()

    # ---- oracle

    def reached(self, met, node, point, number):
        if not met:
            self.tally.violated(f"{node.name}: {point}:{number} was not reached")

    def check_reports(self, nodes):
        for node in nodes:
            self.tally.decides("U1 F6 S1")
            status, at_hub = node.status()["deploy"], self.hub.node(node.name)
            if status["running_digest"] != self.digests[status["running"]]:
                self.tally.violated(f"{node.name} U1: runs bytes that were not released: {status}")
            if at_hub["reported"]["running_digest"] != status["running_digest"]:
                self.tally.violated(f"{node.name} F6: reports {at_hub['reported']}, runs {status}")
            slot = f"{node.data}/slots/{status['running_digest']}"
            if hashlib.sha256(read(slot, "rb")).hexdigest() != status["running_digest"]:
                self.tally.violated(f"{node.name} S1: {slot} is not what its name says")
            if status["quarantined"]:
                self.tally.violated(f"{node.name}: took a good release for bad: {status['quarantined']}")

    def check_decided_by_releases(self, nodes):
        names = {node.name for node in nodes}
        for record in self.hub.records():
            self.tally.decides("U1", int(record["node"] in names))
            if record["node"] in names and record["release"] not in self.digests.values():
                self.tally.violated(f"U1: a record of {record['node']} was decided by {record['release']}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
