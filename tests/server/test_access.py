#!/usr/bin/env python3
"""Who may use it: keys, origins of web pages, names of the server, TLS, Unix sockets."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from serving import FALCONER, PATIENCE, Server, check, hear, run, serving, wait_until


def code(server, **headers):
    return server.ask("GET", "/metrics", headers={k.replace("_", "-"): v for k, v in headers.items()})[0]


def refused(*options, environment=None):
    """What a start that fails says."""
    done = subprocess.run([FALCONER, "serve", "--port", "0", "--no-store", *options], capture_output=True, text=True,
                          env={**os.environ, **(environment or {})}, timeout=PATIENCE)
    check(done.returncode == 2, done)
    return done.stderr


def test_keys():
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder) / "keys"
        keys.write_text("# ours\nfirst-key-1\n\n  second#key-2  # Jane's\n")
        with serving("--keys", keys) as server:
            check(server.ask("GET", "/health")[0] == 200, "health asks for a key")
            for good in ("first-key-1", "second#key-2"):
                check(code(server, Authorization="Bearer " + good) == 200, good)
                check(code(server, Authorization="bearer " + good) == 200, good)
                check(code(server, X_Api_Key=good) == 200, good)
            for bad in ("", "first-key-", "first-key-12", "ours", "# ours", "Jane's", "first-key-1\tsecond#key-2"):
                check(code(server, Authorization="Bearer " + bad) == 401, bad)
                check(code(server, X_Api_Key=bad) == 401, bad)
            check(code(server, Authorization="Basic first-key-1") == 401)
            got = server.ask("GET", "/metrics")
            check(got[0] == 401 and got[1]["WWW-Authenticate"] == "Bearer", got)

            keys.write_text("third-key-3\n")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: code(server, X_Api_Key="third-key-3") == 200)
            check(code(server, X_Api_Key="first-key-1") == 401, "a key that is no more")
            # What cannot be read changes nothing.
            for text in ("", "short", "# nothing\n"):
                keys.write_text(text)
                before = server.said().count("stay as they were")
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: server.said().count("stay as they were") == before + 1)
                check(code(server, X_Api_Key="third-key-3") == 200, "keys were lost")
            for secret in ("first-key-1", "third-key-3", "Jane"):
                check(secret not in server.said(), "a key in the log")
        check("holds no key" in refused("--keys", keys))
    with serving(environment={"FALCONER_API_KEYS": "from-the-env, another-one"}) as server:
        check(code(server) == 401 and code(server, X_Api_Key="another-one") == 200, "keys of the environment")


def test_keys_that_cannot_be_read():
    said = refused(environment={"FALCONER_API_KEYS": "from-the-env,short,another-one"})
    check("FALCONER_API_KEYS: key 2, in line 1, has 5 bytes" in said and "short" not in said, said)
    check("FALCONER_API_KEYS: holds no key" in refused(environment={"FALCONER_API_KEYS": " , "}))
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder) / "keys"
        os.mkfifo(keys)
        check("is not a regular file" in refused("--keys", keys))
        keys.unlink()
        keys.write_text("first-key-1\n")
        with serving("--keys", keys) as server:
            # Nobody writes into this pipe; whoever waited for that would not see the SIGTERM at the end.
            keys.unlink()
            os.mkfifo(keys)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "is not a regular file" in server.said())
            check(code(server, X_Api_Key="first-key-1") == 200, "keys were lost")


def test_keys_share_no_prompts():
    """What one key asked shows in no other's usage, here or after a restart."""
    body = {"prompt": "The butler poured the tea and said that the day was fine and the cat asleep.", "max_tokens": 1}

    def cached(server, key):
        got, _, answer = server.ask("POST", "/v1/completions", body, {"X-Api-Key": key})
        check(got == 200, answer)
        return json.loads(answer)["usage"]["prompt_tokens_details"]["cached_tokens"]

    with tempfile.TemporaryDirectory() as folder:
        for is_first in (True, False):
            with serving("--cache-dir", folder, environment={"FALCONER_API_KEYS": "first-key-1,second-key-2"}) as server:
                check((cached(server, "first-key-1") > 0) == (not is_first), "the first key's own")
                check(cached(server, "first-key-1") > 0, "nothing is kept for a key")
                check((cached(server, "second-key-2") > 0) == (not is_first), "told what another key asked")
                check(cached(server, "second-key-2") > 0, "nothing is kept for a key")
        names = os.listdir(folder)
        check(len(names) >= 2 and not any("key" in name for name in names), names)


def test_what_is_kept_of_prompts_is_hidden():
    """A folder that the server made is its user's alone; one that was there is as its owner left it."""
    model = pathlib.Path(__file__).parents[2] / "models" / "fledgling-Q8_0.gguf"
    with tempfile.TemporaryDirectory() as folder:
        for name, options, made in (("one", (), "one"), ("two", ("--also", model), "two/fledgling-Q8_0")):
            with serving("--cache-dir", f"{folder}/{name}", *options):
                mode = (pathlib.Path(folder) / made).stat().st_mode
                check(mode & 0o777 == 0o700, made, oct(mode))
        there = pathlib.Path(folder) / "there"
        there.mkdir()
        there.chmod(0o750)
        with serving("--cache-dir", there):
            check(there.stat().st_mode & 0o777 == 0o750, oct(there.stat().st_mode))


