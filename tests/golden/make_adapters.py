"""Makes the golden adapters: LoRA folders in the form of PEFT for some golden models, and what the merged models compute.

Usage: make_adapters.py [NAME ...]   (no name: all). Writes adapters/ beside this file, after make_golden.py. An adapter is
merged here as its method says, W + scale * B A in the checkpoint's own row order; nothing is shared with the C sources.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch

from make_golden import MODELS, PROMPTS, SHAPES, Unsuitable, as_tensors, expect, settings_of, stored, write_json, \
    write_safetensors
from tiny_tokenizer import Tokenizer

ADAPTERS = os.path.join(os.path.dirname(MODELS), 'adapters')
PREFIX = 'base_model.model.'
KINDS = {'BF16': ('<u2', lambda a: (a.astype(np.uint32) << 16).view(np.float32)), 'F16': ('<f2', None),
         'F32': ('<f4', None)}


# ---------------------------------------------------------------- the model
def read_safetensors(path):
    with open(path, 'rb') as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], 'little')
    header, W = json.loads(data[8:start]), {}
    header.pop('__metadata__', None)
    for name, about in header.items():
        kind, widen = KINDS[about['dtype']]
        begin, end = about['data_offsets']
        a = np.frombuffer(data[start + begin:start + end], kind)
        W[name] = (widen(a) if widen else a).astype(np.float64).reshape(about['shape'])
    return W


def read_model(name):
    folder, W = os.path.join(MODELS, name), {}
    for file in sorted(os.listdir(folder)):
        if file.endswith('.safetensors'):
            W.update(read_safetensors(os.path.join(folder, file)))
    return W


# ---------------------------------------------------------------- the adapter
def draw(W, modules, ranks, whole, dtype, seed):
    """-> tensors of the adapter, as stored."""
    rng, out = np.random.default_rng(seed), {}
    for name in sorted(W):
        module = name[:-len('.weight')]
        last = module.split('.')[-1]
        if name.endswith('.weight') and last in modules:
            rows, columns = W[name].shape
            rank = ranks.get(last, ranks[''])
            out[PREFIX + module + '.lora_A.weight'] = rng.standard_normal((rank, columns)) / np.sqrt(columns)
            out[PREFIX + module + '.lora_B.weight'] = rng.standard_normal((rows, rank))
        elif name.split('.')[-2] in whole:
            out[PREFIX + name] = W[name] + 0.2 * rng.standard_normal(W[name].shape)
    return {name: stored(a, dtype)[1] for name, a in out.items()}


def merge(W, adapter, scale_of):
    W = dict(W)
    for name, a in adapter.items():
        if name.endswith('.lora_A.weight'):
            module = name[len(PREFIX):-len('.lora_A.weight')]
            b = adapter[name.replace('.lora_A.', '.lora_B.')]
            W[module + '.weight'] = W[module + '.weight'] + scale_of(module, a.shape[0]) * (b @ a)
        elif '.lora_' not in name:
            W[name[len(PREFIX):]] = a
    return W


def config_of(modules, rank, alpha, whole, **more):
    return dict(dict(alpha_pattern={}, auto_mapping=None, base_model_name_or_path='golden', bias='none',
                     fan_in_fan_out=False, inference_mode=True, init_lora_weights=True, layers_pattern=None,
                     layers_to_transform=None, lora_alpha=alpha, lora_dropout=0.05, modules_to_save=whole or None,
                     peft_type='LORA', r=rank, rank_pattern={}, revision=None, target_modules=modules,
                     task_type='CAUSAL_LM', use_dora=False, use_rslora=False), **more)


ALL = ['dense', 'dense_4h_to_h', 'dense_h_to_4h', 'query_key_value']
# model, numbers' type, file, config, scale of a module, prompts, vocabulary of the tokenizer, context
CASES = {
    # The usual one.
    'falcon-7b-like': ('F32', 'safetensors', config_of(ALL, 4, 8, []), lambda module, r: 8 / r, PROMPTS[1:],
                       ('falcon', 512), None),
    # Groups, half of the numbers' width, an alpha of one module's own, its rank too, and a head that was trained whole.
    'falcon-40b-like': ('BF16', 'safetensors', config_of(
        ['query_key_value', 'dense_4h_to_h'], 3, 4, ['lm_head', 'ln_f'], alpha_pattern={'dense_4h_to_h': 2},
        rank_pattern={'dense_4h_to_h': 2}), lambda module, r: 1.0 if module.endswith('4h_to_h') else 4 / r, PROMPTS,
        ('falcon', 320), dict(method='ntk-yarn', factor=4.0, original=2048)),
    # Heads one by one, biases that stay, a PyTorch archive, the scale by the root of the rank.
    'falcon-rw-like': ('F16', 'bin', config_of(ALL, 4, 2, ['post_attention_layernorm'], use_rslora=True),
                       lambda module, r: 2 / np.sqrt(r), PROMPTS[1:], ('gpt-2', 310), None),
}


def write_adapter(folder, adapter, config, dtype, form):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    write_json(os.path.join(folder, 'adapter_config.json'), config, indent=1)
    if form == 'bin':
        kinds = {'BF16': torch.bfloat16, 'F16': torch.float16, 'F32': torch.float32}
        tensors = {name: torch.tensor(a).to(kinds[dtype]) for name, a in adapter.items()}
        torch.save(tensors, os.path.join(folder, 'adapter_model.bin'))
    else:
        write_safetensors(os.path.join(folder, 'adapter_model.safetensors'), adapter, dtype)


def make(name):
    dtype, form, config, scale_of, prompts, rule, context = CASES[name]
    s, W, tokenizer = settings_of(**SHAPES[name]), read_model(name), Tokenizer(*rule)
    ranks = dict(config['rank_pattern'], **{'': config['r']})
    for seed in range(1000):
        adapter = draw(W, config['target_modules'], ranks, config['modules_to_save'] or [], dtype, seed)
        merged = as_tensors(merge(W, adapter, scale_of))
        try:
            results = [expect(s, merged, prompt, tokenizer.encode(prompt), context) for prompt in prompts]
            break
        except Unsuitable:
            continue
    folder = os.path.join(ADAPTERS, name)
    write_adapter(folder, adapter, config, dtype, form)
    write_json(os.path.join(folder, 'expected.json'), dict(default=results))
    return seed


if __name__ == '__main__':
    for name in sys.argv[1:] or CASES:
        print('%s: seed %d' % (name, make(name)))
