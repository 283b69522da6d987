#!/usr/bin/env python3
"""What is no good request gets an answer that says so, in the dialect of its path, and the server goes on."""
import json

from serving import check, hear, run, serving

JSON = {"Content-Type": "application/json"}


def exchange(server, raw):
    with server.dial() as s:
        s.sendall(raw)
        return hear(s)


def test_codes():
    with serving() as server:
        for method, path, body, headers, code in (
                ("GET", "/nothing", None, {}, 404), ("GET", "/health/", None, {}, 404), ("GET", "//health", None, {}, 404),
                ("GET", "/v1/nothing", None, {}, 404), ("POST", "/health", "{}", JSON, 405),
                ("DELETE", "/health", None, {}, 405), ("BREW", "/health", None, {}, 405),
                ("HEAD", "/health", None, {}, 200), ("OPTIONS", "/health", None, {}, 204),
                ("GET", "/health?a=b&%00=%zz", None, {}, 200)):
            got, answered, text = server.ask(method, path, body, headers)
            check(got == code, method, path, got, text)
            check(answered["X-Request-Id"], "no request id")
            if code == 405:
                check("GET" in answered["Allow"] and "OPTIONS" in answered["Allow"], answered["Allow"])
            if code >= 400:
                error = json.loads(text)["error"]
                check((error["message"] if path.startswith("/v1/") else error), text)
            if method == "HEAD":
                check(text == b"" and int(answered["Content-Length"]) > 0, "HEAD has a body")
        check(server.ask("GET", "/health")[0] == 200)


def test_malformed():
    """The library refuses these by itself; none may harm what comes after."""
    with serving() as server:
        for raw in (b"\r\n\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
                    b"GET /health HTTP/1.1\r\n\r\n",  # no host
                    b"GET /health HTTP/1.1\r\nHost h\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # a client of TLS
                    b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"b" * 200000 + b"\r\n\r\n",
                    b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
                    bytes(range(256)) * 200, b"\0" * 70000):
            with server.dial() as s:
                try:
                    s.sendall(raw)
                    s.shutdown(1)
                except OSError:
                    pass  # refused before all was sent
                heard = hear(s)
                check(not heard or heard.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4", b"HTTP/1.0 5")),
                      raw[:60], heard[:100])
            check(server.ask("GET", "/health")[0] == 200, "dead after", raw[:60])


def test_two_lengths_are_no_two_requests():
    """A request that says its length twice, differently, must not let a second one in behind a proxy."""
    inner = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as server:
        for lengths in (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (5 + len(inner)),
                        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(inner)),
                        b"Content-Length: 5\r\nContent-Length: %d\r\n" % (5 + len(inner)),
                        b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n"):
            for method in (b"POST", b"GET"):
                heard = exchange(server, method + b" /health HTTP/1.1\r\nHost: localhost\r\n" + lengths +
                                 b"\r\n0\r\n\r\n" + inner)
                check(heard.startswith(b"HTTP/1.1 400") and heard.count(b"HTTP/1.1") == 1, lengths, heard)


def test_pipelined():
    with serving() as server:
        with server.dial() as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20 +
                      b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(hear(s).count(b"HTTP/1.1 200 OK") == 21, "not all were answered")


