"""Cores that forgot what they promised: memory that ended, disks that were emptied or are too old.

They are mute until the others have brought them up to date, and nothing acknowledged is lost.
"""
import shutil

from cluster import PATIENCE_S, Cluster, expect, key_path, request, run_tests, wait_for


def put(cluster, core, key, value):
    answer = request(cluster.api[core], "PUT", key_path(key), value, timeout=30)
    assert answer.status == 200, (answer.status, answer.body)


def get(cluster, core, key):
    return request(cluster.api[core], "GET", key_path(key), timeout=30).body


def is_mute(cluster, core):
    status = cluster.status(core)
    return status["mute"] if status else None


def wait_back(cluster, core):
    """It has everything, votes, and its leader knows it."""
    wait_for(f"core {core} to be no longer mute", lambda: is_mute(cluster, core) is False)
    cluster.wait_ready(core)
    cluster.wait_equal()


def expect_stop(cluster, core):
    """It ends by itself, and its log says why and what to do."""
    code = cluster.cores.pop(core).wait(PATIENCE_S)
    assert code == 12, f"core {core} exits with {code}:\n{cluster.log(core)}"
    for text in ("older than what this core acknowledged", "Look at it; started again"):
        assert text in cluster.log(core), cluster.log(core)


def put_through_anybody(cluster, key):
    code, _, err = cluster.cli("kv", "put", key, "1", "--timeout", "60")
    assert code == 0, err


def cores_in_memory_mode_restart_one_after_the_other():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        for number in range(60):
            put(cluster, number % 3 + 1, f"key{number}", b"%d" % number)
        for core in [cluster.leader(), *cluster.ids]:  # The leader first, and each of them.
            cluster.kill(core)
            put_through_anybody(cluster, f"without{core}")
            cluster.start(core)
            wait_back(cluster, core)
        for core in cluster.ids:
            for number in range(60):
                assert get(cluster, core, f"key{number}") == b"%d" % number
            for other in cluster.ids:
                assert get(cluster, core, f"without{other}") == b"1"


def a_majority_that_forgot_elects_nobody():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        others = [c for c in cluster.ids if c != leader]
        put(cluster, leader, "key", b"1")
        cluster.kill(*others)
        cluster.start(*others)
        for core in others:
            wait_for(f"core {core} to be mute", lambda c=core: is_mute(cluster, c))
        wait_for("the leader to step down",
                 lambda: (cluster.status(leader) or {"role": "leader"})["role"] != "leader")
        code, _, err = cluster.cli("kv", "put", "other", "2", "--timeout", "3")
        assert code in (4, 5), (code, err)
        assert all(is_mute(cluster, core) for core in others)
        assert not any(cluster.status(core)["role"] == "leader" for core in cluster.ids)


def one_core_alone_has_promised_nothing_to_others():
    with Cluster(1, durability="memory") as cluster:
        for _ in range(2):
            cluster.start()
            cluster.wait_ready()
            put(cluster, 1, "key", b"1")
            assert is_mute(cluster, 1) is False
            cluster.kill(1)


def an_emptied_disk_is_noticed():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        for number in range(30):
            put(cluster, leader, f"key{number}", b"%d" % number)
        cluster.wait_equal()
        cluster.kill(follower)
        shutil.rmtree(cluster.data(follower))
        cluster.start(follower)
        expect_stop(cluster, follower)
        cluster.start(follower)
        wait_back(cluster, follower)
        assert get(cluster, follower, "key29") == b"29"
        # It is a voter like the others again.
        cluster.kill(leader)
        put_through_anybody(cluster, "afterwards")
        cluster.start(leader)
        cluster.wait_ready()
        cluster.wait_equal()


def an_older_copy_is_noticed():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        put(cluster, leader, "early", b"1")
        cluster.wait_equal()
        cluster.stop(follower)
        copy = cluster.data(follower) + "-copy"
        shutil.copytree(cluster.data(follower), copy)
        cluster.start(follower)
        cluster.wait_ready(follower)
        for number in range(30):
            put(cluster, leader, f"late{number}", b"%d" % number)
        cluster.wait_equal()
        cluster.stop(follower)
        shutil.rmtree(cluster.data(follower))
        shutil.move(copy, cluster.data(follower))
        cluster.start(follower)
        expect_stop(cluster, follower)
        cluster.start(follower)
        wait_back(cluster, follower)
        assert get(cluster, follower, "late29") == b"29"


def a_damaged_record_is_fetched_from_the_others():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        for number in range(30):
            put(cluster, number % 3 + 1, f"key{number}", b"%d" % number)
        cluster.wait_equal()
        leader = cluster.leader()
        for core in (leader % 3 + 1, leader):
            cluster.stop(core)
            with open(cluster.data(core) + "/wal-0000000000000001", "r+b") as log:
                log.seek(10 * 4096 + 140)  # In the tenth group or so.
                byte = log.read(1)
                log.seek(-1, 1)
                log.write(bytes([byte[0] ^ 1]))
            cluster.start(core)
            wait_back(cluster, core)
            for text in ("wal-0000000000000001, byte 40960", "is fetched from the other members",
                         "brought up to date: this core votes"):
                wait_for(f"'{text}' in the log", lambda t=text, c=core: t in cluster.log(c))
            for number in range(30):
                assert get(cluster, core, f"key{number}") == b"%d" % number
            put_through_anybody(cluster, f"after{core}")
        cluster.stop()  # What was repaired is whole, and says no more of it.
        cluster.start()
        cluster.wait_ready()
        cluster.wait_equal()
        assert cluster.log(leader).count("is damaged") == 1


def a_founder_that_comes_late_is_brought_in():
    with Cluster() as cluster:
        cluster.start(1, 2)
        cluster.wait_ready(1, 2)
        put(cluster, 1, "key", b"1")
        cluster.start(3)
        wait_back(cluster, 3)
        assert get(cluster, 3, "key") == b"1"


def a_directory_is_of_one_durability():
    with Cluster(1) as cluster, Cluster(1, durability="memory") as other:
        cluster.start()
        cluster.wait_ready()
        cluster.kill(1)
        expect(2, "is of durability disk", *other.arguments(1, "--data", cluster.data(1))[1:])
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        put(cluster, 1, "key", b"1")
        cluster.kill(1)
        expect(2, "of durability memory was at work",
               *cluster.arguments(1, "--durability", "disk")[1:])


run_tests([
    cores_in_memory_mode_restart_one_after_the_other,
    a_majority_that_forgot_elects_nobody,
    one_core_alone_has_promised_nothing_to_others,
    an_emptied_disk_is_noticed,
    an_older_copy_is_noticed,
    a_damaged_record_is_fetched_from_the_others,
    a_founder_that_comes_late_is_brought_in,
    a_directory_is_of_one_durability,
])
