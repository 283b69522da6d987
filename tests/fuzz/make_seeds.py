#!/usr/bin/env python3
"""Writes the hand-made seeds of corpus/: small valid files and one file per kind of damage. What fuzzing adds lies beside
them under the hash of its contents. Usage: make_seeds.py, in any folder."""
import hashlib
import json
import pathlib
import pickletools
import struct
import zlib

corpus = pathlib.Path(__file__).parent / "corpus"


def write(name, seeds):
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed, data in seeds.items():
        (folder / seed).write_bytes(data)


# GGUF: (key, type, bytes of the value), (name, dims innermost first, type, offset)
def length(version, n):
    return struct.pack("<I" if version == 1 else "<Q", n % 2 ** (32 if version == 1 else 64))


def text(version, data):
    return length(version, len(data)) + data


def gguf(version=3, values=(), tensors=(), data=b"", n_values=None, n_tensors=None, magic=b"GGUF"):
    out = magic + struct.pack("<I", version)
    out += length(version, len(tensors) if n_tensors is None else n_tensors)
    out += length(version, len(values) if n_values is None else n_values)
    for key, kind, value in values:
        out += text(version, key) + struct.pack("<I", kind) + value
    for name, dims, kind, offset in tensors:
        out += text(version, name) + struct.pack("<I", len(dims))
        out += b"".join(length(version, d) for d in dims) + struct.pack("<IQ", kind, offset)
    if tensors:
        out += bytes(-len(out) % 32) + data
    return out


def array(version, kind, n, data):
    return struct.pack("<I", kind) + length(version, n) + data


def all_values(v):
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    values = [(b"scalar.%d" % k, k, b"\1" * n) for k, n in sizes.items()]
    values += [(b"array.%d" % k, 9, array(v, k, 3, b"\1" * 3 * n)) for k, n in sizes.items()]
    values += [(b"text", 8, text(v, b"falcon")), (b"texts", 9, array(v, 8, 2, text(v, b"a") + text(v, b"")))]
    return values


def write_gguf():
    f32 = [(b"a.weight", (3, 2), 0, 0), (b"b.weight", (32,), 8, 32)]
    seeds = {f"values_v{v}": gguf(v, all_values(v)) for v in (1, 2, 3)}
    seeds.update({f"tensors_v{v}": gguf(v, [], f32, bytes(66)) for v in (1, 2, 3)})
    for kind, (weights, size) in {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
                                  9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176),
                                  14: (256, 210), 15: (256, 292), 20: (32, 18), 23: (256, 136), 30: (1, 2)}.items():
        seeds[f"type_{kind}"] = gguf(3, [], [(b"x", (weights, 1), kind, 0)], bytes(size))
    one = [(b"x", (4,), 0, 0)]
    seeds.update({
        "empty": b"", "header": gguf(), "big_endian": gguf(3 << 24), "version_0": gguf(0), "version_9": gguf(9),
        "forerunner": gguf(magic=b"tjgg"), "tensor_count": gguf(n_tensors=-1), "value_count": gguf(n_values=2 ** 60),
        "key_twice": gguf(3, [(b"a", 0, b"\1")] * 2), "key_empty": gguf(3, [(b"", 0, b"\1")]),
        "key_control": gguf(3, [(b"a\n", 0, b"\1")]), "key_not_utf8": gguf(3, [(b"\xff", 0, b"\1")]),
        "value_type": gguf(3, [(b"a", 13, b"\1" * 8)]), "bool_2": gguf(3, [(b"a", 7, b"\2")]),
        "nested": gguf(3, [(b"a", 9, array(3, 9, 1, b""))]), "long_array": gguf(3, [(b"a", 9, array(3, 12, 2 ** 61, b""))]),
        "long_strings": gguf(3, [(b"a", 9, array(3, 8, 2 ** 61, b""))]),
        "long_string": gguf(3, [(b"a", 8, length(3, 2 ** 63))]),
        "alignment_64": gguf(3, [(b"general.alignment", 4, struct.pack("<I", 64))], one, bytes(64)),
        "alignment_0": gguf(3, [(b"general.alignment", 4, bytes(4))], one, bytes(64)),
        "alignment_type": gguf(3, [(b"general.alignment", 10, bytes(8))], one, bytes(64)),
        "dims_0": gguf(3, [], [(b"x", (), 0, 0)], bytes(32)), "dims_5": gguf(3, [], [(b"x", (1,) * 5, 0, 0)], bytes(32)),
        "extent_0": gguf(3, [], [(b"x", (0, 1), 0, 0)], bytes(32)),
        "overflow": gguf(3, [], [(b"x", (2 ** 31, 2 ** 31, 4), 0, 0)], bytes(32)),
        "block": gguf(3, [], [(b"x", (33,), 8, 0)], bytes(64)), "unaligned": gguf(3, [], [(b"x", (1,), 0, 4)], bytes(64)),
        "outside": gguf(3, [], [(b"x", (17,), 0, 0)], bytes(64)),
        "overlap": gguf(3, [], [(b"x", (9,), 0, 0), (b"y", (1,), 0, 32)], bytes(64)),
        "tensor_twice": gguf(3, [], [(b"x", (1,), 0, 0), (b"x", (1,), 0, 32)], bytes(64)),
        "name_long": gguf(3, [], [(b"x" * 64, (1,), 0, 0)], bytes(32)),
        "type_unknown": gguf(3, [], [(b"x", (5,), 99, 0), (b"y", (256,), 16, 32)], bytes(64)),
        "no_data": gguf(3, [], one),
    })
    write("gguf", seeds)