def test_origins():
    ours, other = "https://chat.example.org", "https://evil.example.com"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-stainless-os"}
    with serving("--cors", ours, "--cors", "http://localhost:3000") as server:
        got = server.ask("OPTIONS", "/health", headers={"Origin": ours, **asked})
        check(got[0] == 204 and got[1]["Access-Control-Allow-Origin"] == ours, got[1])
        check(got[1]["Access-Control-Allow-Headers"] == "authorization, x-stainless-os", got[1])
        check("GET" in got[1]["Access-Control-Allow-Methods"] and got[1]["Vary"] == "Origin", got[1])
        got = server.ask("GET", "/health", headers={"Origin": ours})
        check(got[0] == 200 and got[1]["Access-Control-Allow-Origin"] == ours, got[1])
        for method in ("OPTIONS", "GET"):
            got = server.ask(method, "/health", headers={"Origin": other, **asked})
            check(got[0] == 403 and not got[1]["Access-Control-Allow-Origin"], method, got)
        check(server.ask("GET", "/health", headers={"Origin": "null"})[0] == 403, "a page without origin")
        check(server.ask("GET", "/health", headers={"Origin": f"http://127.0.0.1:{server.port}"})[0] == 200, "the own page")
        got = server.ask("OPTIONS", "/health", headers={"Origin": ours, **asked, "Access-Control-Request-Headers": "a\"b"})
        check(got[0] == 204 and not got[1]["Access-Control-Allow-Headers"], got[1])
    with serving("--cors", "*") as server:
        got = server.ask("GET", "/health", headers={"Origin": other})
        check(got[0] == 200 and got[1]["Access-Control-Allow-Origin"] == "*", got[1])
    check("example.org" in refused("--cors", "example.org"))


def test_names():
    """A page can let a name point to any address that its visitor reaches; without keys only known names are answered."""
    everywhere = {"localhost": 200, "a.localhost:99": 200, "[::1]:80": 200, "127.0.0.1": 200, "10.0.0.7:80": 200,
                  "LocalHost.:80": 200, "evil.example.com:80.localhost": 403, "127.0.0.1:80.evil.com": 403, "[::1].evil.com": 403,
                  "evil.example.com": 403, "evil.example.com:80": 403, "127.0.0.1.evil.example.com": 403, "desk": 403,
                  "not.alocalhost": 403, "localhost.evil.com": 403}

    def check_names(server, wanted):
        for host, code in wanted.items():
            for more in ({}, {"Origin": "http://" + host}):
                got = server.ask("GET", "/health", headers={"Host": host, **more})
                check(got[0] == code, "called", host, more, got)
                check(code == 200 or b"--allow-host" in got[2], got)

    with serving("--cors", "https://chat.example.org") as server:
        # The name is of an origin; what port somebody in front adds says nothing.
        check_names(server, {**everywhere, "chat.example.org": 200, "chat.example.org:443": 200, "chat.example.org.": 200})
    with serving("--host", "0.0.0.0", "--allow-host", "desk", "--allow-host", "Chat.example.org") as server:
        check_names(server, {**everywhere, "desk": 200, "desk:8080": 200, "chat.example.org.:1": 200, "chat.example.org": 200,
                             "chat.example.org.evil.com": 403, "desk:a.evil.com": 403, "desks": 403})
        check("everybody who reaches 0.0.0.0" in server.said(), "no warning")
    with serving("--allow-host", "*") as server:
        check(server.ask("GET", "/health", headers={"Host": "a.b.example.com"})[0] == 200, "any name")
    with serving(environment={"FALCONER_API_KEYS": "a-secret-of-8"}) as server:
        check(server.ask("GET", "/health", headers={"Host": "a.b.example.com"})[0] == 200, "what no page knows is a key")
    for wrong in ("", "http://desk", "desk:80", "*.example.org"):
        check("host" in refused("--allow-host", wrong), wrong)


def test_tls():
    if not shutil.which("openssl"):
        print("without openssl there is no certificate: TLS is not tested")
        return
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        with serving("--tls-cert", certificate, "--tls-key", key) as server:
            context = ssl.create_default_context(cafile=certificate)
            for _ in range(3):
                connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=context)
                for _ in range(3):
                    connection.request("GET", "/health")
                    check(connection.getresponse().read().startswith(b'{"status":"ok"'), "no health over TLS")
                connection.close()
            with server.dial() as s:  # not TLS
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                check(b"200" not in hear(s), "TLS is not asked for")
            with server.dial() as s:  # half a handshake, then nothing
                s.sendall(b"\x16\x03\x01\x02\x00\x01")
                connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=context)
                connection.request("GET", "/health")
                check(connection.getresponse().status == 200, "another's handshake holds it up")
                connection.close()
        for wrong in (["--tls-cert", certificate], ["--tls-cert", key, "--tls-key", certificate],
                      ["--tls-cert", certificate, "--tls-key", pathlib.Path(folder) / "none"]):
            done = subprocess.run([FALCONER, "serve", "--port", "0", "--no-store", *wrong], capture_output=True, text=True,
                                  timeout=PATIENCE)
            check(done.returncode in (2, 3) and done.stderr.startswith("falconer: "), done)


def test_unix_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        # One that a killed process left is taken over, one that is served is not, a file that is none is not removed.
        left = socket.socket(socket.AF_UNIX)
        left.bind(path)
        left.close()
        with serving("--socket", path):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(PATIENCE)
            s.connect(path)
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(b"200 OK" in hear(s), "no answer")
            s.close()
            try:
                Server("--socket", path)
                check(False, "two servers at one socket")
            except AssertionError as why:
                check("listening at" in str(why), why)
        check(not os.path.exists(path), "the socket is left behind")
        pathlib.Path(path).write_text("precious")
        try:
            Server("--socket", path)
            check(False, "a socket in place of a file")
        except AssertionError as why:
            check("listening at" in str(why), why)
        check(pathlib.Path(path).read_text() == "precious", "a file was removed")


run([test_keys, test_keys_that_cannot_be_read, test_keys_share_no_prompts,
     test_what_is_kept_of_prompts_is_hidden, test_origins, test_names, test_tls, test_unix_socket])
