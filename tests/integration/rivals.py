"""Rivals of a measurement: each that is installed gets its rows, each that is not its reason, and
none leaves a process or a file."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from cluster import SPATE, processes_with, run_tests, wait_for

CRAFT = pathlib.Path(os.environ["BUILD"]) / "bench/spate-rival-craft"
INSTALLED = {"raft": CRAFT.exists(), "raft-single": CRAFT.exists(),
             "etcd": shutil.which("etcd") is not None,
             "redis": shutil.which("redis-server") is not None}
QUICK = ["--runs", "1", "--seconds", "1", "--warmup", "0.2", "--in-flight", "1,64"]


def measured(folder, *words, **more):
    output = pathlib.Path(folder) / "results"
    done = subprocess.run([SPATE, "bench", *words, "--dir", folder, "--output", output],
                          capture_output=True, text=True, timeout=200, check=False, **more)
    assert done.returncode == 0, done
    assert [path.name for path in pathlib.Path(folder).iterdir()] == ["results"]
    assert processes_with(folder + "/spate-bench-") == []
    return json.loads((output / "results.json").read_text(encoding="utf-8")), done.stdout


def rows_of(results, system, name):
    return {row["labels"]["in_flight"]: row for row in results["results"]
            if row["name"] == name and row["labels"].get("system") == system}


def what_is_installed_is_measured_beside_our_own_rows():
    with tempfile.TemporaryDirectory(prefix="spate-test-", dir=".") as folder:
        results, _ = measured(folder, "rivals", *QUICK)
        for system, is_installed in INSTALLED.items():
            assert (system in results["skipped"]) != is_installed, (system, results["skipped"])
            for name in ("commit p50", "committed", "committed, spate / rival"):
                rows = rows_of(results, system, name)
                assert sorted(rows) == (["1", "64"] if is_installed else []), (system, name, rows)
                assert all(row["median"] > 0 for row in rows.values()), rows
                assert all(row["labels"]["durability"] == "disk" for row in rows.values()), rows
        assert sorted(rows_of(results, None, "committed")) == ["1", "64"]


def in_memory_those_that_always_write_are_skipped():
    with tempfile.TemporaryDirectory(prefix="spate-test-", dir=".") as folder:
        results, _ = measured(folder, "throughput", "--rivals", "all", *QUICK)
        assert {"raft", "raft-single", "etcd"} <= set(results["skipped"]), results["skipped"]
        assert len(rows_of(results, "redis", "committed")) == 2 * INSTALLED["redis"]


def what_is_not_installed_has_a_reason_and_no_figure():
    with tempfile.TemporaryDirectory(prefix="spate-test-", dir=".") as folder:
        results, table = measured(folder, "durable", "--rivals", "etcd,redis", *QUICK,
                                  env={**os.environ, "PATH": "/nowhere"})
        assert results["skipped"] == {"etcd": "etcd-server is not installed",
                                      "redis": "redis-server is not installed"}
        assert all(f"skipped: {system}: " in table for system in ("etcd", "redis")), table
        assert all("system" not in row["labels"] for row in results["results"])


def ctrl_c_ends_a_rival_too():
    for name in [name for name, system in (("craft", "raft"), ("etcd", "etcd"), ("redis", "redis"))
                 if INSTALLED[system]]:
        with tempfile.TemporaryDirectory(prefix="spate-test-", dir=".") as folder:
            with open(f"{folder}/progress", "w+", encoding="utf-8") as progress, \
                    subprocess.Popen([SPATE, "bench", "durable", "--in-flight", "1", "--seconds",
                                      "0.2", "--warmup", "0.1", "--runs", "60", "--dir", folder, "--rivals", name],
                                     stdout=subprocess.PIPE, stderr=progress) as running:
                file = pathlib.Path(progress.name)
                wait_for(f"the second run of {name}",
                         lambda: f"run 2 of 60: {name}" in file.read_text(encoding="utf-8"))
                wait_for("its processes", lambda: processes_with(folder + "/spate-bench-"))
                running.send_signal(signal.SIGINT)
                running.communicate(timeout=60)
                assert running.returncode == 130, running.returncode
            assert processes_with(folder + "/spate-bench-") == []
            assert [path.name for path in pathlib.Path(folder).iterdir()] == ["progress"]


run_tests([what_is_installed_is_measured_beside_our_own_rows,
           in_memory_those_that_always_write_are_skipped,
           what_is_not_installed_has_a_reason_and_no_figure,
           ctrl_c_ends_a_rival_too])
