"""Members come and go while writes run: grown, shrunk, replaced, moved, refused; the leader too."""
import http.client
import json
import shutil
import threading

from cluster import Cluster, free_ports, key_path, request, run_tests, wait_for


class Changing(Cluster):
    """Of its cores only the first `founders` found the cluster; the others join."""

    def __init__(self, count, founders, **more):
        super().__init__(count, **more)
        self.founders = list(range(1, founders + 1))
        self.incarnation = {}

    def address(self, core):
        return f"127.0.0.1:{self.peer[core]}"

    def arguments(self, core, *more):
        words = super().arguments(core, *more)
        known = [*self.founders, *([] if core in self.founders else [core])]
        at = words.index("--raft.members") + 1
        words[at] = ",".join(f"{i}@{self.address(i)}" for i in known)
        if core not in self.founders:
            words += ["--join", "on"]
        return words + ["--raft.incarnation", str(self.incarnation.get(core, 1))]

    def members(self, *words, code=0, verb="members"):
        """Runs the verb against all cores; returns what it says, or the line of a refusal."""
        if not words and verb == "members":
            return super().members()
        got, out, err = self.cli(verb, *map(str, words), "-o", "json", "--timeout", "40")
        assert got == code, f"{verb} {words}: exits with {got}, not {code}: {err}"
        if code == 0:
            return json.loads(out)
        lines = err.splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"spate {verb}: "), err
        return lines[0]

    def add(self, core, *more):
        return self.members("add", f"{core}@{self.address(core)}", *more)

    def found(self):
        self.start(*self.founders)
        self.wait_ready(*self.founders)

    def join(self, *cores):
        for core in cores:
            self.start(core)
            self.add(core)

    def voters(self, core=None):
        status = self.status(core or self.leader())
        return [m["id"] for m in status["membership"]["members"] if m["role"] == "voter"] \
            if status and not status["membership"]["joint"] else None

    def wait_voters(self, *ids):
        wait_for(f"voters {ids}", lambda: self.voters() == list(ids))


class Writer:
    """Writes one key after another, through whichever core answers, until it is told to stop."""

    def __init__(self, cluster):
        self.cluster, self.written, self.is_over = cluster, 0, False
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def put(self, number, core):
        once = {"Spate-Session": "1000", "Spate-Sequence": str(number + 1)}
        try:
            return request(self.cluster.api[core], "PUT", key_path(f"w{number}"),
                           b"%d" % number, once).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def run(self):
        turn = 0
        while not self.is_over:
            cores = list(self.cluster.cores)
            turn += 1
            if cores and self.put(self.written, cores[turn % len(cores)]):
                self.written += 1

    def wait_more(self, count=50):
        before = self.written
        wait_for("writes to go on", lambda: self.written >= before + count)


def check(cluster, writer, cores):
    """All cores hold the same, and everything that was acknowledged."""
    for core in [c for c in cluster.cores if c not in cores]:
        cluster.stop(core)
    assert writer.written > 0
    assert cluster.wait_equal()["kv"]["keys"] >= writer.written
    for number in range(0, writer.written, 7):
        got = request(cluster.api[cores[-1]], "GET", key_path(f"w{number}") + "?stale")
        assert (got.status, got.body) == (200, b"%d" % number), number


def a_single_core_grows_to_five_under_load_and_shrinks_again():
    with Changing(5, 1) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            cluster.join(2)
            wait_for("core 2 to wait for another", lambda: "two at a time" in str(
                cluster.members("list")["members"][1].get("waits")))
            assert cluster.voters() == [1]
            cluster.join(3)
            cluster.wait_voters(1, 2, 3)
            writer.wait_more()
            cluster.join(4, 5)
            cluster.wait_voters(1, 2, 3, 4, 5)
            writer.wait_more()
            cluster.members("remove", 2, 4)
            cluster.wait_voters(1, 3, 5)
            writer.wait_more()
        check(cluster, writer, [1, 3, 5])


def the_leader_is_removed_and_another_goes_on():
    with Changing(5, 5) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            leader = cluster.leader()
            other = leader % 5 + 1
            rest = [i for i in cluster.ids if i not in (leader, other)]
            cluster.members("remove", leader, other)
            wait_for("a leader that stays", lambda: cluster.leader() in rest)
            assert cluster.voters(cluster.leader()) == rest
            writer.wait_more()
        check(cluster, writer, rest)


