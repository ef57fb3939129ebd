"""spate bench as its user meets it: wrong words, Ctrl-C, what it leaves, and what is done with that."""
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

from cluster import SPATE, processes_with, run_tests, wait_for

QUICK = ["--runs", "1", "--seconds", "0.05", "--warmup", "0.05"]
WRONG = [["--bogus"], ["--runs"], ["--runs", "abc"], ["--runs", "0"], ["--nodes", "4"], ["nope"],
         ["latency", "idle"], ["--find-max"], ["--p99-under", "50us"], ["--arrivals", "soon"],
         ["--find-max", "--p99-under", "50"], ["--payload", "9"], ["--polling", "lazy"],
         ["--in-flight", "1,x"], ["--dir", "/nowhere", "durable"], ["compare", "/nowhere"],
         ["compare", "/nowhere", "/nowhere"], ["bundle"], ["bundle", "/nowhere"],
         ["report", "/nowhere"]]


def bench(*words):
    return subprocess.run([SPATE, "bench", *map(str, words)], capture_output=True, text=True,
                          timeout=100, check=False)


def said(done):
    """What it said apart from its progress."""
    return [line for line in done.stderr.splitlines() if line and not line.startswith("[")]


def measured(folder, name, *words):
    where = pathlib.Path(folder) / name
    done = bench("latency", "--in-flight", "1", "--polling", "adaptive", *QUICK, *words,
                 "--output", where)
    assert done.returncode == 0, done.stderr
    return where


def wrong_words_are_refused_in_one_line_with_a_remedy():
    for words in WRONG:
        done = bench(*words)
        lines = said(done)
        assert done.returncode in (1, 2), (words, done)
        assert len(lines) == 1 and lines[0].startswith("spate bench: "), (words, lines)
        assert any(hint in lines[0] for hint in ("--help", "give ")), (words, lines)
        assert done.stdout == "", (words, done.stdout)


def a_run_leaves_its_results_and_nothing_else():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        where = measured(folder, "results", "--dir", folder)
        names = {path.name for path in where.iterdir()}
        wanted = {"env.json", "results.json", "results.csv", "report.html"}
        wanted |= {f"{what}-socket-adaptive-memory-1.{kind}" for what in ("commit", "bare")
                   for kind in ("hgrm", "hlog")}
        assert names == wanted, names
        assert [path.name for path in pathlib.Path(folder).iterdir()] == ["results"]
        assert processes_with(folder) == []
        rows = json.loads((where / "results.json").read_text(encoding="utf-8"))["results"]
        assert {"commit p50", "committed"} <= {row["name"] for row in rows}


def ctrl_c_ends_everything_and_keeps_what_there_is():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        output = pathlib.Path(folder) / "results"
        command = [SPATE, "bench", "durable", "--in-flight", "1", "--seconds", "0.1", "--warmup",
                   "0.05", "--runs", "60", "--dir", folder, "--output", output]
        with open(f"{folder}/progress", "w+", encoding="utf-8") as progress, \
                subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=progress,
                                 text=True) as running:
            file = pathlib.Path(progress.name)
            wait_for("the third run", lambda: "run 3 of 60" in file.read_text(encoding="utf-8"))
            running.send_signal(signal.SIGINT)
            table = running.communicate(timeout=60)[0]
            assert running.returncode == 130, running.returncode
            assert "interrupted" in file.read_text(encoding="utf-8")
        assert "commit p50" in table, table
        assert (output / "report.html").exists() and (output / "results.json").exists()
        assert processes_with(folder) == []
        assert sorted(path.name for path in pathlib.Path(folder).iterdir()) == ["progress",
                                                                               "results"]


