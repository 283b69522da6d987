#!/usr/bin/env python3
"""The same training steps as falconer-bench-training, in PyTorch: forward, backward, clipping, AdamW in f32 on random
tokens. Prints one JSON object. Debian's python3-torch takes the system's BLAS; which one is looked up in the process's own
memory map and printed, and anything but OpenBLAS is refused, since the reference BLAS is thirty times slower.
Usage: torch_training.py SHAPE [--threads N] [--steps N]"""
import argparse
import json
import math
import os
import pathlib
import re
import resource
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("shape")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--steps", type=int, default=5)
options = parser.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)

import torch  # noqa: E402 (the environment comes first)
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

ROW = re.compile(r"^TRAINING_SHAPE\((\w+),\s*(\d+),\s*(\d+),\s*(\d+),\s*(\d+),\s*(\d+),\s*(\d+),\s*(\d+),", re.M)


def read_shape(name):
    text = (pathlib.Path(__file__).parent / "training_shapes.def").read_text()
    for row in ROW.findall(text):
        if row[0] == name:
            return [int(number) for number in row[1:]]
    sys.exit(f"torch_training.py: no shape '{name}' in training_shapes.def")


def blas_in_use():
    """The library that answers for BLAS in this process."""
    maps = pathlib.Path("/proc/self/maps").read_text()
    found = {line.split()[-1] for line in maps.splitlines() if re.search(r"/lib(open)?blas", line)}
    return sorted(str(pathlib.Path(path).resolve()) for path in found)


class Block(nn.Module):
    """Falcon's parallel block: one norm with one kv head, two with more. Queries of a kv head are stacked, so that keys
    and values are not copied for each of them."""

    def __init__(self, d, head_dim, n_kv_heads):
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = d // head_dim, n_kv_heads, head_dim
        self.attn_norm = nn.LayerNorm(d)
        self.ffn_norm = nn.LayerNorm(d) if n_kv_heads > 1 else self.attn_norm
        self.qkv = nn.Linear(d, (self.n_heads + 2 * n_kv_heads) * head_dim, bias=False)
        self.output = nn.Linear(d, d, bias=False)
        self.up = nn.Linear(d, 4 * d, bias=False)
        self.down = nn.Linear(4 * d, d, bias=False)

    def attend(self, x, cosine, sine, mask):
        b, t, d = x.shape
        kv, group, n = self.n_kv_heads, self.n_heads // self.n_kv_heads, self.head_dim
        heads = self.qkv(x).view(b, t, self.n_heads + 2 * kv, n).transpose(1, 2)
        turned = heads[:, :self.n_heads + kv]
        half = torch.cat((-turned[..., n // 2:], turned[..., :n // 2]), -1)
        turned = turned * cosine + half * sine
        query = turned[:, :self.n_heads].reshape(b, kv, group * t, n)
        key, value = turned[:, self.n_heads:], heads[:, self.n_heads + kv:]
        scores = (query @ key.transpose(-1, -2)) * (1 / math.sqrt(n))
        shares = (scores.view(b, kv, group, t, t) + mask).softmax(-1).view(b, kv, group * t, t)
        out = (shares @ value).view(b, self.n_heads, t, n).transpose(1, 2).reshape(b, t, d)
        return self.output(out)

    def forward(self, x, cosine, sine, mask):
        normed = self.attn_norm(x)
        wide = normed if self.ffn_norm is self.attn_norm else self.ffn_norm(x)
        return x + self.attend(normed, cosine, sine, mask) + self.down(functional.gelu(self.up(wide)))


class Model(nn.Module):
    def __init__(self, n_vocab, d, n_layers, head_dim, n_kv_heads, length):
        super().__init__()
        self.embedding = nn.Embedding(n_vocab, d)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(d, head_dim, n_kv_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d)
        frequency = 10000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
        angles = torch.arange(length)[:, None] * frequency[None]
        self.cosine, self.sine = (f(torch.cat((angles, angles), -1)) for f in (torch.cos, torch.sin))
        self.mask = torch.full((length, length), -math.inf).triu(1)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine, self.mask)
        logits = self.norm(x) @ self.embedding.weight.t()
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    n_vocab, d, n_layers, head_dim, n_kv_heads, length, n_sequences = read_shape(options.shape)
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Model(n_vocab, d, n_layers, head_dim, n_kv_heads, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    tokens, targets = (torch.randint(n_vocab, (n_sequences, length)) for _ in range(2))
    seconds, cpu = [], []
    for _ in range(options.steps + 1):
        begin, cpu_begin = time.perf_counter(), cpu_seconds()
        optimizer.zero_grad(set_to_none=True)
        loss = model(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - begin)
        cpu.append(cpu_seconds() - cpu_begin)
    blas = blas_in_use()
    if not any("openblas" in path for path in blas):
        sys.exit(f"torch_training.py: BLAS is {blas}, not OpenBLAS: install libopenblas0")
    n = tokens.numel()
    print(json.dumps({"program": "torch " + torch.__version__, "blas": blas, "shape": options.shape,
                      "threads": options.threads, "steps": options.steps, "tokens_per_step": n,
                      "tokens_per_second": round(n / min(seconds[1:]), 1),
                      "tokens_per_cpu_second": round(n / min(cpu[1:]), 1),
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "loss": round(loss.item(), 4)}))


main()
