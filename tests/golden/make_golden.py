"""Makes the golden models: tiny checkpoints of every variant and what they must compute.

Usage: make_golden.py [NAME ...]   (no name: all). Writes models/ and rope.json beside this file. Needs torch, numpy and regex;
README.md says how to install them and what the files mean.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch

import gguf_writer
import reference
from tiny_tokenizer import TEXT, Tokenizer

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'models')
CHAT = ('<start_system>You are Alfred.<end_message><start_user>What would the falcon like to know in 2023?<end_message>'
        '<start_assistant>')
CODE = 'def fly(height):\n    return height * 25  # naïve'
LONG = ' '.join(TEXT.split('\n')[1:5])
PROMPTS = [CHAT, 'The falcon', LONG]
METHODS = ['linear', 'ntk', 'ntk-by-parts', 'yarn', 'ntk-margin', 'ntk-yarn', 'dynamic-ntk']
# Two logits closer than this could be ordered otherwise by single precision: such weights are drawn again.
LEAST_GAP = 1e-2
N_GREEDY = 16


# ---------------------------------------------------------------- settings, configs, weights
def settings_of(**given):
    s = dict(architecture='falcon', layers=2, heads=2, kv_heads=1, head_dim=64, vocabulary=320, epsilon=1e-5,
             alibi=False, layout='grouped', two_norms=False, parallel=True, bias=False, rope_base=10000.0,
             has_head=False, gelu_tanh=False, positions=128)
    s.update(given)
    s['width'] = s['heads'] * s['head_dim']
    s.setdefault('ffn', 4 * s['width'])
    return s


def common_config(s):
    return dict(hidden_size=s['width'], vocab_size=s['vocabulary'], layer_norm_epsilon=s['epsilon'], bias=s['bias'],
                alibi=s['alibi'], apply_residual_connection_post_layernorm=False, attention_dropout=0.0,
                hidden_dropout=0.0, initializer_range=0.02, use_cache=True, bos_token_id=11, eos_token_id=11)


def refined_web_config(s, **more):
    """The names of the first Falcon checkpoints."""
    return dict(common_config(s), architectures=['RWForCausalLM'], n_layer=s['layers'], n_head=s['heads'], **more)


def falcon_config(s, **more):
    return dict(common_config(s), architectures=['FalconForCausalLM'], model_type='falcon',
                num_hidden_layers=s['layers'], num_attention_heads=s['heads'], num_kv_heads=s['kv_heads'], **more)


def starcoder_config(s, **more):
    return dict(architectures=['GPTBigCodeForCausalLM'], model_type='gpt_bigcode', n_embd=s['width'], n_head=s['heads'],
                n_layer=s['layers'], n_inner=None, n_positions=s['positions'], vocab_size=s['vocabulary'],
                layer_norm_epsilon=s['epsilon'], multi_query=True, bos_token_id=0, eos_token_id=0, **more)


def draw_weights(s, seed):
    """Spread so that attention, ffn and positions all move the logits, and logits differ by a few units."""
    rng, W = np.random.default_rng(seed), {}
    n, ff, qkv_rows = s['width'], s['ffn'], (s['heads'] + 2 * s['kv_heads']) * s['head_dim']

    def vectors(name):
        W[name + '.weight'] = 1 + 0.2 * rng.standard_normal(n)
        W[name + '.bias'] = 0.2 * rng.standard_normal(n)

    def matrix(name, rows, columns, spread=1.5):
        W[name + '.weight'] = spread / np.sqrt(columns) * rng.standard_normal((rows, columns))

    def layer(names, rows, columns):
        matrix(names, rows, columns)
        if s['bias']:
            W[names + '.bias'] = 0.1 * rng.standard_normal(rows)

    is_falcon = s['architecture'] == 'falcon'
    matrix('transformer.word_embeddings' if is_falcon else 'transformer.wte', s['vocabulary'], n, 3.0)
    if not is_falcon:
        matrix('transformer.wpe', s['positions'], n, 3.0)
    names = ('self_attention.query_key_value', 'self_attention.dense', 'mlp.dense_h_to_4h', 'mlp.dense_4h_to_h')
    norms = ['ln_attn', 'ln_mlp'] if s['two_norms'] else ['input_layernorm']
    if not s['parallel']:
        norms.append('post_attention_layernorm')
    if not is_falcon:
        names, norms = ('attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'), ['ln_1', 'ln_2']
    for i in range(s['layers']):
        p = 'transformer.h.%d.' % i
        for name in norms:
            vectors(p + name)
        for name, rows, columns in zip(names, (qkv_rows, n, ff, n), (n, n, n, ff)):
            layer(p + name, rows, columns)
    vectors('transformer.ln_f')
    if s['has_head']:
        matrix('lm_head', s['vocabulary'], n, 3.0)
    return W


# ---------------------------------------------------------------- number types and files
def bf16_bits(a):
    u = a.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype('<u2')


def stored(a, dtype):
    """-> (bytes as written, the values they stand for)."""
    if dtype == 'BF16':
        bits = bf16_bits(a)
        return bits.tobytes(), (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    kind = {'F16': '<f2', 'F32': '<f4'}[dtype]
    return a.astype(kind).tobytes(), a.astype(kind).astype(np.float64)


def rounded(W, dtype):
    return {name: stored(a, dtype)[1] for name, a in W.items()}


def as_tensors(W):
    return {name: torch.tensor(a) for name, a in W.items()}


def write_json(path, data, indent=None):
    with open(path, 'w', encoding='utf-8') as out:
        json.dump(data, out, ensure_ascii=False, indent=indent)
        out.write('\n')


def write_safetensors(path, W, dtype):
    header, blobs, offset = {'__metadata__': {'format': 'pt'}}, [], 0
    for name in sorted(W):
        data = stored(W[name], dtype)[0]
        header[name] = dict(dtype=dtype, shape=list(W[name].shape), data_offsets=[offset, offset + len(data)])
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as out:
        out.write(len(text).to_bytes(8, 'little') + text + b''.join(blobs))


def halves(W):
    """Names in two parts of about equal size."""
    total, parts, seen = sum(a.size for a in W.values()), ([], []), 0
    for name in W:
        parts[0 if seen < total / 2 else 1].append(name)
        seen += W[name].size
    return parts


def write_index(folder, stem, suffix, parts, total):
    files = ['%s-%05d-of-%05d.%s' % (stem, i + 1, len(parts), suffix) for i in range(len(parts))]
    index = dict(metadata=dict(total_size=total), weight_map={n: f for f, part in zip(files, parts) for n in part})
    write_json(os.path.join(folder, '%s.%s.index.json' % (stem, suffix)), index, indent=1)
    return [os.path.join(folder, name) for name in files]


def save_safetensors(folder, W, dtype):
    write_safetensors(os.path.join(folder, 'model.safetensors'), W, dtype)


def save_sharded_safetensors(folder, W, dtype):
    parts = halves(W)
    for path, part in zip(write_index(folder, 'model', 'safetensors', parts, 2 * sum(a.size for a in W.values())), parts):
        write_safetensors(path, {name: W[name] for name in part}, dtype)


def save_sharded_bin(folder, W, _):
    """BF16 in two PyTorch archives, with the buffer of rotary frequencies that early checkpoints carry."""
    parts = halves(W)
    for path, part in zip(write_index(folder, 'pytorch_model', 'bin', parts, 2 * sum(a.size for a in W.values())), parts):
        tensors = {name: torch.tensor(W[name]).to(torch.bfloat16) for name in part}
        if part is parts[0]:
            tensors['transformer.h.0.self_attention.rotary_emb.inv_freq'] = torch.ones(16, dtype=torch.float32)
        torch.save(tensors, path)


def save_shared_bin(folder, W, _):
    """F16 in one archive: the head shares the embedding's storage, the norms are slices of one storage."""
    tensors = {name: torch.tensor(a).to(torch.float16) for name, a in W.items() if a.ndim == 2}
    tensors['lm_head.weight'] = tensors['transformer.word_embeddings.weight']
    vectors = {name: a for name, a in W.items() if a.ndim == 1}
    flat, start = torch.tensor(np.concatenate(list(vectors.values()))).to(torch.float16), 0
    for name, a in vectors.items():
        tensors[name] = flat[start:start + a.size]
        start += a.size
    torch.save(tensors, os.path.join(folder, 'pytorch_model.bin'))


