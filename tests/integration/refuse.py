"""Whatever is wrong: one clear line with the remedy, the documented exit code, nothing damaged."""
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess

from cluster import SPATE, Cluster, expect, request, run, run_tests, wait_for

USAGE, NOT_READY, IN_USE, MISMATCH, CORRUPT, IO, PERMISSION = 2, 4, 6, 7, 8, 9, 10


def digest(folder):
    """All files and what they hold; a lock file is not data."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and path.name != "lock.mdb":
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def wrong_flags_and_values_are_named_with_what_would_do():
    with Cluster() as cluster:
        good = cluster.arguments(1)[1:]
        for flags, says in {
                ("--foo", "1"): ["--foo", "help core"],
                ("--id",): ["--id", "value"],
                ("stray",): ["stray", "help core"],
                ("--id", "x"): ["id", "'x'", "whole number"],
                ("--id", "0"): ["id", "'0'"],
                ("--id", "4"): ["4", "members"],
                ("--poll", "fast"): ["poll", "fast", "adaptive", "busy"],
                ("--durability", "tape"): ["durability", "disk", "memory"],
                ("--transport", "pigeon"): ["transport", "socket"],
                ("--transport", "dpdk"): ["dpdk.device", "memif:DIRECTORY", "pci:0000:03:00.0"],
                ("--dpdk.device", "eth0"): ["dpdk.device", "eth0", "af_packet:INTERFACE"],
                ("--dpdk.device", "memif:/nonexistent"): ["127.0.0.1", "10.77.0.1"],
                ("--dpdk.address", "10.77.0.1/24"): ["dpdk", "no device"],
                ("--dpdk.vlan", "4095"): ["dpdk.vlan", "4095", "4094"],
                ("--dpdk.mtu", "9001"): ["dpdk.mtu", "9000"],
                ("--dpdk.memory", "64M"): ["dpdk.memory", "whole number"],
                ("--insecure-peers", "maybe"): ["insecure-peers", "local"],
                ("--state-machine", "x"): ["state-machine", "kv"],
                ("--apply", "x"): ["apply", "inline"],
                ("--log.level", "x"): ["log.level", "info"],
                ("--api.follower", "x"): ["api.follower", "forward"],
                ("--api.follower", "redirect"): ["api.members"],
                ("--cluster.id", "x"): ["cluster.id", "UUID"],
                ("--raft.members", "x"): ["raft.members", "ID@ADDRESS:PORT"],
                ("--raft.members", ""): ["raft.members"],
                ("--raft.members", "1@127.0.0.1:7301,2@127.0.0.1:7302"): ["odd"],
                ("--raft.members", "2@127.0.0.1:7301"): ["not among the members"],
                ("--raft.log-budget", "1"): ["raft.log-budget"],
                ("--raft.log-budget", "64X"): ["raft.log-budget", "64X"],
                ("--raft.election-timeout-min", "5"): ["raft.election-timeout-min", "50ms"],
                ("--raft.election-timeout-max", "1ms"): ["raft.election-timeout-max"],
                ("--raft.heartbeat", "10s"): ["raft.heartbeat"],
                ("--raft.frame-bytes", "100"): ["raft.frame-bytes", "1472"],
                ("--kv.quota", "many"): ["kv.quota"],
                ("--cpu", "-1"): ["cpu"],
                ("--cpu", "4095"): ["cpu 4095", "taskset"],
                ("--api.listen", "nonsense"): ["api.listen", "nonsense"],
                ("--health.listen", "127.0.0.1:x"): ["health.listen"],
                ("--data", ""): ["--data"],
                ("--config", "/nonexistent"): ["/nonexistent", "No such file"],
                ("--config", cluster.folder): [cluster.folder, "directory"]}.items():
            expect(USAGE, says, *good, *flags)
        assert digest(cluster.folder) == {}, "a refused core wrote something"


def verbs_of_clients_refuse_what_they_do_not_know():
    expect(USAGE, "bogus", "bogus")
    expect(USAGE, "help kv", "kv")
    expect(USAGE, "help kv", "kv", "put", "k")
    expect(USAGE, "1024", "kv", "get", "")
    expect(USAGE, "HOST:PORT", "kv", "get", "k", "--core", "x")
    expect(USAGE, "--timeout", "kv", "get", "k", "--timeout", "soon")
    expect(USAGE, "table or json", "status", "-o", "xml")
    expect(USAGE, "x", "status", "x")
    expect(NOT_READY, "no core answers", "kv", "get", "k", "--core", "127.0.0.1:1",
           "--timeout", "1")
    assert run("status", "--core", "127.0.0.1:1")[0] == NOT_READY


def a_wrong_file_or_environment_is_named():
    with Cluster() as cluster:
        good = cluster.arguments(1)[1:]
        ini = pathlib.Path(cluster.folder) / "core.ini"
        for text, says in {"nonsense\n": [":1:", "name = value"],
                           "[raft]\nfoo = 1\n": ["raft.foo"],
                           "[raft]\nmembers = 1@127.0.0.1:7301\n\nx\n": [":4:"]}.items():
            ini.write_text(text, encoding="utf-8")
            expect(USAGE, [str(ini), *says], *good, "--config", ini)
        ini.write_text("poll = fast\n", encoding="utf-8")
        expect(USAGE, ["poll", str(ini), "adaptive"], *good, "--config", ini)
        expect(USAGE, ["poll", "environment", "adaptive"], *good, env={"SPATE_POLL": "fast"})
        assert list(digest(cluster.folder)) == [str(ini)]


def a_port_in_use_is_named():
    for kind, table, remedy in ((socket.SOCK_DGRAM, "peer", "in use"),
                                (socket.SOCK_STREAM, "api", "choose another"),
                                (socket.SOCK_STREAM, "health", "choose another")):
        with Cluster() as cluster, socket.socket(socket.AF_INET, kind) as taken:
            port = getattr(cluster, table)[1]
            taken.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            expect(IN_USE, [str(port), remedy], *cluster.arguments(1)[1:])


def unsealed_frames_and_plain_http_stay_on_this_machine():
    with Cluster() as cluster:
        good = cluster.arguments(1)[1:]
        expect(PERMISSION, ["insecure", "local"], *good, "--insecure-peers", "refused")
        expect(PERMISSION, ["10.0.0.1", "loopback"], *good, "--raft.members",
               cluster.members().replace("2@127.0.0.1", "2@10.0.0.1"))
        expect(USAGE, ["api.listen", "loopback"], *good, "--api.listen",
               f"0.0.0.0:{cluster.api[1]}")
        assert digest(cluster.folder) == {}


def data_of_another_core_or_cluster_or_in_use_is_left_alone():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        assert cluster.cli("kv", "put", "k", "v")[0] == 0
        cluster.stop(2)
        with Cluster() as other:
            expect(IN_USE, [cluster.data(1)], *other.arguments(1)[1:], "--data", cluster.data(1))
        before = digest(cluster.data(2))
        expect(MISMATCH, ["core 2", "core 3"], *cluster.arguments(2)[1:], "--id", "3",
               "--api.listen", f"127.0.0.1:{cluster.api[2]}", "--raft.node.listen",
               f"127.0.0.1:{cluster.peer[2]}")
        expect(MISMATCH, ["another cluster", "cluster.id"], *cluster.arguments(2)[1:],
               "--cluster.id", "11111111-1111-1111-1111-111111111111")
        assert digest(cluster.data(2)) == before, "the data changed"
        cluster.start(2)
        cluster.wait_ready(2)
        assert cluster.cli("kv", "get", "k", core=2)[:2] == (0, b"v")
        cluster.stop()


def a_directory_that_cannot_serve_is_named():
    with Cluster() as cluster:
        good = cluster.arguments(1)[1:]
        file = pathlib.Path(cluster.folder) / "file"
        file.write_bytes(b"")
        for folder in (file, file / "below", pathlib.Path(cluster.folder) / "no" / "parent"):
            got, err = run(*good, "--data", folder)
            assert got in (USAGE, IO) and len(err.splitlines()) == 1, (folder, got, err)
            assert str(folder) in err, err
        if os.geteuid() != 0:  # To root, everything is writable.
            folder = pathlib.Path(cluster.folder) / "read-only"
            folder.mkdir(mode=0o500)
            expect(PERMISSION, str(folder), *good, "--data", folder)


def damage(path, offset_of):
    """Overwrites a little of every page from offset_of() on."""
    with open(path, "r+b") as data:
        size = data.seek(0, os.SEEK_END)
        for page in range(offset_of, size, 4096):
            data.seek(page + 200)
            data.write(b"damaged!")


def writes_are_refused_while_space_is_low():
    with Cluster(flags=["--disk.low", "1000000G"]) as cluster:
        cluster.start()
        cluster.wait_ready()
        for core in cluster.ids:  # The leader's own and those that are forwarded to it.
            code, _, err = cluster.cli("kv", "put", "k", "v", core=core)
            assert code == IO and "free space" in err, (code, err)
        assert b"(disk low)" in cluster.cli("status")[1]
        wait_for("a line in the log", lambda: "little free space left" in cluster.log(1))
        cluster.stop()
        cluster.start(more=["--disk.low", "1M"])
        cluster.wait_ready()
        assert cluster.cli("kv", "put", "k", "v")[0] == 0
        assert b"(disk low)" not in cluster.cli("status")[1]


def data_stays_in_the_format_that_it_has():
    with Cluster(1, flags=["--disk", "lmdb"]) as cluster:
        cluster.start()
        cluster.wait_ready()
        assert cluster.cli("kv", "put", "k", "v")[0] == 0
        cluster.stop()
        expect(USAGE, [cluster.data(1), "lmdb"], *cluster.arguments(1, "--disk", "wal")[1:])
        cluster.start(more=["--disk", "auto"])
        cluster.wait_ready()
        assert cluster.cli("kv", "get", "k")[1].strip() == b"v"
        cluster.stop()
        assert not os.path.exists(cluster.data(1) + "/wal-identity")


def damaged_data_is_refused_and_kept():
    with Cluster(1) as cluster:  # Nobody else has what is lost.
        cluster.start()
        cluster.wait_ready()
        for i in range(20):
            assert cluster.cli("kv", "put", f"k{i}", "v" * 5000)[0] == 0
        cluster.stop()
        copy = pathlib.Path(cluster.folder) / "copy"
        shutil.copytree(cluster.data(1), copy)
        damage(copy / "wal-0000000000000001", 8192)
        foreign = pathlib.Path(cluster.folder) / "foreign"
        foreign.mkdir()
        (foreign / "data.mdb").write_bytes(os.urandom(20000))
        for folder in (copy, foreign):
            before = digest(folder)
            expect(CORRUPT, [str(folder), "damaged"], *cluster.arguments(1)[1:], "--data", folder)
            assert digest(folder) == before, "damaged data was changed"


def a_peer_of_another_cluster_is_refused_and_both_say_so():
    with Cluster(durability="memory") as cluster:
        cluster.start(1, 2)
        cluster.start(3, more=["--cluster.id", "11111111-1111-1111-1111-111111111111"])
        cluster.wait_ready(1, 2)
        wait_for("a line in the log", lambda: "peer 3" in cluster.log(1) and
                 "refused" in cluster.log(1) and "cluster.id" in cluster.log(1))
        peers = {peer["id"]: peer for peer in cluster.status(1)["peers"]}
        assert "refused" in peers[3] and "refused" not in peers[2], peers
        code, out, _ = cluster.cli("status", core=1)
        assert code == 0 and b"refused" in out, out
        assert not cluster.is_ready(3)
        assert cluster.cli("kv", "put", "k", "v", core=1)[0] == 0
        assert request(cluster.api[3], "GET", "/v1/kv/k?stale").status == 404


def the_documents_show_the_settings_as_the_program_does():
    page = pathlib.Path(os.environ["SOURCE"], "docs/operating.md").read_text(encoding="utf-8")
    shown = page.split("<!-- spate help core -->\n```\n")[1].split("```\n<!--")[0]
    said = subprocess.run([SPATE, "help", "core"], capture_output=True, check=True).stdout.decode()
    assert shown == said, "docs/operating.md: paste what 'spate help core' prints"


run_tests([wrong_flags_and_values_are_named_with_what_would_do,
           verbs_of_clients_refuse_what_they_do_not_know, a_wrong_file_or_environment_is_named,
           a_port_in_use_is_named, unsealed_frames_and_plain_http_stay_on_this_machine,
           data_of_another_core_or_cluster_or_in_use_is_left_alone,
           a_directory_that_cannot_serve_is_named, data_stays_in_the_format_that_it_has,
           writes_are_refused_while_space_is_low, damaged_data_is_refused_and_kept,
           a_peer_of_another_cluster_is_refused_and_both_say_so,
           the_documents_show_the_settings_as_the_program_does])