def safetensors(header, n_data=16):
    header = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header + bytes(n_data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write_safetensors():
    seeds = {f"type_{kind.lower()}": safetensors({"a": entry(kind, [1], 0, size)})
             for kind, size in {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "U8": 1, "BOOL": 1, "F4": 3}.items()}
    seeds.update({
        "two": safetensors({"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 1], 0, 8), "b.c": entry("F16", [4], 8, 16)}),
        "scalar": safetensors({"a": entry("F32", [], 0, 4)}), "none": safetensors({"a": entry("F32", [0, 3], 0, 0)}),
        "unaligned": safetensors({"a": entry("F32", [2], 3, 11)}), "empty": b"", "object": safetensors({}),
        "array": safetensors(b"[]"), "broken": safetensors(b'{"a":'), "twice": safetensors(b'{"a":1,"a":2}'),
        "nested": safetensors(b"[" * 3000), "negative": safetensors({"a": entry("F32", [-1], 0, 4)}),
        "huge": safetensors({"a": entry("F32", [2 ** 62, 2], 0, 4)}), "reversed": safetensors({"a": entry("F32", [1], 4, 0)}),
        "outside": safetensors({"a": entry("F32", [1], 16, 20)}), "mismatch": safetensors({"a": entry("F32", [1], 0, 8)}),
        "overlap": safetensors({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}),
        "control": safetensors({"a\n": entry("F32", [1], 0, 4)}), "dims": safetensors({"a": entry("F32", [1] * 5, 0, 4)}),
        "long_header": struct.pack("<Q", 2 ** 63) + b"{}", "long_integer": safetensors({"a": entry("F32", [10 ** 30], 0, 4)}),
    })
    write("safetensors", seeds)


def short_text(data):
    return b"\x8c" + bytes([len(data)]) + data


def tensor(kind=b"FloatStorage", key=b"0", count=b"K\6", offset=b"K\0", size=b"K\2K\3\x86", stride=b"K\3K\1\x86"):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + short_text(b"storage") + b"ctorch\n" + kind + b"\n" + short_text(key)
            + short_text(b"cpu") + count + b"tQ" + offset + size + stride + b"\x89NtRq\1")


def archive(entries, method=0):
    """A zip archive with the data of each entry at a multiple of 64."""
    out, directory = b"", b""
    for name, data in entries:
        extra = -(len(out) + 30 + len(name) + 4) % 64
        facts = struct.pack("<HHHHIII", 0, method, 0, 0, zlib.crc32(data), len(data), len(data))
        directory += b"PK\1\2" + bytes(4) + facts + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, len(out)) + name
        out += b"PK\3\4" + bytes(2) + facts + struct.pack("<HH", len(name), extra + 4) + name
        out += struct.pack("<HH", 0x4246, extra) + bytes(extra) + data
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(out), 0)
    return out + directory + b"PK\5\6" + end


