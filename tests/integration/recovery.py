"""The quorum is gone for good: snapshots as files, a new cluster from one, and from one survivor."""
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import uuid

from cluster import DISK, PATIENCE_S, SPATE, Cluster, expect, key_path, request, run_tests, wait_for

FLAGS = ["--raft.log-budget", "16M"]
AS_DISK = ["--disk", DISK] if DISK != "auto" else []
SNAPSHOTS = ["--snapshot.entries", "50", "--snapshot.keep-entries", "5"]


def spate(*words):
    """Standard output of a verb that must succeed."""
    done = subprocess.run([SPATE, *map(str, words)], capture_output=True, timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr.decode()}"
    return done.stdout.decode()


def put(cluster, core, key, value):
    answer = request(cluster.api[core], "PUT", key_path(key), value, timeout=30)
    assert answer.status == 200, (answer.status, answer.body)


def get(cluster, core, key):
    return request(cluster.api[core], "GET", key_path(key), timeout=30).body


def write(cluster, core, count, prefix="k", size=100):
    values = {}
    for number in range(count):
        values[f"{prefix}{number}"] = os.urandom(size)
        put(cluster, core, f"{prefix}{number}", values[f"{prefix}{number}"])
    return values


def assert_has(cluster, core, values):
    for key, value in values.items():
        assert get(cluster, core, key) == value, key


def content(cluster, core):
    kv = cluster.status(core)["kv"]
    return kv["digest"], kv["keys"]


class Load:
    """Somebody who writes all the time; what was acknowledged, by key."""

    def __init__(self, cluster, core):
        self.cluster, self.core, self.acknowledged = cluster, core, {}
        self.is_over = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        wait_for("the load", lambda: len(self.acknowledged) > 20)
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def _run(self):
        number = 0
        while not self.is_over:
            number += 1
            key, value = f"load{number}", os.urandom(200)
            try:
                if request(self.cluster.api[self.core], "PUT", key_path(key), value).status == 200:
                    self.acknowledged[key] = value
            except (OSError, http.client.HTTPException):
                pass


class Alone(Cluster):
    """Cores of which some belong to a new cluster, which began with one of them."""

    def __init__(self, *more, **options):
        super().__init__(*more, **options)
        self.cluster_id = str(uuid.UUID(int=0))
        self.founders = None
        self.joining = set()

    def arguments(self, core, *more):
        words = super().arguments(core, "--cluster.id", self.cluster_id, *more)
        if self.founders is not None:
            words[words.index("--raft.members") + 1] = ",".join(
                f"{i}@127.0.0.1:{self.peer[i]}" for i in sorted({core, *self.founders}))
        return words + (["--join", "on"] if core in self.joining else [])

    def address(self, core):
        return f"127.0.0.1:{self.peer[core]}"

    def grow(self, leader, *which):
        """Each is added as a learner; in pairs they become voters."""
        self.joining |= set(which)
        for core in which:
            self.start(core)
            code, _, err = self.cli("members", "add", f"{core}@{self.address(core)}", core=leader)
            assert code == 0, err
        wait_for("three voters", lambda: [m["role"] for m in request(
            self.api[leader], "GET", "/v1/members").json()["members"]] == ["voter"] * 3)


def a_snapshot_under_load_has_what_was_acknowledged_and_founds_a_new_cluster():
    with Alone(flags=FLAGS) as cluster, Alone(count=1, flags=FLAGS) as other:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        values = write(cluster, leader, 20)
        values["large"] = os.urandom(900000)
        put(cluster, leader, "large", values["large"])
        file = f"{cluster.folder}/state.snapshot"
        with Load(cluster, leader) as load:
            before = dict(load.acknowledged)
            code, out, err = cluster.cli("snapshot", "save", file)
            assert code == 0, err
            assert b"checked" in out
        assert not os.path.exists(file + ".partial")
        manifest = json.loads(spate("snapshot", "inspect", file, "-o", "json"))
        assert manifest["cluster_id"] == cluster.cluster_id
        assert manifest["state_bytes"] + 4096 == os.path.getsize(file)
        assert [m["id"] for m in manifest["members"]] == [1, 2, 3]
        assert manifest["state_machine"]["name"] == "kv"
        assert "up to" not in spate("snapshot", "inspect", file)

        said = spate("snapshot", "restore", file, "--data", other.data(1), "--id", 1,
                     "--members", f"1@{other.address(1)}", *AS_DISK)
        other.cluster_id = said.split("--cluster.id ")[1].split()[0]
        assert other.cluster_id != cluster.cluster_id
        other.start()
        other.wait_ready()
        assert_has(other, 1, {**values, **before})
        assert content(other, 1) == (manifest["state_machine"]["digest"],
                                     manifest["state_machine"]["keys"])
        put(other, 1, "new", b"1")
        other.kill(1)
        other.start()
        other.wait_ready()
        assert get(other, 1, "new") == b"1"


