#!/usr/bin/env python3
"""Makes blocks.bin: blocks of random bytes in every number type and the weights that they stand for.

Written from the published layouts, one weight at a time and in float64, where every product and sum below is exact
(at most 51 significant bits); the one rounding is to float32 at the end. Shares nothing with src/quant.

File, little-endian: per type a name of 16 bytes (zero-filled), u32 blocks, u32 bytes per block, u32 weights per block,
all blocks, all weights as f32. A NaN is stored as 0x7fc00000.

    python3 make_blocks.py blocks.bin
"""
import hashlib
import math
import struct
import sys

IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

# Zeros, subnormals, the smallest normal, one, the largest, infinity, NaN.
EXTREME_F16 = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00,
               0x7E01]


def f16(data, at):
    return struct.unpack_from("<e", data, at)[0]


def f32(data, at):
    return struct.unpack_from("<f", data, at)[0]


def bits(data, at, first, count):
    """count bits of the little-endian number that begins at byte `at`, from bit `first` on."""
    number = int.from_bytes(data[at:at + (first + count + 7) // 8], "little")
    return number >> first & (1 << count) - 1


def nibble_of_32(data, at, i):
    """Codes of 32 weights in 16 bytes: the first sixteen in the low nibbles, the others in the high ones."""
    return bits(data, at + i % 16, 4 * (i // 16), 4)


def weight_f32(b, i):
    return f32(b, 0)


def weight_f16(b, i):
    return f16(b, 0)


def weight_bf16(b, i):
    return struct.unpack("<f", b"\0\0" + b[:2])[0]


def weight_q4_0(b, i):
    return f16(b, 0) * (nibble_of_32(b, 2, i) - 8)


def weight_q4_1(b, i):
    return f16(b, 0) * nibble_of_32(b, 4, i) + f16(b, 2)


def weight_q5_0(b, i):
    return f16(b, 0) * (nibble_of_32(b, 6, i) + 16 * bits(b, 2, i, 1) - 16)


def weight_q5_1(b, i):
    return f16(b, 0) * (nibble_of_32(b, 8, i) + 16 * bits(b, 4, i, 1)) + f16(b, 2)


def weight_q8_0(b, i):
    return f16(b, 0) * struct.unpack_from("<b", b, 2 + i)[0]


def weight_q8_1(b, i):
    return f32(b, 0) * struct.unpack_from("<b", b, 8 + i)[0]


def weight_q8_k(b, i):
    return f32(b, 0) * struct.unpack_from("<b", b, 4 + i)[0]


def two_bits(b, at, i):
    """256 codes of two bits: 32 bytes per half, in a byte the weights l, l + 32, l + 64, l + 96."""
    half, rest = divmod(i, 128)
    group, l = divmod(rest, 32)
    return bits(b, at + 32 * half + l, 2 * group, 2)


def weight_q2_k(b, i):
    j = i // 16
    scale, minimum = bits(b, j, 0, 4), bits(b, j, 4, 4)
    return f16(b, 80) * scale * two_bits(b, 16, i) - f16(b, 82) * minimum


def weight_q3_k(b, i):
    hmask, qs, scales = 0, 32, 96
    code = two_bits(b, qs, i)
    if not bits(b, hmask + i % 32, i // 32, 1):
        code -= 4
    j = i // 16
    scale = bits(b, scales + j, 0, 4) if j < 8 else bits(b, scales + j - 8, 4, 4)
    scale += 16 * bits(b, scales + 8 + j % 4, 2 * (j // 4), 2)
    return f16(b, 108) * (scale - 32) * code


def k_scale_and_minimum(b, at, j):
    if j < 4:
        return bits(b, at + j, 0, 6), bits(b, at + j + 4, 0, 6)
    scale = bits(b, at + j + 4, 0, 4) + 16 * bits(b, at + j - 4, 6, 2)
    minimum = bits(b, at + j + 4, 4, 4) + 16 * bits(b, at + j, 6, 2)
    return scale, minimum


def nibble_of_64(b, at, i):
    """Codes in groups of 64 weights, 32 bytes each: the first half in the low nibbles."""
    group, rest = divmod(i, 64)
    return bits(b, at + 32 * group + rest % 32, 4 * (rest // 32), 4)


def weight_q4_k(b, i):
    scale, minimum = k_scale_and_minimum(b, 4, i // 32)
    return f16(b, 0) * scale * nibble_of_64(b, 16, i) - f16(b, 2) * minimum


def weight_q5_k(b, i):
    scale, minimum = k_scale_and_minimum(b, 4, i // 32)
    n, rest = divmod(i, 64)
    fifth = bits(b, 16 + rest, 2 * n, 1) if rest < 32 else bits(b, 16 + rest - 32, 2 * n + 1, 1)
    return f16(b, 0) * scale * (nibble_of_64(b, 48, i) + 16 * fifth) - f16(b, 2) * minimum


def weight_q6_k(b, i):
    half, rest = divmod(i, 128)
    group, l = divmod(rest, 32)
    ql, qh = 64 * half, 128 + 32 * half
    low = [bits(b, ql + l, 0, 4), bits(b, ql + l + 32, 0, 4), bits(b, ql + l, 4, 4), bits(b, ql + l + 32, 4, 4)][group]
    code = low + 16 * bits(b, qh + l, 2 * group, 2)
    scale = struct.unpack_from("<b", b, 192 + i // 16)[0]
    return f16(b, 208) * scale * (code - 32)


def weight_iq4_nl(b, i):
    return f16(b, 0) * IQ4[nibble_of_32(b, 2, i)]


def weight_iq4_xs(b, i):
    j, rest = divmod(i, 32)
    scale = bits(b, 4, 4 * j, 4) + 16 * bits(b, 2, 2 * j, 2)
    return f16(b, 0) * (scale - 32) * IQ4[nibble_of_32(b, 8 + 16 * j, rest)]


# name, weights, bytes, blocks, where f16 numbers stand, where f32 numbers stand
TYPES = [
    ("f32", 1, 4, 64, [], [0]), ("f16", 1, 2, 64, [0], []), ("bf16", 1, 2, 64, [], []),
    ("q4_0", 32, 18, 24, [0], []), ("q4_1", 32, 20, 24, [0, 2], []),
    ("q5_0", 32, 22, 24, [0], []), ("q5_1", 32, 24, 24, [0, 2], []),
    ("q8_0", 32, 34, 24, [0], []), ("q8_1", 32, 40, 16, [], [0]),
    ("q2_k", 256, 84, 20, [80, 82], []), ("q3_k", 256, 110, 20, [108], []),
    ("q4_k", 256, 144, 20, [0, 2], []), ("q5_k", 256, 176, 20, [0, 2], []),
    ("q6_k", 256, 210, 20, [208], []), ("q8_k", 256, 292, 8, [], [0]),
    ("iq4_nl", 32, 18, 24, [0], []), ("iq4_xs", 256, 136, 20, [0], []),
]


def random_bytes(name, n):
    """The same bytes with every version of Python."""
    out = b""
    while len(out) < n:
        out += hashlib.sha256(f"{name} {len(out)}".encode()).digest()
    return out[:n]


def as_f32(value):
    if math.isnan(value):
        return struct.pack("<I", 0x7FC00000)
    return struct.pack("<f", value)


def make_block(name, n_bytes, k, f16_at, f32_at):
    block = bytearray(random_bytes(f"{name} {k}", n_bytes))
    for which, at in enumerate(f16_at):
        if k < len(EXTREME_F16):
            # The second number runs through the list at another pace, so that the two meet in many pairs.
            struct.pack_into("<H", block, at, EXTREME_F16[(k + 5 * which) % len(EXTREME_F16)])
    for at in f32_at:
        # A scale from 2^-40 to 2^40, so that products with eight bits stay finite and exact in float64.
        (raw,) = struct.unpack_from("<I", block, at)
        struct.pack_into("<I", block, at, raw & 0x807FFFFF | (87 + raw % 81) << 23)
    return bytes(block)


def main(path):
    out = bytearray()
    for name, n_weights, n_bytes, n_blocks, f16_at, f32_at in TYPES:
        weight = globals()["weight_" + name]
        blocks = [make_block(name, n_bytes, k, f16_at, f32_at) for k in range(n_blocks)]
        out += struct.pack("<16sIII", name.encode(), n_blocks, n_bytes, n_weights)
        out += b"".join(blocks)
        for block in blocks:
            out += b"".join(as_f32(weight(block, i)) for i in range(n_weights))
    with open(path, "wb") as file:
        file.write(out)


if __name__ == "__main__":
    main(sys.argv[1])
