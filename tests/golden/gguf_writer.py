"""Writes GGUF files, and packs and unpacks every block type of the quantized golden models.

Owns the byte layouts, written from their published description and not from the C sources. Packing is the simplest
scheme that fills the fields; what counts is that unpack() reads them exactly. Independent of torch.
"""
import struct

import numpy as np

TABLE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float64)
TYPE_IDS = {'f32': 0, 'f16': 1, 'q4_0': 2, 'q4_1': 3, 'q5_0': 6, 'q5_1': 7, 'q8_0': 8, 'q2_k': 10, 'q3_k': 11,
            'q4_k': 12, 'q5_k': 13, 'q6_k': 14, 'iq4_nl': 20, 'iq4_xs': 23, 'bf16': 30}
FILE_TYPES = {'f32': 0, 'f16': 1, 'q4_0': 2, 'q4_1': 3, 'q8_0': 7, 'q5_0': 8, 'q5_1': 9, 'q2_k': 10, 'q3_k': 11,
              'q4_k': 14, 'q5_k': 16, 'q6_k': 18, 'iq4_nl': 25, 'iq4_xs': 30, 'bf16': 32}


# ---------------------------------------------------------------- bytes of a block
def half(x):
    """Rounded to f16: (bytes [n, 2], values [n])."""
    h = np.asarray(x, np.float64).astype('<f2')
    return h.reshape(-1, 1).view(np.uint8), h.astype(np.float64).reshape(-1)


def read_half(b):
    return np.ascontiguousarray(b).view('<f2').astype(np.float64).reshape(-1)


def divide(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def codes(x, low, high):
    return np.clip(np.round(x), low, high).astype(np.int64)


def join_nibbles(q):
    """q [n, 32] of 0..15 -> [n, 16]: weight j low, weight j + 16 high."""
    return (q[:, :16] | q[:, 16:] << 4).astype(np.uint8)


def split_nibbles(b):
    b = b.astype(np.int64)
    return np.concatenate([b & 15, b >> 4], 1)


def fifth_bits(q):
    """q [n, 32] -> the u32 with bit j = bit 4 of weight j."""
    word = ((q >> 4 & 1) << np.arange(32)).sum(1)
    return word.astype('<u4').reshape(-1, 1).view(np.uint8)


def signed_extreme(x):
    return np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)[..., 0]


# ---------------------------------------------------------------- types of 32 weights
def pack_symmetric(x, n_bits):
    top = 1 << (n_bits - 1)
    d_bytes, d = half(signed_extreme(x) / -top)
    return d_bytes, codes(divide(x, d[:, None]) + top, 0, 2 * top - 1)


def pack_affine(x, n_bits):
    top = (1 << n_bits) - 1
    d_bytes, d = half((x.max(1) - x.min(1)) / top)
    m_bytes, m = half(x.min(1))
    return d_bytes, m_bytes, codes(divide(x - m[:, None], d[:, None]), 0, top)


def pack_q4_0(x):
    d, q = pack_symmetric(x, 4)
    return [d, join_nibbles(q)]


def unpack_q4_0(b):
    return read_half(b[:, :2])[:, None] * (split_nibbles(b[:, 2:]) - 8)


def pack_q4_1(x):
    d, m, q = pack_affine(x, 4)
    return [d, m, join_nibbles(q)]


def unpack_q4_1(b):
    return read_half(b[:, :2])[:, None] * split_nibbles(b[:, 4:]) + read_half(b[:, 2:4])[:, None]


def with_fifth_bit(b):
    word = np.ascontiguousarray(b[:, :4]).view('<u4').astype(np.int64)
    return split_nibbles(b[:, 4:]) | (word >> np.arange(32) & 1) << 4


def pack_q5_0(x):
    d, q = pack_symmetric(x, 5)
    return [d, fifth_bits(q), join_nibbles(q & 15)]


def unpack_q5_0(b):
    return read_half(b[:, :2])[:, None] * (with_fifth_bit(b[:, 2:]) - 16)


def pack_q5_1(x):
    d, m, q = pack_affine(x, 5)
    return [d, m, fifth_bits(q), join_nibbles(q & 15)]


def unpack_q5_1(b):
    return read_half(b[:, :2])[:, None] * with_fifth_bit(b[:, 4:]) + read_half(b[:, 2:4])[:, None]


