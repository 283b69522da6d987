#!/usr/bin/env python3
"""The table of bench/training.sh from its results, one JSON object in a line. Usage: training_table.py FILE"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    results = [json.loads(line) for line in file]


def best(shape, is_ours, threads, what="tokens_per_second"):
    found = [r[what] for r in results if r["shape"] == shape and r["threads"] == threads
             and (r["program"] == "falconer") == is_ours]
    return max(found)


def memory(shape, is_ours):
    return min(r["peak_bytes"] for r in results if r["shape"] == shape and (r["program"] == "falconer") == is_ours) >> 20


peers = {(r["program"], *r["blas"]) for r in results if r["program"] != "falconer"}
print("Peer: " + "; ".join(", ".join(peer) for peer in sorted(peers)) + "\n")
print("| shape | falconer, 2 threads | PyTorch, 1 / 2 threads | ratio | of a processor's second | MiB at most |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
for shape in dict.fromkeys(r["shape"] for r in results):
    ours, one, two = best(shape, True, 2), best(shape, False, 1), best(shape, False, 2)
    cpu = [best(shape, is_ours, 1, "tokens_per_cpu_second") for is_ours in (True, False)]
    print(f"| {shape} | {ours:.0f} | {one:.0f} / {two:.0f} | {ours / max(one, two):.2f} | "
          f"{cpu[0]:.0f} / {cpu[1]:.0f} = {cpu[0] / cpu[1]:.2f} | {memory(shape, True)} / {memory(shape, False)} |")
