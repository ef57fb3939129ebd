#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and demands that it is found."""
import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tools")]
sys.dont_write_bytecode = True
import check_layers  # noqa: E402
import check_style  # noqa: E402
import count_tests  # noqa: E402

CLEAN = "int spate_x(int x)\n{\n    spate_assert(x > 0);\n    return x;\n}\n"


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.put("lib/net/meson.build", "files('x.c')\n")
        self.put("lib/net/x.c", CLEAN)

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def style(self):
        return "\n".join(check_style.check(self.root))

    def layers(self):
        return "\n".join(check_layers.check(self.root, HERE / "layers.txt"))


class Style(Tree):
    def test_a_clean_tree_passes(self):
        self.assertEqual(self.style(), "")

    def test_planted_text_is_found(self):
        for planted, said in [
            ("/* " + "x" * 100 + " */\n", "columns"),
            ("\n" * 601, "606 lines"),
            ("int y; \n", "blank at the end"),
            ("\tint y;\n", "tab"),
            ("int y;", "no newline"),
            ("/* TODO: later */\n", "banned"),
            ("void f(void)\n{\n" + "    ;\n" * 80 + "}\n", "function of 82"),
            ("#ifdef LINUX\n#endif\n", "outside lib/base"),
            ("void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy( is banned"),
            ("void f(void)\n{\n    x = time(NULL);\n}\n", "time( is banned"),
            ("void f(void)\n{\n    assert(1);\n}\n", "assert( is banned"),
            ("static volatile int y;\n", "volatile is banned"),
            ('#include "y.c"\n', "is banned; use a header"),
            ("void f(void)\n{\n}\n\nvoid g(void)\n{\n}\n", "assertions in"),
        ]:
            with self.subTest(said=said):
                self.put("lib/net/x.c", CLEAN + planted)
                self.assertIn(said, self.style())

    def test_words_in_comments_and_strings_are_not_code(self):
        self.put("lib/net/x.c", CLEAN + '/* volatile, assert(1) */\nconst char *s = "rand()";\n')
        self.assertEqual(self.style(), "")

    def test_an_issue_makes_a_todo_lawful(self):
        self.put("lib/net/x.c", CLEAN + "/* TODO(#12): faster */\n")
        self.assertEqual(self.style(), "")

    def test_a_header_without_head_comment_is_found(self):
        self.put("lib/net/x.h", "#ifndef X_H\n#define X_H\n#endif\n")
        self.assertIn("a header begins", self.style())

    def test_a_public_declaration_without_comment_is_found(self):
        self.put("include/spate/x.h", "/* X. */\n\nint spate_x(int x);\n")
        self.assertIn("without a comment", self.style())

    def test_a_dead_file_is_found(self):
        self.put("lib/net/dead.c", CLEAN)
        self.assertIn("dead.c: no meson.build", self.style())

    def test_a_dead_link_is_found(self):
        self.put("README.md", "[here](nowhere.md) [there](https://example.org)\n")
        self.assertIn("nowhere.md points nowhere", self.style())
        self.assertNotIn("example.org", self.style())

    def test_a_cited_function_that_is_not_there_is_found(self):
        self.put("lib/raft/README.md", "| 5.2 | `spate_raft_gone` | `test_gone` |\n")
        self.assertIn("`spate_raft_gone` does not exist", self.style())

    def test_an_example_that_differs_is_found(self):
        self.put("examples/meson.build", "'counter.c'\n")
        self.put("examples/counter.c", "int x;\n")
        self.put("README.md", "<!-- examples/counter.c -->\n```c\nint y;\n```\n")
        self.assertIn("the example differs", self.style())


class Layers(Tree):
    def test_a_clean_tree_passes(self):
        self.assertEqual(self.layers(), "")

    def test_planted_edges_are_found(self):
        self.put("lib/raft/raft.h", "")
        self.put("lib/base/b_internal.h", "")
        for planted, said in [
            ('#include "raft/raft.h"\n', "may not depend on lib/raft"),
            ("#include <lmdb.h>\n", "<lmdb.h> is allowed only in"),
            ("#include <rte_mbuf.h>\n", "<rte_mbuf.h> is allowed only in"),
            ('#include "gone.h"\n', "is not in this folder"),
            ('#include "base/gone.h"\n', "no header of ours"),
            ('#include "base/b_internal.h"\n', "is internal to lib/base"),
        ]:
            with self.subTest(said=said):
                self.put("lib/net/x.c", planted)
                self.assertIn(said, self.layers())

    def test_an_unknown_folder_is_found(self):
        self.put("lib/new/x.c", "")
        self.assertIn("folder is not in layers.txt", self.layers())


class Symbols(Tree):
    def symbols(self, source):
        self.put("lib/x.c", source)
        subprocess.run(["cc", "-c", "x.c", "-o", "x.o"], cwd=self.root / "lib", check=True)
        subprocess.run(["ar", "rcs", "libx.a", "x.o"], cwd=self.root / "lib", check=True)
        run = subprocess.run([HERE / "check_symbols.sh", self.root], capture_output=True, text=True)
        return run.returncode, run.stdout

    def test_a_clean_library_passes(self):
        self.assertEqual(self.symbols("const int spate_x = 1;\n"), (0, ""))

    def test_an_unprefixed_function_and_a_writable_global_are_found(self):
        self.assertIn("not prefixed", self.symbols("int f(void) { return 1; }\n")[1])
        code, said = self.symbols("static int count; int spate_f(void) { return count++; }\n")
        self.assertEqual(code, 1)
        self.assertIn("writable global", said)


class Counting(unittest.TestCase):
    def test_points_count_one_each(self):
        said = "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP\n"
        self.assertEqual(count_tests.count_one({"result": "FAIL", "stdout": said}), (1, 1, 1))

    def test_a_crash_is_a_failure_even_when_all_points_before_it_passed(self):
        record = {"result": "ERROR", "stdout": "1..2\nok 1 - a\n"}
        self.assertEqual(count_tests.count_one(record), (1, 1, 0))

    def test_nothing_run_is_a_failure(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(count_tests.main(["0"]), 1)


if __name__ == "__main__":
    unittest.main()
