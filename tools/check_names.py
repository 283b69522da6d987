#!/usr/bin/env python3
"""Names and calls: the prefix, refused words, banned functions, features decided in code, marks left behind.
Exemptions stand in tools/exempt.txt with their reason. Usage: check_names.py [ROOT]"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
findings = []

REFUSED = {"util", "utils", "common", "misc", "helper", "helpers", "manager", "internal", "stuff", "new", "old", "v2",
           "impl"}
BANNED = {  # what stands instead
    "strcpy": "memcpy with a length", "strcat": "a string builder", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "gets": "fgets", "strtok": "a bounded reader", "atoi": "strtol with checks", "atol": "strtol with checks",
    "atof": "strtod with checks", "alloca": "base/alloc.h", "setjmp": "a status", "longjmp": "a status"}
HEAP = ("malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup", "strndup")
LIBRARY_NEVER = ("printf", "puts", "putchar", "perror", "abort", "exit", "_exit", "assert", "vprintf")
FEATURE_PLACES = {"src/base/cpu.c", "src/quant/host_device.h"}
CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
# Names of ours that others read: functions where they are defined, types, macros and constants; and any bare word.
NAMINGS = [re.compile(pattern) for pattern in (
    r"^\w[\w \*]*?(\w+)\s*\(", r"\b(?:struct|enum|union)\s+(\w+)", r"^#\s*define\s+(\w+)", r"^}\s*(\w+)\s*;",
    r"\b(FAL_\w+)", r"(?<!-)\b([a-z]\w*)\b")]
ALLOWED = "new_tokens"  # max_new_tokens is the pipeline's own word

TEXT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def exemptions(check):
    path = root / "tools" / "exempt.txt"
    rows = path.read_text().splitlines() if path.exists() else []
    return {row.split()[1] for row in rows if row.split()[:1] == [check] and len(row.split()) > 2}


def code_only(text):
    """The text with comments, strings and characters blanked, line numbers kept."""
    return TEXT.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def check_file(path, exempt):
    name = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    code = code_only(text)
    in_src, in_cli = name.startswith("src/"), name.startswith("src/cli/")
    for word in re.split(r"[_.\-/]", name):
        if word in REFUSED:
            findings.append(f"{name}:1: '{word}' says nothing about the file")
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            findings.append(f"{name}:{number}: a mark left behind")
    for number, line in enumerate(code.splitlines(), 1):
        for pattern in NAMINGS:
            for word in pattern.findall(line):
                words = word.replace(ALLOWED, "").lower().split("_")
                if REFUSED & set(words if pattern is not NAMINGS[-1] else [word]):
                    findings.append(f"{name}:{number}: '{word}' holds a refused word")
        for call in CALL.findall(line):
            if call in BANNED:
                findings.append(f"{name}:{number}: {call}() is banned: use {BANNED[call]}")
            elif call in HEAP and in_src and name not in exempt:
                findings.append(f"{name}:{number}: {call}() outside base/alloc.c")
            elif call in LIBRARY_NEVER and in_src and not in_cli:
                findings.append(f"{name}:{number}: {call}() in the library, which never prints or ends the program")
        if in_src and name not in FEATURE_PLACES and re.match(r"\s*#\s*(if|elif|ifdef)\b", line):
            if "__cplusplus" not in line:
                findings.append(f"{name}:{number}: the build chooses files, code does not choose lines")
        if in_src and not name.startswith("src/quant/") and re.search(r"\bcase\s+FAL_TYPE_", line):
            findings.append(f"{name}:{number}: a switch over number types outside src/quant: make it a column")


def check_prefix(path):
    """Functions that a header declares begin with fal_."""
    name = path.relative_to(root).as_posix()
    code = code_only(path.read_text(encoding="utf-8"))
    for found in re.finditer(r"^(?!typedef|#|static|\s)[^;{}#]*?\b(\w+)\s*\([^;{]*\)\s*;", code, re.M):
        if not found.group(1).startswith(("fal_", "FAL_", "__attribute__")):
            findings.append(f"{name}:{code.count(chr(10), 0, found.start()) + 1}: '{found.group(1)}' lacks fal_")


def main():
    exempt = exemptions("names")
    for folder in ("include", "src", "tests", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                check_file(path, exempt)
            if path.suffix == ".h" and folder in ("include", "src"):
                check_prefix(path)
    print("\n".join(dict.fromkeys(findings)) if findings else "names: good")
    return 1 if findings else 0


sys.exit(main())
