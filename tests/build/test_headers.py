#!/usr/bin/env python3
"""Each public header compiles alone as C17 and as C++17, each header inside as C17. Twice included is once.
Headers of the cuda folder need those of the toolkit, whose folders are the last arguments, and headers of a kernel set
a compiler for its processor; without them they are left out. Usage: test_headers.py ROOT CC CXX [CUDA_INCLUDE...]; CXX may be empty"""
import concurrent.futures
import pathlib
import platform
import shutil
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
cc, cxx, cuda = sys.argv[2], sys.argv[3], [f"-isystem{folder}" for folder in sys.argv[4:]]
FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L",
         f"-I{root / 'include'}"]
C = [cc, "-xc", "-std=c17", "-Wstrict-prototypes"]
CXX = [cxx, "-xc++", "-std=c++17"]

# Headers of a kernel set may need the instructions of their folder: folder, processor, its cross compiler, flags. A frame is
# written in the words of the set that includes it.
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
AVX512 = AVX2 + ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"]
FRAMES = AVX2 + ["-include", str(root / "src/compute/cpu/x86_avx2/few_vectors.h")]
SETS = {"x86_frames": ("x86_64", "x86_64-linux-gnu-gcc", FRAMES),
        "x86_avx2": ("x86_64", "x86_64-linux-gnu-gcc", AVX2), "x86_avx512": ("x86_64", "x86_64-linux-gnu-gcc", AVX512),
        "arm_neon": ("aarch64", "aarch64-linux-gnu-gcc", ["-march=armv8.2-a+dotprod"])}


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
        processor, cross, extra = SETS.get(path.parent.name, (platform.machine(), "", []))
        compiler = cc if processor == platform.machine() else shutil.which(cross)
        if compiler:
            include = f'"{path.relative_to(root / "src").as_posix()}"'
            jobs.append(([compiler] + C[1:], include, [f"-I{root / 'src'}"] + extra + cuda))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for include, language, code, errors in pool.map(compiles, jobs):
            if code:
                failed += 1
                print(f"{include} does not compile alone ({language}):\n{errors}")
    print(f"{len(jobs)} compilations, {failed} failed" + ("" if cxx else "; C++ skipped, there is no compiler"))
    return 1 if failed or not jobs else 0


sys.exit(main())
