"""The library as an embedder meets it: installed, found by pkg-config, compiled against."""
import os
import pathlib
import shlex
import subprocess
import tempfile

from cluster import SPATE, run_tests

BUILD, SOURCE = os.environ["BUILD"], os.environ["SOURCE"]


def output_of(*command, env=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=100, env={**os.environ, **(env or {})}, check=False)
    assert done.returncode == 0, f"{command} exits with {done.returncode}: {done.stderr}"
    return done.stdout


def install(folder):
    output_of("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder)
    return next(pathlib.Path(folder).rglob("spate.pc")).parent


def the_example_compiles_against_what_is_installed_and_runs():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        found = install(folder)
        env = {"PKG_CONFIG_PATH": str(found), "PKG_CONFIG_SYSROOT_DIR": folder}
        flags = shlex.split(output_of("pkg-config", "--cflags", "--libs", "spate", env=env))
        extra = shlex.split(os.environ["SANITIZE"])
        program = pathlib.Path(folder) / "counter"
        output_of(*shlex.split(os.environ["COMPILER"]), *extra, f"{SOURCE}/examples/counter.c",
                  "-o", program, *flags, "-pthread")
        said = output_of(program, env={"LD_LIBRARY_PATH": str(found.parent)})
        assert said.count("counts 10000") == 3, said


def only_public_symbols_are_exported():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        library = next(install(folder).parent.glob("libspate.so"))
        names = [line.split()[-1] for line in
                 output_of("nm", "-D", "--defined-only", library).splitlines()]
        public = "".join(path.read_text(encoding="utf-8") for path in
                         pathlib.Path(SOURCE, "include/spate").glob("*.h"))
        assert names and all(f"{name}(" in public for name in names), names


def the_installed_program_says_its_version():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        install(folder)
        program = next(path for path in pathlib.Path(folder).rglob("bin/spate"))
        assert output_of(program, "--version") == output_of(SPATE, "--version")
        assert "profiles" in output_of(program, "help", "bench")


run_tests([the_example_compiles_against_what_is_installed_and_runs,
           only_public_symbols_are_exported, the_installed_program_says_its_version])
