"""Tiny byte-level BPE tokenizers in the layouts of Falcon's, GPT-2's and StarCoder's tokenizer.json.

Owns training on a few sentences, the file's layout and an independent encoder; checkpoints are make_golden.py's.
"""
import collections

import regex

TEXT = """
Alfred, the butler, keeps a falcon on his shoulder. The falcon flies at dawn, and it returns at dusk with the morning news.
What would you like to know today? I would like to know how the weather will be, and what the time is now.
The butler answers in English, le majordome répond en français, der Butler antwortet auf Deutsch, el mayordomo responde en español.
In 2023 there were 8192 tokens in the context, not 2048: it's four times as many, and we'll see that they're all used.
def fly(height, speed=42):
    for step in range(100):
        height += speed * 0.5  # metres
    return {"height": height, "ok": True}
She said: "Don't panic!" -- and then (after 10,000 steps) they've stopped; I'd have gone on, wouldn't you?
The quick brown fox jumps over the lazy dog. Long contexts need patience, and patience needs a long context.
"""
FALCON_SPECIALS = ['>>TITLE<<', '>>ABSTRACT<<', '>>INTRODUCTION<<', '>>SUMMARY<<', '>>COMMENT<<', '>>ANSWER<<',
                   '>>QUESTION<<', '>>DOMAIN<<', '>>PREFIX<<', '>>SUFFIX<<', '>>MIDDLE<<', '<|endoftext|>']
CHAT = ['<start_system>', '<start_user>', '<start_assistant>', '<end_message>']
CODE_SPECIALS = ['<|endoftext|>', '<fim_prefix>', '<fim_middle>', '<fim_suffix>', '<fim_pad>']

WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Rules that see text, then rules that see bytes already mapped to characters. Falcon's Digits and Split stages come
# after ByteLevel in tokenizer.json: there, six bytes of multi-byte characters (B2 B3 B9 BC BD BE) look like numerals.
RULES = {
    'falcon': ([r"[\p{P}$+<=>^`|~]+", WORDS], [r"[\p{Nd}\p{Nl}\p{No}]+", r"[0-9][0-9][0-9]"]),
    'gpt-2': ([WORDS], []),
    'starcoder': ([r"[\p{Nd}\p{Nl}\p{No}]", WORDS], []),
}
FIRST_SPECIALS = {'falcon': FALCON_SPECIALS, 'gpt-2': ['<|endoftext|>'], 'starcoder': CODE_SPECIALS}
LAST_SPECIALS = {'falcon': CHAT, 'gpt-2': [], 'starcoder': []}


def byte_characters():
    """Byte -> the character that stands for it in vocabularies."""
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {b: chr(b) for b in shown}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(shown))
    return table


BYTE_CHARACTER = byte_characters()


def split(pieces, rule):
    out = []
    for piece in pieces:
        last = 0
        for found in regex.finditer(rule, piece):
            out += [piece[last:found.start()], found.group()]
            last = found.end()
        out.append(piece[last:])
    return [piece for piece in out if piece]


def merge(word, first, second):
    out, i = [], 0
    while i < len(word):
        if word[i:i + 2] == [first, second]:
            out.append(first + second)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, kind, size):
        self.kind = kind
        self.specials = FIRST_SPECIALS[kind] + LAST_SPECIALS[kind]
        self.vocabulary, self.merges = self.train(size)
        self.ids = {token: i for i, token in enumerate(self.vocabulary)}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        names = sorted(self.specials, key=len, reverse=True)
        self.special_rule = regex.compile('|'.join(regex.escape(name) for name in names))

    def pretokenize(self, text):
        """-> pieces, as characters that stand for bytes."""
        on_text, on_bytes = RULES[self.kind]
        pieces = [text]
        for rule in on_text:
            pieces = split(pieces, rule)
        pieces = [''.join(BYTE_CHARACTER[b] for b in piece.encode()) for piece in pieces]
        for rule in on_bytes:
            pieces = split(pieces, rule)
        return pieces

    def train(self, size):
        words = collections.Counter(tuple(piece) for piece in self.pretokenize(TEXT))
        vocabulary = FIRST_SPECIALS[self.kind] + [BYTE_CHARACTER[b] for b in range(256)]
        merges = []
        while len(vocabulary) < size - len(LAST_SPECIALS[self.kind]):
            pairs = collections.Counter()
            for word, count in words.items():
                for pair in zip(word, word[1:]):
                    pairs[pair] += count
            pair, _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
            merges.append(pair)
            if pair[0] + pair[1] not in vocabulary:
                vocabulary.append(pair[0] + pair[1])
            merged = collections.Counter()
            for word, count in words.items():
                merged[tuple(merge(list(word), *pair))] += count
            words = merged
        return vocabulary + LAST_SPECIALS[self.kind], merges

    def encode_piece(self, piece):
        word = [c for c in piece if c in self.ids]
        while len(word) > 1:
            pair = min(zip(word, word[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
            if pair not in self.rank:
                break
            word = merge(word, *pair)
        return [self.ids[part] for part in word]

    def encode(self, text):
        """-> ids; names of control tokens are recognised."""
        out, last = [], 0
        for found in self.special_rule.finditer(text):
            for piece in self.pretokenize(text[last:found.start()]):
                out += self.encode_piece(piece)
            out.append(self.ids[found.group()])
            last = found.end()
        for piece in self.pretokenize(text[last:]):
            out += self.encode_piece(piece)
        return out

    def json(self, merges_as_pairs=False):
        byte_level = dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=True)
        stages = {
            'falcon': [dict(type='Punctuation', behavior='Contiguous'), byte_level,
                       dict(type='Digits', individual_digits=False),
                       dict(type='Split', pattern=dict(Regex='[0-9][0-9][0-9]'), behavior='Isolated', invert=False)],
            'gpt-2': [byte_level],
            'starcoder': [dict(type='Digits', individual_digits=True), byte_level]}[self.kind]
        added = [dict(id=self.ids[name], content=name, single_word=False, lstrip=False, rstrip=False, normalized=False,
                      special=True) for name in self.specials]
        return dict(version='1.0', truncation=None, padding=None, added_tokens=added, normalizer=None,
                    pre_tokenizer=stages[0] if len(stages) == 1 else dict(type='Sequence', pretokenizers=stages),
                    post_processor=dict(type='ByteLevel', add_prefix_space=True, trim_offsets=False, use_regex=True),
                    decoder=dict(type='ByteLevel', add_prefix_space=False, trim_offsets=True, use_regex=True),
                    model=dict(type='BPE', dropout=None, unk_token=None, continuing_subword_prefix=None,
                               end_of_word_suffix=None, fuse_unk=False, vocab=self.ids,
                               merges=[list(m) if merges_as_pairs else ' '.join(m) for m in self.merges]))
