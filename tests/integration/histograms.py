"""What the harness writes is what HdrHistogram's own tools read: hdr-histogram-js, from npm."""
import os
import pathlib
import subprocess
import tempfile

from cluster import run_tests

BUILD, SOURCE = os.environ["BUILD"], os.environ["SOURCE"]
PACKAGE = "hdr-histogram-js@3.0.1"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=200, check=False)
    assert done.returncode == 0, f"{command} exits with {done.returncode}: {done.stderr[-2000:]}"


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


run_tests([our_histograms_are_read_by_hdr_histogram_js])
