#!/usr/bin/env python3
"""What falconer serve holds: 1, 8 and 64 streams at once over loopback, for a client that only counts. Usage:
  serve.py BUILD_FOLDER [--streams 1,8,64] [--tokens N] [--rounds N] [--json FILE] [-- OPTIONS of falconer serve]
Per row: tokens per second of all together; time to the first token and between two of them (50th, 95th, 99th percentile, ms);
fairness, how long the first stream that ended took as a share of the last (all have as many tokens; 1: they ended together);
errors; processor time of the socket thread per token, and what share of one core that is at 500 tokens per second."""
import argparse
import json
import pathlib
import re
import socket
import subprocess
import sys


def options():
    before, _, behind = " ".join(sys.argv[1:]).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--streams", default="1,8,64")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=0, help="0: 16 for one stream, 4 for few, 2 for many")
    parser.add_argument("--json")
    o = parser.parse_args(before.split())
    o.server = behind.split()
    return o


def metric(port, name):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def run(o, port, n, n_tokens, rounds, first):
    client = pathlib.Path(o.build) / "falconer-bench-streams"
    command = [client, *map(str, (port, n, n_tokens, rounds, first))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(port, n, o):
    rounds = o.rounds or (16 if n == 1 else 4 if n < 32 else 2)
    run(o, port, n, 8, 1, 10 ** 6)  # warm
    http = metric(port, "falconer_http_cpu_seconds_total")
    drawn = metric(port, "falconer_drawn_tokens_total")
    row = run(o, port, n, o.tokens, rounds, 1000 * n)
    drawn = metric(port, "falconer_drawn_tokens_total") - drawn
    http = (metric(port, "falconer_http_cpu_seconds_total") - http) / max(1, drawn)
    return {"streams": n, "answers": n * rounds, "errors": row["errors"],
            "tokens_per_second": round(drawn / row["seconds"], 1),
            "first_token_ms": [round(ms, 2) for ms in row["first_token_ms"]],
            "between_tokens_ms": [round(ms, 2) for ms in row["between_tokens_ms"]], "fairness": round(row["fairness"], 3),
            "http_us_per_token": round(1e6 * http, 1), "http_share_at_500": round(100 * 500 * http, 2)}


def main():
    o = options()
    falconer = pathlib.Path(o.build) / "falconer"
    server = subprocess.Popen([falconer, "serve", "--port", "0", "--no-store", *o.server], stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)$", server.stdout.readline().strip()).group(1))
        rows = []
        print("streams  tokens/s  first token ms (50 95 99)   between ms (50 95 99)  fairness  errors  http us/token  at 500/s")
        for n in map(int, o.streams.split(",")):
            r = measure(port, n, o)
            rows.append(r)
            print(f"{n:7} {r['tokens_per_second']:9} {r['first_token_ms']!s:>26} {r['between_tokens_ms']!s:>23}"
                  f" {r['fairness']:9} {r['errors']:7} {r['http_us_per_token']:14} {r['http_share_at_500']:8} %", flush=True)
    finally:
        server.terminate()
        code = server.wait(60)
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if code or any(r["errors"] for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