def three_cores_restored_from_one_file_are_one_cluster():
    with Alone(count=1, flags=FLAGS) as cluster, Alone(flags=FLAGS) as other:
        cluster.start()
        cluster.wait_ready()
        values = write(cluster, 1, 30)
        file = f"{cluster.folder}/state.snapshot"
        assert cluster.cli("snapshot", "save", file, core=1)[0] == 0
        other.cluster_id = str(uuid.uuid4())
        for core in other.ids:
            spate("snapshot", "restore", file, "--data", other.data(core), "--id", core,
                  "--members", other.members(), "--cluster.id", other.cluster_id, *AS_DISK)
        other.start()
        other.wait_ready()
        other.wait_equal()
        for core in other.ids:
            assert_has(other, core, values)
        put(other, other.leader(), "more", b"2")
        other.wait_equal()


def a_core_in_memory_is_saved_as_well():
    with Cluster(count=1, durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        write(cluster, 1, 10)
        file = f"{cluster.folder}/state.snapshot"
        assert cluster.cli("snapshot", "save", file, core=1)[0] == 0
        manifest = json.loads(spate("snapshot", "inspect", file, "-o", "json"))
        assert manifest["state_machine"]["keys"] == 10
        cluster.stop()
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        cluster.stop()
        expect(3, "is of durability memory", "recover", "--data", cluster.data(1))


def is_taken_elsewhere(port, kind):
    """Whether somebody listens on the port on all addresses, not on 127.0.0.1 alone."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.2", port))
        except OSError:
            return True
    return False


def listens_everywhere(cluster, core):
    return (is_taken_elsewhere(cluster.peer[core], socket.SOCK_DGRAM),
            is_taken_elsewhere(cluster.health[core], socket.SOCK_STREAM))


def lose_two_recover_one_grow_again(flags):
    with Alone(flags=[*FLAGS, *flags]) as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        survivor = leader % 3 + 1
        lost = [core for core in cluster.ids if core != survivor]
        values = write(cluster, leader, 120)
        cluster.wait_equal()
        has_snapshot = cluster.status(survivor)["snapshot"]["index"] > 0
        assert has_snapshot == bool(flags)
        data = cluster.data(survivor)
        expect(6, "is running", "recover", "--data", data)
        cluster.kill(*lost)
        if has_snapshot:  # Otherwise there would be one from now on.
            file = f"{cluster.folder}/alone.snapshot"
            code, _, err = cluster.cli("snapshot", "save", file, core=survivor)
            assert code == 0, err
            assert json.loads(spate("snapshot", "inspect", file, "-o", "json"))["index"] >= 120
        cluster.kill(survivor)

        # Which one to take, and what would be done: nothing changes.
        address = ["--address", cluster.address(survivor)] if not has_snapshot else []
        if not has_snapshot:
            expect(2, "--address", "recover", "--data", data)
        plan = json.loads(spate("recover", "--data", data, *address, "-o", "json"))
        assert plan["done"] is False and plan["id"] == survivor
        assert plan["last_index"] >= plan["commit"] >= plan["snapshot_index"]
        assert "Nothing was changed" in spate("recover", "--data", data, *address)
        cluster.start(survivor)
        wait_for("it to wait for the others",
                 lambda: (cluster.status(survivor) or {}).get("role") in ("follower",
                                                                          "pre-candidate"))
        cluster.kill(survivor)

        # Done, once and for all; a second call completes nothing twice.
        cluster.cluster_id = str(uuid.uuid4())
        words = ["recover", "--data", data, "--cluster.id", cluster.cluster_id, *address]
        assert "is recovered" in spate(*words, "--apply")
        assert "is recovered" in spate(*words, "--apply")
        backup = f"{data}.before-{cluster.cluster_id[:8]}"
        assert os.path.isdir(backup) and not os.path.exists(f"{data}.recovering")
        expect(2, "finish that first", "recover", "--data", data, "--apply")

        cluster.founders = [survivor]
        everywhere = ["--raft.node.listen", f"0.0.0.0:{cluster.peer[survivor]}",
                      "--health.listen", f"0.0.0.0:{cluster.health[survivor]}"]
        cluster.start(survivor, more=everywhere)
        cluster.wait_ready(survivor)
        assert listens_everywhere(cluster, survivor) == (False, False)
        assert_has(cluster, survivor, values)
        assert "loopback addresses only" in cluster.log(survivor)
        warnings = request(cluster.api[survivor], "GET", "/v1/status").json()["warnings"]
        assert any("recovered" in text for text in warnings), warnings
        expect(6, "is running", "recover", "--data", data, "--finish")
        cluster.stop(survivor)
        assert "finished" in spate("recover", "--data", data, "--finish")
        expect(3, "no recovery to finish", "recover", "--data", data, "--finish")
        cluster.start(survivor, more=everywhere)
        cluster.wait_ready(survivor)
        assert listens_everywhere(cluster, survivor) == (True, True)
        warnings = request(cluster.api[survivor], "GET", "/v1/status").json()["warnings"]
        assert not any("recovered" in text for text in warnings), warnings

        # The old ones do not come back, neither with the new cluster's id nor with their own.
        cluster.founders = None
        expect(7, "belongs to another cluster", *cluster.arguments(lost[0])[1:])
        grown, cluster.cluster_id = cluster.cluster_id, str(uuid.UUID(int=0))
        cluster.start(lost[0])
        code, _, err = cluster.cli("members", "add", f"{lost[0]}@{cluster.address(lost[0])}",
                                   core=survivor)
        assert code == 0, err
        wait_for("the old member to be refused", lambda: [
            peer.get("refused") for peer in cluster.status(survivor)["peers"]
            if "cluster" in (peer.get("refused") or "")])
        cluster.kill(lost[0])
        assert cluster.cli("members", "remove", str(lost[0]), core=survivor)[0] == 0

        # With empty data they do, and have everything.
        for core in lost:
            os.rename(cluster.data(core), cluster.data(core) + ".old")
        cluster.cluster_id, cluster.founders = grown, [survivor]
        cluster.grow(survivor, *lost)
        cluster.wait_ready()
        values.update(write(cluster, cluster.leader(), 20, "after"))
        cluster.wait_equal()
        for core in cluster.ids:
            assert_has(cluster, core, values)


def with_the_log_alone_one_survivor_becomes_a_cluster_and_grows():
    lose_two_recover_one_grow_again([])


def with_a_snapshot_and_a_log_one_survivor_becomes_a_cluster_and_grows():
    lose_two_recover_one_grow_again(SNAPSHOTS)


def a_core_that_stops_lets_go_of_who_copies_it():
    with Cluster(count=1, flags=FLAGS) as cluster:
        cluster.start()
        cluster.wait_ready()
        write(cluster, 1, 12, size=1000000)
        with socket.create_connection(("127.0.0.1", cluster.api[1])) as slow:
            slow.sendall(b"GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in slow.recv(100)
            answer = request(cluster.api[1], "GET", "/v1/snapshot")
            assert answer.status == 503 and b"another copy" in answer.body
            cluster.stop(1)


def every_damage_of_a_file_has_its_line():
    with Cluster(count=1, flags=FLAGS) as cluster:
        cluster.start()
        cluster.wait_ready()
        write(cluster, 1, 10)
        good = pathlib.Path(cluster.folder) / "good"
        assert cluster.cli("snapshot", "save", good, core=1)[0] == 0
        whole = good.read_bytes()

        def refused(code, says, content):
            bad = pathlib.Path(cluster.folder) / "bad"
            bad.write_bytes(content)
            expect(code, says, "snapshot", "inspect", bad)
            expect(code, says, "snapshot", "restore", bad, "--data", cluster.folder + "/new",
                   "--id", 1, "--members", "1@127.0.0.1:7209")
            assert not os.path.exists(cluster.folder + "/new")

        refused(2, "is no snapshot", b"")
        refused(2, "is no snapshot", os.urandom(10000))
        refused(8, "not whole", whole[:-1])
        refused(8, "not whole", whole + b"\0")
        refused(8, "header is damaged", whole[:40] + b"\xff" + whole[41:])
        refused(8, "is damaged", whole[:-1] + bytes([whole[-1] ^ 1]))
        expect(3, "No such file", "snapshot", "inspect", cluster.folder + "/absent")
        expect(2, "is no file", "snapshot", "inspect", cluster.folder)


def wrong_words_have_their_line():
    with Cluster(count=1, flags=FLAGS) as cluster:
        folder = cluster.folder
        cluster.start()
        cluster.wait_ready()
        write(cluster, 1, 3)
        file = f"{folder}/file"
        assert cluster.cli("snapshot", "save", file, core=1)[0] == 0
        one = ["--members", "1@127.0.0.1:7209"]
        restore = ["snapshot", "restore", file]
        expect(2, "give save FILE", "snapshot")
        expect(2, "give save FILE", "snapshot", "save")
        expect(4, "no core answers", "snapshot", "save", folder + "/x", "--core", "127.0.0.1:1")
        expect(2, "cannot write", "snapshot", "save", folder + "/absent/x", "--core",
               f"127.0.0.1:{cluster.api[1]}")
        expect(2, "needs --data", *restore)
        expect(2, "--id", *restore, "--data", folder + "/n", "--id", "x", *one)
        expect(2, "UUID", *restore, "--cluster.id", "x")
        expect(2, "wal or lmdb", *restore, "--disk", "paper")
        expect(2, "--members", *restore, "--members", "1")
        expect(2, "odd number", *restore, "--data", folder + "/n", "--id", 1, "--cluster.id",
               uuid.uuid4(), "--members", "1@127.0.0.1:7209,2@127.0.0.1:7210")
        expect(2, "this core included", *restore, "--data", folder + "/n", "--id", 2, *one)
        expect(2, "same --cluster.id", *restore, "--data", folder + "/n", "--id", 1, "--members",
               "1@127.0.0.1:7209,2@127.0.0.1:7210,3@127.0.0.1:7211")
        expect(2, "give a new one", *restore, "--data", folder + "/n", "--id", 1, *one,
               "--cluster.id", uuid.UUID(int=0))
        expect(6, "not an empty directory", *restore, "--data", folder, "--id", 1, *one)
        expect(6, "not an empty directory", *restore, "--data", cluster.data(1), "--id", 1, *one)
        assert not os.path.exists(folder + "/n")
        expect(2, "--data", "recover")
        expect(2, "not understood", "recover", "--data")
        expect(2, "not understood", "recover", "--data", folder, "--cluster.id", "x")
        expect(2, "stands alone", "recover", "--data", folder, "--finish", "--apply")
        expect(3, "holds no core's data", "recover", "--data", folder)
        expect(3, "No such file", "recover", "--data", folder + "/absent")
        cluster.stop()
        expect(2, "give a new one", "recover", "--data", cluster.data(1), "--address",
               "127.0.0.1:7209", "--cluster.id", uuid.UUID(int=0))
        expect(2, "is no address", "recover", "--data", cluster.data(1), "--address", "here")


run_tests([
    a_snapshot_under_load_has_what_was_acknowledged_and_founds_a_new_cluster,
    three_cores_restored_from_one_file_are_one_cluster,
    a_core_in_memory_is_saved_as_well,
    with_the_log_alone_one_survivor_becomes_a_cluster_and_grows,
    with_a_snapshot_and_a_log_one_survivor_becomes_a_cluster_and_grows,
    a_core_that_stops_lets_go_of_who_copies_it,
    every_damage_of_a_file_has_its_line,
    wrong_words_have_their_line,
])
