#!/usr/bin/env python3
"""Clients that leave at every moment: their answers end within a step, nobody else's changes, nothing is lost or wedged."""
import random
import threading
import time

from completions import Answer, complete
from serving import check, run, serving, wait_until

LONG = "The butler poured the tea and said that the day was fine. " * 4


def running(server):
    return server.metric("falconer_answers_running") + server.metric("falconer_jobs_waiting")


def test_an_answer_ends_with_its_client():
    with serving() as server:
        for hard in (False, True):
            for n_events in (0, 1, 8):
                answer = Answer(server, n_tokens=100000).hear(n_events)
                wait_until(lambda: running(server) == 1)
                answer.leave(hard)
                left = time.monotonic()
                wait_until(lambda: running(server) == 0, 20)
                check(time.monotonic() - left < 5, "it went on")
        # Not more was drawn than a few steps could before the end was seen.
        drawn = server.metric("falconer_drawn_tokens_total")
        time.sleep(0.3)
        check(server.metric("falconer_drawn_tokens_total") == drawn, "tokens are still drawn")
        check(server.metric("falconer_jobs_cancelled_total") == 6, "cancelled", server.metric("falconer_jobs_cancelled_total"))


def test_who_has_all_has_not_left():
    """Programs close when they have read [DONE], before the stream's last chunk: nobody has left then."""
    with serving() as server:
        for i in range(200):
            answer = Answer(server, n_tokens=1, seed=i, stream=i % 4 > 0)
            while b'"usage"' not in answer.heard and b"[DONE]" not in answer.heard:
                answer.heard += answer.socket.recv(65536)
            answer.leave(hard=i % 2)
        wait_until(lambda: server.metric("falconer_http_requests_open") == 1)
        check(server.metric("falconer_http_left_total") == 0, server.metric("falconer_http_left_total"), "left")
        check(server.said().count(" 200 ") >= 200 and "the client left" not in server.said(), "the log")
        Answer(server, n_tokens=100000).hear(2).leave()
        wait_until(lambda: server.metric("falconer_http_left_total") == 1)


def test_not_streamed():
    with serving() as server:
        answer = Answer(server, n_tokens=100000, stream=False)
        wait_until(lambda: running(server) == 1)
        answer.leave()
        wait_until(lambda: running(server) == 0, 20)


def test_while_it_waits_in_the_queue():
    with serving("--parallel", 1, "--queue", 50) as server:
        first = Answer(server, n_tokens=100000).hear(1)
        waiting = [Answer(server, n_tokens=10, seed=i) for i in range(20)]
        wait_until(lambda: server.metric("falconer_jobs_waiting") == 20)
        for answer in waiting[::2]:
            answer.leave()
        wait_until(lambda: server.metric("falconer_jobs_waiting") == 10)
        first.leave()
        for answer in waiting[1::2]:
            check(answer.hear().is_whole(), "one that waits was lost", answer.heard[:200])


def test_nobody_elses_answer_changes():
    """The same seeds alone, and in a crowd of which most leave at some moment."""
    with serving() as server:
        alone = [complete(server, f"Number {i}: ", 12, i) for i in range(6)]
        check(len(set(alone)) > 3, "the answers are too much alike to tell", alone)
        stop = threading.Event()
        left = [0]

        def come_and_go(seed):
            dice = random.Random(seed)
            while not stop.is_set():
                answer = Answer(server, dice.choice(["A", LONG, "Number 3: "]), 1000, seed)
                moment = dice.randrange(4)
                if moment == 1:
                    time.sleep(dice.random() * 0.05)
                elif moment > 1:
                    answer.hear(dice.randrange(8))
                answer.leave(dice.random() < 0.5)
                left[0] += 1

        threads = [threading.Thread(target=come_and_go, args=(i,)) for i in range(3)]
        for t in threads:
            t.start()
        try:
            crowded = []
            for _ in range(2):
                answers = [Answer(server, f"Number {i}: ", 12, i) for i in range(6)]
                crowded.append([a.hear().text() for a in answers])
        finally:
            stop.set()
            for t in threads:
                t.join()
        for texts in crowded:
            check(texts == alone, "an answer depends on others:", texts, alone)
        check(left[0] > 5, f"only {left[0]} came and went")
        wait_until(lambda: running(server) == 0)
        check(server.ask("GET", "/health")[0] == 200)


def test_slow_readers_pause_only_themselves():
    with serving() as server:
        slow = [Answer(server, n_tokens=100, seed=i, logprobs=5, receives=2048) for i in range(3)]
        for s in slow:
            s.hear(1)
        started = time.monotonic()
        check(len(complete(server, n_tokens=10)) > 0)
        check(time.monotonic() - started < 30, "held up")
        for s in slow:
            check(s.hear().is_whole(), "a slow reader lost something")


run([test_an_answer_ends_with_its_client, test_who_has_all_has_not_left, test_not_streamed, test_while_it_waits_in_the_queue,
     test_nobody_elses_answer_changes, test_slow_readers_pause_only_themselves])
