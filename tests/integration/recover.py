"""Cores that were away, all of them or one, come back with what they had and catch up."""
import os

from cluster import Cluster, key_path, request, run_tests, wait_for

BIG = 500000


def put(cluster, core, key, value):
    answer = request(cluster.api[core], "PUT", key_path(key), value, timeout=30)
    assert answer.status == 200, (answer.status, answer.body)


def get(cluster, core, key):
    return request(cluster.api[core], "GET", key_path(key), timeout=30).body


def a_killed_follower_comes_back_and_catches_up():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        put(cluster, leader, "before", b"1")
        cluster.kill(follower)
        put(cluster, leader, "meanwhile", b"2")
        cluster.start(follower)
        cluster.wait_ready(follower)
        assert (get(cluster, follower, "before"), get(cluster, follower, "meanwhile")) == \
            (b"1", b"2")
        cluster.wait_equal()


def a_far_follower_gets_from_the_store_what_memory_forgot():
    with Cluster(flags=["--raft.log-budget", "16M"]) as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        put(cluster, leader, "first", b"1")
        cluster.kill(follower)
        values = [os.urandom(BIG) for _ in range(60)]  # About twice the budget.
        for number, value in enumerate(values):
            put(cluster, leader, f"big{number % 10}", value)
        wait_for("the log to be compacted in memory",
                 lambda: cluster.status(leader)["log"]["first"] > 10)
        cluster.start(follower)
        cluster.wait_ready(follower)
        cluster.wait_equal()
        assert get(cluster, follower, "first") == b"1"
        for number in range(50, 60):
            assert get(cluster, follower, f"big{number % 10}") == values[number]


def all_three_come_back_with_what_was_acknowledged():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        for number in range(20):
            put(cluster, number % 3 + 1, f"key{number}", b"%d" % number)
        cluster.kill(*cluster.ids)
        cluster.start()
        cluster.wait_ready()
        for number in range(20):
            assert get(cluster, (number + 1) % 3 + 1, f"key{number}") == b"%d" % number
        cluster.stop()
        cluster.start()
        cluster.wait_ready()
        assert cluster.wait_equal()["kv"]["keys"] == 20


def a_core_told_to_stop_exits_0_and_the_others_go_on():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        cluster.stop(leader)
        assert "stopping" in cluster.log(leader)
        code, _, err = cluster.cli("kv", "put", "k", "v")
        assert code == 0, err
        cluster.stop()


def a_lone_core_never_leads_nor_raises_its_term_and_says_so():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        term = cluster.status(leader)["term"]
        cluster.kill(*[i for i in cluster.ids if i != leader])
        # It steps down once a majority has been silent for an election timeout.
        wait_for("the leader to step down", lambda: cluster.status(leader)["role"] != "leader")
        for _ in range(3):
            answer = request(cluster.api[leader], "PUT", key_path("k"), b"v", timeout=30)
            assert answer.status == 503, (answer.status, answer.body)
            assert answer.json()["error"] == "cluster_not_ready", answer.body
            assert "Retry-After" in answer.headers, answer.headers
        assert cluster.cli("kv", "put", "k", "v", "--timeout", "3", core=leader)[0] == 4
        status = cluster.status(leader)
        assert status["role"] != "leader" and status["term"] == term, status
        assert not cluster.is_ready(leader)
        assert request(cluster.health[leader], "GET", "/livez").status == 200
        assert request(cluster.health[leader], "GET", "/leaderz").status == 503
        cluster.start(*[i for i in cluster.ids if i != leader])
        cluster.wait_ready()
        assert cluster.cli("kv", "get", "k", core=leader)[0] == 3, "a refused write took effect"


run_tests([a_killed_follower_comes_back_and_catches_up,
           a_far_follower_gets_from_the_store_what_memory_forgot,
           all_three_come_back_with_what_was_acknowledged,
           a_core_told_to_stop_exits_0_and_the_others_go_on,
           a_lone_core_never_leads_nor_raises_its_term_and_says_so])
