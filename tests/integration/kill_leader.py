"""kill -9 of the leader under load, again and again: what was acknowledged is there, once."""
import http.client
import os
import random
import threading
import time

from cluster import Cluster, key_path, request, run_tests

KILLS = {"short": 8, "long": 30, "soak": 60}[os.environ.get("SPATE_TIER", "short")]
CLIENTS = 4


class Client(threading.Thread):
    """A session that writes through all cores in turn and repeats what was not answered.

    Each of its keys is put and, every other one, deleted. A delete done twice would find no key the
    second time, so an answer other than 200 shows a write that took effect more than once.
    """

    def __init__(self, cluster, number, ending):
        super().__init__(daemon=True)
        self.cluster, self.number, self.ending = cluster, number, ending
        self.session, self.sequence = random.SystemRandom().getrandbits(62) + 1, 0
        self.held, self.wrong, self.repeated, self.written = {}, [], 0, 0

    def write(self, method, key, value):
        self.sequence += 1
        names = {"Spate-Session": str(self.session), "Spate-Sequence": str(self.sequence)}
        attempt = 0
        while True:
            core = self.cluster.ids[(self.number + self.sequence + attempt) % 3]
            try:
                answer = request(self.cluster.api[core], method, key_path(key), value, names)
                if answer.status not in (503, 504):
                    return answer
            except (OSError, http.client.HTTPException):
                pass
            attempt += 1
            self.repeated += 1
            time.sleep(0.01 * min(attempt, 10))

    def expect_done(self, answer, what):
        if answer.status != 200:
            self.wrong.append(f"{what}: {answer.status} {answer.body}")

    def run(self):
        while not self.ending.is_set() and not self.wrong:
            key, value = f"client{self.number}/{self.written}", b"%d" % self.sequence
            self.expect_done(self.write("PUT", key, value), f"put {key}")
            self.held[key] = value
            if self.written % 2 == 1:
                self.expect_done(self.write("DELETE", key, None), f"delete {key}")
                del self.held[key]
            self.written += 1


def load_and_kill(cluster, kills):
    ending = threading.Event()
    clients = [Client(cluster, number, ending) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for _ in range(kills):
            before = sum(client.written for client in clients)
            while sum(client.written for client in clients) < before + 20:
                time.sleep(0.01)  # The next leader must serve before it is killed in turn.
            killed = cluster.leader()
            cluster.kill(killed)
            time.sleep(random.random() * 0.5)
            cluster.start(killed)
            cluster.wait_ready(killed)
    finally:
        ending.set()
        for client in clients:
            client.join(60)
    return clients


def every_acknowledged_write_outlives_its_leaders_and_is_done_once():
    with Cluster() as cluster:
        cluster.start()
        cluster.wait_ready()
        clients = load_and_kill(cluster, KILLS)
        assert not any(client.is_alive() for client in clients), "a client is stuck"
        assert not any(client.wrong for client in clients), [c.wrong for c in clients]
        held = {}
        for client in clients:
            held.update(client.held)
        status = cluster.wait_equal()
        assert status["kv"]["keys"] == len(held), (status["kv"], len(held))
        for number, (key, value) in enumerate(held.items()):
            core = number % 3 + 1
            got = request(cluster.api[core], "GET", key_path(key) + "?stale")
            assert (got.status, got.body) == (200, value), (key, value, got.status, got.body)
        print(f"# {KILLS} kills, {sum(c.written for c in clients)} keys written,"
              f" {sum(c.repeated for c in clients)} writes repeated")
        cluster.stop()


run_tests([every_acknowledged_write_outlives_its_leaders_and_is_done_once])
