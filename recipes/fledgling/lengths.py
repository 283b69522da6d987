"""How many tokens a text takes: counted by a vocabulary where there is one, estimated from above before that."""

import json
import os
import re

# Words as Falcon's rule splits these texts, which hold no other characters: runs of punctuation, letters with a blank in
# front, digits by three, the blanks that are left.
WORDS = re.compile(r"[!-/:-@\[-`{-~¡¿]+| ?[^\W\d_]+|\d{1,3}|\s+?(?= ?[^\W\d_])|\s+")
TOKENS_PER_WORD = 1.8

_vocabulary = None


class Vocabulary:
    """Byte-pair encoding by the merges of a tokenizer.json, for counting alone."""

    def __init__(self, folder):
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
            merges = json.load(file)["model"]["merges"]
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        self.characters = byte_characters()
        self.counts = {}

    def count_word(self, word):
        if word not in self.counts:
            parts = [self.characters[byte] for byte in word.encode("utf-8")]
            while len(parts) > 1:
                ranks = [self.ranks.get(pair, len(self.ranks)) for pair in zip(parts, parts[1:])]
                best = min(ranks)
                if best == len(self.ranks):
                    break
                at = ranks.index(best)
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            self.counts[word] = len(parts)
        return self.counts[word]


def byte_characters():
    """The character that stands for each byte in a vocabulary."""
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    others = [byte for byte in range(256) if byte not in shown]
    table = {byte: chr(byte) for byte in shown}
    table.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return table


def use(folder):
    """From here on texts are counted by the vocabulary in this folder; None: estimated."""
    global _vocabulary
    _vocabulary = Vocabulary(folder) if folder else None


def count_tokens(text):
    words = WORDS.findall(text)
    if not _vocabulary:
        return int(len(words) * TOKENS_PER_WORD) + 1
    return sum(_vocabulary.count_word(word) for word in words)
