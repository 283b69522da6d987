#!/usr/bin/env python3
"""What the page keeps, over HTTP: every route, values refused by name, and a store that is damaged, full, or left by a kill,
none of which stops serving."""
import json
import pathlib
import resource
import signal
import tempfile

from serving import check, run, serving, Server


def get(server, path, expected=200, method="GET", body=None):
    code, headers, text = server.ask(method, path, body)
    check(code == expected, method, path, code, text)
    check(headers.get("Cache-Control") == "no-store" or code >= 400, headers)
    return json.loads(text) if text else None


def post(server, path, body, expected=201):
    return get(server, path, expected, "POST", body)


def error(server, method, path, code, fragment, body=None):
    told = get(server, path, code, method, body)
    check(fragment in told["error"], told)


def folder():
    return tempfile.TemporaryDirectory()


def everything_is_kept():
    with folder() as f, serving("--store", f"{f}/kept.sqlite") as server:
        facts = get(server, "/api/page")
        check(facts["store"] == {"keeps": True, "why": None} and facts["models"][0]["context"] > 0, facts)
        one = post(server, "/api/conversations", {"title": "Falken", "parameters": {"temperature": 0.1}})
        path = f"/api/conversations/{one['id']}"
        asked = post(server, f"{path}/messages", {"role": "user", "text": "Wie schnell? 🦅"})
        told = post(server, f"{path}/messages", {"role": "assistant", "text": "Sehr", "parent": asked["id"]})
        get(server, f"{path}/messages/{told['id']}", 204, "PATCH", {"text": "Sehr schnell", "parameters": {"seed": 7}})
        get(server, path, 204, "PATCH", {"title": "Wanderfalken", "leaf": asked["id"]})
        read = get(server, path)
        check(read["title"] == "Wanderfalken" and read["leaf"] == asked["id"], read)
        check([m["text"] for m in read["messages"]] == ["Wie schnell? 🦅", "Sehr schnell"], read)
        check(read["messages"][1]["parameters"] == {"seed": 7} and read["parameters"] == {"temperature": 0.1}, read)
        found = get(server, "/api/conversations?words=schnell&limit=5")
        check(len(found["conversations"]) == 1 and "\u0002" in found["conversations"][0]["excerpt"], found)
        get(server, "/api/votes", 204, "POST", {"a": {"model": "x"}, "b": {"model": "y"}, "winner": "tie"})
        check(get(server, "/api/votes")["pairs"][0]["ties"] == 1)
        document = get(server, "/api/export")
        get(server, path, 204, "DELETE")
        error(server, "GET", path, 404, "no conversation")
        again = post(server, "/api/import", document)
        check(again["ids"] != [one["id"]] and again["votes"] == 1, again)
        check(len(get(server, f"/api/export?conversation={again['ids'][0]}")["conversations"]) == 1)
        check("Wie schnell" not in server.said(), "what people write is in the log")


def wrong_values_are_named():
    with folder() as f, serving("--store", f"{f}/kept.sqlite") as server:
        one = post(server, "/api/conversations", {})["id"]
        for method, path, code, fragment, body in [
                ("GET", "/api/conversations/x", 400, "'conversation' is not a whole number", None),
                ("GET", "/api/conversations/99999999999999999999", 400, "'conversation'", None),
                ("GET", "/api/conversations/-1", 400, "'conversation'", None),
                ("GET", "/api/conversations?limit=501", 400, "'limit'", None),
                ("GET", "/api/conversations?skip=many", 400, "'skip'", None),
                ("GET", "/api/export?conversation=7", 404, "no conversation 7", None),
                ("POST", "/api/conversations", 400, "'title'", {"title": 7}),
                ("POST", "/api/conversations", 400, "", []),
                ("POST", f"/api/conversations/{one}/messages", 400, "'role'", {"role": "system", "text": "x"}),
                ("POST", "/api/conversations/7/messages", 404, "no conversation", {"role": "user", "text": "x"}),
                ("PATCH", f"/api/conversations/{one}/messages/5", 404, "no message 5", {"text": "x"}),
                ("PATCH", f"/api/conversations/{one}", 400, "'leaf'", {"leaf": 5}),
                ("DELETE", "/api/conversations/7", 404, "no conversation", None),
                ("POST", "/api/import", 400, "'format'", {}),
                ("POST", "/api/votes", 400, "'winner'", {"a": {}, "b": {}})]:
            error(server, method, path, code, fragment, body)
        code, _, _ = server.ask("POST", "/api/conversations", "{}", {"Content-Type": "text/plain"})
        check(code == 415, code)
        code, _, _ = server.ask("POST", "/api/conversations", "{}", {"Content-Type": "application/json",
                                                                     "Origin": "http://elsewhere.example"})
        check(code == 403, code)
        check(len(get(server, "/api/conversations")["conversations"]) == 1)


def without_a_store():
    with serving() as server:
        check(get(server, "/api/page")["store"] == {"keeps": False, "why": None})
        error(server, "GET", "/api/conversations", 501, "keeps no conversations")
        error(server, "POST", "/api/conversations", 501, "keeps no conversations", {})
        check(server.ask("GET", "/")[0] == 200)


def a_damaged_file_does_not_stop_serving():
    with folder() as f:
        path = pathlib.Path(f) / "kept.sqlite"
        path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
        before = path.read_bytes()
        with serving("--store", path) as server:
            why = get(server, "/api/page")["store"]["why"]
            check("damaged" in why and "kept.sqlite" in why, why)
            error(server, "GET", "/api/conversations", 501, "damaged")
            check(server.ask("GET", "/health")[0] == 200)
            check("damaged" in server.said())
        check(path.read_bytes() == before, "a damaged file was written to")


def a_full_disk_does_not_stop_serving():
    """A limit of file sizes stands in for the disk; it holds for the server alone."""
    with folder() as f, serving("--store", f"{f}/kept.sqlite") as server:
        one = post(server, "/api/conversations", {"title": "x"})["id"]
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (200000, hard))
        n, code = 0, 201
        while code == 201 and n < 100:
            code, _, text = server.ask("POST", f"/api/conversations/{one}/messages", {"role": "user", "text": "x" * 20000})
            n += code == 201
        check(code == 500 and b"store" in text and n > 1, code, text, n)
        check(len(get(server, f"/api/conversations/{one}")["messages"]) == n)
        check(server.ask("GET", "/health")[0] == 200)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        post(server, f"/api/conversations/{one}/messages", {"role": "user", "text": "room again"})


def a_kill_loses_nothing_that_was_answered():
    with folder() as f:
        server = Server("--store", f"{f}/kept.sqlite")
        for i in range(20):
            post(server, "/api/conversations", {"title": f"number {i}"})
        server.process.send_signal(signal.SIGKILL)
        server.end(-signal.SIGKILL)
        with serving("--store", f"{f}/kept.sqlite") as server:
            check(len(get(server, "/api/conversations")["conversations"]) == 20)


run([everything_is_kept, wrong_values_are_named, without_a_store, a_damaged_file_does_not_stop_serving,
     a_full_disk_does_not_stop_serving, a_kill_loses_nothing_that_was_answered])
