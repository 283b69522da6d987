#!/usr/bin/env python3
"""Words: each file begins by saying what it owns (at most 8 lines), each function in a header is explained, each row of
a list has a meaning, each folder of src has a README. Usage: check_docs.py [ROOT]"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
findings = []
FIRST_COMMENT_STOP = 8
LEGEND_STOP = 16  # a list's first comment also explains its columns
# These verbs mean one thing everywhere (docs/glossary.md), so a prototype alone says all.
VERBS = ("_close", "_release", "_free", "_count", "_at", "_discard", "_encode", "_decode")
PROTOTYPE = re.compile(r"^(?!typedef|#|static|return|extern \"C\"|\s|\*|/)[\w\s\*\(\),]*?\b(fal_\w+)\s*\(", re.M)


def exemptions():
    path = root / "tools" / "exempt.txt"
    rows = [row.split() for row in (path.read_text().splitlines() if path.exists() else [])]
    return {row[1] for row in rows if row[:1] == ["docs"] and len(row) > 2}


def say(path, line, text):
    findings.append(f"{path.relative_to(root)}:{line}: {text}")


def check_first_comment(path, lines):
    if not lines or not lines[0].startswith("/*"):
        say(path, 1, "does not begin by saying what it owns")
        return
    end = next((i for i, line in enumerate(lines, 1) if "*/" in line), len(lines))
    stop = LEGEND_STOP if path.suffix == ".def" else FIRST_COMMENT_STOP
    if end > stop:
        say(path, 1, f"the first comment has {end} lines, at most {stop}")


def paragraphs(lines):
    """Runs of lines without a blank one between them; a blank line inside a comment does not end one."""
    start, inside = None, False
    for number, line in enumerate(lines + [""], 1):
        inside = ("/*" in line or inside) and "*/" not in line.rsplit("/*", 1)[-1]
        if line.strip() or inside:
            start = start or number
        elif start:
            yield start, lines[start - 1:number - 1]
            start = None


def check_prototypes(path, lines):
    """A comment explains the prototypes of its paragraph."""
    for start, block in paragraphs(lines):
        text = "\n".join(block)
        if "/*" in text:
            continue
        for found in PROTOTYPE.finditer(text):
            if not found.group(1).endswith(VERBS):
                say(path, start + text.count("\n", 0, found.start()), f"{found.group(1)} is not explained")


def check_rows(path, text):
    """A row says what it means: by the word at its end or by several words anywhere."""
    bare = re.sub(r"/\*.*?\*/", lambda f: re.sub(r"[^\n]", " ", f.group()), text, flags=re.S)
    for found in re.finditer(r"^FAL_\w+\(.*?\)\s*$(?=\s*(?:^FAL_|\Z))", bare, re.M | re.S):
        last = re.search(r'"([^"]{4,})"\s*\)\s*$', found.group())
        if not last and not re.search(r'"[^"]*\w \w[^"]*"', found.group()):
            say(path, bare.count("\n", 0, found.start()) + 1, "a row without a meaning")


def main():
    exempt = exemptions()
    for folder in ("include", "src", "tests", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".c", ".h", ".def") or path.relative_to(root).as_posix() in exempt:
                continue
            text = path.read_text(encoding="utf-8")
            check_first_comment(path, text.splitlines())
            if path.suffix == ".h" and folder in ("include", "src"):
                check_prototypes(path, text.splitlines())
            if path.suffix == ".def":
                check_rows(path, text)
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if any(folder.iterdir()) and not (folder / "README.md").exists():
            say(folder, 0, "has no README.md")
    print("\n".join(findings) if findings else "docs: good")
    return 1 if findings else 0


sys.exit(main())
