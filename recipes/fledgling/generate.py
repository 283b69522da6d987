#!/usr/bin/env python3
"""Writes all the text that fledgling learns from and is tested with: generate.py OUT_DIR [options].

  text.jsonl       plain tales                      (pretrain)
  chats.jsonl      conversations up to 512 tokens   (pretrain)
  letters.jsonl    letters and questions up to 512  (pretrain)
  long.jsonl       both, up to 2048 tokens          (extend)
  tune.jsonl       conversations as people have them, short and long (tune)
  questions.jsonl, recall.jsonl, beyond.jsonl       held out

The same options write the same bytes. What is held out never occurs in training.
"""

import argparse
import json
import os
import random
import sys

import conversations

SHORT, LONG = 512, 2048


def write_rows(folder, name, count, seed, make):
    """count rows of make(rng), each from a generator of its own, so that sizes do not change what is in front."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        for index in range(count):
            row = make(random.Random("%d %s %d" % (seed, name, index)))
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print("%-16s %7d rows, %6.1f MB" % (name, count, os.path.getsize(path) / 1e6))


def write_distinct(folder, name, count, seed, make):
    """As write_rows, without a question that occurs twice after the same conversation."""
    path, seen, index = os.path.join(folder, name), set(), 0
    with open(path, "w", encoding="utf-8") as out:
        while len(seen) < count:
            row = make(random.Random("%d %s %d" % (seed, name, index)))
            index += 1
            key = json.dumps(row["messages"], ensure_ascii=False)
            if key not in seen:
                seen.add(key)
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print("%-16s %7d rows" % (name, count))


def read_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="the folder to write into")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tales", type=int, default=1500)
    parser.add_argument("--chats", type=int, default=20000)
    parser.add_argument("--letters", type=int, default=10000)
    parser.add_argument("--long", type=int, default=1500)
    parser.add_argument("--tune", type=int, default=4000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--recall", type=int, default=200)
    parser.add_argument("--beyond", type=int, default=300)
    return parser.parse_args(arguments)


def main(arguments):
    options = read_options(arguments)
    os.makedirs(options.out, exist_ok=True)
    known, seed = conversations.Knowledge(), options.seed

    def row(messages):
        return {"messages": messages}

    def long_row(rng):
        make = conversations.letter if rng.random() < 0.6 else conversations.chat
        return row(make(known, rng, LONG))

    def tune_row(rng):
        draw = rng.random()
        if draw < 0.2:
            return long_row(rng)
        if draw < 0.35:
            return row(conversations.letter(known, rng, SHORT, 0.6))
        return row(conversations.chat(known, rng, SHORT, 0.6, shortest=30))

    out = options.out
    write_rows(out, "text.jsonl", options.tales, seed, lambda rng: {"text": conversations.tale(rng, SHORT)})
    write_rows(out, "chats.jsonl", options.chats, seed, lambda rng: row(conversations.chat(known, rng, SHORT)))
    write_rows(out, "letters.jsonl", options.letters, seed, lambda rng: row(conversations.letter(known, rng, SHORT)))
    write_rows(out, "long.jsonl", options.long, seed, long_row)
    write_rows(out, "tune.jsonl", options.tune, seed, tune_row)
    write_distinct(out, "questions.jsonl", options.questions, seed,
                   lambda rng: conversations.held_out_question(known, rng))
    write_distinct(out, "recall.jsonl", options.recall, seed,
                   lambda rng: conversations.held_out_recall(known, rng, 1500, 1700))
    write_distinct(out, "beyond.jsonl", options.beyond, seed, lambda rng: conversations.held_out_beyond(known, rng))


if __name__ == "__main__":
    main(sys.argv[1:])
