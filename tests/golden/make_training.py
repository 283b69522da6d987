"""Makes the golden losses and gradients: what one training step on two packed sequences gives for the golden models, and
the losses of ten steps of AdamW, by automatic differentiation in float64.

Usage: make_training.py [NAME ...]   (no name: all). Reads models/, writes training/. README.md says what the files mean.
"""
import json
import os
import sys

import numpy as np
import torch

import make_golden
import reference

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTHS = [37, 24]
N_SIGNS, N_ENTRIES, N_STEPS = 8, 4, 10
ADAMW = dict(learning_rate=1e-4, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1)
NTK_YARN = dict(method='ntk-yarn', factor=4.0, original=2048)
ORIGINAL = 16  # of the methods: shorter than the sequences
# model, variant whose config.json is meant, context methods (None: as the model says), z-loss
CASES = {
    'falcon-7b-like': ('', [None], 0.0),
    'falcon-7b-like-methods': ('', [dict(method=m, factor=4.0, original=ORIGINAL) for m in make_golden.METHODS], 0.0),
    'falcon-40b-like': ('', [NTK_YARN], 1e-3),
    'falcon-11b-like': ('', [None], 0.0),
    'falcon-180b-like': ('', [None], 1e-4),
    'falcon-rw-like': ('', [None], 0.0),
    'falcon-rw-even': ('', [None], 0.0),
    'starcoder-like': ('', [None], 0.0),
    'starcoder-like-gelu': ('variant-gelu', [None], 0.0),
}
DTYPES = {'F32': '<f4', 'F16': '<f2'}


def read_safetensors(path):
    with open(path, 'rb') as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), 'little')))
        data, W = f.read(), {}
    header.pop('__metadata__', None)
    for name, t in header.items():
        blob = data[t['data_offsets'][0]:t['data_offsets'][1]]
        if t['dtype'] == 'BF16':
            a = (np.frombuffer(blob, '<u2').astype(np.uint32) << 16).view(np.float32)
        else:
            a = np.frombuffer(blob, DTYPES[t['dtype']])
        W[name] = torch.tensor(a.astype(np.float64).reshape(t['shape']))
    return W


def read_weights(folder):
    W = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.safetensors'):
            W.update(read_safetensors(os.path.join(folder, name)))
    return W


# ---------------------------------------------------------------- names and rows of GGUF files
def names_of(s):
    """-> Hugging Face name without .weight or .bias -> GGUF name."""
    falcon = s['architecture'] == 'falcon'
    out = {'transformer.word_embeddings' if falcon else 'transformer.wte': 'token_embd', 'transformer.wpe': 'position_embd',
           'transformer.ln_f': 'output_norm', 'lm_head': 'output'}
    inner = {'input_layernorm': 'attn_norm', 'ln_mlp': 'attn_norm', 'ln_attn': 'attn_norm_2', 'ln_1': 'attn_norm',
             'self_attention.query_key_value': 'attn_qkv', 'attn.c_attn': 'attn_qkv', 'self_attention.dense': 'attn_output',
             'attn.c_proj': 'attn_output', 'post_attention_layernorm': 'ffn_norm', 'ln_2': 'ffn_norm',
             'mlp.dense_h_to_4h': 'ffn_up', 'mlp.c_fc': 'ffn_up', 'mlp.dense_4h_to_h': 'ffn_down', 'mlp.c_proj': 'ffn_down'}
    for layer in range(s['layers']):
        out.update({'transformer.h.%d.%s' % (layer, theirs): 'blk.%d.%s' % (layer, ours) for theirs, ours in inner.items()})
    return out