def pack_q8_0(x):
    d_bytes, d = half(np.abs(x).max(1) / 127)
    return [d_bytes, codes(divide(x, d[:, None]), -127, 127).astype(np.int8).view(np.uint8)]


def unpack_q8_0(b):
    return read_half(b[:, :2])[:, None] * np.ascontiguousarray(b[:, 2:]).view(np.int8)


def nearest(x):
    return np.abs(x[..., None] - TABLE).argmin(-1)


def pack_iq4_nl(x):
    d_bytes, d = half(signed_extreme(x) / TABLE[0])
    return [d_bytes, join_nibbles(nearest(divide(x, d[:, None])))]


def unpack_iq4_nl(b):
    return read_half(b[:, :2])[:, None] * TABLE[split_nibbles(b[:, 2:])]


# ---------------------------------------------------------------- types of 256 weights
def four_per_byte(q):
    """q [n, 256] of 0..3 -> [n, 64]: byte l of each half holds weights l, l + 32, l + 64, l + 96."""
    t = q.reshape(-1, 2, 4, 32)
    return (t[:, :, 0] | t[:, :, 1] << 2 | t[:, :, 2] << 4 | t[:, :, 3] << 6).reshape(-1, 64).astype(np.uint8)


def from_four_per_byte(b):
    t = b.astype(np.int64).reshape(-1, 2, 1, 32)
    return (t >> np.array([0, 2, 4, 6])[:, None] & 3).reshape(-1, 256)


def pack_scaled_minima(x, size, top, top_scale):
    """Sub-blocks of `size` weights x ~ d * scale * q - dmin * minimum, scale and minimum of 0..top_scale."""
    t = x.reshape(len(x), -1, size)
    low = np.minimum(t.min(2), 0)
    scale, minimum = (t.max(2) - low) / top, -low
    d_bytes, d = half(scale.max(1) / top_scale)
    m_bytes, m = half(minimum.max(1) / top_scale)
    s, n = codes(divide(scale, d[:, None]), 0, top_scale), codes(divide(minimum, m[:, None]), 0, top_scale)
    q = codes(divide(t + (m[:, None] * n)[..., None], (d[:, None] * s)[..., None]), 0, top)
    return d_bytes, m_bytes, s, n, q.reshape(len(x), 256)


def with_minima(d, m, s, n, q):
    size = 256 // s.shape[1]
    return d[:, None] * np.repeat(s, size, 1) * q - m[:, None] * np.repeat(n, size, 1)


def pack_q2_k(x):
    d, m, s, n, q = pack_scaled_minima(x, 16, 3, 15)
    return [(s | n << 4).astype(np.uint8), four_per_byte(q), d, m]


def unpack_q2_k(b):
    s = b[:, :16].astype(np.int64)
    return with_minima(read_half(b[:, 80:82]), read_half(b[:, 82:84]), s & 15, s >> 4, from_four_per_byte(b[:, 16:80]))


