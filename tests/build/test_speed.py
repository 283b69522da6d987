#!/usr/bin/env python3
"""speed.py makes its table of what falconer-bench prints, whole and in part: the program is replaced by one that is quick.
Usage: test_speed.py SPEED_PY"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FAKE = """#!/usr/bin/env python3
import json, sys
given = dict(zip(sys.argv[1::1], sys.argv[2::1]))
open(given["--file"], "w").close()
deep = int(given["--depth"])
print(json.dumps({"machine": {"processor": "none", "kernel_set": "portable"}, "n_threads": 2, "load_seconds": 0.1,
    "first_token_seconds": 0.2, "memory": {"read_bytes_per_second": 2e10, "share_of_bandwidth": 0.9, "own_bytes": 2**20},
    "speed": {"prompt_tokens_per_second": 194.0, "generated_tokens_per_second": 45.0, "neighbours": int(deep > 0),
        "prompt_tokens_per_second_at_depth": 100.0 if deep else 0, "share_of_cores_beside_neighbours": 0.75,
        "generated_tokens_per_second_at_depth": 40.0 if deep else 0, "generated_tokens_per_second_beside_neighbours": 36.0,
        "tokens_per_second_by_sequences": {"2": 60.0, "4": 80.0} if deep else {}}}))
"""


def run(folder, *arguments):
    done = subprocess.run([sys.executable, sys.argv[1], folder, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "falconer-bench")
        program.write_text(FAKE)
        program.chmod(0o755)
        saved = os.path.join(folder, "all.json")
        whole = run(folder, "--types", "Q4_0", "--json", saved)
        quick = run(folder, "--quick", "--types", "Q4_0", "--shapes", "falcon-7b")
        wanted = [("falcon-7b Q4_0 | 194.0 | 100.0 | 45.0 | 40.0 | 60.0 | 80.0 |  |  | 20.0 | 0.90 | 0.20 | 1 | 2.00 | 2.00 |",
                   whole), ("falcon-40b Q4_0 | 194.0", whole), ("falcon-7b Q4_0 0.80 of 0.75", whole),
                  ("falcon-7b Q4_0 | 194.0 |  | 45.0 |  |", quick)]
        missing = [text for text, out in wanted if text not in out]
        if missing or len(json.loads(pathlib.Path(saved).read_text())) != 2 or "beside" in quick:
            sys.exit(f"not found: {missing}\n{whole}\n{quick}")
    print("2 tables, 0 failures")


main()
