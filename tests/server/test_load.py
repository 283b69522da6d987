#!/usr/bin/env python3
"""Full queues, and the end under load: SIGTERM lets answers come to their end, a second signal does not wait."""
import json
import signal
import time

from completions import Answer, complete
from serving import Server, check, hear, run, serving, wait_until

BODY = {"prompt": "The", "max_tokens": 5}


def test_a_full_queue_refuses():
    with serving("--parallel", 1, "--queue", 2) as server:
        running = Answer(server, n_tokens=100000).hear(1)
        waiting = [Answer(server, n_tokens=5) for _ in range(2)]
        wait_until(lambda: server.metric("falconer_jobs_waiting") == 2)
        code, headers, body = server.ask("POST", "/v1/completions", BODY)
        check(code == 429 and int(headers["Retry-After"]) > 0, code, headers)
        check(json.loads(body)["error"]["code"] == "rate_limit_exceeded" and b"--queue" in body, body)
        check(server.ask("POST", "/generate", {"inputs": "The"})[0] == 429, "TGI")
        code, _, body = server.ask("POST", "/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "a"}]})
        check(code == 429 and json.loads(body)["error"]["type"] == "rate_limit_error", body)
        code, _, body = server.ask("GET", "/ready")
        check(code == 503 and json.loads(body)["status"] == "full", body)
        check(server.ask("GET", "/health")[0] == 200, "full is not ill")
        check(server.metric("falconer_jobs_refused_total") == 3)
        running.leave()
        for answer in waiting:
            check(answer.hear().is_whole(), "one that waited was lost")
        check(server.ask("POST", "/v1/completions", BODY)[0] == 200 and server.ask("GET", "/ready")[0] == 200)


def test_sixty_four_streams():
    with serving() as server:
        alone = complete(server, "Number 5: ", 8, 5)
        answers = [Answer(server, f"Number {i}: ", 8, i) for i in range(64)]
        for answer in answers:
            check(answer.hear().is_whole(), answer.heard[:300])
        check(answers[5].text() == alone, "an answer depends on others")


def test_sigterm_finishes_what_runs():
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Server("--parallel", 4)
        alone = complete(server, "Number 3: ", 20, 3)
        kept = server.dial()  # kept alive: a request on it comes too late
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        hear(kept, b"}\n")
        answers = [Answer(server, f"Number {i}: ", 20, i) for i in range(12)]  # eight of them wait
        answers[0].hear(2)
        server.process.send_signal(number)
        wait_until(lambda: "stopping" in server.said())
        time.sleep(0.1)
        try:
            server.dial()
            check(False, "a connection is taken")
        except OSError:
            pass
        for answer in answers:
            check(answer.hear().is_whole(), "lost at the end:", answer.heard[:200], answer.heard[-200:])
        check(answers[3].text() == alone, "an answer changed")
        check(server.process.poll() is None or server.process.returncode == 0)
        server.end()


def test_the_second_one_does_not_wait():
    server = Server()
    answer = Answer(server, n_tokens=1000000).hear(1)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in server.said())
    time.sleep(0.2)
    check(server.process.poll() is None, "ended with an answer under way")
    told = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.end(expected=128 + signal.SIGTERM)
    check(time.monotonic() - told < 3, "it waited")
    answer.leave()


def test_sighup_changes_nothing_that_runs():
    with serving() as server:
        alone = complete(server, n_tokens=30, seed=7)
        answer = Answer(server, n_tokens=30, seed=7).hear(3)
        for _ in range(5):
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        check(answer.hear().text() == alone, "an answer changed")


run([test_a_full_queue_refuses, test_sixty_four_streams, test_sigterm_finishes_what_runs, test_the_second_one_does_not_wait,
     test_sighup_changes_nothing_that_runs])
