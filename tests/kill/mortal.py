"""What the tests of this folder share: processes that die by SIGKILL at a named point, producers that know what was answered,
and the oracle, which is the simulator's: accepted records are at the hub exactly once, or wait, or are counted.
"""
import atexit
import collections
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
from harness import BIN, rows, wait  # noqa: E402,F401

SCALE = int(os.environ.get("WAYBILL_KILL_SCALE", "1"))  # script/prove repeats every row this often, with other numbers
SEED = int(os.environ.get("WAYBILL_KILL_SEED", "1"))
REACH_S = 60  # a point that no run reaches within this time makes the test red
FEED_S = 0.02
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def rows_of(program):
    """The kill table of a killable program."""
    import subprocess
    return json.loads(subprocess.run([f"{BIN}/{program}", "rows"], check=True, capture_output=True, text=True).stdout)


def leave_evidence():
    """With WAYBILL_EVIDENCE=FOLDER: what all tallies of this process counted, for tools/evidence."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    decided = sum((tally.decided for tally in Tally.all), collections.Counter())
    run = {"program": "kill tests", "what": f"{name}, each row {SCALE} times, seed {SEED}", "finished_unix_s": int(time.time()),
           "seconds": int(time.monotonic() - Tally.all[0].began), "violations": sum(len(tally.violations) for tally in Tally.all),
           "sizes": {"kills": sum(sum(tally.kills.values()) for tally in Tally.all)}, "decided": dict(sorted(decided.items()))}
    with open(os.path.join(os.environ["WAYBILL_EVIDENCE"], f"{name}.json"), "w") as file:
        json.dump(run, file)


class Tally:
    """Counts the kills by point, and how often each promise was decided. Every expected point must have been hit."""

    all = []

    def __init__(self, name, points):
        if not Tally.all and "WAYBILL_EVIDENCE" in os.environ:
            atexit.register(leave_evidence)
        Tally.all.append(self)
        self.name, self.expected = name, list(points)
        self.decided = collections.Counter()  # by promise
        self.kills = collections.Counter()
        self.violations = []
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def killed(self, point):
        with self.lock:
            self.kills[point] += 1

    def violated(self, text):
        with self.lock:
            self.violations.append(text)

    def decides(self, ids, times=1):
        with self.lock:
            self.decided.update({promise: times for promise in ids.split()})

    def close(self, case):
        missing = [point for point in self.expected if not self.kills[point]]
        print(f"{self.name}: {sum(self.kills.values())} kills at {len(self.kills)} points, {len(self.violations)} violations, "
              f"{time.monotonic() - self.began:.0f} s", flush=True)
        case.assertEqual((missing, self.violations), ([], []), "points that no run died at, violations")


class Mortal(harness.Agent):
    """An agent with a producer: it knows which rows were answered with 200, and which lines stand in the followed file."""

    def __init__(self, lab, name, *words):
        super().__init__(lab, name)
        self.words = list(words)
        self.acked, self.sent, self.lines = set(), set(), set()
        self.numbers = itertools.count()
        self.dice = random.Random(name)
        self.follow = None

    def begin(self, die=None, program=None, **options):
        """Starts it, to die at `die` ("before:Store:3"). Does not wait for anything."""
        if os.path.exists(self.data + "/local_url"):
            os.remove(self.data + "/local_url")
        how = [f"{BIN}/waybill-agent-killable", "--die", die] if die else [program or f"{BIN}/waybill-agent"]
        self.process = self.lab.spawn(self.name, [*how, "run", "--data-dir", self.data, *self.words], **options)
        return self

    def begin_again(self):
        """As after a power cut: everything lies where it lay, local_url too."""
        before = harness.read(self.data + "/local_url")
        self.process = self.lab.spawn(self.name, [f"{BIN}/waybill-agent", "run", "--data-dir", self.data, *self.words])
        wait(f"{self.name} to say where it answers",
             lambda: not self.process.alive() or harness.read(self.data + "/local_url") != before)
        self.wait_answering()
        return self

    def feed(self, count=3):
        """One batch to the local API, one line to the followed file. An answer other than 200 promises nothing."""
        if self.follow:
            tag = f"{self.name}-f{next(self.numbers)}"
            self.lines.add(tag)
            self.follow.write(f"1,2,{tag},{1_700_000_000_000 + len(self.lines)}\n")
            self.follow.flush()
        batch = rows(0, count)
        for row in batch:
            row.update(a=20 * self.dice.random(), b=20 * self.dice.random(), tag=f"{self.name}-{next(self.numbers)}")
        self.sent.update(row["tag"] for row in batch)
        try:
            if self.post(batch, timeout=10)[0] == 200:
                self.acked.update(row["tag"] for row in batch)
                return True
        except (OSError, IndexError, ValueError):
            pass
        return False

    def die(self, tally, point, number, feed=None, seconds=REACH_S):
        """One life, to its end at `point`. False if it was not reached."""
        self.begin(f"{point}:{number}")
        deadline = time.monotonic() + seconds
        while self.process.alive() and time.monotonic() < deadline:
            (feed or self.feed)()
            time.sleep(FEED_S)
        if self.process.alive():
            self.process.kill()
            return False
        return self.died(tally, point)

    def died(self, tally, point):
        code = self.process.child.wait(harness.PATIENCE_S)
        if code != -signal.SIGKILL:
            tally.violated(f"{self.name} ended with {code} on its way to {point}: {self.process.text()[-600:]}")
            return False
        tally.killed(point)
        return True

    def settle(self, seconds=120):
        """A life without end: what waits goes up."""
        self.begin()
        self.wait_answering()
        wait(f"{self.name} to have an empty outbox", self.drained, seconds)
        return self


def check_records(tally, nodes, hub, seconds=60):
    """Q1, Q3, Q4 for all nodes at once; they run, and their outboxes are empty."""
    def missing():
        found = collections.defaultdict(collections.Counter)
        for record in hub.records():
            found[record["node"]][record["tag"]] += 1
        return found, {node.name: (node.acked | node.lines) - set(found[node.name]) for node in nodes}

    deadline = time.monotonic() + seconds
    found, lost = missing()
    while any(lost.values()) and time.monotonic() < deadline:
        found, lost = missing()
    for node in nodes:
        times = found[node.name]
        tally.decides("Q1", len(node.acked | node.lines))
        tally.decides("Q3", len(times))
        tally.decides("Q4")
        twice = [tag for tag, count in times.items() if count > 1]
        status = node.status()
        lanes = [lane for name, lane in status["outbox"]["lanes"].items() if name != "critical"]  # no readings: events
        counted = {word: sum(lane[word] for lane in lanes) for word in ("produced", "waiting", "evicted", "lost")}
        checks = {
            "Q1: accepted, but not at the hub": sorted(lost[node.name]),
            "Q3: more than one effect": twice,
            "Q1: at the hub, but never sent": sorted(set(times) - node.sent - node.lines),
            "Q4: not counted": counted["produced"] - len(times) - counted["waiting"] - counted["evicted"] - counted["lost"],
            "Q4: lost on a sound disk": counted["lost"] + counted["evicted"] + status["records"]["lost"],
        }
        for what, faults in checks.items():
            if faults:
                tally.violated(f"{node.name}: {what}: {faults if isinstance(faults, int) else faults[:5]}")
    return found


def numbers(*small):
    """Which occurrence to die at: the small ones, then, in the long programme, others."""
    yield from small
    dice = random.Random(SEED)
    for _ in range((SCALE - 1) * len(small)):
        yield dice.randint(1, max(small))


def clock(text):
    """The environment of a process whose clock is `text`, as in faketime(1): "@1970-01-01 00:00:00", "+75d x4"."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": text}


class Together:
    """Stories in parallel. The first exception of any is the test's."""

    def __init__(self):
        self.threads, self.errors = [], []

    def go(self, story, *arguments):
        def guarded():
            try:
                story(*arguments)
            except BaseException as error:  # handed on by join()
                self.errors.append(error)
                traceback.print_exc()

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
