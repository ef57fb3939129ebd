"""Real cores for the tests: on free loopback ports, or on DPDK over shared memory, in a temporary
folder, ended by pid.

Whatever happens (a failure, Ctrl-C, the end of a test's time), no process and no file is left:
cores die with the test that started them, and the folder goes with the cluster.
"""
import ctypes
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

SPATE = os.environ.get("SPATE", "spate")

# "socket": loopback. "memif": DPDK over shared memory, with addresses that only its stack knows.
TRANSPORT = os.environ.get("SPATE_TEST_TRANSPORT", "socket")

# How the cores' logs lie on disk: "auto", "wal" or "lmdb".
DISK = os.environ.get("SPATE_TEST_DISK", "auto")

# Generous: a stalled machine and a sanitized build must not look like a dead leader.
TIMES = ["--raft.election-timeout-min", "600ms", "--raft.election-timeout-max", "1200ms"]
PATIENCE_S = 60

_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)


def free_ports(count):
    """Ports that are free for UDP and TCP, below those that the system hands out by itself."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                    socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
        except OSError:
            continue
        if port not in ports:
            ports.append(port)
    return ports


def wait_for(what, condition, seconds=PATIENCE_S):
    """Calls condition() until it is true; returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def processes_with(word):
    """Processes that have the word on their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass  # It has just ended.
    return found


class Answer:
    """What a core said: status, headers, body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, timeout=10):
    """One HTTP request. OSError or HTTPException: nobody (any more) there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def key_path(key):
    return "/v1/kv/" + urllib.parse.quote(key, safe="")


def run(*words, env=None):
    """Returns (exit code, standard error)."""
    done = subprocess.run([SPATE, *map(str, words)], capture_output=True, timeout=PATIENCE_S,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stderr.decode(errors="replace")


def expect(code, says, *words, env=None):
    """One line on standard error with all of `says`, and the exit code."""
    got, err = run(*words, env=env)
    lines = err.splitlines()
    assert got == code, f"{words}: exits with {got}, not {code}: {err}"
    assert len(lines) == 1 and lines[0].startswith("spate"), f"{words}: {err!r}"
    for text in [says] if isinstance(says, str) else says:
        assert text in lines[0], f"{words}: '{text}' is not in {lines[0]!r}"


class Cluster:
    """Cores 1 to count. A context manager: leaving it ends and removes everything."""

    def __init__(self, count=3, durability="disk", flags=(), transport=TRANSPORT):
        self.folder = tempfile.mkdtemp(prefix="spate-test-")
        self.ids = list(range(1, count + 1))
        ports = free_ports(3 * count)
        self.peer = dict(zip(self.ids, ports))
        self.api = dict(zip(self.ids, ports[count:]))
        self.health = dict(zip(self.ids, ports[2 * count:]))
        self.durability, self.flags = durability, list(flags)
        self.transport, self.user = transport, None
        self.cores = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for core in self.cores.values():
            core.kill()
        for core in self.cores.values():
            core.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def members(self):
        host = "10.77.0." if self.transport == "memif" else "127.0.0."
        return ",".join(f"{i}@{host}{i if self.transport == 'memif' else 1}:{self.peer[i]}"
                        for i in self.ids)

    def network(self):
        if self.transport == "memif":
            return ["--transport", "dpdk", "--dpdk.device", f"memif:{self.folder}/memif"]
        return []

    def data(self, core):
        return f"{self.folder}/{core}"

    def log(self, core):
        with open(f"{self.folder}/{core}.log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def arguments(self, core, *more):
        return [SPATE, "core", "--id", str(core), "--raft.members", self.members(),
                "--insecure-peers", "local", "--durability", self.durability, "--disk", DISK,
                "--data", self.data(core), "--api.listen", f"127.0.0.1:{self.api[core]}",
                "--health.listen", f"127.0.0.1:{self.health[core]}", *self.network(),
                *TIMES, *self.flags, *more]

    def start(self, *which, more=()):
        for core in which or self.ids:
            with open(f"{self.folder}/{core}.log", "ab") as log:
                self.cores[core] = subprocess.Popen(
                    self.arguments(core, *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    preexec_fn=_die_with_parent, user=self.user, group=self.user,
                    extra_groups=None if self.user is None else [])

    def kill(self, *which):
        """kill -9."""
        for core in which:
            self.cores[core].kill()
            self.cores.pop(core).wait()

    def stop(self, *which):
        """SIGTERM; a clean stop exits 0."""
        which = which or list(self.cores)
        for core in which:
            self.cores[core].terminate()
        for core in which:
            code = self.cores.pop(core).wait(PATIENCE_S)
            assert code == 0, f"core {core} exits with {code}:\n{self.log(core)}"

    def status(self, core):
        """None: it does not answer."""
        try:
            return request(self.api[core], "GET", "/v1/status").json()
        except (OSError, http.client.HTTPException):
            return None

    def is_ready(self, core):
        try:
            return request(self.health[core], "GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, *which):
        for core in which or list(self.cores):
            wait_for(f"core {core} to be ready", lambda c=core: self.is_ready(c) or self._dead(c))

    def _dead(self, core):
        code = self.cores[core].poll()
        assert code is None, f"core {core} ended with {code}:\n{self.log(core)}"

    def leader(self):
        """The leader of the highest term, once there is one."""
        def find():
            all_of = [s for s in map(self.status, list(self.cores)) if s]
            leaders = [s for s in all_of if s["role"] == "leader"]
            return max(leaders, key=lambda s: s["term"])["id"] if leaders else None
        return wait_for("a leader", find)

    def wait_equal(self):
        """All running cores applied the same, and hold the same keys. Returns one's status."""
        def equal():
            all_of = [self.status(c) for c in self.cores]
            if None in all_of:
                return None
            seen = {(s["committed"], s["applied"], s["kv"]["applied"], s["kv"]["digest"],
                     s["kv"]["keys"]) for s in all_of}
            return all_of[0] if len(seen) == 1 else None
        return wait_for("equal cores", equal)

    def cli(self, *words, core=None, data=None):
        """spate kv or status. Returns (exit code, standard output, standard error)."""
        to = f"127.0.0.1:{self.api[core]}" if core else \
            ",".join(f"127.0.0.1:{p}" for p in self.api.values())
        done = subprocess.run([SPATE, *words, "--core", to], input=data, capture_output=True,
                              timeout=PATIENCE_S, preexec_fn=_die_with_parent, check=False)
        return done.returncode, done.stdout, done.stderr.decode()


def _end(number, _frame):
    raise SystemExit(128 + number)  # So that context managers clean up.


def run_tests(tests):
    """Runs functions, their names being sentences, and speaks TAP."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:  # Whatever it was, the next test shall run.
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {test.__name__}", flush=True)
    sys.exit(1 if failed else 0)
