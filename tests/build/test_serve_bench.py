#!/usr/bin/env python3
"""bench/serve.py counts every token of every stream, and its client tells an answer that does not come whole.
Usage: test_serve_bench.py SERVE_PY BUILD_FOLDER"""
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

SCRIPT, BUILD = sys.argv[1:]
CUT = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
       b"data: {\"n\": 1}\n\nda", b"ta: {\"n\": 2}\n\ndata: [DO")


def of_server():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.json"
        done = subprocess.run([sys.executable, SCRIPT, BUILD, "--streams", "1,3", "--tokens", "9", "--rounds", "2",
                               "--json", path], capture_output=True, text=True)
        rows = json.loads(path.read_text()) if done.returncode == 0 else []
    good = [row["streams"] for row in rows if row["errors"] == 0 and row["tokens_per_second"] > 0
            and row["answers"] == 2 * row["streams"] and 0 < row["fairness"] <= 1
            and 0 < row["first_token_ms"][0] <= row["first_token_ms"][2]]
    return [] if good == [1, 3] else [f"{done.returncode} {done.stderr} {rows}"]


def of_client(pieces):
    """A server that sends these pieces, one after the other, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
        server = threading.Thread(target=serve)
        server.start()
        done = subprocess.run([f"{BUILD}/falconer-bench-streams", str(listening.getsockname()[1]), "1", "2", "1", "0"],
                              capture_output=True, text=True)
        server.join()
    return json.loads(done.stdout)


def main():
    failures = of_server()
    whole, cut, refused = of_client([*CUT, b"NE]\n\n"]), of_client(CUT), of_client([b"HTTP/1.1 429 Busy\r\n\r\n"])
    for name, result, errors, tokens in (("whole", whole, 0, 2), ("cut", cut, 1, 2), ("refused", refused, 1, 0)):
        counted = (len(result["first_token_ms"]) > 0) + (len(result["between_tokens_ms"]) > 0)
        if (result["errors"], counted) != (errors, tokens):
            failures.append(f"{name}: {result}")
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
