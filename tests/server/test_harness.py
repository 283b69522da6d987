#!/usr/bin/env python3
"""What an evaluation harness asks, in its order: tokenizer, ids, log-probabilities of continuations. The sums are those of
`falconer score`, which has no server."""
import json
import subprocess

from serving import FALCONER, check, run, serving

CONTEXT, ANSWERS = "The doctor", [" walked through the garden", " gjkx!", " 😀 – Größe"]


def score(text):
    done = subprocess.run([FALCONER, "score", "--text", text, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def post(server, path, body):
    code, _, answer = server.ask("POST", path, body)
    check(code == 200, path, answer)
    return json.loads(answer)


def test_log_likelihoods():
    with serving() as server:
        info = json.loads(server.ask("GET", "/tokenizer_info")[2])
        check(isinstance(info["eos_token"], str), info)

        def encode(text):
            return post(server, "/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]

        prompts = [encode(CONTEXT + answer) for answer in ANSWERS]
        for answer, ids in zip(ANSWERS, prompts):
            check(post(server, "/detokenize", {"tokens": ids})["prompt"] == CONTEXT + answer, answer)
        n_context = len(encode(CONTEXT))
        body = {"model": "fledgling", "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234,
                "echo": True}
        choices = post(server, "/v1/completions", body)["choices"]
        check([c["index"] for c in choices] == list(range(len(ANSWERS))), choices)
        for answer, ids, choice in zip(ANSWERS, prompts, choices):
            told = choice["logprobs"]
            check(len(told["token_logprobs"]) == len(ids) + 1 == len(told["tokens"]), told)
            known = score(CONTEXT + answer)
            check(known["ids"] == ids, known)
            wanted = known["logprobs"][1:]
            got = told["token_logprobs"][1:-1]
            check(all(abs(a - b) < 1e-4 for a, b in zip(got, wanted)), got, wanted)
            # Greedy where the token's number is the greatest of those told, to the last digit.
            tops = [max(top.values()) for top in told["top_logprobs"][n_context:-1]]
            is_greedy = all(a == b for a, b in zip(told["token_logprobs"][n_context:-1], tops))
            check(is_greedy == (answer == ANSWERS[0]), answer, told)
        # The older way, by texts and places.
        choice = post(server, "/v1/completions", {"prompt": CONTEXT + ANSWERS[0], "logprobs": 10, "temperature": 0.0,
                                                  "max_tokens": 1, "echo": True})["choices"][0]
        first = next(i for i, at in enumerate(choice["logprobs"]["text_offset"]) if at >= len(CONTEXT))
        check(first == n_context, choice)
        tops = choice["logprobs"]["top_logprobs"][first]
        check(len(tops) == 10 and max(tops, key=tops.get) == choice["logprobs"]["tokens"][first], tops)


def test_a_batch_longer_than_the_queue():
    with serving("--parallel", "2", "--queue", "2") as server:
        prompts = [[287, 589, 1020 + i] for i in range(40)]
        body = {"prompt": prompts, "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0}
        choices = post(server, "/v1/completions", body)["choices"]
        check([c["index"] for c in choices] == list(range(40)), choices)
        check(all(c["text"].startswith("The doctor") for c in choices), choices)


def test_generation_until_a_word():
    with serving() as server:
        body = {"prompt": [CONTEXT], "model": "fledgling", "max_tokens": 32, "temperature": 0, "seed": 1234,
                "stop": [".", "<|endoftext|>", "\n\n"]}
        choice = post(server, "/v1/completions", body)["choices"][0]
        check(choice["text"].startswith(" walked") and "." not in choice["text"], choice)
        check(choice["finish_reason"] == "stop", choice)


run([test_log_likelihoods, test_a_batch_longer_than_the_queue, test_generation_until_a_word])
