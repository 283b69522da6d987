#!/usr/bin/env python3
"""falconer-bench measures every recipe on tiny shapes, prints JSON, cleans up, and mixes types as published files do.
Usage: test_bench.py FALCONER_BENCH [RECIPE...]; all recipes without names."""
import json
import os
import re
import subprocess
import sys
import tempfile

bench = sys.argv[1]
QUICK = ["--prompt", "8", "--generate", "2", "--depth", "4", "--repeat", "1", "--threads", "2", "--batch", "4",
         "--neighbours", "1", "--kv-type", "q8_0"]
# What becomes of a recipe where rows of d_model are no multiple of 256 and rows of d_ff are: embedding, 4 x qkv, output,
# up; down 2 x and 2 x; head. Layers 2 and 3 of four get more bits.
ODD = {"Q4_K_M": {"q5_0": 9, "q5_1": 4, "q5_k": 2, "q4_k": 2, "q8_0": 1, "f32": 10},
       "Q2_K": {"iq4_nl": 13, "q3_k": 4, "q8_0": 1, "f32": 10},
       "Q6_K": {"q8_0": 14, "q6_k": 4, "f32": 10}}


def run(*arguments, folder):
    return subprocess.run([bench, *arguments], capture_output=True, text=True, env={**os.environ, "TMPDIR": folder})


def main():
    recipes = re.search(r"^Types: (.*)$", run("--help", folder="/tmp").stdout, re.M).group(1).split()
    failed = 0 if len(recipes) > 10 else 1
    wanted = sys.argv[2:] or recipes
    with tempfile.TemporaryDirectory() as folder:
        for recipe in wanted:
            for shape in ("tiny", "tiny-odd") if recipe in ODD else ("tiny",):
                done = run("--shape", shape, "--type", recipe, "--layers", "4", *QUICK, folder=folder)
                result = json.loads(done.stdout) if done.returncode == 0 else {}
                speed = result.get("speed", {})
                types = result.get("model", {}).get("tensors_by_type")
                good = all(speed.get(f"{what}_tokens_per_second", 0) > 0 for what in ("prompt", "generated"))
                good = good and all(speed["tokens_per_second_by_sequences"][n] > 0 for n in ("2", "4"))
                good = good and 0 < speed["share_of_cores_beside_neighbours"] <= 1 and result["memory"]["own_bytes"] > 0
                if not good or os.listdir(folder) or (shape == "tiny-odd" and types != ODD[recipe]):
                    failed += 1
                    print(f"{shape} {recipe}: {done.returncode} {done.stderr} {types} {os.listdir(folder)}")
    wrong = run("--type", "no-such-type", "--shape", "tiny", folder="/tmp")
    if wrong.returncode != 2 or "no-such-type" not in wrong.stderr:
        failed += 1
        print(f"an unknown type ends with {wrong.returncode}: {wrong.stderr}")
    print(f"{len(wanted)} recipes, {failed} failures")
    return 1 if failed else 0


sys.exit(main())
