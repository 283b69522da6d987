#!/usr/bin/env python3
"""The checks of tools/ find what is seeded into a copy of the tree. Usage: test_checks.py ROOT"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
FACE = "/* A seeded file. */\n"

# check, file, text appended to it (or the whole of a file that is not there), what the check must say
SEEDS = [
    ("layers", "src/base/seed.c", FACE + '#include "quant/type.h"\n', "base (rank 0) includes quant (rank 1)"),
    ("layers", "src/text/seed.c", FACE + '#include "quant/type.h"\n', "text (rank 1) includes quant (rank 1)"),
    ("layers", "src/model/seed.c", FACE + '#include "nowhere/type.h"\n', "'nowhere' has no rank"),
    ("layers", "src/model/seed.c", FACE + '#include "seed.h"\n', "names no folder"),
    ("layers", "src/model/seed.c", FACE + "#include <base/alloc.h>\n", "is ours"),
    ("layers", "src/model/seed.c", FACE + '#include "falconer/error.h"\n', "included as <falconer/error.h>"),
    ("layers", "src/cli/seed.c", FACE + '#include "model/seed_private.h"\n', "private to its folder"),
    ("layers", "src/shed/seed.c", FACE, "folder 'shed' has no rank"),
    ("layers", "src/model/alloc.h", FACE, "is taken by src/base/alloc.h"),
    ("layers", "include/falconer/seed.h", FACE + '#include "base/alloc.h"\n', "only <falconer/...>"),
    ("names", "src/base/file_util.c", FACE, "'util' says nothing"),
    ("names", "src/base/seed.c", FACE + "static int load_helper(void) {\n    return 0;\n}\n", "'load_helper' holds"),
    ("names", "src/base/seed.c", FACE + "struct thing_manager;\n", "'thing_manager' holds"),
    ("names", "src/base/seed.c", FACE + "int x(char *a) {\n    return atoi(a);\n}\n", "atoi() is banned"),
    ("names", "src/base/seed.c", FACE + "void *x(void) {\n    return malloc(1);\n}\n", "malloc() outside base/alloc.c"),
    ("names", "src/base/seed.c", FACE + 'void x(void) {\n    printf("x");\n}\n', "never prints"),
    ("names", "src/base/seed.c", FACE + "void x(int a) {\n    assert(a);\n}\n", "never prints"),
    ("names", "src/base/seed.c", FACE + "#ifdef __AVX2__\n#endif\n", "the build chooses files"),
    ("names", "src/model/seed.c", FACE + "int x(int a) {\n    switch (a) {\n    case FAL_TYPE_F32: return 1;\n    }\n}\n",
     "a switch over number types"),
    ("names", "src/base/seed.c", FACE + "/* TO" + "DO: later */\n", "a mark left behind"),
    ("names", "src/base/seed.h", FACE + "int seed_count(void);\n", "'seed_count' lacks fal_"),
    ("sizes", "src/base/seed.c", FACE + "\n" * 1000, "the file has 1001 lines, at most 1000"),
    ("sizes", "src/base/seed.h", FACE + "\n" * 250, "the file has 251 lines, at most 250"),
    ("sizes", "src/base/seed.c", FACE + "int seed(int a,\n         int b) {\n" + "    a++;\n" * 98 + "}\n",
     "seed() has 101 lines, at most 100"),
    ("sizes", "src/base/README.md", "x\n" * 21, "lines, at most 20"),
    ("sizes", "README.md", "x\n" * 151, "lines, at most 150"),
    ("sizes", "include/falconer/seed.h", FACE + "\n" * 1000, "the public face"),
    ("docs", "src/base/seed.c", "int x;\n", "does not begin by saying"),
    ("docs", "src/base/seed.c", "/* a\n" + " * b\n" * 7 + " * c */\n", "has 9 lines, at most 8"),
    ("docs", "src/base/seed.h", FACE + "\nint fal_seed_draw(int a,\n                  int b);\n", "fal_seed_draw is not"),
    ("docs", "src/base/seed.def", FACE + "FAL_SEED(a, 1)\n", "a row without a meaning"),
    ("docs", "src/base/seed.def", FACE + 'FAL_SEED(a, "good words")\nFAL_SEED(b, "")\n', "seed.def:3"),
    ("docs", "src/shed/seed.c", FACE, "src/shed:0: has no README.md"),
]


def run(check, tree):
    done = subprocess.run([sys.executable, root / "tools" / f"check_{check}.py", tree], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for part in ("include", "src", "tools"):
            shutil.copytree(root / part, tree / part)
        clean = {check: run(check, tree) for check in sorted({seed[0] for seed in SEEDS})}
        for check, name, text, expected in SEEDS:
            path = tree / name
            before = path.read_text() if path.exists() else None
            fresh = not path.parent.exists()
            path.parent.mkdir(exist_ok=True)
            path.write_text((before or "") + text)
            code, words = run(check, tree)
            # The finding must be about the seed, not about something that was there before.
            if not code or expected not in words.replace(clean[check][1], ""):
                failed += 1
                print(f"{check} does not find '{expected}' seeded into {name}; it says:\n{words}")
            path.unlink() if before is None else path.write_text(before)
            if fresh:
                path.parent.rmdir()
    print(f"{len(SEEDS)} seeded violations, {failed} failures")
    return 1 if failed else 0


sys.exit(main())