def state(*items):
    pairs = b"".join(short_text(b"t%d" % i) + item for i, item in enumerate(items))
    return b"\x80\2ccollections\nOrderedDict\n)R(" + pairs + b"u}" + short_text(b"_metadata") + b"}sb."


def write_torch_files():
    data = [(b"m/data/0", bytes(24)), (b"m/version", b"3\n")]
    made = {
        "two": state(tensor(), b"h\1"), "parameter": state(b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88NtR"),
        "half": state(tensor(b"HalfStorage")), "brain": state(tensor(b"BFloat16Storage")), "long": state(tensor(b"LongStorage")),
        "size": state(tensor(size=b"ctorch\nSize\nK\2K\3\x86\x85R")), "scalar": state(tensor(size=b")", stride=b")")),
        "transposed": state(tensor(size=b"K\3K\2\x86", stride=b"K\1K\3\x86")), "offset": state(tensor(offset=b"K\1")),
        "count": state(tensor(count=b"K\7")), "no_entry": state(tensor(key=b"9")), "huge": state(tensor(size=b"\x8a\x08" + b"\xff" * 7 + b"\x7fK\3\x86")),
        "storage": state(tensor(b"EvilStorage")), "no_dictionary": b"N.", "number": b"}" + short_text(b"a") + b"K\1s.",
    }
    seeds = {name: archive([(b"m/data.pkl", pickle)] + data) for name, pickle in made.items()}
    seeds["byte_order"] = archive([(b"m/data.pkl", made["two"]), (b"m/byteorder", b"big")] + data)
    seeds["packed"] = archive([(b"m/data.pkl", made["two"])] + data, 8)
    seeds["twice"] = archive([(b"m/data.pkl", made["two"])] * 2)
    seeds["no_pickle"] = archive(data)
    seeds["before_1_6"] = b"\x80\2\x8a\x0a" + bytes(10) + b"."
    golden = pathlib.Path(__file__).parents[1] / "golden" / "torch"
    seeds.update({f"saved_{path.stem}": path.read_bytes() for path in sorted(golden.glob("*.bin"))})
    write("torch_file", seeds)


def write_pickles():
    seeds = {
        "scalars": b"\x80\2(NK\1M\1\2J\1\2\3\4\x88\x89\x8a\3\1\2\xffG12345678t.",
        "texts": b"\x80\4\x95" + bytes(8) + b"(X\2\0\0\0ab\x8c\1c\x8d\1" + bytes(7) + b"dB\1\0\0\0eC\1f\x8e" + bytes(8) + b"t.",
        "containers": b"](K\1\x85K\1K\2\x86K\1K\2K\3\x87)}(K\1K\2uK\3K\4s]K\5a](K\6K\7ee.",
        "memo": b"(Nq\0Nr\1\0\0\0N\x94h\0j\1\0\0\0h\2t.", "cycle": b"]q\0h\0a.", "call": b"ca\nf\nK\1K\2\x86R}b.",
        "stack_class": b"\x8c\1a\x8c\1C\x93.", "dictionary": b"ca\nD\n)R(K\1K\2u}b.", "persistent": b"K\1\x85Q.",
        "system": b"\x80\2cos\nsystem\nX\4\0\0\0true\x85R.", "class_call": b"ca\nC\n)R.", "instance": b"(ios\nsystem\n.",
        "object": b"ca\nC\n)\x81.", "protocol": b"\x80\1.", "long": b"\x8a\xff" + bytes(255) + b".", "empty": b"", "stop": b".",
        "left": b"NN.", "behind": b"N.N", "mark": b"(.", "no_line": b"ca\nf", "no_tuple": b"ca\nf\nNR.", "short": b"N\x86.",
        "no_mark": b"Nt.", "no_list": b"N(Ne.", "odd": b"}(Nu.", "no_memo": b"h\0.", "far_memo": b"Nr\xff\xff\xff\x7f.",
        "long_text": b"X\xff\xff\xff\xffabc.", "deep": b"N" + b"\x85" * 1000 + b".", "marks": b"(" * 1000,
    }
    for code in pickletools.opcodes:
        seeds[f"operation_{ord(code.code):02x}"] = b"(NNN" + code.code.encode("latin-1") + b"\1\0\0\0\0\0\0\0a."
    write("pickle", seeds)


def importance_entry(name, n_chunks, values, n_values=None, n_name=None):
    count = len(values) if n_values is None else n_values
    head = struct.pack("<i", len(name) if n_name is None else n_name) + name + struct.pack("<ii", n_chunks, count)
    return head + struct.pack(f"<{len(values)}f", *values)


def importance_gguf(kind=b"imatrix", sums=b"a.in_sum2", counts=b"a.counts", n_counts=1, count=4.0):
    values = [(b"general.type", 8, text(3, kind)), (b"imatrix.datasets", 9, array(3, 8, 1, text(3, b"text"))),
              (b"imatrix.chunk_count", 4, struct.pack("<I", 2)), (b"imatrix.chunk_size", 4, struct.pack("<I", 2))]
    data = struct.pack("<3f", 1, 2, 3).ljust(32, b"\0") + struct.pack("<f", count) * n_counts
    return gguf(3, values, [(sums, (3, 1), 0, 0), (counts, (1, n_counts), 0, 32)], data.ljust(64, b"\0"))


def write_importance():
    one, two = importance_entry(b"blk.0.a", 2, [1, 2]), importance_entry(b"blk.1.b", 2, [3])
    count, end = struct.pack("<i", 2), struct.pack("<ii", 2, 4) + b"text"
    seeds = {
        "whole": count + one + two + end, "no_end": count + one + two, "chunks_only": count + one + two + end[:4],
        "empty": b"", "no_entries": bytes(4), "negative": b"\xff" * 4, "many": b"\xff\xff\xff\x7f" + one,
        "twice": count + one + one, "behind": count + one + two + end + b"x", "short": count + one + two[:-1],
        "name_length": count + one + importance_entry(b"b", 1, [1], n_name=-1),
        "name_control": count + one + importance_entry(b"\n", 1, [1]),
        "values": count + one + importance_entry(b"b", 1, [1], n_values=2 ** 31 - 1),
        "no_values": count + one + importance_entry(b"b", 1, []), "chunks": count + one + importance_entry(b"b", -1, [1]),
        "no_chunks": count + one + importance_entry(b"b", 0, [1]), "minus": count + one + importance_entry(b"b", 1, [-1]),
        "nan": count + one + importance_entry(b"b", 1, [float("nan")]),
        "gguf": importance_gguf(), "gguf_model": importance_gguf(b"model"), "gguf_no_counts": importance_gguf(counts=b"b.counts"),
        "gguf_no_sums": importance_gguf(sums=b"a.in_sum"), "gguf_experts": importance_gguf(n_counts=3),
        "gguf_uneven": importance_gguf(n_counts=2), "gguf_no_rows": importance_gguf(count=0.0),
        "gguf_minus": importance_gguf(count=-1.0), "gguf_tiny": importance_gguf(count=1e-40),
    }
    write("importance", seeds)


def adapter(tensors, config=b'{"lora_alpha": 4}', context=b""):
    """tensors: name -> shape, all F32."""
    header, offset = {}, 0
    for name, shape in tensors.items():
        n = 4
        for extent in shape:
            n *= extent
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + n]}
        offset += n
    blob = json.dumps(header).encode()
    return config + b"\0" + context + b"\0" + struct.pack("<Q", len(blob)) + blob + bytes(offset)


