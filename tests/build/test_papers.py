#!/usr/bin/env python3
"""The papers tell the truth: every relative link leads somewhere, the README's conversation goes as it says, its first
session runs, and every command the program has is in the README. Usage: test_papers.py ROOT FALCONER"""
import pathlib
import re
import subprocess
import sys
import tempfile

root, falconer = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
findings = []


def papers():
    yield from root.glob("*.md")
    for folder in ("docs", "src", "tests", "examples", "bench", "models", "recipes"):
        yield from (root / folder).rglob("README.md" if folder == "src" else "*.md")


def check_links(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")) and not (path.parent / target).exists():
            findings.append(f"{path.relative_to(root)}: no such thing as {target}")


def check_conversation(readme):
    """The one that the README begins with; a program without a model inside cannot hold it."""
    if subprocess.run([falconer, "inspect"], capture_output=True).returncode:
        return
    exchanges = re.findall(r"^    > (.*)\n    (.*)$", readme, re.M)
    said = "".join(question + "\n" for question, _ in exchanges)
    done = subprocess.run([falconer, "chat", "--temperature", "0"], input=said, capture_output=True, text=True)
    answers = done.stdout.splitlines()
    if len(exchanges) < 3 or answers != [answer for _, answer in exchanges]:
        findings.append(f"README.md: the conversation goes {answers}")


def session(readme):
    """The lines of the first session that call the program, with its path and that of the tests put in."""
    block = readme.split("## A first session", 1)[1].split("\n## ", 1)[0]
    for line in re.findall(r"^    (\./falconer .*)$", block, re.M):
        yield line.replace("./falconer", str(falconer), 1).replace("../../tests", str(root / "tests"))


def main():
    for path in papers():
        check_links(path)
    readme = (root / "README.md").read_text(encoding="utf-8")
    check_conversation(readme)
    lines = list(session(readme))
    if len(lines) < 5:
        findings.append(f"README.md: the first session has {len(lines)} commands")
    with tempfile.TemporaryDirectory() as folder:
        for line in lines:
            done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, errors="replace")
            if done.returncode or not done.stdout + done.stderr:
                findings.append(f"README.md: '{line}' ends with {done.returncode}: {done.stderr}")
    listed = subprocess.run([falconer, "list", "commands"], capture_output=True, text=True, check=True).stdout
    for command in (line.split()[0] for line in listed.splitlines()):
        if not re.search(rf"falconer {command}\b", readme) and command not in ("list", "help", "completion"):
            findings.append(f"README.md does not show the command {command}")
    print("\n".join(findings) or f"{len(lines)} commands run")
    return 1 if findings else 0


sys.exit(main())
