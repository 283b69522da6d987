#!/usr/bin/env python3
"""falconer-bench-training trains a shape, prints JSON that adds up, and refuses what it does not know.
Usage: test_bench_training.py FALCONER_BENCH_TRAINING"""
import json
import subprocess
import sys


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True)


def main():
    failed = 0
    for recompute in ("0", "2"):
        done = run("--shape", "A", "--steps", "2", "--threads", "2", "--recompute", recompute)
        result = json.loads(done.stdout) if done.returncode == 0 else {}
        good = result.get("tokens_per_second", 0) > 0 and result["loss"] < result["first_loss"]
        if not good or result["peak_bytes"] < result["pass_bytes"]:
            failed += 1
            print(f"recompute {recompute}: {done.returncode} {done.stderr} {result}")
    for wrong in (("--shape", "Z"), ("--steps", "1"), ("--recompute", "3"), ("--threads",)):
        done = run(*wrong)
        if done.returncode != 2 or wrong[0] not in done.stderr:
            failed += 1
            print(f"{wrong} ends with {done.returncode}: {done.stderr}")
    print(f"{failed} failures")
    return 1 if failed else 0


sys.exit(main())
