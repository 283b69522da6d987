#!/usr/bin/env python3
"""The table of speeds of this machine: number types by prompts, generation and several sequences in a step, on synthetic
models of real shapes, made in memory one after the other and removed. Usage:
  speed.py BUILD_FOLDER [--quick] [--types Q4_0,Q8_0] [--shapes falcon-7b] [--peer [FOLDER]] [--json FILE]
--quick leaves the deep and the wide columns out; --peer runs the same files with llama.cpp's engine of an npm package,
installed into FOLDER, or into one that is removed afterwards."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Tokens per second that llama.cpp's fastest fork reached with these files on two cores of a Zen 3 server: prompt of 512
# and generated, middle of what was measured. Ratios are against these, whatever this machine is.
FORK = {"falcon-7b": {"Q4_0": (97, 22.5), "Q4_K_M": (104, 19.5), "Q5_K_M": (100, 17), "Q6_K": (95, 20), "Q8_0": (83, 17),
                      "Q2_K": (81, 18), "Q3_K_M": (101, 26)},
        "falcon-40b": {"Q4_K_M": (58, 10.5)}}
SHAPES = {"falcon-7b": (4, list(FORK["falcon-7b"])), "falcon-40b": (3, list(FORK["falcon-40b"]))}
DEPTH = 4096
COLUMNS = ["prompt 512", f"prompt {DEPTH}", "generated", f"at {DEPTH}", "2 at once", "4", "8", "16", "read GB/s", "share",
           "first token s", "of its own MiB", "prompt/fork", "generated/fork"]


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--types")
    parser.add_argument("--shapes", default="falcon-7b,falcon-40b")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--kv-type")
    parser.add_argument("--peer", nargs="?", const="")
    parser.add_argument("--json")
    return parser.parse_args()


def measure(o, shape, kind, path):
    layers = SHAPES[shape][0]
    command = [f"{o.build}/falconer-bench", "--shape", shape, "--layers", str(layers), "--type", kind, "--file", path,
               "--keep", "--threads", str(o.threads), "--prompt", "512", "--generate", "24", "--repeat", "2"]
    command += ["--depth", "0"] if o.quick else ["--depth", str(DEPTH), "--batch", "16", "--neighbours", "1"]
    if o.kv_type:
        command += ["--kv-type", o.kv_type]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def measure_peer(o, path, threads, folder):
    depth = 0 if o.quick else DEPTH
    subprocess.run([HERE / "peers/llama.sh", folder], check=True)
    command = ["node", str(HERE / "peers/llama.mjs"), folder, path, str(threads), "512", "24", str(depth), "2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def row_of(shape, kind, result):
    speed, memory = result["speed"], result["memory"]
    fork = FORK[shape].get(kind)
    several = speed["tokens_per_second_by_sequences"]
    prompt, generated = speed["prompt_tokens_per_second"], speed["generated_tokens_per_second"]
    rates = [prompt, speed["prompt_tokens_per_second_at_depth"], generated, speed["generated_tokens_per_second_at_depth"]]
    rates += [several.get(str(n), 0) for n in (2, 4, 8, 16)]
    cells = [f"{rate:.1f}" if rate else "" for rate in rates]
    cells += [f"{memory['read_bytes_per_second'] / 1e9:.1f}", f"{memory['share_of_bandwidth']:.2f}",
              f"{result['first_token_seconds']:.2f}", f"{memory['own_bytes'] / 2**20:.0f}"]
    return cells + ([f"{prompt / fork[0]:.2f}", f"{generated / fork[1]:.2f}"] if fork else ["", ""])


def peer_words(result, peer):
    speed = result["speed"]
    pairs = [("prompt 512", speed["prompt_tokens_per_second"], peer["prompt"]),
             (f"prompt {DEPTH}", speed["prompt_tokens_per_second_at_depth"], peer["deep_prompt"]),
             ("generated", speed["generated_tokens_per_second"], peer["generated"]),
             (f"generated at {DEPTH}", speed["generated_tokens_per_second_at_depth"], peer["deep_generated"])]
    return "; ".join(f"{what} {ours:.1f} to {theirs:.1f} ({ours / theirs:.2f})" for what, ours, theirs in pairs if theirs)


def line(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def measure_all(o, folder, peer_folder):
    results, peers, neighbours = [], [], []
    line(["type"] + COLUMNS)
    line(["---"] + ["---:"] * len(COLUMNS))
    for shape in o.shapes.split(","):
        for kind in o.types.split(",") if o.types else SHAPES[shape][1]:
            path = os.path.join(folder, "model.gguf")
            result = measure(o, shape, kind, path)
            results.append(result)
            line([f"{shape} {kind}"] + row_of(shape, kind, result))
            speed = result["speed"]
            if speed["neighbours"]:
                left = speed["generated_tokens_per_second_beside_neighbours"] / speed["generated_tokens_per_second"]
                neighbours.append(f"{shape} {kind} {left:.2f} of {speed['share_of_cores_beside_neighbours']:.2f}")
            peer = measure_peer(o, path, result["n_threads"], peer_folder) if peer_folder else None
            os.unlink(path)
            if peer:
                result["peer"] = peer
                peers.append(f"{shape} {kind}: {peer_words(result, peer)}")
    return results, peers, neighbours


def main():
    o = options()
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="falconer-speed-", dir=place) as folder, \
            tempfile.TemporaryDirectory(prefix="falconer-peer-") as spare:
        results, peers, neighbours = measure_all(o, folder, o.peer or spare if o.peer is not None else None)
    machine = results[0]["machine"]
    print(f"\n{machine['processor']}, {results[0]['n_threads']} threads, kernels {machine['kernel_set']}; tokens per second")
    if neighbours:
        print("Generation beside a busy thread, of the speed alone, and the share of the cores left: " + "; ".join(neighbours))
    for words in peers:
        print(f"Beside llama.cpp, {words}")
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
