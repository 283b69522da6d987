#!/usr/bin/env python3
"""Writes all the text that fledgling learns from and is tested with: generate.py OUT_DIR [options].

  text.jsonl       plain tales                      (pretrain)
  chats.jsonl      conversations up to 512 tokens   (pretrain)
  letters.jsonl    letters and questions up to 512  (pretrain)
  long.jsonl       both, up to 2048 tokens          (extend)
  tune.jsonl       conversations as people have them, short and long (tune)
  questions.jsonl, recall.jsonl, beyond.jsonl       held out; with --vocabulary only, since they need exact lengths

The same options write the same bytes, on any number of processors. What is held out never occurs in training.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys

import conversations
import lengths

SHORT, LONG = 508, 2040  # tokens of a document: a few less than training's sequences
RECALL_DISTANCE, RECALL_LONGEST = 1500, 1960
ROWS_AT_ONCE = 100

KNOWN = conversations.Knowledge()


def row(messages):
    return {"messages": messages}


def make_tale(rng):
    return {"text": conversations.tale(rng, SHORT)}


def make_chat(rng):
    return row(conversations.chat(KNOWN, rng, SHORT))


def make_letter(rng):
    return row(conversations.letter(KNOWN, rng, SHORT))


def make_long(rng):
    make = conversations.letter if rng.random() < 0.6 else conversations.chat
    return row(make(KNOWN, rng, LONG))


def make_tune(rng):
    draw = rng.random()
    if draw < 0.2:
        return make_long(rng)
    if draw < 0.35:
        return row(conversations.letter(KNOWN, rng, SHORT, 0.6))
    return row(conversations.chat(KNOWN, rng, SHORT, 0.6, shortest=30))


def make_question(rng):
    return conversations.held_out_question(KNOWN, rng)


def make_recall(rng):
    return conversations.held_out_recall(KNOWN, rng, RECALL_DISTANCE, RECALL_LONGEST)


def make_beyond(rng):
    return conversations.held_out_beyond(KNOWN, rng)


# name of the file: what makes a row, how many there are.
TRAINING = {"text.jsonl": (make_tale, 3000), "chats.jsonl": (make_chat, 40000), "letters.jsonl": (make_letter, 32000),
            "long.jsonl": (make_long, 9000), "tune.jsonl": (make_tune, 16000)}
TESTS = {"questions.jsonl": (make_question, 1000), "recall.jsonl": (make_recall, 200),
         "beyond.jsonl": (make_beyond, 300)}


def make_rows(job):
    """The lines of some rows, each from a generator of its own, so that sizes do not change what is in front."""
    name, seed, begin, end = job
    make = (TRAINING.get(name) or TESTS[name])[0]
    made = (make(random.Random("%d %s %d" % (seed, name, index))) for index in range(begin, end))
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)


def write_rows(pool, folder, name, count, seed):
    path = os.path.join(folder, name)
    jobs = [(name, seed, at, min(at + ROWS_AT_ONCE, count)) for at in range(0, count, ROWS_AT_ONCE)]
    with open(path, "w", encoding="utf-8") as out:
        for lines in pool.imap(make_rows, jobs):
            out.write(lines)
    print("%-16s %7d rows, %6.1f MB" % (name, count, os.path.getsize(path) / 1e6), flush=True)


def write_distinct(pool, folder, name, count, seed):
    """As write_rows, without a question that occurs twice after the same conversation."""
    seen = {}
    at = 0
    while len(seen) < count:
        jobs = [(name, seed, first, first + 10) for first in range(at, at + count, 10)]
        at = jobs[-1][3]
        for line in "".join(pool.imap(make_rows, jobs)).splitlines(keepends=True):
            seen.setdefault(json.dumps(json.loads(line)["messages"], ensure_ascii=False), line)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        out.writelines(list(seen.values())[:count])
    print("%-16s %7d rows" % (name, count), flush=True)


def read_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="the folder to write into")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1, help="of the rows for training (1)")
    parser.add_argument("--vocabulary", help="a folder with tokenizer.json, by which lengths are counted")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args(arguments)


def main(arguments):
    options = read_options(arguments)
    os.makedirs(options.out, exist_ok=True)
    with multiprocessing.Pool(options.processes, lengths.use, (options.vocabulary,)) as pool:
        for name, (_, count) in TRAINING.items():
            write_rows(pool, options.out, name, max(1, round(count * options.share)), options.seed)
        for name, (_, count) in TESTS.items():
            if options.vocabulary:
                write_distinct(pool, options.out, name, count, options.seed)


if __name__ == "__main__":
    main(sys.argv[1:])
