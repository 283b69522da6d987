"""Golden texts: how each rule splits them, and the ids that tiny vocabularies give them.

Owns the texts and the two places where Hugging Face's libraries know other characters than the module `regex`; the
vocabularies and the encoder are those of ../tiny_tokenizer.py, which share nothing with the C sources.

    apt-get install python3-regex
    /usr/bin/python3 tests/golden/text/make_text.py
"""
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tiny_tokenizer  # noqa: E402

# Punctuation of Unicode 8 in the crate unicode_categories, against the tables of today: what the texts use of it.
NOT_PUNCTUATION = '\u2e43\u2e4f\u2e52\u0a76\U0001144b\U00010f55'
PUNCTUATION_TOO = '\u166d\U000111c9'
MISSING_BYTES = [0x03, 0x04, 0x1d, 0x7f, 0xc0, 0xc1] + list(range(0xf5, 0x100))  # of the vocabulary for falcon

TEXTS = [
    '', ' ', '  ', '\n', '\r\n', '\t', 'a', ' a', 'a ', '  a', 'a  b', 'a \n b', 'a\r\n\r\nb', '\x00', 'a\x00b', '\x7f',
    '\x01\x02\x03 \x04', '\x1c\x1d\x1e\x1f', 'a\x85b', 'a\xa0b', '\xa0\xa0b', 'a\u180eb', 'a\u180e \u180eb', 'a\u2028b',
    'a\u2029 b', '\ufeffBOM', 'zero\u200bwidth', 'thin\u2009space', 'a\u3000\u3000b', ' \u202f\u205f\u1680x', 'tab\t\tx',
    "I'll they've IT'S we're 'twas o'clock", "''s 's's' 't", "don\u2019t", " 'm'd're", "'ll'", "x'S'T",
    '1234567', '1 12 123 1234 12345', 'a1b22c333d4444', '12.345,678e9', '\u0661\u0662\u0663\u0664', '\u0967\u0968\u0969 12',
    '\u2160\u2161\u2162\u216f', 'x\u00b2+y\u00b3=\u00bd\u00bc\u00be', '\u00b9\u00b2\u00b3', '1\u00b2345\u00b3', '\u2460\u2461 \u3007',
    '\u4e00\u4e8c\u4e09 123', '\U0001d7ce\U0001d7cf', '1\u0662\uff13',
    '...!!!???', '$1,000.00+2=3', '<|endoftext|>', '<start_user>Hi<end_message>', '>>TITLE<<>>', 'x<|endoftext|>y',
    '>>TITLE', '<|endoftext', '<start_user', '>>SUMMARY<<text>>PREFIX<<', '<end_message><end_message>', '<fim_prefix>def',
    '`x^2~y|z`', '_a_b__c', '\u00a1Hola! \u00bfQu\u00e9?', '\u00abguillemets\u00bb \u201equoted\u201c', 'a\u2014b\u2013c',
    'x\u2e52y \u2e43', ' \u166d\u111c', '\U000111c9 \U0001144b', 'a\u0a76b',
    'e\u0301 a\u0308\u0323', '\u0301alone', 'na\u0308ive', '\u1e9e \u01c5 \u0130 \ufb01', '\u0928\u092e\u0938\u094d\u0924\u0947',
    '\u0627\u0644\u0639\u0631\u0628\u064a\u0629', '\u05e2\u05d1\u05e8\u05d9\u05ea', '\u0e44\u0e17\u0e22', '\u65e5\u672c\u8a9e\u306e\u6587',
    '\ud55c\uad6d\uc5b4', '\u6211\u60f3\u5728apple\u5de5\u4f5c1314151\u5929\uff5e', '\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308',
    '\U0001f642\U0001f643 \U0001f600!', '\u2705\ufe0f', '\U0001f1eb\U0001f1f7', '\ue000\uf8ff', '\ufffd', '\U0010ffff', '\u0378',
    'def fly(height, speed=42):\n    for step in range(100):\n        height += speed * 0.5  # metres\n',
    '{"height": [1, 2, 3], "ok": true}\n\n\n\n', 'The falcon flies at dawn, and it returns at dusk.', 'the' * 60, ' ' * 100, '-' * 70,
    b'\xff', b'\xff\xfe', b'a\xffb', b'a \xff b', b'a  \xff', b'\xe2\x82', b'\xe2\x82a', b'\xe2(\xa1', b'\xed\xa0\x80\xed\xb0\x80', b'\xc0\x80',
    b'\xf0\x9f\x98', b'\xf0\x9f\x98\x80\x80', b'\xf4\x90\x80\x80', b'\xb2\xb3', b'12\xb2\xb3 34', b'caf\xe9 \xa0 x', b"don\x92t", b'<start_user>\xff<end_message>',
    b'\xe0\x80\xaf', b'\xfe\xfe\xff\xff', b'12\xff34567', b'...\xc3', b'\xc3\xa9\xc3',
]
POOLS = [' ', '  ', '\n', '\r\n', '\t', '\xa0', '\u2003', '\u2028', '\ufeff', '\u180e', 'a', 'Falcon', 'le', '\u00e9', 'e\u0301', '\u0416',
         '\u4e16', '\u0e17', '1', '23', '4567', '\u0663', '\u2167', '\u00bd', '\u00b2', '.', '...', '?!', '(', '">', '$', '+=', '^', '`', "'s", "'ll", "'",
         '\u2019', '\u3002', '\u166d', '\u2e52', '\U0001f600', '\u200d', '<|endoftext|>', '>>TITLE<<', '<start_user>', '\x00', '\x1f']