def write_adapters():
    base = "base_model.model.transformer.h.1."
    qkv, up = base + "self_attention.query_key_value", base + "mlp.dense_h_to_4h"
    pair = {qkv + ".lora_A.weight": [2, 16], qkv + ".lora_B.weight": [32, 2]}
    norm = {"base_model.model.transformer.ln_f.weight": [16]}
    patterns = b'{"lora_alpha": 4, "use_rslora": true, "alpha_pattern": {"query_key_value": 2}, "peft_type": "LORA", "bias": "none"}'
    seeds = {
        "pair": adapter(pair), "whole": adapter(norm), "both": adapter({**pair, **norm}), "patterns": adapter(pair, patterns),
        "named": adapter({up + ".lora_A.default.weight": [1, 16], up + ".lora_B.default.weight": [24, 1]}),
        "saved": adapter({"base_model.model.lm_head.modules_to_save.default.weight": [8, 16]}),
        "bare": adapter({name.replace("transformer.", ""): shape for name, shape in pair.items()}),
        "context": adapter(pair, context=b'{"max_position_embeddings": 256, "rope_scaling": {"type": "ntk_yarn", "factor": 4.0, '
                                         b'"original_max_position_embeddings": 64}}'),
        "no_b": adapter({qkv + ".lora_A.weight": [2, 16]}), "rank": adapter({**pair, qkv + ".lora_B.weight": [32, 3]}),
        "shape": adapter({**pair, qkv + ".lora_A.weight": [2, 15]}), "vector": adapter({
            "base_model.model.transformer.ln_f.lora_A.weight": [1, 16], "base_model.model.transformer.ln_f.lora_B.weight": [1, 1]}),
        "dora": adapter(pair, b'{"lora_alpha": 4, "use_dora": true}'), "kind": adapter(pair, b'{"peft_type": "IA3"}'),
        "no_alpha": adapter(pair, b"{}"), "pissa": adapter(pair, b'{"lora_alpha": 1, "init_lora_weights": "pissa"}'),
        "expression": adapter(pair, b'{"lora_alpha": 1, "alpha_pattern": {"h.[01]": 1}}'), "nothing": adapter({}),
        "unknown": adapter({"base_model.model.transformer.h.2.mlp.dense_h_to_4h.lora_A.weight": [1, 16]}),
        "prefix": adapter({"lora_A.weight": [1, 1]}), "empty": b"", "far_context": adapter(pair, context=b'{"rope_theta": -1}'),
    }
    write("adapter", seeds)


