"""Real hubs and agents for the tests of this folder: each Lab is a temporary folder with the processes that run in it.

Nothing sleeps for a fixed time: wait() polls until a deadline. Every process is ended by its own process group, at the latest
when the Lab closes; then the folder goes. If a test fails, what its processes logged is printed.
"""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

BIN = os.environ.get("WAYBILL_BIN", "")
PATIENCE_S = 30
POLL_S = 0.05

PIPELINE = """name: {name}
schema:
  - {{name: a, type: number}}
  - {{name: b, type: number}}
  - {{name: tag, type: text}}
event_time: ts
source:
{source}
{infer}
sync:
  budget: 1GiB
  rules:
{rules}
"""
HTTP_SOURCE = "  - http: {path: /v1/records}"
ALL = "    - all: {}"


def wait(what, probe, seconds=PATIENCE_S):
    """Polls until probe() is true and returns its value. An exception counts as "not yet"."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except (OSError, KeyError, ValueError, IndexError, subprocess.SubprocessError, AssertionError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}; last seen: {last!r}")
        time.sleep(POLL_S)


def read(path, mode="r"):
    with open(path, mode, **({} if "b" in mode else {"errors": "replace"})) as file:
        return file.read()


def write(path, content):
    with open(path, "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)
    return path


class Process:
    """A child in its own process group, with its output in a log file."""

    def __init__(self, command, log, env=None, preexec=None, stdin=subprocess.DEVNULL):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=out, stdin=stdin, start_new_session=True,
                                          env={**os.environ, **(env or {})}, preexec_fn=preexec)
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def text(self):
        return read(self.log)

    def signal(self, number):
        if self.alive():
            os.killpg(self.pid, number)

    def kill(self):
        """Power cut: kill -9."""
        self.signal(signal.SIGKILL)
        return self.child.wait(PATIENCE_S)

    def stop(self):
        """Asks it to end and returns its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.log}: did not stop on SIGTERM")


class Hub:
    address = "127.0.0.1"
    prefix = ()  # of the command line, for a hub that runs elsewhere

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.data = lab.path(name)
        self.port = 0
        self.process = None

    def start(self):
        log = self.lab.path(self.name + ".log")  # its data may lie elsewhere
        before = len(read(log)) if os.path.exists(log) else 0
        self.process = self.lab.spawn(self.name, [*self.prefix, BIN + "/waybill", "hub", "--data-dir", self.data,
                                                  "--listen", f"{self.address}:{self.port}"])

        def ready():
            assert self.process.alive(), self.process.text()
            return "hub ready at" in self.process.text()[before:]

        wait(f"{self.name} to be ready", ready)
        self.url = read(self.data + "/hub_url").strip()
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def cli(self, *words, code=0):
        return self.lab.waybill(*words, "--data-dir", self.data, code=code)

    def json(self, *words):
        return json.loads(self.cli(*words, "--output", "json").stdout)

    def token(self, *words):
        return self.cli("node", "token", "create", *words).stdout.strip()

    def node(self, name):
        return self.json("node", "show", name)

    def records(self, pipeline="e2e", *words):
        if pipeline not in [one["pipeline"] for one in self.json("dataset", "show")["datasets"]]:
            return []
        out = self.cli("dataset", "export", pipeline, "--format", "ndjson", *words).stdout
        return [json.loads(line) for line in out.splitlines()]

    def dead_letters(self, pipeline="e2e"):
        return self.records(pipeline, "--dead-letters")


