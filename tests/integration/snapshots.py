"""Logs kept short by snapshots; a core that was away for longer than they reach, or is empty."""
import os
import shutil

from cluster import Cluster, key_path, request, run_tests, wait_for

FLAGS = ["--raft.log-budget", "16M", "--snapshot.entries", "20", "--snapshot.keep-entries", "5"]


def put(cluster, core, key, value):
    answer = request(cluster.api[core], "PUT", key_path(key), value, timeout=30)
    assert answer.status == 200, (answer.status, answer.body)


def get(cluster, core, key):
    return request(cluster.api[core], "GET", key_path(key), timeout=30).body


def write_much(cluster, core):
    """More than the log in memory holds; returns what the keys have in the end."""
    values = {}
    for number in range(80):
        key = f"big{number % 10}"
        values[key] = os.urandom(500000)
        put(cluster, core, key, values[key])
    wait_for("a snapshot", lambda: cluster.status(core)["snapshot"]["index"] > 50)
    wait_for("the log to be compacted in memory",
             lambda: cluster.status(core)["log"]["first"] > 10)
    return values


def assert_has(cluster, core, values):
    for key, value in values.items():
        assert get(cluster, core, key) == value, key


def a_far_follower_is_brought_in_by_a_snapshot():
    with Cluster(flags=FLAGS) as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        put(cluster, leader, "first", b"1")
        cluster.kill(follower)
        values = write_much(cluster, leader)
        cluster.start(follower)
        cluster.wait_ready(follower)
        cluster.wait_equal()
        wait_for("the count of it",
                 lambda: cluster.status(follower)["snapshot"]["installed"] >= 1)
        assert get(cluster, follower, "first") == b"1"
        assert_has(cluster, follower, values)


def all_three_come_back_from_their_snapshots():
    with Cluster(flags=FLAGS) as cluster:
        cluster.start()
        cluster.wait_ready()
        values = write_much(cluster, cluster.leader())
        cluster.kill(1, 2, 3)
        cluster.start()
        cluster.wait_ready()
        cluster.wait_equal()
        for core in (1, 2, 3):
            assert_has(cluster, core, values)
        put(cluster, 1, "after", b"3")


def a_lost_snapshot_is_refused_with_the_remedy():
    with Cluster(flags=FLAGS) as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        write_much(cluster, leader)
        cluster.stop(1, 2, 3)
        shutil.rmtree(os.path.join(cluster.data(leader), "snapshots"))
        cluster.start(leader)
        wait_for("the refusal", lambda: "bring this core back" in cluster.log(leader).replace("\n", " "))


run_tests([a_far_follower_is_brought_in_by_a_snapshot,
           all_three_come_back_from_their_snapshots,
           a_lost_snapshot_is_refused_with_the_remedy])
