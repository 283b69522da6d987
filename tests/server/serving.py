"""A server under test, and clients that speak to it by bytes. Used by the test_*.py beside it, each of which runs as
<program> FALCONER; exit code 77 skips."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

FALCONER = sys.argv[1] if len(sys.argv) > 1 else "build/release/falconer"
PATIENCE = 60  # seconds; sanitizers are slow


def skip(why):
    print(why, file=sys.stderr)
    sys.exit(77)


class Server:
    """falconer serve on a free port, with the built-in model and no store unless options say so."""

    def __init__(self, *options, environment=None, port="0"):
        self.folder = tempfile.TemporaryDirectory()
        self.errors_path = pathlib.Path(self.folder.name) / "errors"
        self.errors = open(self.errors_path, "wb")
        store = [] if "--store" in options else ["--no-store"]
        # One thread: threads that wait for each other on a busy machine are slower than one.
        command = [FALCONER, "serve", "--port", port, *store, "--verbose", "--threads", "1", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().decode()
        found = re.search(r" at (\w+)://[^ ]*?:(\d+)$", line.strip())
        self.port = int(found.group(2)) if found else 0
        if not line.startswith("serving "):
            raise AssertionError(f"did not start: {line} {self.said()}")

    def said(self):
        self.errors.flush()
        return self.errors_path.read_text(errors="replace")

    def dial(self, receives=None):
        s = socket.socket()
        s.settimeout(PATIENCE)
        if receives:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        s.connect(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, method, path, body=None, headers=None):
        """Code, headers, body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = dict(headers or {})
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def metric(self, name, headers=None):
        """The sum of a metric's samples."""
        text = self.ask("GET", "/metrics", headers=headers)[2].decode()
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}(\{{| )", line)]
        if not values:
            raise AssertionError(f"no metric {name}")
        return sum(values)

    def stop(self, number=signal.SIGTERM):
        """Ends it in order; what a sanitizer says is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end()

    def end(self, expected=0):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end: {self.said()}") from None
        said = self.said()
        self.process.stdout.close()
        self.errors.close()
        self.folder.cleanup()
        for sign in ("Sanitizer", "runtime error", "Assertion", "Fatal error in GNU libmicrohttpd"):
            if sign in said:
                raise AssertionError(said)
        if code != expected:
            raise AssertionError(f"exit code {code}, expected {expected}: {said}")
        return said


@contextlib.contextmanager
def serving(*options, **more):
    server = Server(*options, **more)
    try:
        yield server
    except BaseException:
        print(server.said(), file=sys.stderr)
        server.process.kill()
        raise
    server.stop()


def hear(s, until=None, limit=1 << 24):
    """The bytes that come until a fragment is there, or to the end of the connection."""
    heard = b""
    while (until is None or until not in heard) and len(heard) < limit:
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            break
        if not more:
            break
        heard += more
    return heard


def is_closed(s, seconds=PATIENCE):
    """Whether the other side closes within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        readable, _, _ = select.select([s], [], [], max(0, deadline - time.monotonic()))
        if not readable:
            continue
        try:
            if not s.recv(65536):
                return True
        except ConnectionResetError:
            return True
    return False


def wait_until(what, seconds=PATIENCE, pause=0.02):
    """Waits until the function tells truth."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds: {getattr(what, '__name__', what)}")
        time.sleep(pause)


def check(condition, *told):
    if not condition:
        raise AssertionError(" ".join(str(t)[:2000] for t in told))


def run(tests):
    """Runs the functions, each of which makes its own server; tells which failed."""
    failed = 0
    for test in tests:
        started = time.monotonic()
        try:
            test()
            print(f"good {time.monotonic() - started:6.2f} s {test.__name__}", flush=True)
        except AssertionError as why:
            failed += 1
            print(f"FAILED {test.__name__}: {why}", flush=True)
    sys.exit(1 if failed else 0)