# ---------------------------------------------------------------- expectations
class Unsuitable(Exception):
    """A greedy choice is too close, or the answer too monotonous to tell anything."""


def digits(x, n):
    return float('%.*g' % (n, x))


def expect(s, W, prompt, ids, context=None, n_greedy=N_GREEDY):
    forward = {'falcon': reference.falcon, 'starcoder': reference.starcoder}[s['architecture']]
    last, logs = reference.score(forward, s, W, ids, context)
    item = dict(prompt=prompt, ids=ids, last_logits=[digits(x, 7) for x in last.tolist()],
                logprobs=[digits(x, 8) for x in logs], nll=digits(-sum(logs) / len(logs), 12))
    if context and 'feeds' in context:
        return dict(item, feeds=context['feeds'])
    item['greedy'], gap = reference.continue_greedily(forward, s, W, ids, n_greedy, context)
    if gap < LEAST_GAP or len(set(item['greedy'])) < n_greedy // 3:
        raise Unsuitable('gap %g, %d tokens' % (gap, len(set(item['greedy']))))
    return item


def expect_all(s, W, tokenizer, prompts, context=None):
    return [expect(s, W, prompt, tokenizer.encode(prompt), context) for prompt in prompts]


def expect_methods(s, W, tokenizer, methods, original):
    """Every method at factor 4 on a prompt longer than `original`, fed at once."""
    ids, out = tokenizer.encode(LONG), {}
    for method in methods:
        context = dict(method=method, factor=4.0, original=original)
        results = [expect(s, W, LONG, ids, context, n_greedy=8)]
        if method == 'dynamic-ntk':
            feeds = [original - 4, 7] + [1] * 5
            feeds.append(len(ids) - sum(feeds))
            results.append(expect(s, W, LONG, ids, dict(context, feeds=feeds)))
        out[method] = dict(scale=4.0, original_context=original, results=results)
    return out


