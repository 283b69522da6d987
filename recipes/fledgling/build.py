#!/usr/bin/env python3
"""Makes fledgling from nothing: build.py OUT_DIR [options]. Each step is left out whose result is there already, and one
that was interrupted goes on where it was.

  vocabulary/     a tokenizer, from a sample of the text
  text/           all text, by generate.py
  pretrain/ extend/ tune/   the three trainings, by the .yaml files beside this one
  fledgling-Q8_0.gguf       the model

With --seconds the trainings are cut to what the time allows at the pace that this machine turns out to have.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE_SHARE = 0.03  # of the text, for the vocabulary
VOCABULARY_SIZE = 3072

DESCRIPTION = "A very small Falcon: a butler for a few questions in English, French, German and Spanish"

# Each training: its share of the time, and how many packed sequences a step of it has.
TRAININGS = {"pretrain": (0.6, 32), "extend": (0.27, 8), "tune": (0.13, 8)}
STEP_TOKENS = 16000
PACE_STEPS, PACE_IGNORED = 60, 20  # a training's pace is measured by so many steps, but for the first ones
SECONDS_TO_START = 12  # of a training: reading its data, writing its model


class Build:
    def __init__(self, options):
        self.options = options
        self.program = os.path.abspath(options.falconer)
        self.deadline = time.time() + options.seconds if options.seconds else None

    def say(self, text):
        print("[%s] %s" % (time.strftime("%H:%M:%S"), text), flush=True)

    def run(self, *words):
        """Runs a program in the folder of the build."""
        self.say(" ".join(words))
        code = subprocess.call(words, cwd=self.options.out)
        if code != 0:
            sys.exit("%s ended with %d" % (words[0], code))

    def path(self, *names):
        return os.path.join(self.options.out, *names)

    def make_text(self, folder, *more):
        """All rows or none: the folder appears when they are written."""
        if os.path.exists(self.path(folder)):
            return
        self.run(sys.executable, os.path.join(HERE, "generate.py"), folder + ".partial", *more)
        os.rename(self.path(folder + ".partial"), self.path(folder))

    def make_vocabulary(self):
        if os.path.exists(self.path("vocabulary", "tokenizer.json")):
            return
        self.make_text("sample", "--share", str(SAMPLE_SHARE))
        self.run(self.program, "tokenizer-train", "sample", "--vocab-size", str(VOCABULARY_SIZE), "--context", "2048",
                 "--out", "vocabulary")

    def train_words(self, name):
        words = [self.program, "train", os.path.join(HERE, name + ".yaml"), "--device", self.options.device]
        return words + (["--micro-batch", str(TRAININGS[name][1])] if self.options.whole_steps else [])

    def measure_pace(self, name):
        """Tokens per second of this training, by some steps on the sample that are thrown away."""
        shutil.rmtree(self.path("pace"), ignore_errors=True)
        sources = ["--source", "sample/long.jsonl,group=long-context", "--source", "sample/tune.jsonl"]
        if name == "pretrain":
            sources = ["--source", "sample/text.jsonl", "--source", "sample/chats.jsonl",
                       "--source", "sample/letters.jsonl,group=letters"]
        elif name == "tune":
            sources = sources[2:]
        self.run(*self.train_words(name), *sources, "--out", "pace", "--quiet", "--total-tokens", "%d" % (
            PACE_STEPS * STEP_TOKENS))
        with open(self.path("pace", "log.jsonl"), encoding="utf-8") as log:
            steps = [row for row in map(json.loads, log) if "seconds" in row][PACE_IGNORED:]
        n_tokens = steps[-1]["tokens"] - steps[0]["tokens"]
        return n_tokens / sum(row["seconds"] for row in steps[1:])

    def tokens_in_time(self, name, share):
        """How many tokens this training has in its share of the time that is left."""
        begun = time.time()
        pace = self.measure_pace(name)
        seconds = (self.deadline - begun) * share - (time.time() - begun) - SECONDS_TO_START
        self.say("%s: %.0f tokens per second, %.0f seconds" % (name, pace, seconds))
        return max(STEP_TOKENS, int(pace * seconds * 0.97))

    def train(self, name, share):
        """share: of the time that is left."""
        if os.path.exists(self.path(name, "model.gguf")):
            return
        words = self.train_words(name)
        if os.path.exists(self.path(name)):
            words.append("--resume")
        if self.deadline:
            plan = self.path(name + ".tokens")
            if not os.path.exists(plan):
                with open(plan, "w", encoding="utf-8") as file:
                    file.write("%d\n" % self.tokens_in_time(name, share))
            with open(plan, encoding="utf-8") as file:
                words += ["--total-tokens", file.read().strip()]
        self.run(*words)

    def quantize(self):
        self.run(self.program, "quantize", "tune/model.gguf", "fledgling-Q8_0.gguf", "Q8_0", "--force", "--author",
                 "the falconer project", "--license", "apache-2.0", "--description", DESCRIPTION)
        size = os.path.getsize(self.path("fledgling-Q8_0.gguf"))
        self.say("fledgling-Q8_0.gguf has %d bytes" % size)

    def all(self):
        os.makedirs(self.options.out, exist_ok=True)
        self.make_vocabulary()
        if self.deadline:
            self.make_text("sample", "--share", str(SAMPLE_SHARE))
        self.make_text("text", "--vocabulary", "vocabulary")
        left = 1.0
        for name, (share, _) in TRAININGS.items():
            self.train(name, share / left)
            left -= share
        self.quantize()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="the folder to work in")
    parser.add_argument("--falconer", default=os.path.join(HERE, "../../build/release/falconer"), help="the program")
    parser.add_argument("--device", default="cpu", help="what trains (cpu)")
    parser.add_argument("--whole-steps", action="store_true", help="compute a step at once: quicker on a GPU, more memory")
    parser.add_argument("--seconds", type=float, help="the time for everything (as long as it takes)")
    Build(parser.parse_args(arguments)).all()


if __name__ == "__main__":
    main(sys.argv[1:])