def frame(data):
    """A zstd frame of one raw block. Source: RFC 8878."""
    head = struct.pack("<IB", 0xFD2FB528, 0xA0) + struct.pack("<I", len(data))
    return head + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def write_text_lines():
    lines = b"one\ntwo\r\n\n\xef\xbb\xbfthree"
    seeds = {
        "empty": b"", "newline": b"\n", "lines": lines, "mark": b"\xef\xbb\xbf" + lines, "long": b"x" * 101, "bound": b"x" * 100,
        "frame": frame(lines), "frames": frame(lines) + frame(b"\n" + lines), "cut": frame(lines)[:-1], "magic": frame(b"")[:4],
        "skipped": struct.pack("<II", 0x184D2A50, 3) + b"abc" + frame(lines), "behind": frame(lines) + b"x",
        "long_frame": frame(b"x" * 101), "window": struct.pack("<IBB", 0xFD2FB528, 0, 0xFF) + bytes(3),
        "run": struct.pack("<IBB", 0xFD2FB528, 0, 0x58) + struct.pack("<I", 100000 << 3 | 3)[:3] + b"\n",
    }
    write("text_lines", seeds)


def turn(role, text, **more):
    return {"role": role, "text": text, **more}


def write_sources():
    def source(*records, options=0, reader=15):
        lines = [r if isinstance(r, bytes) else json.dumps(r, separators=(",", ":")).encode() for r in records]
        return bytes([options, reader]) + b"\n".join(lines)

    def message(i, parent, role, **more):
        return {"message_tree_id": "t", "message_id": str(i), "parent_id": parent, **turn(role, "x"), **more}

    chat = {"messages": [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "u"), ("assistant", "a"))]}
    share = {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]}
    reply = turn("assistant", "a", rank=0, lang="en", replies=[turn("prompter", "p", replies=[turn("assistant", "b")])])
    tree = {"message_tree_id": "t", "tree_state": "ready_for_export",
            "prompt": turn("prompter", "q", replies=[reply, turn("assistant", "c", deleted=True), turn("assistant", "d")])}
    feedback = {"rating": 3, "critiques": [{"text": "c", "refinement": "r"}, {}]}
    answers = [{"answer": "a", "feedback": feedback}, {"answer": "b", "feedback": {"rating": 7, "critiques": []}}, {}]
    critiques = {"data": {"passage": {"title": "t", "text": "p"},
                          "questions": [{"question": "q", "answers": answers}, {"question": "q", "answer": "a"}, {}]}}
    dolphin = {"instruction": "i", "input": "u", "output": "a"}
    document = {"input_prefix": "q", "input": "d \u00e4" * 30, "output": "a"}
    deep = b'{"message_tree_id":"t","prompt":' + b'{"role":"prompter","text":"x","replies":[' * 600 + b"]}" * 600 + b"}"
    seeds = {
        "chat": source(chat, share, chat), "tree": source(tree), "tree_best": source(tree, options=96), "critiques": source(critiques),
        "instructions": source(dolphin, {**dolphin, "input": ""}, {"instruction": "i", "output": 1}),
        "document": source(document), "question": source({"input": "q\n\n" + "d" * 60, "output": "a"}, {"input": "d", "output": None}),
        "texts": source({"text": "x" * 60}, {"content": "c", "lang": "de"}, options=32), "damaged": source(chat, b"{", b"\xff", b"[]"),
        "strict": source(chat, b"{", options=128), "array": source([chat]), "unknown": source({"a": 1}), "none": source(b"x"),
        "messages": source(*(message(i, str(i - 1) if i else None, "assistant" if i % 2 else "prompter") for i in range(5))),
        "orphan": source(message(1, "2", "assistant"), message(2, "2", "prompter"), message(3, None, "prompter")),
        "deep": source(deep), "deeper": source(b"[" * 5000, reader=0), "plain": source(b"a\n<|endoftext|>\n\n<|endoftext|>\nb" * 9, reader=7),
        "packed": bytes([0, 15]) + frame(json.dumps(chat).encode()), "plain_damaged": source(b"\xff\xfe", reader=7),
    }
    for how, name in enumerate(("cut", "drop", "middle", "left"), 1):
        seeds[f"long_{name}"] = source(document, {"text": "\u20ac" * 40}, dolphin, options=how)
    write("sources", seeds)


