"""Streams of /v1/completions, taken by bytes, for tests that need answers under way."""
import json
import socket

from serving import PATIENCE


class Answer:
    """A streamed answer under way. receives: bytes that the system keeps for a client that reads slowly."""

    def __init__(self, server, prompt="The", n_tokens=100, seed=1, receives=None, **more):
        body = json.dumps({"prompt": prompt, "max_tokens": n_tokens, "seed": seed, "temperature": 1, "stream": True,
                           "ignore_eos": True, **more}).encode()
        self.socket = server.dial(receives)
        self.socket.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.heard = b""

    def hear(self, n_events=None):
        """Until so many events are there, or to the end."""
        while not self.is_over() and (n_events is None or self.heard.count(b"data: {") < n_events):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                break
            if not more:
                break
            self.heard += more
        return self

    def is_over(self):
        head, _, body = self.heard.partition(b"\r\n\r\n")
        return b"data: [DONE]" in body or (body and not head.startswith(b"HTTP/1.1 200"))

    def code(self):
        return int(self.heard[9:12])

    def is_whole(self):
        return self.heard.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in self.heard

    def text(self):
        """What was said, out of its chunks and events."""
        _, _, rest = self.heard.partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size or b"0", 16)
            if not n:
                break
            body, rest = body + rest[:n], rest[n + 2:]
        events = [line[6:] for line in body.decode().split("\n") if line.startswith("data: {")]
        return "".join(choice.get("text", "") for e in events for choice in json.loads(e)["choices"])

    def leave(self, hard=False):
        if hard:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def complete(server, prompt="The", n_tokens=100, seed=1, **more):
    """The text of one answer, taken to its end."""
    answer = Answer(server, prompt, n_tokens, seed, **more).hear()
    text = answer.text()
    if not answer.is_whole():
        raise AssertionError(f"not whole: {answer.heard[:300]}")
    answer.socket.close()
    return text
