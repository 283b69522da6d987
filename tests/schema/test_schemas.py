#!/usr/bin/env python3
"""Random schemas: what is drawn under their masks is JSON and valid, and valid documents are reachable.
Usage: test_schemas.py PROBE TOKENIZER_FOLDER [N_SCHEMAS]

Valid documents are made together with the schema, here; drawn ones are judged by python3-jsonschema, where it is there."""
import json
import random
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    jsonschema = None

PROBE, FOLDER = sys.argv[1:3]
N_SCHEMAS = int(sys.argv[3]) if len(sys.argv) > 3 else 150
choose = random.Random(20)
WORDS = ["name", "na", "age", "kind", "größe", "a\"b", "x-y", "value", "tags", "", "\\", "]^-"]
FORMATS = {"date": "2024-02-29", "time": "23:59:59.5+02:00", "date-time": "1999-12-31T00:00:00Z",
           "uuid": "123e4567-e89b-12d3-a456-426614174000", "email": "otto.von@example.org", "ipv4": "192.168.0.255",
           "ipv6": "fe80::1:a", "hostname": "a.example-1.org", "uri": "https://example.org:80/a%20b/?q=1#top",
           "duration": "P1Y2M3DT4H"}
PATTERNS = {r"^[a-z]{2,5}$": "abc", r"^\d+(\.\d+)?$": "12.5", r"foo|^bar": "xfoox", r"^(?:ab|cd)*e?$": "abcde",
            r"\"quoted\"": "a \"quoted\" b", r"^\w+\s\w+$": "two words", r"^[^a-c\"]+$": "d€f", r"^.+\\$": "x\\",
            r"^\u00e4[\n\t]?$": "ä\n", r"^a.?b$": "a\"b", r"^x{3}y{1,}?$": "xxxy"}
TEXTS = ["", "a", "Österreich", "quote \" and \\ slash / and \n line", "😀", "tab\t", "\u007f\u0080\u2028", "</s>"]


def pick(*makers):
    return choose.choice(makers)


def text_schema(depth):
    least, extra = choose.randint(0, 3), choose.randint(0, 30)
    schema = {"type": "string"}
    if choose.random() < 0.5:
        schema["minLength"] = least
    if choose.random() < 0.5:
        schema["maxLength"] = least + extra
    fitting = [t for t in TEXTS + ["abcd" * 8] if schema.get("minLength", 0) <= len(t) <= schema.get("maxLength", 99)]
    return schema, fitting or ["x" * (schema.get("minLength", 0))]


def format_schema(depth):
    name = choose.choice(list(FORMATS))
    return {"type": "string", "format": name}, [FORMATS[name]]


def pattern_schema(depth):
    pattern = choose.choice(list(PATTERNS))
    return {"type": "string", "pattern": pattern}, [PATTERNS[pattern]]


def integer_schema(depth):
    schema, low, high = {"type": "integer"}, None, None
    span = choose.choice([3, 30, 3000, 10**9, 10**15])
    if choose.random() < 0.6:
        low = choose.randint(-span, span)
        schema[choose.choice(["minimum", "exclusiveMinimum"])] = low
    if choose.random() < 0.6:
        high = (low if low is not None else choose.randint(-span, span)) + 2 + choose.randint(0, span)
        schema[choose.choice(["maximum", "exclusiveMaximum"])] = high
    first = (low if low is not None else (high if high is not None else 0) - span) + 1
    last = (high if high is not None else first + span) - 1
    return schema, [first, last, choose.randint(first, last)]


def number_schema(depth):
    schema = {"type": "number"}
    if choose.random() < 0.5:
        return schema, [0, -1, 0.5, 1e10, -2.5e-7, 12345678901234567]
    low = choose.randint(-200, 200)
    high = low + choose.randint(1, 300)
    schema[choose.choice(["minimum", "exclusiveMinimum"])] = low
    if choose.random() < 0.7:
        schema[choose.choice(["maximum", "exclusiveMaximum"])] = high
    return schema, [low + 0.5, (low + high) / 2, low + 0.0625]


def constant_schema(depth):
    values = choose.sample([None, True, "a", "b\"c", 1, -2.5, [], [1, "x"], {}, {"k": [None]}, "é", 10**15], 3)
    if choose.random() < 0.3:
        return {"const": values[0]}, [values[0]]
    return {"enum": values}, values


def plain_schema(depth):
    return pick(({"type": "boolean"}, [True, False]), ({"type": "null"}, [None]), ({}, [{"a": [1, {}]}, "x", None]),
                (True, [[], 1.5]), ({"type": "object"}, [{}, {"x": {"y": []}}]), ({"type": "array"}, [[], [[], "a"]]),
                ({"type": ["string", "null"], "title": "t"}, ["s", None]))


def object_schema(depth):
    names = choose.sample(WORDS, choose.randint(0, 5))
    parts = {name: any_schema(depth + 1) for name in names}
    required = [name for name in names if choose.random() < 0.5]
    schema = {"type": "object", "properties": {name: part[0] for name, part in parts.items()}, "required": required}
    documents = [{name: choose.choice(part[1]) for name, part in parts.items()},
                 {name: choose.choice(part[1]) for name, part in parts.items() if name in required}]
    kind = choose.random()
    if kind < 0.3:
        schema["additionalProperties"] = False
    elif kind < 0.6:
        schema["additionalProperties"], values = any_schema(depth + 1)
        documents.append({**documents[1], "nam": choose.choice(values), "zz\n": choose.choice(values)})
    elif not names:
        del schema["properties"]
        documents.append({"free": 1})
    return schema, documents