class Agent:
    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.data = lab.path(name)
        self.process = None
        self.words = []

    def enrol(self, hub, *words, token=None, code=0):
        return self.lab.run(BIN + "/waybill-agent", "enroll", "--hub", hub.url, "--token", token or hub.token(),
                            "--data-dir", self.data, "--name", self.name, *words, code=code)

    def start(self, *words, ready=True, **options):
        self.words = list(words) or self.words
        if os.path.exists(self.data + "/local_url"):
            os.remove(self.data + "/local_url")
        self.process = self.lab.spawn(self.name, [BIN + "/waybill-agent", "run", "--data-dir", self.data, *self.words],
                                      **options)
        self.wait_answering()
        if ready:
            wait(f"{self.name} to run a pipeline", lambda: self.call("GET", "/ready")[0] == 200)
        return self

    def wait_answering(self):
        def answering():
            if not self.process.alive():
                raise RuntimeError(f"{self.name} ended: {self.process.text()}")
            return self.call("GET", "/ping")[0] == 200

        wait(f"{self.name} to answer", answering)

    def call(self, method, path, body=None, content_type="application/json", timeout=PATIENCE_S):
        """One request to the local API: (status, body). Connection errors are OSError."""
        url = read(self.data + "/local_url").strip() + path
        request = urllib.request.Request(url, data=body, method=method, headers={
            "authorization": "Bearer " + read(self.data + "/local_token").strip(), "content-type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise OSError(str(error)) from error
        except Exception as error:  # a half answer of a killed agent
            raise OSError(repr(error)) from error

    def post(self, rows, content_type="application/json", timeout=PATIENCE_S):
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        return self.call("POST", "/v1/records", body, content_type, timeout)

    def status(self):
        code, body = self.call("GET", "/v1/status")
        assert code == 200, body
        return json.loads(body)

    def drained(self):
        return self.status()["outbox"]["waiting"] == 0


class Lab:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="waybill-e2e-")
        self.processes = []
        for name in ("waybill", "waybill-agent"):
            assert os.access(f"{BIN}/{name}", os.X_OK), f"WAYBILL_BIN={BIN!r} has no {name}: build it first"

    def path(self, name):
        return os.path.join(self.folder, name)

    def spawn(self, name, command, **options):
        process = Process(command, self.path(name + ".log"), **options)
        self.processes.append(process)
        return process

    def run(self, *command, code=0, env=None, timeout=60, stdin=None):
        """Runs to the end. The exit code must be `code`."""
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, input=stdin,
                              env={**os.environ, **(env or {})})
        assert done.returncode == code, (f"{' '.join(command)}\nended with {done.returncode}, expected {code}\n"
                                         f"{done.stdout}{done.stderr}")
        done.text = done.stdout + done.stderr
        return done

    def waybill(self, *words, code=0):
        return self.run(BIN + "/waybill", *words, code=code)

    def hub(self, name="hub"):
        return Hub(self, name).start()

    def agent(self, name):
        return Agent(self, name)

    def pipeline(self, file="pipeline.yaml", name="e2e", source=HTTP_SOURCE, rules=ALL, model=False):
        infer = "infer: {model: main}" if model else ""
        return write(self.path(file), PIPELINE.format(name=name, source=source, rules=rules, infer=infer))

    def model(self, file="main.wbm"):
        """A small model of a and b: hot if their sum is above 10."""
        path = self.path(file)
        if os.path.exists(path):
            return path
        rows = [f"{a},{b},{'hot' if a + b > 10 else 'cold'}" for a in range(20) for b in range(20)]
        data = write(self.path("train.csv"), "a,b,class\n" + "\n".join(rows) + "\n")
        self.waybill("fit", data, "--target", "class", "--trees", "4", "--depth", "3", "-o", path)
        return path

    def key(self, name="publisher"):
        """Returns (private key file, public key in hex)."""
        path = self.path(name + ".key")
        if not os.path.exists(path):
            text = self.waybill("release", "key", "create", "--out", path).text
            write(path + ".pub", next(word for word in text.split() if len(word) == 64))
        return path, read(path + ".pub")

    def release(self, version, key="publisher", pipeline=None):
        """Builds e2e@version and returns the file."""
        out = self.path(f"e2e-{version}.wbr")
        self.waybill("release", "build", "--name", "e2e", "--version", str(version), "--pipeline",
                     pipeline or self.pipeline(model=True), "--model", self.model(), "--key", self.key(key)[0], "-o", out)
        return out

    def broker(self, *lines):
        """A mosquitto on a free port."""
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        assert os.access(program, os.X_OK), "mosquitto is missing: run script/setup"
        port = free_port()
        config = write(self.path("mosquitto.conf"), f"listener {port} 127.0.0.1\nallow_anonymous true\n" +
                       "".join(line + "\n" for line in lines))
        process = self.spawn("mosquitto", [program, "-c", config])

        def listening():
            assert process.alive(), process.text()
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True

        wait("mosquitto", listening)
        return port

    def logs(self):
        out = ""
        for log in sorted({process.log for process in self.processes}):
            out += f"---- {os.path.basename(log)}\n{read(log)[-4000:]}\n"
        return out

    def close(self):
        for process in self.processes:
            process.signal(signal.SIGKILL)
            process.child.wait(PATIENCE_S)
        shutil.rmtree(self.folder)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rows(first, count, **extra):
    return [{"a": i, "b": i % 7, "tag": f"t{i}", "ts": 1_700_000_000_000 + i, **extra} for i in range(first, first + count)]


class Case(unittest.TestCase):
    """A Lab per test; its logs are shown if the test fails."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.finish)

    def finish(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or (
            self._outcome.result is not None and any(test is self for test, _ in
                                                     self._outcome.result.failures + self._outcome.result.errors))
        if failed:
            sys.stderr.write(self.lab.logs())
        self.lab.close()


# ---------------------------------------------------------------- the wire, by hand
# Just enough protobuf to be an older or newer peer than the real programs.

def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """[(number, value)] of a message: ints, or bytes."""
    out, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            out.append((key >> 3, number()))
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size = number()
        out.append((key >> 3, data[at:at + size]))
        at += size
    return out


def identity(agent, folder):
    """The TLS files of an enrolled node, for a client or for a look: (certificate, key, authority)."""
    text = read(agent.data + "/identity/identity")
    certificate = text[text.index("certificate\n") + 12:text.index("authority\n")]
    return (write(os.path.join(folder, "node.pem"), certificate), agent.data + "/identity/key.pem",
            write(os.path.join(folder, "authority.pem"), text[text.index("authority\n") + 10:]))


def tls_call(hub, certificate, key, authority, method, path, body=b"", headers=None):
    """One request over mutual TLS: (status, body bytes)."""
    context = ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate, key)
    request = urllib.request.Request(hub.url + path, data=body if method == "POST" else None, method=method,
                                     headers={"content-type": "application/x-protobuf", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


if __name__ == "__main__":
    sys.exit("this is a library: run one of the *_test.py")
