#!/usr/bin/env python3
"""deploy/: what a container runs finds its model, by the contract of Inference Endpoints; the unit is one that systemd reads."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import serving
from serving import FALCONER, PATIENCE, check, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "endpoint.sh"
MODEL = ROOT / "models" / "fledgling-Q8_0.gguf"


def endpoint(folder, *options, **variables):
    """The server that the script starts for a folder."""
    server = object.__new__(serving.Server)
    server.folder = tempfile.TemporaryDirectory()
    server.errors_path = pathlib.Path(server.folder.name) / "errors"
    server.errors = open(server.errors_path, "wb")
    server.process = subprocess.Popen(
        ["sh", SCRIPT, folder, "--no-store", "--threads", "1", "--port", "0", *options], stdout=subprocess.PIPE,
        stderr=server.errors, env={**os.environ, "FALCONER": FALCONER, "TMPDIR": server.folder.name, **variables})
    for line in server.process.stdout:  # converting may say something first
        if line.startswith(b"serving "):
            server.port = int(line.rsplit(b":", 1)[1])
            server.model = line.split()[1].decode()
            return server
    raise AssertionError(server.said())


def check_contract(server):
    check(server.ask("GET", "/health")[0] == 200, "no health")
    code, _, body = server.ask("POST", "/", {"inputs": "The", "parameters": {"max_new_tokens": 3}})
    check(code == 200 and isinstance(json.loads(body)[0]["generated_text"], str), body)
    # The platform calls it by a name of its own.
    code = server.ask("GET", "/health", headers={"Host": "x1.eu-west-1.aws.endpoints.huggingface.cloud"})[0]
    check(code == 200, "called by the platform's name", code)
    # The shell is gone: a container's SIGTERM reaches the server, which ends in order.
    server.stop(signal.SIGTERM)


def refused(folder, code, words, **variables):
    done = subprocess.run(["sh", SCRIPT, folder, "--port", "0"], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "FALCONER": FALCONER, **variables})
    check(done.returncode == code and words in done.stderr, done)


def test_a_gguf_file():
    with tempfile.TemporaryDirectory() as folder:
        refused(folder, 3, "neither a GGUF file nor a checkpoint")
        os.symlink(MODEL, f"{folder}/one model.gguf")
        check_contract(endpoint(folder))
        os.symlink(MODEL, f"{folder}/other.gguf")
        refused(folder, 2, "2 GGUF files")
        refused(folder, 3, "none.gguf", FALCONER_FILE="none.gguf")
        server = endpoint(folder, FALCONER_FILE="other.gguf")
        check(server.model == "other", server.model)
        check_contract(server)


def test_a_checkpoint():
    check_contract(endpoint(ROOT / "tests" / "golden" / "models" / "falcon-7b-like"))


def test_keys_of_the_environment():
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(MODEL, f"{folder}/model.gguf")
        server = endpoint(folder, FALCONER_API_KEYS="a-secret-of-8")
        code = server.ask("POST", "/", {"inputs": "The", "parameters": {"max_new_tokens": 1}})[0]
        check(code == 401, code)
        code = server.ask("POST", "/", {"inputs": "The", "parameters": {"max_new_tokens": 1}},
                          {"Authorization": "Bearer a-secret-of-8"})[0]
        check(code == 200, code)
        server.stop()


def test_the_unit():
    if not shutil.which("systemd-analyze"):
        print("without systemd-analyze the unit is not looked at")
        return
    text = (ROOT / "deploy" / "falconer.service.in").read_text()
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "falconer.service"
        program = pathlib.Path(folder) / "falconer"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        unit.write_text(text.replace("@CMAKE_INSTALL_FULL_BINDIR@", folder))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=PATIENCE)
        told = [line for line in done.stderr.splitlines() if "falconer.service" in line and "man " not in line]
        check(not told, told)


run([test_a_gguf_file, test_a_checkpoint, test_keys_of_the_environment, test_the_unit])