def suitable(s, dtype, first_seed, expectations):
    """Draws weights until the expectations can be told apart from rounding."""
    for seed in range(first_seed, first_seed + 1000):
        W = rounded(draw_weights(s, seed), dtype)
        try:
            return W, expectations(as_tensors(W)), seed
        except Unsuitable:
            continue
    raise SystemExit('no suitable weights for %s' % s)


def facts(s, **more):
    """What fal_model_info must say."""
    return dict(dict(architecture=s['architecture'], n_layers=s['layers'], n_heads=s['heads'], n_kv_heads=s['kv_heads'],
                     head_dim=s['head_dim'], d_model=s['width'], d_ff=s['ffn'], n_vocab=s['vocabulary']), **more)


def emptied(*parts):
    folder = os.path.join(MODELS, *parts)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def write_folder(name, config, tokenizer, eos, W, save, dtype, expected, merges_as_pairs=False):
    folder = emptied(name)
    names = {'BF16': 'bfloat16', 'F16': 'float16', 'F32': 'float32'}
    write_json(os.path.join(folder, 'config.json'), dict(config, torch_dtype=names[dtype]), indent=1)
    write_json(os.path.join(folder, 'tokenizer.json'), tokenizer.json(merges_as_pairs))
    write_json(os.path.join(folder, 'tokenizer_config.json'),
               dict(tokenizer_class='PreTrainedTokenizerFast', eos_token=eos, model_max_length=2048,
                    add_prefix_space=False))
    save(folder, W, dtype)
    write_expected(folder, dict(stored=dtype.lower(), **expected))
    return folder


