"""What the harness writes, read by others: hdr-histogram-js, from npm, and the script of the report."""
import json
import os
import pathlib
import subprocess
import tempfile

from cluster import SPATE, run_tests

BUILD, SOURCE = os.environ["BUILD"], os.environ["SOURCE"]
PACKAGE = "hdr-histogram-js@3.0.1"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=200, check=False)
    assert done.returncode == 0, f"{command} exits with {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def modules():
    """Installs the package below the build folder, once."""
    folder = pathlib.Path(BUILD) / "npm"
    if not (folder / "node_modules/hdr-histogram-js/package.json").exists():
        run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
            PACKAGE)
    return folder / "node_modules"


def our_histograms_are_read_by_hdr_histogram_js():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        run(os.environ["HISTOGRAM_SAMPLE"], folder)
        run("node", pathlib.Path(SOURCE) / "tests/integration/histograms.js", folder, modules())


def row_of(name, runs, limit, **labels):
    middle = sorted(runs)[len(runs) // 2]
    return {"name": name, "unit": "entries/s" if name == "committed" else "ns", "labels": {
        "loop": "peak", "polling": "busy", "durability": "memory", "nodes": "3", "payload": "64",
        "transport": "memif", **labels}, "median": middle, "min": min(runs), "max": max(runs),
            "mean": middle, "variation": 0.01, "noisy": False, "limit": limit,
            "ratio": limit and middle / limit, "runs": runs}


def the_report_draws_its_plots_and_judges_its_targets():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        run(os.environ["HISTOGRAM_SAMPLE"], folder)
        p50 = row_of("commit p50", [4000, 4100, 4200], 3000, in_flight="1")
        rows = [{**p50, "histogram": "sample", "limit_histogram": "sample"},
                row_of("commit p99", [9100, 9200, 9300], 3000, in_flight="1"),
                row_of("commit p50", [14000], 12000, in_flight="1", transport="socket"),
                row_of("committed", [2e5], 4e5, in_flight="1"),
                row_of("committed", [9e6], 12e6, in_flight="4096"),
                row_of("stage", [120], None, in_flight="1", stage="queue: until it is taken"),
                *(row_of("leader work per entry", [cost], None, in_flight="4096", series="scale",
                         transport="socket", nodes=nodes)
                  for nodes, cost in (("3", 100), ("5", 150), ("7", 231)))]
        pathlib.Path(folder, "results.json").write_text(json.dumps({"results": rows}),
                                                        encoding="utf-8")
        pathlib.Path(folder, "env.json").write_text(json.dumps({
            "cpu": "Some", "revision": "abc-dirty", "command": ["spate-bench", "it's"]}),
                                                    encoding="utf-8")
        run(SPATE, "bench", "report", folder)
        said = run("node", pathlib.Path(SOURCE) / "tests/integration/page.js",
                   f"{folder}/report.html").splitlines()
        assert said[0] == "plots 7", said
        for name, value, verdict in (("P1", "1.37", "met"), ("P2", "3.07", "missed"),
                                     ("P3", "0.750", "met"), ("P6b", "3.41", "met"),
                                     ("P12", "1.50", "met"), ("P12", "2.31", "within 10 %")):
            line = [line for line in said if line.startswith(f"{name} | ") and value in line]
            assert line and line[0].strip().endswith(verdict), (name, value, said)


run_tests([our_histograms_are_read_by_hdr_histogram_js,
           the_report_draws_its_plots_and_judges_its_targets])
