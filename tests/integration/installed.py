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


def compile_embedder(folder, *flags):
    program = pathlib.Path(folder) / "embedder"
    output_of(*shlex.split(os.environ["COMPILER"]), *shlex.split(os.environ["SANITIZE"]),
              f"{SOURCE}/tests/integration/embedder.c", "-o", program, *flags, "-pthread")
    return program


def check_embedder(folder, program, env=None):
    said = output_of(program, f"{folder}/memif", env=env)
    assert said.count(f"on dpdk memif:{folder}/memif counts 300") == 3, said
    assert said.count("EAL started with") == 1, said


def a_program_on_the_shared_library_finds_the_module_beside_it():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        found = install(folder)
        env = {"PKG_CONFIG_PATH": str(found), "PKG_CONFIG_SYSROOT_DIR": folder}
        flags = shlex.split(output_of("pkg-config", "--cflags", "--libs", "spate", env=env))
        program = compile_embedder(folder, *flags)
        check_embedder(folder, program, {"LD_LIBRARY_PATH": str(found.parent)})


def a_program_on_the_static_library_uses_the_same_module():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        found = install(folder)
        env = {"PKG_CONFIG_PATH": f"{found}:{os.environ.get('PKG_CONFIG_PATH', '')}"}
        flags = shlex.split(output_of("pkg-config", "--static", "--libs", "spate", env=env))
        flags = [f"{found.parent}/libspate.a" if flag == "-lspate" else flag for flag in flags]
        include = next(pathlib.Path(folder).rglob("spate/spate.h")).parent.parent
        program = compile_embedder(folder, f"-I{include}", *flags)
        libraries = output_of("ldd", program)
        assert "librte" not in libraries and "libspate" not in libraries, libraries
        check_embedder(folder, program, {"LD_LIBRARY_PATH": str(found.parent / "spate")})


def the_installed_program_runs_on_the_installed_module_and_says_when_it_is_gone():
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        install(folder)
        program = next(path for path in pathlib.Path(folder).rglob("bin/spate"))
        module = next(pathlib.Path(folder).rglob("spate-net-dpdk.so"))
        words = [program, "core", "--id", "1", "--raft.members", "1@10.77.0.1:7209",
                 "--durability", "memory", "--dpdk.device", "memif:relative"]
        env = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}

        def refusal():
            done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60,
                                  stdin=subprocess.DEVNULL, check=False)
            assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
            return done.stderr

        assert "whole path" in refusal()  # It is the driver that says so.
        if not os.environ["SANITIZE"]:  # Sanitized programs look into the build folder too.
            module.unlink()
            said = refusal()
            assert "cannot be loaded" in said and "libdpdk-dev" in said, said


run_tests([the_example_compiles_against_what_is_installed_and_runs,
           only_public_symbols_are_exported, the_installed_program_says_its_version] +
          ([a_program_on_the_shared_library_finds_the_module_beside_it,
            a_program_on_the_static_library_uses_the_same_module,
            the_installed_program_runs_on_the_installed_module_and_says_when_it_is_gone]
           if os.environ["DPDK"] else []))