def cores_die_with_a_harness_that_is_killed():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        with subprocess.Popen([SPATE, "bench", "durable", "--in-flight", "1", "--dir", folder],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            wait_for("three cores", lambda: len(processes_with(folder + "/spate-bench-")) >= 3)
            running.kill()
        wait_for("their end", lambda: processes_with(folder) == [])


def a_terminal_sees_one_line_that_is_written_over():
    ours, theirs = pty.openpty()
    with subprocess.Popen([SPATE, "bench", "--in-flight", "1", "--polling", "adaptive", *QUICK],
                          stdout=subprocess.DEVNULL, stderr=theirs) as running:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # The other end is closed.
                break
            text += part
        running.wait(60)
    os.close(ours)
    lines = text.decode().split("\r\x1b[K")
    assert running.returncode == 0 and len(lines) > 2, text
    assert all(line.startswith("[") and "\n" not in line for line in lines[1:-1]), lines


def results_are_compared_only_with_their_like():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        before = measured(folder, "before")
        same = bench("compare", before, before)
        assert same.returncode == 0 and "same" in same.stdout, same
        assert "WORSE" not in same.stdout and "BETTER" not in same.stdout, same.stdout
        after = pathlib.Path(folder) / "after"
        shutil.copytree(before, after)
        results = json.loads((before / "results.json").read_text(encoding="utf-8"))
        for side, factor in ((before, 1), (after, 1.5)):
            for row in results["results"]:
                row.update(runs=[factor] * 5, median=factor, min=factor, max=factor, limit=None)
            (side / "results.json").write_text(json.dumps(results), encoding="utf-8")
        told = bench("compare", before, after).stdout.splitlines()
        verdicts = {line.split("  ")[0]: line.split()[-1] for line in told if "+50.0 %" in line}
        assert verdicts["commit p50"] == "WORSE" and verdicts["committed"] == "BETTER", told
        environment = json.loads((after / "env.json").read_text(encoding="utf-8"))
        (after / "env.json").write_text(json.dumps({**environment, "kernel": "other"}),
                                        encoding="utf-8")
        refused = bench("compare", before, after)
        assert refused.returncode == 7 and "kernel" in refused.stdout, refused
        assert "+50.0 %" not in refused.stdout and "--force" in refused.stderr, refused
        forced = bench("compare", before, after, "--force")
        assert forced.returncode == 0 and "+50.0 %" in forced.stdout, forced


def a_bundle_holds_the_whole_folder_and_no_names_of_people():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        where = measured(folder, "results")
        done = bench("bundle", where)
        assert done.returncode == 0 and done.stdout.strip() == f"{where}.tar.gz", done
        with tarfile.open(f"{where}.tar.gz") as archive:
            names = {pathlib.Path(member.name).name for member in archive if member.isfile()}
            assert names == {path.name for path in where.iterdir()}, names
            assert all(member.uid == 0 and not member.uname for member in archive)


def an_open_loop_runs_at_the_rate_that_is_asked_for():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        for arrivals in ("constant", "poisson"):
            where = pathlib.Path(folder) / arrivals
            done = bench("--rate", "2000", "--arrivals", arrivals, "--polling", "adaptive", "--runs",
                         "1", "--seconds", "0.5", "--output", where)
            assert done.returncode == 0, done.stderr
            rows = {row["name"]: row for row in json.loads(
                (where / "results.json").read_text(encoding="utf-8"))["results"]}
            assert rows["commit p99"]["labels"]["loop"] == "open"
            assert rows["offered"]["median"] == 2000
            assert rows["commit p99"]["labels"]["arrivals"] == arrivals
            assert (where / "open-socket-adaptive-memory-2000.hlog").exists()
        done = bench("--find-max", "--p99-under", "5s", "--polling", "adaptive", *QUICK)
        assert done.returncode == 0 and "highest rate" in done.stdout, done


def folders_of(pid):
    """What memif has on disk for the harness with this process id."""
    return list(pathlib.Path("/tmp").glob(f"spate-bench-{pid}-*"))


def transports_are_measured_in_turns_each_beside_its_limit():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        where = pathlib.Path(folder) / "results"
        command = [SPATE, "bench", "throughput", "--transport", "memif,socket", "--in-flight", "64",
                   "--polling", "busy", *QUICK, "--runs", "2", "--output", str(where)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as running:
            told = running.communicate(timeout=100)[1]
        assert running.returncode == 0, told
        turns = [line.split(": ")[1].split(",")[0] for line in told.splitlines() if "run " in line]
        assert turns == ["memif", "socket"] * 2, told
        rows = [row for row in json.loads((where / "results.json").read_text(encoding="utf-8"))
                ["results"] if row["name"] == "committed"]
        assert [row["labels"]["transport"] for row in rows] == ["memif", "socket"], rows
        assert all(row["median"] > 0 and row["limit"] > 0 for row in rows), rows
        assert folders_of(running.pid) == []


def durable_rows_over_dpdk_have_their_limit_too():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        where = pathlib.Path(folder) / "results"
        done = bench("durable", "--transport", "memif", "--in-flight", "64", *QUICK,
                     "--dir", folder, "--output", where)
        assert done.returncode == 0, done.stderr
        rows = json.loads((where / "results.json").read_text(encoding="utf-8"))["results"]
        rows = [row for row in rows if row["name"] in ("commit p50", "commit p99", "committed")]
        assert len(rows) == 3 and all(row["limit"] > 0 for row in rows), rows
        assert list(where.glob("bare-memif-adaptive-disk-64.h*")), list(where.iterdir())
        assert [path.name for path in pathlib.Path(folder).iterdir()] == ["results"]


def what_a_killed_harness_left_goes_with_the_next():
    command = [SPATE, "bench", "throughput", "--transport", "memif", "--in-flight", "64", "--seconds",
               "60"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        wait_for("sockets of memif", lambda: any(list(path.iterdir()) for path in
                                                 folders_of(running.pid)))
        running.kill()
    assert folders_of(running.pid) != []
    done = bench("throughput", "--transport", "memif", "--in-flight", "64", "--polling", "busy",
                 *QUICK)
    assert done.returncode == 0, done.stderr
    assert folders_of(running.pid) == []


OVER_DPDK = [transports_are_measured_in_turns_each_beside_its_limit,
             durable_rows_over_dpdk_have_their_limit_too,
             what_a_killed_harness_left_goes_with_the_next] if os.environ["DPDK"] else []
run_tests([wrong_words_are_refused_in_one_line_with_a_remedy,
           a_run_leaves_its_results_and_nothing_else,
           ctrl_c_ends_everything_and_keeps_what_there_is,
           cores_die_with_a_harness_that_is_killed, a_terminal_sees_one_line_that_is_written_over,
           results_are_compared_only_with_their_like,
           a_bundle_holds_the_whole_folder_and_no_names_of_people,
           an_open_loop_runs_at_the_rate_that_is_asked_for, *OVER_DPDK])
