"""spate bench over veth pairs in namespaces: what it measures, and that nothing of it stays."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from cluster import SPATE, run_tests, wait_for  # noqa: E402


def spaces_of(pid):
    return list(pathlib.Path("/run/netns").glob(f"spate-bench-{pid}-*"))


def start(folder, *words):
    """The harness, with its progress in a file."""
    with open(f"{folder}/progress", "w", encoding="utf-8") as progress:
        return subprocess.Popen([SPATE, "bench", "throughput", "--in-flight", "64", "--polling",
                                 "busy", "--warmup", "0.05", "--output", f"{folder}/results",
                                 *words], stdout=subprocess.DEVNULL, stderr=progress)


def progress_in(folder):
    return pathlib.Path(f"{folder}/progress").read_text(encoding="utf-8")


def a_veth_is_shared_by_the_transports_that_are_compared_on_it():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        with start(folder, "--transport", "af_xdp,af_packet,tap,veth", "--runs", "1", "--seconds",
                   "0.1") as running:
            wait_for("namespaces", lambda: len(spaces_of(running.pid)) == 4)
            running.wait(100)
        assert running.returncode == 0, progress_in(folder)
        assert spaces_of(running.pid) == []
        lines = [line for line in progress_in(folder).splitlines() if line]
        assert all(line.startswith("[") for line in lines), lines  # No library chatters.
        rows = [row for row in json.loads(pathlib.Path(f"{folder}/results/results.json").read_text(
            encoding="utf-8"))["results"] if row["name"] == "committed"]
        assert [row["labels"]["transport"] for row in rows] == ["af_xdp", "af_packet", "tap",
                                                              "veth"]
        assert all(row["median"] > 0 for row in rows), rows
        env = json.loads(pathlib.Path(f"{folder}/results/env.json").read_text(encoding="utf-8"))
        assert "af_xdp,af_packet,tap,veth" in env["command"], env["command"]
        assert all(row["limit"] for row in rows), rows


def ctrl_c_leaves_no_namespace():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        with start(folder, "--transport", "veth", "--runs", "60", "--seconds", "0.1") as running:
            wait_for("the second run", lambda: "run 2 of 60" in progress_in(folder))
            running.send_signal(signal.SIGINT)
            running.wait(60)
        assert running.returncode == 130, progress_in(folder)
        assert spaces_of(running.pid) == []


def namespaces_of_a_killed_harness_go_with_the_next():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        with start(folder, "--transport", "veth", "--runs", "60", "--seconds", "1") as killed:
            wait_for("the first run", lambda: "run 1 of 60" in progress_in(folder))
            killed.kill()
        assert len(spaces_of(killed.pid)) == 4
        with start(folder, "--transport", "veth", "--runs", "1", "--seconds", "0.1") as running:
            running.wait(100)
        assert running.returncode == 0, progress_in(folder)
        assert spaces_of(killed.pid) == [] and spaces_of(running.pid) == []


run_tests([a_veth_is_shared_by_the_transports_that_are_compared_on_it, ctrl_c_leaves_no_namespace,
           namespaces_of_a_killed_harness_go_with_the_next])
