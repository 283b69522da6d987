#!/usr/bin/env python3
"""Sizes: .c stops at 1000 lines (aim 500), .h at 250 (aim 100), a function at 100 (aim 50), include/falconer at 1000 in
all, README.md and its like at theirs. --aims also prints what misses an aim. Exemptions: tools/exempt.txt.
Usage: check_sizes.py [ROOT] [--aims]"""
import pathlib
import re
import sys

arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
root = pathlib.Path(arguments[0] if arguments else ".")
show_aims = "--aims" in sys.argv
findings, aims = [], []

LIMITS = {".c": (500, 1000), ".h": (100, 250)}
PAPERS = {"README.md": 150, "ARCHITECTURE.md": 250, "CONTRIBUTING.md": 150}
FUNCTION_AIM, FUNCTION_STOP = 50, 100
FOLDER_README_STOP = 20
PUBLIC_STOP = 1000


def exemptions():
    path = root / "tools" / "exempt.txt"
    rows = [row.split() for row in (path.read_text().splitlines() if path.exists() else [])]
    return {row[1] for row in rows if row[:1] == ["sizes"] and len(row) > 2}


def measure(name, line, what, n, aim, stop):
    if n > stop:
        findings.append(f"{name}:{line}: {what} has {n} lines, at most {stop}")
    elif n > aim:
        aims.append(f"{name}:{line}: {what} has {n} lines, aim {aim}")


def functions(lines):
    """Name, first line and length of each function: it begins at column 0, opens a brace and ends with one there."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "}" and start:
            yield start[1], start[0], number - start[0] + 1
            start = None
        elif line and (line[0].isalpha() or line[0] == "_"):
            found = re.search(r"(\w+)\s*\(", line)
            if found and not line.startswith(("typedef", "struct", "enum", "extern \"C\"")):
                start = (number, found.group(1))
            elif not found:
                start = None
        if start and line.rstrip().endswith(";") and number >= start[0] and not line.startswith((" ", "\t")):
            start = None


def check_file(path):
    name = path.relative_to(root).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    aim, stop = LIMITS[path.suffix]
    measure(name, 1, "the file", len(lines), aim, stop)
    for function, line, n in functions(lines):
        measure(name, line, f"{function}()", n, FUNCTION_AIM, FUNCTION_STOP)


def main():
    exempt = exemptions()
    for folder in ("include", "src", "tests", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in LIMITS and path.relative_to(root).as_posix() not in exempt:
                check_file(path)
    public = sum(len(p.read_text().splitlines()) for p in (root / "include").rglob("*.*"))
    measure("include/falconer", 0, "the public face", public, PUBLIC_STOP, PUBLIC_STOP)
    for paper, stop in PAPERS.items():
        if (root / paper).exists():
            measure(paper, 1, "the paper", len((root / paper).read_text().splitlines()), stop, stop)
    for path in sorted((root / "src").rglob("README.md")):
        n = len(path.read_text().splitlines())
        measure(path.relative_to(root).as_posix(), 1, "a folder's README", n, FOLDER_README_STOP, FOLDER_README_STOP)
    if show_aims:
        print("\n".join(aims))
    print("\n".join(findings) if findings else "sizes: good")
    return 1 if findings else 0


sys.exit(main())