def a_dead_core_is_replaced_in_one_step():
    with Changing(4, 3) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            cluster.kill(3)
            cluster.start(4)
            cluster.members("replace", 3, f"4@{cluster.address(4)}")
            cluster.wait_voters(1, 2, 4)
            writer.wait_more()
        check(cluster, writer, [1, 2, 4])


def a_core_that_lost_its_data_comes_back_as_another_incarnation():
    with Changing(5, 5) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            gone = [i for i in cluster.ids if i != cluster.leader()][:2]
            cluster.kill(*gone)
            cluster.members("remove", *gone)
            cluster.founders = [i for i in cluster.ids if i not in gone]
            for core in gone:
                shutil.rmtree(cluster.data(core))
                cluster.incarnation[core] = 2
                cluster.start(core)
                cluster.add(core, "--incarnation", "2")
            cluster.wait_voters(1, 2, 3, 4, 5)
            writer.wait_more()
        check(cluster, writer, [1, 2, 3, 4, 5])


def a_member_moves_to_another_address():
    with Changing(3, 3) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            moved = cluster.leader() % 3 + 1
            cluster.kill(moved)
            cluster.peer[moved] = free_ports(1)[0]
            cluster.members("update", moved, "--address", cluster.address(moved))
            cluster.start(moved)
            cluster.wait_ready(moved)
            writer.wait_more()
        check(cluster, writer, [1, 2, 3])


def the_leadership_goes_where_it_is_wanted():
    with Changing(3, 3) as cluster:
        cluster.found()
        with Writer(cluster) as writer:
            writer.wait_more()
            for _ in range(3):
                wanted = cluster.leader() % 3 + 1
                cluster.members(wanted, verb="transfer-leader")
                wait_for("the new leader", lambda w=wanted: cluster.leader() == w)
            leader = cluster.leader()
            cluster.stop(leader)
            assert cluster.leader() != leader
            writer.wait_more()
            cluster.start(leader)
            cluster.wait_ready(leader)
        check(cluster, writer, [1, 2, 3])


def what_cannot_be_is_refused_in_one_line():
    with Changing(4, 3) as cluster:
        cluster.found()
        leader = cluster.leader()
        follower = leader % 3 + 1
        refusals = [
            (("remove", follower), "replace the member, remove two, or insist with override"),
            (("remove", 9), "no member has this id"),
            (("remove", 1, 2, 3), "no voter would be left"),
            (("promote", follower), "votes already"),
            (("update", 9, "--priority", "3"), "no member has this id"),
            (("add", f"{follower}@127.0.0.1:9"), "a member has this id already"),
            (("add", f"4@{cluster.address(follower)}"), "another member has this address"),
            (("add", "4@10.1.2.3:9"), "not on loopback"),
        ]
        for words, says in refusals:
            line = cluster.members(*words, code=11)
            assert says in line, (words, line)
        for words in (("add", "4"), ("remove",), ("replace", "1"), ("shrink",), ("list", "1"),
                      ("add", "x@127.0.0.1:1"), ("promote", "1", "--priority", "1")):
            cluster.members(*words, code=2)
        assert cluster.voters() == [1, 2, 3]
        # One core alone names the leader, and says what would do.
        def names_the_leader():
            leads = cluster.leader()
            code, _, err = cluster.cli("members", "remove", "9", core=leads % 3 + 1)
            return code == 4 and f"core {leads} leads" in err and "--core" in err
        wait_for("a follower to name the leader", names_the_leader)
        # Who insists gets an even number, and is reminded of it.
        follower = cluster.leader() % 3 + 1
        cluster.members("remove", follower, "--override")
        leader = cluster.leader()
        wait_for("the reminder", lambda: "even" in str(cluster.status(leader)["warnings"]))
        wait_for("the log", lambda: "somebody insisted" in cluster.log(leader))


run_tests([a_single_core_grows_to_five_under_load_and_shrinks_again,
           the_leader_is_removed_and_another_goes_on, a_dead_core_is_replaced_in_one_step,
           a_core_that_lost_its_data_comes_back_as_another_incarnation,
           a_member_moves_to_another_address, the_leadership_goes_where_it_is_wanted,
           what_cannot_be_is_refused_in_one_line])