def write_yaml_documents():
    bombs = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefg", "bcdefgh"):
        bombs.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    write("yaml_document", {
        "config": b"model: m.gguf\nsources:\n  - {path: a.jsonl, weight: 2}\n  - b.txt\ngroups: {x: 1}\n# end\n",
        "styles": b"a: 'one'\nb: \"two\\n\"\nc: |\n  three\n  four\nd: >-\n  five\n", "empty": b"", "comment": b"# nothing\n",
        "list": b"- a\n", "scalar": b"a", "twice": b"a: 1\na: 2\n", "key": b"[a]: 1\n", "two": b"a: 1\n---\nb: 2\n",
        "open": b"a: [b, c\n", "tab": b"a:\n\t- b\n", "bytes": b"a: \xff\xfe\n", "zero": b"a: \0\n", "alias": b"a: &x 1\nb: *x\n",
        "missing": b"a: *x\n", "cycle": b"a: &x [*x]\n", "deep": b"a: " + b"[" * 100 + b"]" * 100, "bomb": "\n".join(bombs).encode(),
        "tag": b"a: !!binary aGk=\n%TAG ! x\n", "mark": b"\xef\xbb\xbfa: 1\n"})


def write_saved_timelines():
    def digest(data):
        return data + hashlib.sha256(data).hexdigest().encode()

    def timeline(tokens=(1, 2, 7), version=1, flags=1, layers=2, kv_type=b"f16", context=b"yarn", cells=None):
        model = b"00112233445566778899aabbccddeeff" * 2
        head = b"FALSAVED" + struct.pack("<IIQIIQ16s64s136s", version, flags, len(tokens), layers, 8, 4, kv_type, model, context)
        head = digest(head + struct.pack(f"<{len(tokens)}i", *tokens))
        return digest(head + bytes(32 if flags & 1 else 0) + (bytes(2 * layers * 4 * len(tokens)) if cells is None else cells))

    whole = timeline()
    write("saved_timeline", {
        "whole": whole, "empty": timeline(()), "without_logits": timeline(flags=0), "token": timeline((1, 8, -1)),
        "version": timeline(version=2), "layers": timeline(layers=3), "kv_type": timeline(kv_type=b"q8_0"),
        "context": timeline(context=b"x" * 136), "few_cells": timeline(cells=b"1234"), "more_cells": timeline(cells=bytes(49)),
        "damaged": whole[:-80] + b"!" + whole[-79:], "cut": whole[:300], "short": whole[:100],
        "many": whole[:16] + b"\xff" * 8 + whole[24:], "behind": whole + b"\0"})


write_gguf()
write_safetensors()
write_torch_files()
write_pickles()
write_importance()
write_adapters()
write_text_lines()
write_sources()
write_yaml_documents()
write_saved_timelines()