def write_variant(folder, name, config, expected=None):
    """A folder with another config.json for the weights beside it; without expected.json the results are the same."""
    os.makedirs(os.path.join(folder, name))
    write_json(os.path.join(folder, name, 'config.json'), config, indent=1)
    if expected:
        write_expected(os.path.join(folder, name), expected)


def write_expected(folder, expected):
    write_json(os.path.join(folder, 'expected.json'), expected)


# ---------------------------------------------------------------- the models
SHAPES = {
    'falcon-7b-like': dict(heads=2, vocabulary=512),
    'falcon-40b-like': dict(layers=1, heads=4, kv_heads=2, head_dim=32, two_norms=True, has_head=True),
    'falcon-11b-like': dict(layers=1, heads=2, kv_heads=2, head_dim=128, ffn=128, rope_base=500042.0, has_head=True, vocabulary=288),
    'falcon-180b-like': dict(layers=1, heads=6, kv_heads=2, head_dim=32, two_norms=True, ffn=256),
    'falcon-rw-like': dict(heads=3, kv_heads=3, head_dim=32, alibi=True, bias=True, parallel=False, layout='per head'),
    'falcon-rw-even': dict(layers=1, heads=4, kv_heads=4, head_dim=16, alibi=True, bias=True, parallel=False, layout='per head'),
    'starcoder-like': dict(architecture='starcoder', layers=1, heads=3, head_dim=32, bias=True, gelu_tanh=True),
}


def make_falcon_7b(name):
    """First key names; num_kv_heads repeats the heads though multi_query leaves one."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('falcon', 512)
    config = refined_web_config(s, model_type='RefinedWebModel', multi_query=True, parallel_attn=True,
                                num_kv_heads=s['heads'])
    W, (plain, methods), seed = suitable(s, 'BF16', 716, lambda W: (
        expect_all(s, W, tokenizer, PROMPTS), expect_methods(s, W, tokenizer, METHODS, 64)))
    about = dict(rope_method='none', rope_factor=1.0, rope_gain=1.0)
    expected = dict(settings=facts(s, trained_context=2048, n_context=2048, **about), default=plain)
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'BF16', expected)
    write_variant(folder, 'variant-context-64', dict(config, max_position_embeddings=64), dict(
        settings=facts(s, trained_context=64, n_context=64, **about), default=plain[-1:], context=methods))
    return seed


def make_falcon_40b(name):
    """Two norms, groups, a head unlike the embedding, shards; Alfred's two ways to name NTK-YaRN."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('falcon', 320)
    config = refined_web_config(s, model_type='RefinedWeb', n_head_kv=s['kv_heads'], parallel_attn=True)
    alfred = dict(config, ntk_scaling_factor=5, embedding_scaling_factor=4, vanilla_scaling_factor=None)
    scaling = dict(type='ntk_yarn', factor=4.0, original_max_position_embeddings=2048)
    context = dict(method='ntk-yarn', factor=4.0, original=2048)
    W, (extended, plain, methods), seed = suitable(s, 'BF16', 4002, lambda W: (
        expect_all(s, W, tokenizer, PROMPTS, context), expect_all(s, W, tokenizer, PROMPTS),
        expect_methods(s, W, tokenizer, ['ntk-by-parts', 'yarn'], 2048)))
    expected = dict(default=extended, settings=facts(
        s, trained_context=2048, n_context=8192, rope_method='ntk-yarn', rope_factor=4.0,
        rope_gain=1 + 0.1 * np.log(4.0)))
    folder = write_folder(name, alfred, tokenizer, '<end_message>', W, save_sharded_safetensors, 'BF16', expected)
    write_variant(folder, 'variant-rope-scaling', dict(alfred, rope_scaling=scaling))
    write_variant(folder, 'variant-plain', dict(config, multi_query=True), dict(
        default=plain, context=methods, settings=facts(
            s, trained_context=2048, n_context=2048, rope_method='none', rope_factor=1.0, rope_gain=1.0)))
    return seed