def in_file_order(s, name, a):
    """All queries, then all keys, then all values."""
    if 'query_key_value' not in name:
        return a
    groups, dim = s['kv_heads'], s['head_dim']
    t = a.reshape(groups, s['heads'] // groups + 2, dim, -1)
    columns = t.shape[-1]
    parts = [t[:, :-2].reshape(-1, columns), t[:, -2].reshape(-1, columns), t[:, -1].reshape(-1, columns)]
    return np.concatenate(parts).reshape(a.shape)


# ---------------------------------------------------------------- the batch, its loss, AdamW
def draw_batch(s, seed):
    """Random tokens; a token's target is the next one, the last of a sequence has none; some weigh nothing or half."""
    rng, starts = np.random.default_rng(seed), [0]
    batch = dict(tokens=[], positions=[], targets=[], weights=[])
    for n in LENGTHS:
        ids = rng.integers(0, s['vocabulary'], n).tolist()
        batch['tokens'] += ids
        batch['positions'] += range(n)
        batch['targets'] += ids[1:] + [0]
        batch['weights'] += rng.choice([0.0, 0.5, 1.0], n - 1, p=[0.3, 0.2, 0.5]).tolist() + [0.0]
        starts.append(starts[-1] + n)
    return dict(batch, starts=starts)


def loss_of(s, W, batch, context, z_loss):
    """-> (loss with and without the z-loss, nll per token). Each sequence is computed alone: packing must not show."""
    forward = {'falcon': reference.falcon, 'starcoder': reference.starcoder}[s['architecture']]
    total, plain, nll = 0.0, 0.0, []
    for first, end in zip(batch['starts'], batch['starts'][1:]):
        logits = forward(s, W, batch['tokens'][first:end], context)
        log_sums = torch.logsumexp(logits, -1)
        for i in range(first, end):
            weight = batch['weights'][i]
            one = log_sums[i - first] - logits[i - first, batch['targets'][i]]
            nll.append(one.item() if weight else 0.0)
            if weight:
                plain += weight * one.item()
                total = total + weight * (one + z_loss * log_sums[i - first] ** 2)
    return total / sum(batch['weights']), plain / sum(batch['weights']), nll


def step(W, moments, number):
    """One step of AdamW, written out; matrices decay."""
    a = ADAMW
    for name, w in W.items():
        m, v = moments.setdefault(name, (torch.zeros_like(w), torch.zeros_like(w)))
        m = a['beta1'] * m + (1 - a['beta1']) * w.grad
        v = a['beta2'] * v + (1 - a['beta2']) * w.grad ** 2
        moments[name] = (m.detach(), v.detach())
        m, v = m / (1 - a['beta1'] ** number), v / (1 - a['beta2'] ** number)
        decay = a['weight_decay'] if w.ndim == 2 else 0.0
        with torch.no_grad():
            w -= a['learning_rate'] * (m / (torch.sqrt(v) + a['epsilon']) + decay * w)
        w.grad = None


# ---------------------------------------------------------------- gradients in few numbers
def signs(count, k):
    """The k-th row of signs: that of a mixed index. Its product with a difference is, in the mean over k of the squares,
    the square of the difference's length."""
    i = np.arange(1, count + 1, dtype=np.uint64)
    x = i * np.uint64(0x9e3779b97f4a7c15) + np.uint64(k * 0xd1342543de82ef95 & 0xffffffffffffffff)
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xd6e8feb86659fd93)
    x = x ^ (x >> np.uint64(32))
    return np.where(x >> np.uint64(63), -1.0, 1.0)


def told(a):
    flat = a.reshape(-1)
    return dict(norm=make_golden.digits(float(np.sqrt((flat ** 2).sum())), 12),
                signs=[make_golden.digits(float(signs(flat.size, k) @ flat), 12) for k in range(N_SIGNS)],
                entries=[[int(i), make_golden.digits(float(flat[i]), 10)]
                         for i in np.linspace(0, flat.size - 1, N_ENTRIES).astype(int)])


def expect(s, W, batch, context, z_loss):
    W = {name: w.clone().requires_grad_() for name, w in W.items()}
    moments, losses, names, gradients = {}, [], names_of(s), {}
    for number in range(N_STEPS + 1):
        loss, plain, nll = loss_of(s, W, batch, context, z_loss)
        losses.append(make_golden.digits(plain, 14))
        if number == N_STEPS:
            break
        loss.backward()
        if number == 0:
            first_nll = nll
            for name, w in W.items():
                stem, part = name.rsplit('.', 1)
                gradients['%s.%s' % (names[stem], part)] = told(in_file_order(s, name, w.grad.numpy()))
        step(W, moments, number + 1)
    return dict(context=context, z_loss=z_loss, losses=losses, nll=[make_golden.digits(x, 12) for x in first_nll],
                gradients=gradients)


def make(case):
    variant, contexts, z_loss = CASES[case]
    model = next(name for name in sorted(make_golden.SHAPES, key=len, reverse=True) if case.startswith(name))
    s = make_golden.settings_of(**make_golden.SHAPES[model])
    if variant:
        s['gelu_tanh'] = False
    W = read_weights(os.path.join(HERE, 'models', model))
    if not s['has_head']:
        W.pop('lm_head.weight', None)
    batch = draw_batch(s, len(case))
    results = [expect(s, W, batch, context, z_loss) for context in contexts]
    make_golden.write_json(os.path.join(HERE, 'training', case + '.json'),
                           dict(model=model, variant=variant, adamw=ADAMW, batch=batch, results=results))
    return [[r['losses'][0], r['losses'][-1]] for r in results]


def main():
    torch.set_num_threads(1)
    for case in sys.argv[1:] or CASES:
        print('%s: %s' % (case, make(case)), flush=True)


if __name__ == '__main__':
    main()
