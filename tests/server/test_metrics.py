#!/usr/bin/env python3
"""/metrics keeps the form that Prometheus reads, strictly, and counts what happens."""
import re

from serving import check, run, serving

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$")


def family_of(name, kind):
    return re.sub("_(bucket|sum|count)$", "", name) if kind == "histogram" else name


def read(text):
    """{family: (kind, {(name, labels): value})}; whatever the form forbids is a failure."""
    families, current = {}, None
    check(text.endswith("\n"), "the last line has no end")
    for line in text[:-1].split("\n"):
        head = re.match(rf"^# (HELP|TYPE) ({NAME}) (.+)$", line)
        if head and head.group(1) == "HELP":
            current = head.group(2)
            check(current not in families, "told twice:", current)
            families[current] = [None, {}]
        elif head:
            check(head.group(2) == current and families[current][0] is None, line)
            check(head.group(3) in ("counter", "gauge", "histogram"), line)
            families[current][0] = head.group(3)
        else:
            found = SAMPLE.match(line)
            check(found, "no sample:", line)
            name, labels, value = found.groups()
            kind, samples = families[current]
            check(kind and family_of(name, kind) == current, "not in its family:", line)
            names = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="', labels or "")
            check(len(names) == len(set(names)), "a label twice:", line)
            check((name, labels) not in samples, "twice:", line)
            samples[name, labels] = float(value)
            check(kind == "gauge" or float(value) >= 0, "below zero:", line)
            check(kind != "counter" or name.endswith("_total"), "a counter without _total:", line)
    return families


def check_histogram(name, samples):
    groups = {}
    for (sample, labels), value in samples.items():
        rest = re.sub(r',?le="[^"]*"', "", labels)
        group = groups.setdefault(rest, {"bounds": []})
        if sample.endswith("_bucket"):
            group["bounds"].append((float(re.search(r'le="([^"]*)"', labels).group(1)), value))
        else:
            group[sample[len(name):]] = value
    check(groups, name, "has no samples")
    for group in groups.values():
        bounds = group["bounds"]
        check(bounds == sorted(bounds) and bounds[-1][0] == float("inf"), name, bounds)
        check([v for _, v in bounds] == sorted(v for _, v in bounds), name, "is not cumulative")
        check(bounds[-1][1] == group["_count"] and (group["_sum"] > 0) == (group["_count"] > 0), name, group)


def test_form_and_counts():
    with serving("--name", 'a "quoted" \\ name') as server:
        for _ in range(3):
            server.ask("GET", "/health")
        server.ask("GET", "/nothing")
        code, headers, text = server.ask("GET", "/metrics")
        check(code == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers)
        families = read(text.decode())
        requests = families["falconer_http_requests_total"][1]
        check(requests[("falconer_http_requests_total", 'method="GET",route="/health",code="200"')] == 3, requests)
        check(requests[("falconer_http_requests_total", 'method="",route="",code="404"')] == 1, requests)
        wanted = r'model="a \"quoted\" \\ name"'
        check(("falconer_answers_running", wanted) in families["falconer_answers_running"][1], "escapes")
        histograms = [(name, samples) for name, (kind, samples) in families.items() if kind == "histogram"]
        check(len(histograms) >= 4, "histograms are missing")
        for name, samples in histograms:
            check_histogram(name, samples)
        later = read(server.ask("GET", "/metrics")[2].decode())
        for name, (kind, samples) in families.items():
            for sample, value in samples.items():
                check(kind == "gauge" or later[name][1][sample] >= value, name, "fell")


def test_the_reader_is_strict():
    good = '# HELP a_total b\n# TYPE a_total counter\na_total{x="y"} 1\n'
    read(good)
    for bad in (good[:-1], good.replace("# HELP a_total b\n", ""), good.replace("counter", "count"), good + good,
                good.replace("} 1", "}  1"), good.replace('"y"', "y"), good.replace(" 1\n", " one\n"),
                good.replace('x="y"', 'x="y",x="z"'), good.replace("a_total{", "b_total{"), good.replace('"y"', '"\\y"')):
        try:
            read(bad)
        except (AssertionError, KeyError):
            continue
        check(False, "taken for good:", bad)


run([test_form_and_counts, test_the_reader_is_strict])