def make_falcon_11b(name):
    """Groups behind a single norm, heads of 128, another base, a head of its own, an ffn that is not 4 wide."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('falcon', 288)
    config = falcon_config(s, multi_query=True, parallel_attn=True, new_decoder_architecture=True,
                           num_ln_in_parallel_attn=1, ffn_hidden_size=s['ffn'], ff_factor=1, activation='gelu',
                           max_position_embeddings=8192, rope_theta=500042.0, rope_scaling=None,
                           tie_word_embeddings=False)
    W, plain, seed = suitable(s, 'BF16', 1101, lambda W: expect_all(s, W, tokenizer, PROMPTS))
    expected = dict(default=plain, settings=facts(
        s, trained_context=8192, n_context=8192, rope_method='none', rope_factor=1.0, rope_base=500042.0))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'BF16', expected)
    return seed


def make_falcon_180b(name):
    """An odd number of heads per group; F16; merges written as pairs."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('falcon', 320)
    config = falcon_config(s, multi_query=True, parallel_attn=True, new_decoder_architecture=True,
                           ffn_hidden_size=s['ffn'])
    W, plain, seed = suitable(s, 'F16', 18018, lambda W: expect_all(s, W, tokenizer, PROMPTS))
    expected = dict(default=plain, settings=facts(s, trained_context=2048, n_context=2048))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'F16', expected, merges_as_pairs=True)
    return seed


def make_falcon_rw(name):
    """ALiBi, biases, one after the other; a number of heads that is no power of two; GPT-2's rule for splitting and a
    vocabulary padded beyond the tokenizer's."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('gpt-2', 310)
    config = falcon_config(s, multi_query=False, parallel_attn=False, new_decoder_architecture=False)
    config.update(bos_token_id=0, eos_token_id=0)
    W, plain, seed = suitable(s, 'BF16', 1022, lambda W: expect_all(s, W, tokenizer, PROMPTS[1:]))
    expected = dict(default=plain, settings=facts(
        s, trained_context=2048, n_context=2048, rope_method='alibi'))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'BF16', expected)
    return seed


def make_falcon_rw_even(name):
    """As falcon-rw with four heads and F32."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('falcon', 320)
    config = falcon_config(s, multi_query=False, parallel_attn=False, new_decoder_architecture=False)
    W, plain, seed = suitable(s, 'F32', 2083, lambda W: expect_all(s, W, tokenizer, PROMPTS))
    expected = dict(default=plain, settings=facts(
        s, trained_context=2048, n_context=2048, rope_method='alibi'))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'F32', expected)
    return seed


def make_starcoder(name):
    """Learned positions, both forms of GELU."""
    s = settings_of(**SHAPES[name])
    tokenizer = Tokenizer('starcoder', 320)
    config = starcoder_config(s, activation_function='gelu_pytorch_tanh')
    exact = dict(s, gelu_tanh=False)
    W, (tanh, erf), seed = suitable(s, 'F16', 1501, lambda W: (
        expect_all(s, W, tokenizer, [CODE, 'The falcon']), expect_all(exact, W, tokenizer, [CODE, 'The falcon'])))
    about = facts(s, trained_context=s['positions'], n_context=s['positions'], rope_method='learned')
    expected = dict(default=tanh, settings=about)
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_safetensors, 'F16', expected)
    write_variant(folder, 'variant-gelu', dict(config, activation_function='gelu'), dict(default=erf, settings=about))
    return seed


def make_torch_shards(name):
    """Two PyTorch archives with an index."""
    s = settings_of(layers=1, heads=2, head_dim=32)
    tokenizer = Tokenizer('falcon', 320)
    config = refined_web_config(s, model_type='RefinedWebModel', multi_query=True, parallel_attn=True)
    W, plain, seed = suitable(s, 'BF16', 303, lambda W: expect_all(s, W, tokenizer, PROMPTS[:2]))
    expected = dict(default=plain, settings=facts(s))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_sharded_bin, 'BF16', expected)
    return seed