def pack_q3_k(x):
    t = x.reshape(-1, 16, 16)
    scale = signed_extreme(t) / -4
    d_bytes, d = half(np.abs(scale).max(1) / 31)
    u = codes(divide(scale, d[:, None]), -32, 31) + 32
    q = codes(divide(t, (d[:, None] * (u - 32))[..., None]) + 4, 0, 7).reshape(-1, 256)
    high = (q.reshape(-1, 8, 32) >> 2 << np.arange(8)[:, None]).sum(1).astype(np.uint8)
    packed = np.zeros((len(x), 12), np.int64)
    for j in range(16):
        packed[:, j % 8] |= (u[:, j] & 15) << (4 if j >= 8 else 0)
        packed[:, 8 + j % 4] |= (u[:, j] >> 4) << (2 * (j // 4))
    return [high, four_per_byte(q & 3), packed.astype(np.uint8), d_bytes]


def unpack_q3_k(b):
    high = b[:, None, :32].astype(np.int64) >> np.arange(8)[:, None] & 1
    q = from_four_per_byte(b[:, 32:96]) + 4 * high.reshape(-1, 256)
    packed = b[:, 96:108].astype(np.int64)
    u = np.stack([packed[:, j % 8] >> (4 if j >= 8 else 0) & 15 | (packed[:, 8 + j % 4] >> (2 * (j // 4)) & 3) << 4
                  for j in range(16)], 1)
    return read_half(b[:, 108:110])[:, None] * np.repeat(u - 32, 16, 1) * (q - 4)


def pack_six_bit_pairs(s, n):
    """Eight scales and eight minima of six bits in twelve bytes."""
    out = np.zeros((len(s), 12), np.int64)
    for j in range(4):
        out[:, j] = s[:, j] | s[:, j + 4] >> 4 << 6
        out[:, j + 4] = n[:, j] | n[:, j + 4] >> 4 << 6
        out[:, j + 8] = s[:, j + 4] & 15 | (n[:, j + 4] & 15) << 4
    return out.astype(np.uint8)


def unpack_six_bit_pairs(b):
    b = b.astype(np.int64)
    s = np.concatenate([b[:, :4] & 63, b[:, 8:] & 15 | b[:, :4] >> 6 << 4], 1)
    n = np.concatenate([b[:, 4:8] & 63, b[:, 8:] >> 4 | b[:, 4:8] >> 6 << 4], 1)
    return s, n


def pair_nibbles(q):
    """q [n, 256] of 0..15 -> [n, 128]: per 64 weights 32 bytes, weights 0..31 low, 32..63 high."""
    t = q.reshape(-1, 4, 2, 32)
    return (t[:, :, 0] | t[:, :, 1] << 4).reshape(-1, 128).astype(np.uint8)


def from_pair_nibbles(b):
    t = b.astype(np.int64).reshape(-1, 4, 1, 32)
    return (t >> np.array([0, 4])[:, None] & 15).reshape(-1, 256)


def pack_q4_k(x):
    d, m, s, n, q = pack_scaled_minima(x, 32, 15, 63)
    return [d, m, pack_six_bit_pairs(s, n), pair_nibbles(q)]


def unpack_q4_k(b):
    return with_minima(read_half(b[:, :2]), read_half(b[:, 2:4]), *unpack_six_bit_pairs(b[:, 4:16]),
                       from_pair_nibbles(b[:, 16:]))


def pack_q5_k(x):
    d, m, s, n, q = pack_scaled_minima(x, 32, 31, 63)
    high = (q.reshape(-1, 8, 32) >> 4 << np.arange(8)[:, None]).sum(1).astype(np.uint8)
    return [d, m, pack_six_bit_pairs(s, n), high, pair_nibbles(q & 15)]


def unpack_q5_k(b):
    high = b[:, None, 16:48].astype(np.int64) >> np.arange(8)[:, None] & 1
    q = from_pair_nibbles(b[:, 48:]) + 16 * high.reshape(-1, 256)
    return with_minima(read_half(b[:, :2]), read_half(b[:, 2:4]), *unpack_six_bit_pairs(b[:, 4:16]), q)


def pack_q6_k(x):
    t = x.reshape(-1, 16, 16)
    scale = signed_extreme(t) / -32
    d_bytes, d = half(np.abs(scale).max(1) / 127)
    s = codes(divide(scale, d[:, None]), -128, 127)
    q = codes(divide(t, (d[:, None] * s)[..., None]) + 32, 0, 63).reshape(-1, 2, 4, 32)
    low = q & 15
    ql = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], 2)
    qh = (q >> 4 << np.array([0, 2, 4, 6])[:, None]).sum(2)
    return [ql.reshape(-1, 128).astype(np.uint8), qh.reshape(-1, 64).astype(np.uint8),
            s.astype(np.int8).view(np.uint8), d_bytes]


def unpack_q6_k(b):
    ql = b[:, :128].astype(np.int64).reshape(-1, 2, 2, 32)
    low = np.stack([ql[:, :, 0] & 15, ql[:, :, 1] & 15, ql[:, :, 0] >> 4, ql[:, :, 1] >> 4], 2)
    high = b[:, 128:192].astype(np.int64).reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6])[:, None] & 3
    s = np.ascontiguousarray(b[:, 192:208]).view(np.int8).astype(np.int64)
    q = (low | high << 4).reshape(-1, 256) - 32
    return read_half(b[:, 208:210])[:, None] * np.repeat(s, 16, 1) * q


def pack_iq4_xs(x):
    t = x.reshape(-1, 8, 32)
    scale = signed_extreme(t) / TABLE[0]
    d_bytes, d = half(np.abs(scale).max(1) / 31)
    s = codes(divide(scale, d[:, None]), -32, 31) + 32
    q = nearest(divide(t, (d[:, None] * (s - 32))[..., None])).reshape(-1, 32)
    high = (s >> 4 << 2 * np.arange(8)).sum(1).astype('<u2').reshape(-1, 1).view(np.uint8)
    return [d_bytes, high, (s[:, 0::2] & 15 | (s[:, 1::2] & 15) << 4).astype(np.uint8),
            join_nibbles(q).reshape(-1, 128)]


def unpack_iq4_xs(b):
    high = np.ascontiguousarray(b[:, 2:4]).view('<u2').astype(np.int64) >> 2 * np.arange(8) & 3
    low = b[:, 4:8].astype(np.int64)
    s = (np.stack([low & 15, low >> 4], 2).reshape(-1, 8) | high << 4) - 32
    q = split_nibbles(b[:, 8:].reshape(-1, 16)).reshape(-1, 256)
    return read_half(b[:, :2])[:, None] * np.repeat(s, 32, 1) * TABLE[q]


# weights per block, bytes per block, pack, unpack
BLOCKS = {
    'q4_0': (32, 18, pack_q4_0, unpack_q4_0), 'q4_1': (32, 20, pack_q4_1, unpack_q4_1),
    'q5_0': (32, 22, pack_q5_0, unpack_q5_0), 'q5_1': (32, 24, pack_q5_1, unpack_q5_1),
    'q8_0': (32, 34, pack_q8_0, unpack_q8_0), 'iq4_nl': (32, 18, pack_iq4_nl, unpack_iq4_nl),
    'q2_k': (256, 84, pack_q2_k, unpack_q2_k), 'q3_k': (256, 110, pack_q3_k, unpack_q3_k),
    'q4_k': (256, 144, pack_q4_k, unpack_q4_k), 'q5_k': (256, 176, pack_q5_k, unpack_q5_k),
    'q6_k': (256, 210, pack_q6_k, unpack_q6_k), 'iq4_xs': (256, 136, pack_iq4_xs, unpack_iq4_xs)}


def pack(type_name, weights):
    """weights: an array whose rows are whole blocks -> bytes."""
    if type_name == 'f32':
        return weights.astype('<f4').tobytes()
    size, n_bytes, packer, _ = BLOCKS[type_name]
    out = np.concatenate(packer(weights.astype(np.float64).reshape(-1, size)), 1)
    assert out.shape[1] == n_bytes and out.dtype == np.uint8
    return out.tobytes()


def unpack(type_name, data, shape):
    """-> float64 weights."""
    if type_name == 'f32':
        return np.frombuffer(data, '<f4').astype(np.float64).reshape(shape)
    _, n_bytes, _, unpacker = BLOCKS[type_name]
    return unpacker(np.frombuffer(data, np.uint8).reshape(-1, n_bytes)).reshape(shape)


# ---------------------------------------------------------------- files
def text(s):
    b = s.encode()
    return struct.pack('<Q', len(b)) + b


def value(v):
    """Booleans, integers (u32), floats (f32), strings, and lists of integers (i32) or strings."""
    if isinstance(v, bool):
        return struct.pack('<IB', 7, v)
    if isinstance(v, int):
        return struct.pack('<II', 4, v)
    if isinstance(v, float):
        return struct.pack('<If', 6, v)
    if isinstance(v, str):
        return struct.pack('<I', 8) + text(v)
    if isinstance(v[0], str):
        return struct.pack('<IIQ', 9, 8, len(v)) + b''.join(map(text, v))
    return struct.pack('<IIQ', 9, 5, len(v)) + struct.pack('<%di' % len(v), *v)


def padding(n, alignment=32):
    return b'\0' * (-n % alignment)


def write(path, metadata, tensors):
    """tensors: name -> (type, shape outermost first, bytes)."""
    head = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(metadata))
    for key, v in metadata.items():
        head += text(key) + value(v)
    offset = 0
    for name, (type_name, shape, data) in tensors.items():
        head += text(name) + struct.pack('<I', len(shape)) + struct.pack('<%dQ' % len(shape), *reversed(shape))
        head += struct.pack('<IQ', TYPE_IDS[type_name], offset)
        offset += len(data) + len(padding(len(data)))
    with open(path, 'wb') as out:
        out.write(head + padding(len(head)))
        for _, _, data in tensors.values():
            out.write(data + padding(len(data)))
