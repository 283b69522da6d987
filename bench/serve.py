#!/usr/bin/env python3
"""What falconer serve holds: 1, 8 and 64 streams at once over loopback, from one thread that only counts. Usage:
  serve.py BUILD_FOLDER [--streams 1,8,64] [--tokens N] [--rounds N] [--json FILE] [-- OPTIONS of falconer serve]
Per row: tokens per second of all together; time to the first token and between two of them (50th, 95th, 99th percentile, ms);
fairness, how long the first stream that ended took as a share of the last (all have as many tokens; 1: they ended together);
errors; processor time of the socket thread per token, and what share of one core that is at 500 tokens per second."""
import argparse
import json
import pathlib
import re
import selectors
import socket
import subprocess
import sys
import time

PROMPT = "You are a butler. The gentleman of the house has asked for his tea and wants to hear what day it is. Number {}. "


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


class Stream:
    """One answer that is streamed; events are counted as they come, nothing is parsed."""

    def __init__(self, port, number, n_tokens):
        body = json.dumps({"prompt": PROMPT.format(number), "max_tokens": n_tokens, "stream": True, "temperature": 1,
                           "seed": number, "ignore_eos": True}).encode()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = time.perf_counter()
        self.socket.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.socket.setblocking(False)
        self.times, self.tail, self.head, self.is_whole = [], b"", b"", False

    def take(self):
        """Whether there is more to come."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        now = time.perf_counter()
        if len(self.head) < 15:
            self.head += data[:15]
        text = self.tail + data
        self.times += [now] * (text.count(b"data: {") - self.tail.count(b"data: {"))
        self.is_whole = self.is_whole or b"data: [DONE]" in text
        self.tail = text[-12:]
        return bool(data)

    def is_good(self):
        return self.is_whole and b" 200" in self.head


def metric(port, name):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def run_round(port, n, n_tokens, first):
    streams = [Stream(port, first + i, n_tokens) for i in range(n)]
    selector = selectors.DefaultSelector()
    for s in streams:
        selector.register(s.socket, selectors.EVENT_READ, s)
    while selector.get_map():
        for key, _ in selector.select():
            if not key.data.take():
                selector.unregister(key.fileobj)
                key.fileobj.close()
    took = [s.times[-1] - s.started for s in streams if s.times] or [1]
    return streams, min(took) / max(took)


def percentiles(values):
    ordered = sorted(values) or [0]
    return [round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2) for q in (0.5, 0.95, 0.99)]


def measure(port, n, o):
    rounds = o.rounds or (16 if n == 1 else 4 if n < 32 else 2)
    run_round(port, n, 8, 10 ** 6)  # warm
    http = metric(port, "falconer_http_cpu_seconds_total")
    drawn = metric(port, "falconer_drawn_tokens_total")
    first, between, errors, fairness, spent = [], [], 0, 1, 0
    for i in range(rounds):
        started = time.perf_counter()
        streams, fair = run_round(port, n, o.tokens, 1000 * n + i * n)
        spent += time.perf_counter() - started
        fairness = min(fairness, fair)
        errors += sum(not s.is_good() for s in streams)
        first += [s.times[0] - s.started for s in streams if s.times]
        between += [b - a for s in streams for a, b in zip(s.times, s.times[1:])]
    drawn = metric(port, "falconer_drawn_tokens_total") - drawn
    http = (metric(port, "falconer_http_cpu_seconds_total") - http) / max(1, drawn)
    return {"streams": n, "answers": n * rounds, "errors": errors, "tokens_per_second": round(drawn / spent, 1),
            "first_token_ms": percentiles(first), "between_tokens_ms": percentiles(between), "fairness": round(fairness, 3),
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
