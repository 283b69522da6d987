#!/usr/bin/env python3
"""Asks a model the held-out questions and tells how often it is right: check.py TEXT_DIR [options].

  questions   the answer is exact                                  95 % are wanted
  recall      a fact asked back from 1,500 tokens earlier, exact   90 %
  beyond      the answer says that it is only a fledgling          95 %

The program answers as in a conversation, with the most probable token each time. Ends with 1 where too little is right.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WANTED = {"questions": 95.0, "recall": 90.0, "beyond": 95.0}


def read_rows(path, limit):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:limit] if limit else rows


def as_saved(messages):
    """A conversation as the program saves one."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    return {"system": system, "messages": [m for m in messages if m["role"] != "system"]}


def ask(options, rows):
    """The answers to all rows, by one program that loads, answers and saves one conversation after the other."""
    words = [options.falconer, "chat", "--temperature", "0", "--overflow", "stop"]
    if options.model:
        words += ["--model", options.model]
    if options.threads:
        words += ["--threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for index, row in enumerate(rows):
            place = os.path.join(folder, "%d.json" % index)
            with open(place, "w", encoding="utf-8") as file:
                json.dump(as_saved(row["messages"]), file)
            lines += ["/load " + place, "/regen", "/save %s.answered" % place]
        process = subprocess.run(words, input="\n".join(lines) + "\n", text=True, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, check=False)
        if process.returncode != 0:
            sys.exit(process.stderr[-2000:])
        answers = []
        for index in range(len(rows)):
            with open(os.path.join(folder, "%d.json.answered" % index), encoding="utf-8") as file:
                answers.append(json.load(file)["messages"][-1]["content"])
    return answers


def is_right(row, answer):
    return row["says"] in answer.lower() if "says" in row else answer in row["answers"]


def check(options, name):
    """The share that is right, in percent; prints it, by language and category, and what was wrong."""
    rows = read_rows(os.path.join(options.text, name + ".jsonl"), options.limit)
    right, all_of = collections.Counter(), collections.Counter()
    for row, answer in zip(rows, ask(options, rows)):
        good = is_right(row, answer)
        for key in ("all", row["language"], row["category"]):
            right[key] += good
            all_of[key] += 1
        if options.wrong and not good:
            print("  %s\n    %s\n    %s" % (row["messages"][-1]["content"], answer, row["answers"][0]))
    shares = {key: 100.0 * right[key] / all_of[key] for key in all_of}
    details = ", ".join("%s %.1f" % (key, shares[key]) for key in sorted(shares) if key != "all")
    print("%-10s %5.1f %% of %d (wanted %.0f): %s" % (name, shares["all"], len(rows), WANTED[name], details), flush=True)
    return shares["all"]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="the folder with questions.jsonl, recall.jsonl and beyond.jsonl")
    parser.add_argument("--falconer", default=os.path.join(HERE, "../../build/release/falconer"), help="the program")
    parser.add_argument("--model", help="a GGUF file (the built-in model)")
    parser.add_argument("--threads", type=int, help="of the program")
    parser.add_argument("--limit", type=int, help="rows of each file that are asked (all)")
    parser.add_argument("--wrong", action="store_true", help="print what was wrong")
    options = parser.parse_args(arguments)
    shares = {name: check(options, name) for name in WANTED}
    return 0 if all(shares[name] >= WANTED[name] for name in WANTED) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
