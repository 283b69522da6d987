"""Golden vocabularies: what training makes of a few texts, by the plainest algorithm that counts all pairs anew each time.

Of pairs that stand side by side equally often, the one with the smallest ids is merged, left before right.

    /usr/bin/python3 tests/golden/text/make_trained.py
"""
import collections
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tiny_tokenizer  # noqa: E402

# Runs that overlap with themselves, alone and next to others.
EXTRA = ['aaaa aaaaa aaa aaaaaaa aaaaaaaaaaa', 'abc xab yab bcz bcz bcz abcabc', ' ' * 40 + '\n\n\n\n', '1234567 1234 12345',
         'zabab zabab ababz xabaz aba ababa', 'Ünïcödé Ünïcödé naïve naïve', '']
CONTROLS = ['<|endoftext|>', '<start_user>']


def train(texts, kind, n_tokens, min_count):
    rules = tiny_tokenizer.RULES
    splitter = tiny_tokenizer.Tokenizer.__new__(tiny_tokenizer.Tokenizer)
    splitter.kind = kind
    assert kind in rules
    tokens = CONTROLS + sorted(tiny_tokenizer.BYTE_CHARACTER.values())
    ids = {token: i for i, token in enumerate(tokens)}
    words = collections.Counter(tuple(ids[c] for c in piece) for text in texts for piece in splitter.pretokenize(text))
    merges = []
    while len(tokens) < n_tokens:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        pair, count = min(pairs.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
        if count < min_count:
            break
        text = tokens[pair[0]] + tokens[pair[1]]
        assert text not in ids
        ids[text] = len(tokens)
        tokens.append(text)
        merges.append(pair)
        merged = collections.Counter()
        for word, count in words.items():
            merged[replace(word, pair, ids[text])] += count
        words = merged
    return tokens, [tokens[left] + ' ' + tokens[right] for left, right in merges]


def replace(word, pair, product):
    out, i = [], 0
    while i < len(word):
        found = word[i:i + 2] == pair
        out.append(product if found else word[i])
        i += 2 if found else 1
    return tuple(out)


def main():
    lines = tiny_tokenizer.TEXT.split('\n') + EXTRA
    cases = []
    for kind, n_tokens, min_count in (('falcon', 420, 2), ('gpt-2', 380, 1), ('starcoder', 2000, 2)):
        texts = [tiny_tokenizer.TEXT] + EXTRA if kind == 'gpt-2' else lines
        tokens, merges = train(texts, kind, n_tokens, min_count)
        cases.append({'pretokenizer': kind, 'n_tokens': n_tokens, 'min_count': min_count, 'texts': texts,
                      'controls': CONTROLS, 'tokens': tokens, 'merges': merges})
    dumped = ',\n'.join(json.dumps(case, ensure_ascii=True, separators=(',', ':')) for case in cases)
    (HERE / 'trained.json').write_text('[\n' + dumped + '\n]\n')


if __name__ == '__main__':
    main()
