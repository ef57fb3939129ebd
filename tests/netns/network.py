"""Cores in network namespaces of their own, joined by a bridge in another. Needs root.

Namespaces carry the test's pid in their names and are removed when the network is left, also after a
failure or Ctrl-C; those of tests that were killed go before the next one begins.
"""
import ctypes
import os
import pathlib
import re
import subprocess

import cluster as clusters
from cluster import PATIENCE_S, SPATE, TIMES, Cluster, _die_with_parent

CLONE_NEWNET = 0x40000000
SUBNET = "10.79.0"
libc = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False,
                          timeout=PATIENCE_S)
    assert done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def sweep():
    """Namespaces of tests that are gone."""
    for path in pathlib.Path("/run/netns").glob("spate-test-*"):
        pid = re.match(r"spate-test-(\d+)-", path.name)
        if pid and not os.path.exists(f"/proc/{pid[1]}"):
            subprocess.run(["ip", "netns", "del", path.name], check=False)


class Space:
    """A context manager: what runs below it is in that network namespace."""

    def __init__(self, name):
        self.name = name

    def _enter(self, path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            assert libc.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(fd)

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._enter(f"/run/netns/{self.name}")
        return self

    def __exit__(self, *_):
        self._enter(f"/proc/self/fd/{self.before}")
        os.close(self.before)

    def run(self, *words):
        """Returns (exit code, output of both kinds)."""
        done = subprocess.run(["ip", "netns", "exec", self.name, *map(str, words)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=PATIENCE_S)
        return done.returncode, done.stdout


class NetworkCluster(Cluster):
    """Core i in a namespace with eth0 at SUBNET.i; `devices[i]` is its dpdk.device, None: sockets."""

    def __init__(self, devices, flags=(), more=None):
        super().__init__(len(devices), durability="disk", flags=flags, transport="netns")
        self.devices = dict(zip(self.ids, devices))
        self.more = more or {}
        prefix = f"spate-test-{os.getpid()}-"
        self.bridge = Space(prefix + "b")
        self.spaces = {i: Space(f"{prefix}{i}") for i in self.ids}
        self.request = clusters.request

    def __enter__(self):
        sweep()
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        clusters.request = self._request_inside
        return self

    def __exit__(self, *_):
        clusters.request = self.request
        super().__exit__()
        for space in [*self.spaces.values(), self.bridge]:
            subprocess.run(["ip", "netns", "del", space.name], check=False,
                           stderr=subprocess.DEVNULL)

    def _make_space(self, space):
        ip("netns", "add", space.name)
        ip("-n", space.name, "link", "set", "lo", "up")
        code, out = space.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                              "net.ipv6.conf.default.disable_ipv6=1")
        assert code == 0, out

    def _make(self):
        self._make_space(self.bridge)
        ip("-n", self.bridge.name, "link", "add", "br0", "type", "bridge")
        ip("-n", self.bridge.name, "addr", "add", f"{SUBNET}.100/24", "dev", "br0")
        ip("-n", self.bridge.name, "link", "set", "br0", "up")
        # What this end sends to others is finished by nobody else.
        assert self.bridge.run("ethtool", "-K", "br0", "tx", "off")[0] == 0
        for core, space in self.spaces.items():
            self._make_space(space)
            ip("link", "add", f"p{core}", "netns", self.bridge.name, "type", "veth", "peer",
               "name", "eth0", "netns", space.name)
            ip("-n", self.bridge.name, "link", "set", f"p{core}", "master", "br0", "up")
            ip("-n", space.name, "link", "set", "eth0", "up")
            if self.devices[core] is None:
                # Kernel ends of a veth leave checksums unfinished unless told not to.
                assert space.run("ethtool", "-K", "eth0", "tx", "off")[0] == 0
                ip("-n", space.name, "addr", "add", f"{SUBNET}.{core}/24", "dev", "eth0")

    def _request_inside(self, port, *words, **named):
        for core, space in self.spaces.items():
            if port in (self.api[core], self.health[core]):
                with space:
                    return self.request(port, *words, **named)
        return self.request(port, *words, **named)

    def members(self):
        return ",".join(f"{i}@{SUBNET}.{i}:7209" for i in self.ids)

    def arguments(self, core, *more):
        device = self.devices[core]
        network = ["--transport", "dpdk", "--dpdk.device", device] if device else []
        return ["ip", "netns", "exec", self.spaces[core].name, SPATE, "core", "--id", str(core),
                "--raft.members", self.members(), "--insecure-peers", "any",
                "--durability", self.durability, "--data", self.data(core),
                "--api.listen", f"127.0.0.1:{self.api[core]}",
                "--health.listen", f"127.0.0.1:{self.health[core]}", *network, *TIMES,
                *self.flags, *self.more.get(core, []), *more]

    def put(self, key, value, core):
        answer = clusters.request(self.api[core], "PUT", clusters.key_path(key), value)
        assert answer.status == 200, f"put {key}: {answer.status} {answer.body}"

    def drops(self, core):
        """{reason: count} of what the core's device or stack dropped."""
        return {d["reason"]: d["count"] for d in self.status(core)["net"]["drops"]
                if d["device"] != "link"}


__all__ = ["NetworkCluster", "Space", "SUBNET", "ip", "_die_with_parent"]