def make_torch_shared(name):
    """One PyTorch archive whose tensors share storage."""
    s = settings_of(layers=1, heads=4, kv_heads=2, head_dim=16, two_norms=True)
    tokenizer = Tokenizer('falcon', 320)
    config = falcon_config(s, multi_query=True, parallel_attn=True, new_decoder_architecture=True)
    W, plain, seed = suitable(s, 'F16', 506, lambda W: expect_all(s, W, tokenizer, PROMPTS[:2]))
    expected = dict(default=plain, settings=facts(s))
    folder = write_folder(name, config, tokenizer, '<|endoftext|>', W, save_shared_bin, 'F16', expected)
    return seed


# ---------------------------------------------------------------- quantized models
def gguf_tensors(s, W):
    """Names, order and rows of a GGUF file: all queries, then all keys, then all values; ln_mlp is attn_norm and ln_attn
    attn_norm_2. -> name -> float64 array."""
    dim, group = s['head_dim'], s['heads'] // s['kv_heads']
    out = {'token_embd.weight': W['transformer.word_embeddings.weight']}
    for i in range(s['layers']):
        p, b = 'transformer.h.%d.' % i, 'blk.%d.' % i
        rows = W[p + 'self_attention.query_key_value.weight'].reshape(s['kv_heads'], group + 2, dim, s['width'])
        for theirs, ours in (('ln_mlp', 'attn_norm'), ('ln_attn', 'attn_norm_2')):
            for part in ('.weight', '.bias'):
                out[b + ours + part] = W[p + theirs + part]
        out[b + 'attn_qkv.weight'] = np.concatenate(
            [t.reshape(-1, s['width']) for t in (rows[:, :group], rows[:, group], rows[:, group + 1])])
        out[b + 'attn_output.weight'] = W[p + 'self_attention.dense.weight']
        out[b + 'ffn_up.weight'] = W[p + 'mlp.dense_h_to_4h.weight']
        out[b + 'ffn_down.weight'] = W[p + 'mlp.dense_4h_to_h.weight']
    out['output_norm.weight'], out['output_norm.bias'] = W['transformer.ln_f.weight'], W['transformer.ln_f.bias']
    return out


def dequantized(s, W, type_name):
    """-> (GGUF tensors, Hugging Face weights with exactly the values that the blocks stand for)."""
    files, exact = {}, {}
    for name, a in gguf_tensors(s, W).items():
        kind = type_name if a.ndim == 2 else 'f32'
        data = gguf_writer.pack(kind, a)
        files[name], exact[name] = (kind, a.shape, data), gguf_writer.unpack(kind, data, a.shape)
    back = {'transformer.word_embeddings.weight': exact['token_embd.weight'],
            'transformer.ln_f.weight': exact['output_norm.weight'], 'transformer.ln_f.bias': exact['output_norm.bias']}
    dim, groups = s['head_dim'], s['kv_heads']
    for i in range(s['layers']):
        p, b = 'transformer.h.%d.' % i, 'blk.%d.' % i
        q, k, v = np.split(exact[b + 'attn_qkv.weight'], [s['width'], s['width'] + groups * dim])
        rows = [t.reshape(groups, -1, dim, s['width']) for t in (q, k, v)]
        back[p + 'self_attention.query_key_value.weight'] = np.concatenate(rows, 1).reshape(-1, s['width'])
        for theirs, ours in (('ln_mlp', 'attn_norm'), ('ln_attn', 'attn_norm_2')):
            for part in ('.weight', '.bias'):
                back[p + theirs + part] = exact[b + ours + part]
        for theirs, ours in (('self_attention.dense', 'attn_output'), ('mlp.dense_h_to_4h', 'ffn_up'),
                             ('mlp.dense_4h_to_h', 'ffn_down')):
            back[p + theirs + '.weight'] = exact[b + ours + '.weight']
    return files, back