BAD = [b'\xff', b'\xc3', b'\xe2\x82', b'\xed\xa0\x80', b'\xb2', b'\xf0\x9f']


def random_text(source):
    parts = [source.choice(POOLS).encode() for _ in range(source.randint(2, 14))]
    if source.random() < 0.2:
        parts.insert(source.randrange(len(parts)), source.choice(BAD))
    return b''.join(parts)


def use_hugging_face_classes():
    word = r"[[\p{P}$+<=>^`|~" + PUNCTUATION_TOO + r"]--[" + NOT_PUNCTUATION + r"]]+"
    on_text, on_bytes = tiny_tokenizer.RULES['falcon']
    tiny_tokenizer.RULES['falcon'] = (['(?V1)' + word] + on_text[1:], on_bytes)


def pieces_of(tokenizer, text):
    """Valid UTF-8 is split by the rule; each byte that is none is a piece of its own."""
    out, valid = [], ''
    for c in text.decode('utf-8', errors='surrogateescape'):
        if '\udc80' <= c <= '\udcff':
            out += tokenizer.pretokenize(valid) + [tiny_tokenizer.BYTE_CHARACTER[ord(c) - 0xdc00]]
            valid = ''
        else:
            valid += c
    return out + tokenizer.pretokenize(valid)


def encode(tokenizer, text, specials):
    names = [name.encode() for name in tokenizer.specials] if specials else []
    out, at, last = [], 0, 0
    while at < len(text):
        found = max((n for n in names if text.startswith(n, at)), key=len, default=None)
        if not found:
            at += 1
            continue
        for piece in pieces_of(tokenizer, text[last:at]):
            out += tokenizer.encode_piece(piece)
        out.append(tokenizer.ids[found.decode()])
        at = last = at + len(found)
    for piece in pieces_of(tokenizer, text[last:]):
        out += tokenizer.encode_piece(piece)
    return out


def case(tokenizer, text):
    pieces = pieces_of(tokenizer, text)
    return {'text': text.hex(), 'splits': [len(piece) for piece in pieces],
            'dropped': sum(c not in tokenizer.ids for piece in pieces for c in piece),
            'ids': encode(tokenizer, text, True), 'ids_plain': encode(tokenizer, text, False)}


def remove_bytes(tokenizer):
    """Takes the missing bytes, and all that is made of them, out of the vocabulary."""
    gone = {tiny_tokenizer.BYTE_CHARACTER[b] for b in MISSING_BYTES}
    kept = [t for t in tokenizer.vocabulary if t in tokenizer.specials or not gone & set(t)]
    tokenizer.vocabulary = kept
    tokenizer.merges = [m for m in tokenizer.merges if not gone & set(m[0] + m[1])]
    tokenizer.ids = {token: i for i, token in enumerate(kept)}
    tokenizer.rank = {pair: i for i, pair in enumerate(tokenizer.merges)}


def main():
    use_hugging_face_classes()
    texts = [text.encode() if isinstance(text, str) else text for text in TEXTS]
    source = random.Random(2023)
    texts += [random_text(source) for _ in range(150)]
    tiny_tokenizer.TEXT += '\n'.join(text.decode('utf-8', errors='ignore') for text in texts[:len(TEXTS)]) * 3
    for kind in tiny_tokenizer.RULES:
        tokenizer = tiny_tokenizer.Tokenizer(kind, 900)
        if kind == 'falcon':
            remove_bytes(tokenizer)
        folder = HERE / kind
        folder.mkdir(exist_ok=True)
        dump = dict(ensure_ascii=True, separators=(',', ':'))
        (folder / 'tokenizer.json').write_text(json.dumps(tokenizer.json(merges_as_pairs=kind == 'gpt-2'), **dump) + '\n')
        lines = [json.dumps(case(tokenizer, text), **dump) for text in texts]
        (folder / 'cases.json').write_text('[\n' + ',\n'.join(lines) + '\n]\n')


if __name__ == '__main__':
    main()
