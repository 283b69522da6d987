"""What the models mean, in PyTorch and float64: Falcon in all variants, StarCoder, the context methods.

Owns the arithmetic behind every expected number; shares nothing with the C sources. Weights are a dictionary from
Hugging Face names to tensors, settings a dictionary with one set of names (make_golden.py turns them into configs).
"""
import math

import torch

torch.set_default_dtype(torch.float64)


# ---------------------------------------------------------------- positions
def frequencies(dim, base, method='none', factor=1.0, original=2048, length=0, beta_fast=32.0, beta_slow=1.0):
    """-> (radians per position [dim / 2], gain of rotated queries and keys)."""
    exponent = dim / (dim - 2)
    if method == 'ntk':
        base = base * factor ** exponent
    elif method in ('ntk-margin', 'ntk-yarn'):
        base = base * (factor + 1) ** exponent
    elif method == 'dynamic-ntk' and length > original:
        base = base * (factor * length / original - (factor - 1)) ** exponent
    f = base ** (-torch.arange(0, dim, 2) / dim)
    if method == 'linear':
        f = f / factor
    elif method in ('ntk-by-parts', 'yarn'):
        # The ramp that released code uses is linear in the pair's index.
        def pair_of(rotations):
            return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))
        low, high = max(math.floor(pair_of(beta_fast)), 0), min(math.ceil(pair_of(beta_slow)), dim - 1)
        slow = ((torch.arange(dim // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
        f = f / factor * slow + f * (1 - slow)
    gain = 1 + 0.1 * math.log(factor) if method in ('yarn', 'ntk-yarn') else 1.0
    return f, gain


def rotation_angles(dim, base, n, context):
    """-> (angles [n, dim / 2], gain). A token is rotated by the frequencies in force when it was fed: `feeds` lists how
    many tokens each feed had; the methods with fixed frequencies do not depend on it."""
    given = dict(context or {})
    feeds = given.pop('feeds', [n])
    rows, gain = [], 1.0
    for size in feeds:
        start = len(rows)
        f, gain = frequencies(dim, base, length=start + size, **given)
        rows += [position * f for position in range(start, start + size)]
    return torch.stack(rows), gain


def rotate(x, angles, gain):
    """x [n, heads, dim]: pair (i, i + dim / 2) turned by angles[:, i]."""
    c, s = torch.cos(angles)[:, None, :], torch.sin(angles)[:, None, :]
    first, second = x.chunk(2, -1)
    return torch.cat([first * c - second * s, second * c + first * s], -1) * gain


def alibi_slopes(n_heads):
    def of_power_of_two(n):
        return [2.0 ** (-8.0 * (i + 1) / n) for i in range(n)]
    n = 2 ** math.floor(math.log2(n_heads))
    slopes = of_power_of_two(n)
    # Further heads take every second slope of the next power of two.
    slopes += of_power_of_two(2 * n)[0::2][:n_heads - n]
    return torch.tensor(slopes)


# ---------------------------------------------------------------- pieces
def layer_norm(x, w, b, epsilon):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred ** 2).mean(-1, keepdim=True) + epsilon) * w + b


def gelu_erf(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def attention(q, k, v, bias=None):
    """q [n, heads, dim], k and v [n, kv heads, dim] -> [n, heads * dim]; causal. bias [heads, 1, n] is added before
    scaling."""
    n, heads, dim = q.shape
    k, v = (t.repeat_interleave(heads // t.shape[1], 1) for t in (k, v))
    scores = torch.einsum('thd,shd->hts', q, k)
    if bias is not None:
        scores = scores + bias
    later = torch.triu(torch.ones(n, n, dtype=torch.bool), 1)
    weights = torch.softmax((scores / math.sqrt(dim)).masked_fill(later, float('-inf')), -1)
    return torch.einsum('hts,shd->thd', weights, v).reshape(n, heads * dim)


def linear(W, name, x):
    y = x @ W[name + '.weight'].T
    return y + W[name + '.bias'] if name + '.bias' in W else y


# ---------------------------------------------------------------- whole models: ids -> logits [n, vocabulary]
def falcon(settings, W, ids, context=None):
    heads, groups, dim = settings['heads'], settings['kv_heads'], settings['head_dim']
    n, layout = len(ids), settings['layout']

    def norm(name, x):
        return layer_norm(x, W[name + '.weight'], W[name + '.bias'], settings['epsilon'])

    if not settings['alibi']:
        angles, gain = rotation_angles(dim, settings['rope_base'], n, context)
    x = W['transformer.word_embeddings.weight'][ids]
    for layer in range(settings['layers']):
        p = 'transformer.h.%d.' % layer
        first = norm(p + ('ln_attn' if settings['two_norms'] else 'input_layernorm'), x)
        qkv = linear(W, p + 'self_attention.query_key_value', first)
        if layout == 'per head':
            t = qkv.view(n, heads, 3, dim)
            q, k, v = t[:, :, 0], t[:, :, 1], t[:, :, 2]
        else:
            t = qkv.view(n, groups, heads // groups + 2, dim)
            q, k, v = t[:, :, :-2].reshape(n, heads, dim), t[:, :, -2], t[:, :, -1]
        bias = None
        if settings['alibi']:
            bias = alibi_slopes(heads)[:, None, None] * torch.arange(n, dtype=torch.float64)
        else:
            q, k = rotate(q, angles, gain), rotate(k, angles, gain)
        attended = linear(W, p + 'self_attention.dense', attention(q, k, v, bias))
        if settings['parallel']:
            second = norm(p + 'ln_mlp', x) if settings['two_norms'] else first
        else:
            x = x + attended
            attended = 0
            second = norm(p + 'post_attention_layernorm', x)
        x = x + attended + linear(W, p + 'mlp.dense_4h_to_h', gelu_erf(linear(W, p + 'mlp.dense_h_to_4h', second)))
    x = norm('transformer.ln_f', x)
    return x @ W.get('lm_head.weight', W['transformer.word_embeddings.weight']).T


def starcoder(settings, W, ids, context=None):
    heads, dim = settings['heads'], settings['head_dim']
    n, width = len(ids), heads * dim
    gelu = gelu_tanh if settings['gelu_tanh'] else gelu_erf

    def norm(name, x):
        return layer_norm(x, W[name + '.weight'], W[name + '.bias'], settings['epsilon'])

    x = W['transformer.wte.weight'][ids] + W['transformer.wpe.weight'][:n]
    for layer in range(settings['layers']):
        p = 'transformer.h.%d.' % layer
        q, k, v = linear(W, p + 'attn.c_attn', norm(p + 'ln_1', x)).split([width, dim, dim], -1)
        x = x + linear(W, p + 'attn.c_proj',
                       attention(q.view(n, heads, dim), k.view(n, 1, dim), v.view(n, 1, dim)))
        x = x + linear(W, p + 'mlp.c_proj', gelu(linear(W, p + 'mlp.c_fc', norm(p + 'ln_2', x))))
    return norm('transformer.ln_f', x) @ W['transformer.wte.weight'].T


# ---------------------------------------------------------------- what a test compares
def score(forward, settings, W, ids, context=None):
    """-> (logits after the last token, log-probabilities of ids[1:])."""
    logits = forward(settings, W, ids, context)
    logs = torch.log_softmax(logits, -1)
    return logits[-1], [logs[i, ids[i + 1]].item() for i in range(len(ids) - 1)]


def continue_greedily(forward, settings, W, ids, count, context=None):
    """-> (tokens drawn, the smallest distance between the best two logits). Tokens drawn are fed one by one."""
    ids, least = list(ids), float('inf')
    given = dict(context, feeds=[len(ids)]) if context else None
    for _ in range(count):
        best = torch.topk(forward(settings, W, ids, given)[-1], 2)
        least = min(least, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
        if given:
            given['feeds'].append(1)
    return ids[-count:], least