def array_schema(depth):
    schema, documents = {"type": "array"}, [[]]
    inner, values = any_schema(depth + 1)
    least = choose.randint(0, 3)
    if choose.random() < 0.6:
        schema["items"] = inner
        documents = [[choose.choice(values) for _ in range(n)] for n in (least, least + 1, least + 2)]
        schema["minItems"] = least
        if choose.random() < 0.5:
            schema["maxItems"] = least + 2
    elif choose.random() < 0.7:
        prefix = [any_schema(depth + 1) for _ in range(choose.randint(1, 3))]
        schema["prefixItems"] = [p[0] for p in prefix]
        documents = [[choose.choice(p[1]) for p in prefix[:n]] for n in range(len(prefix) + 1)]
        if choose.random() < 0.5:
            schema["items"] = False
        else:
            schema["items"] = inner
            documents.append([choose.choice(p[1]) for p in prefix] + [choose.choice(values)] * 2)
    return schema, documents


def choice_schema(depth):
    branches = [any_schema(depth + 1) for _ in range(choose.randint(1, 3))]
    return {"anyOf": [b[0] for b in branches]}, [value for b in branches for value in b[1]]


def tagged_schema(depth):
    inner, values = any_schema(depth + 1)
    branches = [{"type": "object", "properties": {"tag": {"const": tag}, tag: inner}, "required": ["tag", tag]}
                for tag in ("one", "two")]
    return {"oneOf": branches}, [{"tag": tag, tag: choose.choice(values)} for tag in ("one", "two")]


def merged_schema(depth):
    first, values = any_schema(depth + 1)
    second, others = any_schema(depth + 1)
    a = {"type": "object", "properties": {"p": first}, "required": ["p"]}
    b = {"properties": {"q": second}, "description": "more"}
    return {"allOf": [a, b]}, [{"p": choose.choice(values)}, {"p": choose.choice(values), "q": choose.choice(others)}]


def any_schema(depth=0):
    simple = [text_schema, format_schema, pattern_schema, integer_schema, number_schema, constant_schema, plain_schema]
    nested = [object_schema, array_schema, choice_schema, tagged_schema, merged_schema]
    return choose.choice(simple if depth > 2 else simple + nested * 2 if depth else nested)(depth)


def recursive_schema():
    """A list of lists, by references."""
    schema = {"$ref": "#/$defs/no~1de", "$defs": {"no/de": {
        "type": "object", "properties": {"value": {"$ref": "#/$defs/leaf"}, "next": {"anyOf": [
            {"$ref": "#/$defs/no~1de"}, {"type": "null"}]}, "all": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["value"], "additionalProperties": False}, "leaf": {"type": "integer", "minimum": 0}}}
    leaf = {"value": 1}
    return schema, [leaf, {"value": 0, "next": leaf, "all": [leaf, leaf]}, {"value": 2, "next": {**leaf, "next": None}}]


def texts_of(value):
    """As programs write JSON: close together, with spaces, on lines."""
    return [json.dumps(value, ensure_ascii=False, separators=(",", ":")), json.dumps(value, ensure_ascii=False),
            json.dumps(value, ensure_ascii=False, indent=2)]


def check_sample(schema, text):
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}"
    if not jsonschema:
        return None
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER if hasattr(
        jsonschema.Draft202012Validator, "FORMAT_CHECKER") else jsonschema.FormatChecker()
    errors = list(jsonschema.Draft202012Validator(schema, format_checker=checker).iter_errors(value))
    return f"not valid: {errors[0].message}" if errors else None


def main():
    cases = [recursive_schema()] + [any_schema() for _ in range(N_SCHEMAS)]
    if jsonschema:  # the generator here is judged, too
        for schema, documents in cases:
            for document in documents:
                found = check_sample(schema, json.dumps(document))
                assert not found, (schema, document, found)
    requests = [json.dumps({"schema": schema, "documents": [t for d in documents for t in texts_of(d)], "samples": 6,
                            "seed": i}) for i, (schema, documents) in enumerate(cases)]
    run = subprocess.run([PROBE, FOLDER], input="\n".join(requests) + "\n", capture_output=True, text=True, timeout=900)
    failures, n_samples, n_documents, n_refused = [], 0, 0, 0
    lines = run.stdout.split("\n")[:-1]  # not splitlines: Unicode has other ends of lines
    if run.returncode or len(lines) != len(cases):
        sys.exit(f"the probe ends with {run.returncode} after {len(lines)} of {len(cases)} schemas\n{run.stderr[-3000:]}")
    for (schema, documents), line in zip(cases, lines):
        answer = json.loads(line)
        if "error" in answer:
            n_refused += 1
            # What may be refused: names beside which additional keys cannot be told apart.
            if "additional keys beside" not in answer["error"]:
                failures.append((schema, answer["error"]))
            continue
        failures += [(schema, "not reachable", text) for text in answer["unreachable"]]
        n_documents += 3 * len(documents)
        n_samples += len(answer["samples"])
        for text in answer["samples"]:
            found = check_sample(schema, text)
            if found:
                failures.append((schema, text, found))
    if n_samples < 4 * len(cases):  # of 6 each; a pattern may be hard to meet by chance
        failures.append((f"only {n_samples} samples came to an end",))
    for failure in failures[:5]:
        print(*(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in failure), sep="\n  ")
    judge = "jsonschema" if jsonschema else "no python3-jsonschema: samples were only parsed"
    print(f"{len(cases)} schemas ({n_refused} refused), {n_documents} documents, {n_samples} samples; {judge}")
    sys.exit(f"{len(failures)} failures" if failures else 0)


if __name__ == "__main__":
    main()
