#!/usr/bin/env python3
"""Each public header compiles alone as C17 and as C++17, each header inside as C17. Twice included is once.
Headers of the cuda folder need those of the toolkit, whose folders are the last arguments; without them they are left
out. Usage: test_headers.py ROOT CC CXX [CUDA_INCLUDE...]; CXX may be empty"""
import concurrent.futures
import pathlib
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
cc, cxx, cuda = sys.argv[2], sys.argv[3], [f"-isystem{folder}" for folder in sys.argv[4:]]
FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L",
         f"-I{root / 'include'}"]
C = [cc, "-xc", "-std=c17", "-Wstrict-prototypes"]
CXX = [cxx, "-xc++", "-std=c++17"]


def compiles(job):
    language, include, extra = job
    source = f"#include {include}\n#include {include}\nextern int falconer_header_alone;\n"
    done = subprocess.run(language + FLAGS + extra + ["-"], input=source, capture_output=True, text=True)
    return include, language[2], done.returncode, done.stderr


def main():
    jobs = []
    for path in sorted((root / "include").rglob("*.h")):
        include = f"<{path.relative_to(root / 'include').as_posix()}>"
        jobs.append((C, include, []))
        if cxx:
            jobs.append((CXX, include, []))
    for path in sorted((root / "src").rglob("*.h")):
        if "cuda" in path.parts and not cuda:
            continue
        # Headers of a kernel set may need the instructions of their folder.
        extra = ["-mavx2", "-mfma", "-mf16c"] if "x86_avx2" in path.parts else []
        jobs.append((C, f'"{path.relative_to(root / "src").as_posix()}"', [f"-I{root / 'src'}"] + extra + cuda))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for include, language, code, errors in pool.map(compiles, jobs):
            if code:
                failed += 1
                print(f"{include} does not compile alone ({language}):\n{errors}")
    print(f"{len(jobs)} compilations, {failed} failed" + ("" if cxx else "; C++ skipped, there is no compiler"))
    return 1 if failed or not jobs else 0


sys.exit(main())
