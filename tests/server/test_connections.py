#!/usr/bin/env python3
"""Clients that are many, slow, silent or half there; others are served meanwhile."""
import os
import resource
import select
import socket
import struct
import time

from serving import check, hear, is_closed, run, serving, skip, wait_until

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE = 2000


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        skip(f"{wanted} files cannot be open at once")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_thousands_of_idle_connections():
    raise_file_limit()
    with serving("--connections", IDLE + 100) as server:
        idle = []
        before = server.metric("process_resident_memory_bytes")
        for i in range(IDLE):
            s = server.dial()
            if i % 4 == 1:
                s.sendall(b"GET /hea")  # half a request
            if i % 4 == 2:
                s.sendall(REQUEST)  # kept alive afterwards
            if i % 4 == 3:
                s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          b"Content-Length: 10000\r\n\r\n{")
            idle.append(s)
        wait_until(lambda: server.metric("falconer_http_connections") > IDLE)
        slowest = 0
        for _ in range(50):
            started = time.monotonic()
            check(server.ask("GET", "/health")[0] == 200)
            slowest = max(slowest, time.monotonic() - started)
        check(slowest < 2, f"an answer took {slowest:.3f} s beside {IDLE} idle connections")
        grown = server.metric("process_resident_memory_bytes") - before
        check(grown < IDLE * 40000, f"{grown / IDLE:.0f} bytes per idle connection")
        spent = server.metric("process_cpu_seconds_total")
        time.sleep(1)
        spent = server.metric("process_cpu_seconds_total") - spent
        check(spent < 0.5, f"{spent} s of processor in a second of idling")
        for i, s in enumerate(idle[2::4]):  # they still work
            if i % 50 == 0:
                hear(s, b"}\n")
                s.sendall(REQUEST)
                check(b"200 OK" in hear(s, b"}\n"), "a kept connection died")
        for s in idle:
            s.close()
        wait_until(lambda: server.metric("falconer_http_connections") < 20)


def test_beyond_the_limit_they_wait():
    with serving("--connections", 8) as server:
        idle = [server.dial() for _ in range(8)]
        time.sleep(0.2)
        late = server.dial()
        late.sendall(REQUEST)
        check(not select.select([late], [], [], 0.5)[0], "served beyond the limit")
        idle[0].close()
        check(b"200 OK" in hear(late, b"}\n"), "not served when there was room")
        for s in idle + [late]:
            s.close()


def test_silence_is_cut():
    with serving("--idle-time", 1, "--body-time", 1) as server:
        silent, half, kept, body = (server.dial() for _ in range(4))
        half.sendall(b"GET /health HTTP/1.1\r\nHo")
        kept.sendall(REQUEST)
        hear(kept, b"}\n")
        body.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 1000\r\n\r\n{")
        for s in (silent, half, kept, body):
            check(is_closed(s, 10), "a silent client is kept")
        check(server.ask("GET", "/health")[0] == 200)


def test_dripping_is_cut():
    """A byte now and then is no silence, so time as a whole is bounded."""
    with serving("--idle-time", 2, "--body-time", 2) as server:
        header, body = server.dial(), server.dial()
        header.sendall(b"GET /health HTTP/1.1\r\nX: ")
        body.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 1000\r\n\r\n")
        started = time.monotonic()
        is_cut = set()
        while len(is_cut) < 2 and time.monotonic() - started < 15:
            time.sleep(0.1)
            for s in {header, body} - is_cut:
                try:
                    s.sendall(b"x")
                    if select.select([s], [], [], 0)[0]:
                        is_cut.add(s)
                except OSError:
                    is_cut.add(s)
        took = time.monotonic() - started
        check(len(is_cut) == 2 and took > 1, f"{len(is_cut)} cut after {took:.1f} s")


def test_waiting_requests_keep_no_bodies():
    """What a request said is let go when it is understood, though its answer takes long."""
    calm = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    body = b'{"prompt": "a", "n": 128, "ignore_eos": true, "max_tokens": 2000, "user": "%s"}' % (b"u" * (8 << 20))
    with serving("--parallel", 1, environment=calm) as server:
        before = server.metric("process_resident_memory_bytes")
        waiting = []
        for _ in range(16):
            s = server.dial()
            s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            waiting.append(s)
        wait_until(lambda: server.metric("falconer_jobs_started_total") == 16)
        grown = server.metric("process_resident_memory_bytes") - before
        check(server.metric("falconer_jobs_done_total") == 0, "answers were too short")
        for s in waiting:
            s.close()
        check(grown < 80 << 20, f"{grown / 2**20:.0f} MiB for {16 * len(body) / 2**20:.0f} MiB of bodies")


def test_half_open():
    """Clients that vanish: by reset, by half a close, in the middle of whatever."""
    with serving() as server:
        connections = server.metric("falconer_http_connections")
        half_closed = []
        for i in range(200):
            s = server.dial()
            s.sendall((b"", b"GET /health HTTP/1.1\r\nHo", REQUEST, REQUEST * 50,
                       b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nab")[i % 5])
            if i % 3 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif i % 3 == 1:
                s.shutdown(socket.SHUT_WR)
                half_closed.append(s)
                continue
            s.close()
        for s in half_closed:
            check(is_closed(s, 10), "a half-closed connection stays")
            s.close()
        wait_until(lambda: server.metric("falconer_http_connections") <= connections)


def test_slow_readers_hold_nobody_up():
    with serving() as server:
        slow = []
        for _ in range(20):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(("127.0.0.1", server.port))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
            slow.append(s)
        for _ in range(20):
            check(server.ask("GET", "/health")[0] == 200)
        for s in slow:
            s.close()


def test_big_bodies():
    """Refused before they are read where the client asks or the body is very long; else read, thrown away, answered."""
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving("--max-body", "100K") as server:
        for n, more in ((200_000, b""), (200_000, b"Expect: 100-continue\r\n"), (10 ** 12, b"")):
            with server.dial() as s:
                s.sendall(head + more + b"Content-Length: %d\r\n\r\n" % n)
                if n < 10 ** 6 and not more:
                    s.sendall(b"x" * n)
                heard = hear(s, b"}")
                check(heard.startswith(b"HTTP/1.1 413"), n, more, heard[:200])
        with server.dial() as s:  # says no length, and ends soon after the limit
            s.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"x" * 32768 + b"\r\n")
            s.sendall((b"8000\r\n" + b"x" * 32768 + b"\r\n") * 4 + b"0\r\n\r\n")
            check(hear(s, b"}").startswith(b"HTTP/1.1 413"), "a long body in chunks")
        with server.dial() as s:  # never ends
            s.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(2000):
                    s.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                check(False, "eight megabytes were taken")
            except OSError:
                pass
        check(server.metric("process_resident_memory_bytes") < 2e9)


run([test_thousands_of_idle_connections, test_beyond_the_limit_they_wait, test_silence_is_cut, test_dripping_is_cut,
     test_waiting_requests_keep_no_bodies, test_half_open, test_slow_readers_hold_nobody_up, test_big_bodies])
