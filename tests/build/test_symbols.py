#!/usr/bin/env python3
"""The shared library exports what exports.txt promises and nothing else; the library ends no program, prints nothing and
takes memory in one place only.
Usage: test_symbols.py exports NM LIBRARY LIST | test_symbols.py forbidden NM ARCHIVE"""
import re
import subprocess
import sys

ENDS = {"abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail", "raise", "kill"}
PRINTS = {"printf", "vprintf", "puts", "putchar", "perror", "stdout", "stderr", "__printf_chk", "__vprintf_chk"}
UNSAFE = {"strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "atof", "rand", "srand",
          "setlocale", "system", "popen", "execve", "dlopen"}
HEAP = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup", "strndup", "reallocarray"}
HEAP_PLACE = "alloc.c.o"


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def exports(nm, library, listing):
    found = {line.split()[-1].split("@")[0] for line in lines(nm, "-D", "--defined-only", library) if line.split()}
    promised = {line.strip() for line in open(listing, encoding="utf-8") if line.strip()}
    for name in sorted(found - promised):
        print(f"{name} is exported, but {listing} does not promise it")
    for name in sorted(promised - found):
        print(f"{name} is promised by {listing}, but not exported")
    print(f"{len(found)} symbols exported")
    return found != promised or not found


def forbidden(nm, archive):
    member, findings, seen = "", [], 0
    for line in lines(nm, "--undefined-only", archive):
        if line.endswith(":"):
            member = re.sub(r".*[:/(]", "", line[:-1])
            seen += 1
            continue
        name = line.split()[-1].split("@")[0] if line.split() else ""
        if name in ENDS | PRINTS | UNSAFE:
            findings.append(f"{member} uses {name}")
        if name in HEAP and member != HEAP_PLACE:
            findings.append(f"{member} uses {name}; memory passes through base/alloc.h")
    print("\n".join(findings) or f"{seen} objects, nothing forbidden")
    return bool(findings) or not seen


def main():
    kind = sys.argv[1]
    return exports(*sys.argv[2:5]) if kind == "exports" else forbidden(*sys.argv[2:4])


sys.exit(main())