def test_bodies():
    """What a body must be: JSON, called so, one object, UTF-8, not too deep; told in the dialect of the path."""
    bodies = ((b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'{"prompt": "a"} x', 400), (b'{"prompt": "\xff"}', 400),
              (b'{"prompt": "\\ud800"}', 400), (b'{"prompt": "a\\u0000b"}', 400), (b"{" * 100000, 400),
              (b'{"prompt": ' + b"[" * 200 + b"]" * 200 + b"}", 400), (b'{"prompt": "a", "max_tokens": 1e999}', 400),
              (b'{"prompt": "a", "max_tokens": 1, "junk": [' + b"[]," * 1000000 + b"1]}", 400),
              (b'{"prompt": "a", "max_tokens": 1, "junk": {' + b'"a":1,' * 2000000 + b'"b":[]}}', 400),
              (b'{"prompt": "a", "max_tokens": 1, "junk": [' + b"11," * 2000000 + b'"[[,"]}', 200),
              (b'{"prompt": "a", "max_tokens": 1}' + b" " * 100000, 200), (b"\xef\xbb\xbf{}", 400), (bytes(1000), 400))
    with serving() as server:
        for body, code in bodies:
            got, _, text = server.ask("POST", "/v1/completions", body, JSON)
            check(got == code, body[:50], got, text)
            check(code == 200 or json.loads(text)["error"]["message"], text)
            if code != 200:
                check(server.ask("POST", "/v1/messages", body, JSON)[0] == 400, "anthropic", body[:50])
                check(server.ask("POST", "/generate", body, JSON)[0] == 422, "tgi", body[:50])
        for kind, code in (("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415),
                           ("Application/JSON; charset=utf-8", 200)):
            got, _, text = server.ask("POST", "/v1/completions", b'{"prompt": "a", "max_tokens": 1}', {"Content-Type": kind})
            check(got == code, kind, got, text)
        check("prompt" not in server.said(), "a body in the log")


def message_of(server, path, body):
    code, _, text = server.ask("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), JSON)
    check(code in (400, 422), path, code, text[:300])
    error = json.loads(text)["error"]
    return error if isinstance(error, str) else error["message"]


def test_words():
    """What is refused is told in words of requests, not of parsers."""
    with serving() as server:
        check("the body is empty" in message_of(server, "/v1/completions", b""))
        for body in (b'{"prompt": "a\\u0000b"}', b'{"a\\u0000b": 1}'):
            said = message_of(server, "/v1/completions", body)
            check("zero byte" in said and "JSON_" not in said, said)
        for path in ("/v1/chat/completions", "/v1/messages"):
            said = message_of(server, path, {"messages": [], "max_tokens": 1})
            check(said == "messages: the list is empty, at least one is needed", said)
        for grammar, words in (("root ::= \"a", "grammar: line 1, column 10"), ("a ::= \"a\"", "grammar: there is no rule")):
            said = message_of(server, "/v1/completions", {"prompt": "", "grammar": grammar})
            check(said.startswith(words), said)
            parameters = {"grammar": {"type": "gbnf", "value": grammar}}
            said = message_of(server, "/generate", {"inputs": "", "parameters": parameters})
            check(said.startswith("Input validation error: " + words), said)


def test_too_long_prompts():
    """Each dialect names its own field that cuts, if it has one; what cannot fit by its bytes is not tokenized first."""
    def asked(text):
        messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return (("/v1/completions", {"prompt": ["a", text]}, "prompt", 'truncation: "auto"'),
                ("/v1/chat/completions", {"messages": messages}, "messages", 'truncation: "auto"'),
                ("/v1/embeddings", {"input": text}, "input", None),
                ("/v1/messages", {"messages": messages, "max_tokens": 1}, "messages", None),
                ("/v1/messages", {"messages": [{"role": "user", "content": "a"}], "system": text, "max_tokens": 1}, "messages",
                 None),
                ("/generate", {"inputs": text}, "inputs", "truncate: N"), ("/", {"inputs": text}, "inputs", "truncate: N"))

    with serving() as server:
        for text, unit in (("word " * 5000, " tokens, the context holds 2048"), ("word " * 100000, " bytes, at least ")):
            for path, body, field, advice in asked(text):
                said = message_of(server, path, body)
                check(f"{field}: the prompt has " in said and unit in said, path, said)
                check(said.endswith("2048") if not advice else advice in said, path, said)
        for path, body in (("/v1/completions", {"prompt": "word " * 100000, "max_tokens": 1, "truncation": "auto"}),
                           ("/v1/completions", {"prompt": "word " * 100000, "max_tokens": 1, "truncate": 5}),
                           ("/generate", {"inputs": "word " * 100000, "parameters": {"max_new_tokens": 1, "truncate": 5}})):
            code, _, answer = server.ask("POST", path, body)
            check(code == 200, path, code, answer)


def test_white_space_that_a_format_strips():
    """A prompt is as long as what is tokenized, not as what was sent."""
    def asked(text):
        messages = [{"role": "user", "content": "a"}]
        parts = [{"type": "text", "text": text}, {"type": "text", "text": ""}]
        return (("/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}),
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": parts}]}),
                ("/v1/chat/completions", {"messages": [{"role": "system", "content": text}, *messages]}),
                ("/v1/messages", {"messages": messages, "system": text}))

    with serving() as server:
        for path, body in asked("Good morning!" + "\n" * 100000):
            code, _, answer = server.ask("POST", path, {**body, "max_tokens": 1})
            check(code == 200, path, code, answer)
        for path, body in asked("Good" + "\n" * 100000 + "morning!"):
            said = message_of(server, path, {**body, "max_tokens": 1})
            check(" bytes, at least " in said, path, said)


run([test_codes, test_bodies, test_words, test_too_long_prompts, test_white_space_that_a_format_strips, test_malformed, test_two_lengths_are_no_two_requests, test_pipelined])
