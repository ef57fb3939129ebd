"""Three cores elect a leader and replicate what is written through any of them."""
import os

from cluster import Cluster, key_path, request, run_tests, wait_for

ODD_KEYS = ["plain", "with space", "a/b/c", "50%", "a+b&c=d?e#f", "ключ", "\"quoted\"", "..",
            "k" * 1024]


def each_core_serves_what_another_took():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        for i in range(30):
            writer, reader = i % 3 + 1, (i + 1) % 3 + 1
            value = b"value %d" % i
            put = request(cluster.api[writer], "PUT", key_path(f"key{i}"), value)
            assert put.status == 200, put.body
            got = request(cluster.api[reader], "GET", key_path(f"key{i}"))
            assert (got.status, got.body) == (200, value)
            assert int(got.headers["Spate-Revision"]) == put.json()["revision"]
        assert cluster.wait_equal()["kv"]["keys"] == 30
        roles = [cluster.status(i)["role"] for i in cluster.ids]
        assert sorted(roles) == ["follower", "follower", "leader"], roles


def a_stale_read_sees_the_write_soon_everywhere():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        assert request(cluster.api[1], "PUT", key_path("k"), b"v").status == 200
        for core in cluster.ids:
            wait_for("the value", lambda c=core: request(
                cluster.api[c], "GET", key_path("k") + "?stale").body == b"v")


def a_deleted_key_is_gone_and_deleting_it_again_says_so():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        assert cluster.cli("kv", "put", "k", "v", core=1)[0] == 0
        assert cluster.cli("kv", "get", "k", core=2)[:2] == (0, b"v")
        assert cluster.cli("kv", "delete", "k", core=3)[0] == 0
        for words in (("get", "k"), ("delete", "k")):
            code, out, err = cluster.cli("kv", *words, core=1)
            assert (code, out) == (3, b"") and "no such key" in err, (code, out, err)


def keys_and_values_are_any_bytes_of_any_size():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        values = [b"", b"\0", bytes(range(256)), os.urandom(60001), os.urandom(1047528)]
        for i, value in enumerate(values):
            for core in cluster.ids:
                code, _, err = cluster.cli("kv", "put", f"b{i}", "-", core=core, data=value)
                assert code == 0, err
            assert cluster.cli("kv", "get", f"b{i}", core=i % 3 + 1)[:2] == (0, value), i
        code, _, err = cluster.cli("kv", "put", "big", "-", core=1, data=bytes(1047529))
        assert code == 2 and "at most" in err, (code, err)
        for key in ODD_KEYS:
            assert cluster.cli("kv", "put", key, key, core=2)[0] == 0, key
            assert cluster.cli("kv", "get", key, core=3)[:2] == (0, key.encode()), key
        assert cluster.cli("kv", "put", "k" * 1025, "", core=1)[0] == 2
        assert cluster.wait_equal()["kv"]["keys"] == len(values) + len(ODD_KEYS)


def a_write_that_is_repeated_takes_effect_once():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        once = {"Spate-Session": "77", "Spate-Sequence": "1"}
        revisions = {request(cluster.api[core], "PUT", key_path("k"), b"v", once).json()["revision"]
                     for core in (1, 2, 3, 1)}
        assert len(revisions) == 1, revisions
        twice = {"Spate-Session": "77", "Spate-Sequence": "2"}
        for core in cluster.ids:  # The second would find no key if it were done again.
            assert request(cluster.api[core], "DELETE", key_path("k"), None, twice).status == 200
        stale = request(cluster.api[2], "PUT", key_path("k"), b"w", once)
        assert stale.status == 409 and stale.json()["error"] == "stale_sequence", stale.body


def a_follower_that_redirects_names_the_leader():
    with Cluster(durability="memory") as cluster:
        apis = ",".join(f"{i}@127.0.0.1:{cluster.api[i]}" for i in cluster.ids)
        cluster.start(more=["--api.follower", "redirect", "--api.members", apis])
        cluster.wait_ready()
        leader = cluster.leader()
        follower = leader % 3 + 1
        answer = request(cluster.api[follower], "PUT", key_path("a b"), b"v")
        assert answer.status == 307, answer.status
        wanted = f"http://127.0.0.1:{cluster.api[leader]}{key_path('a b')}"
        assert answer.headers["Location"] == wanted, answer.headers
        assert request(cluster.api[leader], "PUT", key_path("a b"), b"v").status == 200
        assert cluster.cli("kv", "put", "c", "w", core=follower)[0] == 0
        assert cluster.cli("kv", "get", "c", core=follower)[:2] == (0, b"w")


run_tests([each_core_serves_what_another_took, a_stale_read_sees_the_write_soon_everywhere,
           a_deleted_key_is_gone_and_deleting_it_again_says_so,
           keys_and_values_are_any_bytes_of_any_size, a_write_that_is_repeated_takes_effect_once,
           a_follower_that_redirects_names_the_leader])