def gguf_metadata(s, tokenizer, type_name):
    return {'general.architecture': 'falcon', 'general.name': 'Falcon', 'falcon.context_length': 2048,
            'falcon.tensor_data_layout': 'jploski', 'falcon.embedding_length': s['width'],
            'falcon.feed_forward_length': s['ffn'], 'falcon.block_count': s['layers'],
            'falcon.attention.head_count': s['heads'], 'falcon.attention.head_count_kv': s['kv_heads'],
            'falcon.attention.layer_norm_epsilon': s['epsilon'],
            'general.file_type': gguf_writer.FILE_TYPES[type_name], 'tokenizer.ggml.model': 'gpt2',
            'tokenizer.ggml.pre': 'falcon', 'tokenizer.ggml.tokens': tokenizer.vocabulary,
            'tokenizer.ggml.token_type': [3 if t in tokenizer.specials else 1 for t in tokenizer.vocabulary],
            'tokenizer.ggml.merges': [' '.join(m) for m in tokenizer.merges], 'tokenizer.ggml.bos_token_id': 11,
            'tokenizer.ggml.eos_token_id': 11, 'general.quantization_version': 2}


def quantized_files(s, tokenizer, types, first_seed, expected):
    """-> type -> tensors, from the first weights whose answers are clear in every type."""
    for seed in range(first_seed, first_seed + 1000):
        W, files = rounded(draw_weights(s, seed), 'F32'), {}
        try:
            for type_name in types:
                files[type_name], exact = dequantized(s, W, type_name)
                expected[type_name] = dict(settings=facts(s), default=expect_all(
                    s, as_tensors(exact), tokenizer, PROMPTS[:1]))
            return files, seed
        except Unsuitable:
            continue
    raise SystemExit('no suitable weights for %s' % s)


def make_quantized(name):
    """One GGUF per number type; the logits are those of the dequantized weights. Blocks of 32 come in rows of four and
    of five blocks, blocks of 256 in rows of one."""
    tokenizer = Tokenizer('falcon', 288)
    folder, expected = emptied(name), {}
    given = dict(layers=1, heads=4, kv_heads=2, two_norms=True, vocabulary=288)
    for block, first_seed, shape in ((32, 9000, dict(head_dim=32, ffn=160)), (256, 9504, dict(head_dim=64, ffn=256))):
        s = settings_of(**given, **shape)
        types = [name for name, row in gguf_writer.BLOCKS.items() if row[0] == block]
        files, seed = quantized_files(s, tokenizer, types, first_seed, expected)
        for type_name, tensors in files.items():
            gguf_writer.write(os.path.join(folder, type_name + '.gguf'), gguf_metadata(s, tokenizer, type_name), tensors)
    write_expected(folder, expected)
    return seed


def make_rope(name):
    """Frequencies and gain of each method with fixed frequencies."""
    about = dict(head_dim=64, base=10000.0, s=4.0, original_context=2048, beta_slow=1, beta_fast=32)
    methods = {}
    for method in ['none'] + METHODS[:-1]:
        f, gain = reference.frequencies(64, 10000.0, method, 4.0, 2048)
        methods[method] = dict(inverse_frequencies=f.tolist(), scale=gain)
    write_json(os.path.join(os.path.dirname(MODELS), name + '.json'), dict(about, methods=methods), indent=1)
    return 0


MAKERS = {'falcon-7b-like': make_falcon_7b, 'falcon-40b-like': make_falcon_40b, 'falcon-11b-like': make_falcon_11b,
          'falcon-180b-like': make_falcon_180b, 'falcon-rw-like': make_falcon_rw,
          'falcon-rw-even': make_falcon_rw_even, 'starcoder-like': make_starcoder, 'torch-shards': make_torch_shards,
          'torch-shared': make_torch_shared, 'quantized': make_quantized, 'rope': make_rope}


def main():
    torch.set_num_threads(2)
    for name in sys.argv[1:] or MAKERS:
        print('%s: seed %d' % (name, MAKERS[name](name)), flush=True)


if __name__ == '__main__':
    main()
