#!/usr/bin/env python3
"""Adds up CTest's JUnit files and prints 'N passed, N failed, N skipped'. A missing file counts as one failure: its
preset did not build. Tests that failed or were skipped are named before the last line. Fails when a test failed."""
import pathlib
import sys
import xml.etree.ElementTree as xml


def outcome(case):
    """CTest reports a test that could not be started as not run, too: only a declared skip is one."""
    if case.get("status") == "run":
        return "passed"
    skipped = case.find("skipped")
    if case.get("status") == "notrun" and skipped is not None and "SKIP_" in skipped.get("message", ""):
        return "skipped"
    return "skipped" if case.get("status") == "disabled" else "failed"


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in map(pathlib.Path, sys.argv[1:]):
        try:
            cases = xml.parse(path).getroot().iter("testcase")
        except (OSError, xml.ParseError):
            print(f"failed: no results in {path}")
            counts["failed"] += 1
            continue
        for case in cases:
            result = outcome(case)
            counts[result] += 1
            if result != "passed":
                print(f"{result}: {path.parent.name} {case.get('name')}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if counts["failed"] else 0


sys.exit(main())
