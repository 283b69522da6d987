/* Products with types of 256 weights, with AVX-512 and VNNI: panels of 32 rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_k.c: all sums within a block are exact integers. Codes are
 * kept unsigned; what a type subtracts from them is part of the minima. */
#include "compute/cpu/x86_avx512/few_vectors.h"
#include "compute/cpu/x86_frames/few_k.h"
#include "compute/cpu/x86_frames/panel_prefetch.h"
#include "quant/iq4_xs.h"

/* One block of 16 rows. Vector g of codes holds columns 4 g .. 4 g + 3. */
struct half {
    uint8_t codes[64][FAL_PANEL_BYTES];
    int32_t scale[16][FAL_PANEL_HALF]; /* [sub-block] of 16 or 32 columns */
    int16_t min[8][32]; /* [s]: per row, of columns 32 s .. 32 s + 15, then of the 16 after them */
    int32_t base[FAL_PANEL_HALF]; /* of signed codes: what the sum begins with */
    float d[FAL_PANEL_HALF], dmin[FAL_PANEL_HALF];
};

struct panel {
    struct half half[2];
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_panel_rows *rows, size_t offset, struct half *half);

/* Bytes [offset, offset + 32) of each row. */
FAL_PANEL_INLINE void gather32(const fal_panel_rows *rows, size_t offset, __m512i out[8]) {
    panel_gather16(rows, offset, out);
    panel_gather16(rows, offset + 16, out + 4);
}

/* Byte `a` of each lane to its low 16 bits and byte `b` to its high ones, with zeros above. */
FAL_PANEL_INLINE __m512i pair(__m512i v, int a, int b) {
    const int lane = a | 0x80 << 8 | b << 16 | (int)(0x80u << 24);
    const __m512i order = _mm512_broadcast_i32x4(
        _mm_setr_epi32(lane, lane + 0x00040004, lane + 0x00080008, lane + 0x000c000c));
    return _mm512_shuffle_epi8(v, order);
}

/* The same for signed bytes. */
FAL_PANEL_INLINE __m512i signed_pair(__m512i v, int a, int b) {
    return _mm512_srai_epi16(_mm512_slli_epi16(pair(v, a, b), 8), 8);
}

/* Four unsigned scales per lane, for sub-blocks first .. first + 3. */
FAL_PANEL_INLINE void store_scales(struct half *half, int first, __m512i scales) {
    const __m512i byte = _mm512_set1_epi32(255);
    panel_store(half->scale[first], _mm512_and_si512(scales, byte));
    panel_store(half->scale[first + 1], _mm512_and_si512(_mm512_srli_epi32(scales, 8), byte));
    panel_store(half->scale[first + 2], _mm512_and_si512(_mm512_srli_epi32(scales, 16), byte));
    panel_store(half->scale[first + 3], _mm512_srli_epi32(scales, 24));
}

/* Four signed scales per lane, for the 16-column sub-blocks from first on; codes carry an offset. */
FAL_PANEL_INLINE void store_signed_scales(struct half *half, int first, __m512i scales,
                                          int offset_bits) {
    panel_store(half->scale[first], _mm512_srai_epi32(_mm512_slli_epi32(scales, 24), 24));
    panel_store(half->scale[first + 1], _mm512_srai_epi32(_mm512_slli_epi32(scales, 16), 24));
    panel_store(half->scale[first + 2], _mm512_srai_epi32(_mm512_slli_epi32(scales, 8), 24));
    panel_store(half->scale[first + 3], _mm512_srai_epi32(scales, 24));
    panel_store(half->min[first / 2], _mm512_slli_epi16(signed_pair(scales, 0, 1), offset_bits));
    panel_store(half->min[first / 2 + 1],
                _mm512_slli_epi16(signed_pair(scales, 2, 3), offset_bits));
}

/* Four codes of two bits from each byte: vector 8 k + j of a half block from bits 2 k of vector j. */
FAL_PANEL_INLINE void decode_two_bits(const fal_panel_rows *rows, size_t offset,
                                      struct half *half) {
    __m512i bytes[8];
    for (int part = 0; part < 2; part++) {
        uint8_t(*codes)[FAL_PANEL_BYTES] = half->codes + 32 * part;
        gather32(rows, offset + 32 * (size_t)part, bytes);
        for (int j = 0; j < 8; j++) {
            panel_store(codes[j], panel_masked(bytes[j], 3));
            panel_store(codes[j + 8], panel_masked(_mm512_srli_epi32(bytes[j], 2), 3));
            panel_store(codes[j + 16], panel_masked(_mm512_srli_epi32(bytes[j], 4), 3));
            panel_store(codes[j + 24], panel_masked(_mm512_srli_epi32(bytes[j], 6), 3));
        }
    }
}

FAL_PANEL_INLINE void decode_nibbles(const fal_panel_rows *rows, size_t offset, struct half *half) {
    __m512i bytes[8];
    for (int quarter = 0; quarter < 4; quarter++) {
        gather32(rows, offset + 32 * (size_t)quarter, bytes);
        for (int j = 0; j < 8; j++) {
            panel_store(half->codes[16 * quarter + j], panel_low_nibbles(bytes[j]));
            panel_store(half->codes[16 * quarter + j + 8], panel_high_nibbles(bytes[j]));
        }
    }
}

/* Adds 1 << place to the codes of columns 32 n + k for every bit n of byte k. */
FAL_PANEL_INLINE void add_high_bits(const fal_panel_rows *rows, size_t offset, int place,
                                    struct half *half) {
    __m512i bytes[8];
    gather32(rows, offset, bytes);
    for (int j = 0; j < 8; j++) {
        for (int n = 0; n < 8; n++) {
            __m512i bit = n < place ? _mm512_slli_epi32(bytes[j], (unsigned)(place - n))
                                    : _mm512_srli_epi32(bytes[j], (unsigned)(n - place));
            uint8_t *codes = half->codes[8 * n + j];
            panel_store(codes, _mm512_or_si512(panel_load(codes), panel_masked(bit, 1 << place)));
        }
    }
}

/* Codes times their scales: at most 3 * 15, so that a product of 16 bits multiplies two codes at once. */
FAL_PANEL_INLINE void fold_scales(const fal_panel_rows *rows, size_t offset, struct half *half) {
    __m512i scales[4];
    panel_gather16(rows, offset + offsetof(struct fal_q2_k, scales), scales);
    for (int j = 0; j < 4; j++) {
        __m512i low = panel_low_nibbles(scales[j]), mins = panel_high_nibbles(scales[j]);
        __m512i scale[4] = {pair(low, 0, 0), pair(low, 1, 1), pair(low, 2, 2), pair(low, 3, 3)};
        for (int i = 0; i < 16; i++) {
            uint8_t *codes = half->codes[16 * j + i];
            panel_store(codes, _mm512_mullo_epi16(panel_load(codes), scale[i / 4]));
        }
        panel_store(half->min[2 * j], pair(mins, 0, 1));
        panel_store(half->min[2 * j + 1], pair(mins, 2, 3));
    }
}

FAL_PANEL_INLINE void decode_q2_k(const fal_panel_rows *rows, size_t offset, struct half *half) {
    __m512i d = panel_gather4(rows, offset + offsetof(struct fal_q2_k, d));
    _mm512_storeu_ps(half->d, panel_low_f16(d));
    _mm512_storeu_ps(half->dmin, panel_high_f16(d));
    decode_two_bits(rows, offset + offsetof(struct fal_q2_k, qs), half);
    fold_scales(rows, offset, half);
}

FAL_PANEL_INLINE void decode_q3_k(const fal_panel_rows *rows, size_t offset, struct half *half) {
    size_t at = offset + offsetof(struct fal_q3_k, scales);
    __m512i low[2] = {panel_gather4(rows, at), panel_gather4(rows, at + 4)};
    __m512i high = panel_gather4(rows, at + 8);
    for (int j = 0; j < 4; j++) {
        __m512i nibbles = j < 2 ? panel_low_nibbles(low[j]) : panel_high_nibbles(low[j - 2]);
        __m512i top = panel_masked(_mm512_srli_epi32(high, 2 * (unsigned)j), 3);
        __m512i scales = _mm512_or_si512(nibbles, _mm512_slli_epi32(top, 4));
        store_signed_scales(half, 4 * j, _mm512_sub_epi8(scales, _mm512_set1_epi8(32)), 2);
    }
    _mm512_storeu_ps(half->d, panel_gather_f16(rows, offset + offsetof(struct fal_q3_k, d)));
    decode_two_bits(rows, offset + offsetof(struct fal_q3_k, qs), half);
    add_high_bits(rows, offset + offsetof(struct fal_q3_k, hmask), 2, half);
}

/* d, dmin and the twelve bytes of k_scales.h, which q4_k and q5_k begin with. */
FAL_PANEL_INLINE void decode_k_scales(const fal_panel_rows *rows, size_t offset,
                                      struct half *half) {
    __m512i head[4];
    panel_gather16(rows, offset, head);
    _mm512_storeu_ps(half->d, panel_low_f16(head[0]));
    _mm512_storeu_ps(half->dmin, panel_high_f16(head[0]));
    __m512i top_scales = panel_masked(_mm512_srli_epi32(head[1], 2), 48);
    __m512i top_mins = panel_masked(_mm512_srli_epi32(head[2], 2), 48);
    store_scales(half, 0, panel_masked(head[1], 63));
    store_scales(half, 4, _mm512_or_si512(panel_low_nibbles(head[3]), top_scales));
    __m512i mins[2] = {panel_masked(head[2], 63),
                       _mm512_or_si512(panel_high_nibbles(head[3]), top_mins)};
    for (int j = 0; j < 2; j++) {
        panel_store(half->min[4 * j], pair(mins[j], 0, 0));
        panel_store(half->min[4 * j + 1], pair(mins[j], 1, 1));
        panel_store(half->min[4 * j + 2], pair(mins[j], 2, 2));
        panel_store(half->min[4 * j + 3], pair(mins[j], 3, 3));
    }
}

FAL_PANEL_INLINE void decode_q4_k(const fal_panel_rows *rows, size_t offset, struct half *half) {
    decode_k_scales(rows, offset, half);
    decode_nibbles(rows, offset + offsetof(struct fal_q4_k, qs), half);
}

FAL_PANEL_INLINE void decode_q5_k(const fal_panel_rows *rows, size_t offset, struct half *half) {
    decode_k_scales(rows, offset, half);
    decode_nibbles(rows, offset + offsetof(struct fal_q5_k, qs), half);
    add_high_bits(rows, offset + offsetof(struct fal_q5_k, qh), 4, half);
}

/* 16 bytes of qh, with the 2 x 16 bytes of ql that they complete. */
FAL_PANEL_INLINE void decode_six_bits(const fal_panel_rows *rows, size_t offset, int part,
                                      struct half *half) {
    __m512i first[4], second[4], high[4];
    size_t side = (size_t)part >> 1, sixteen = (size_t)(part & 1) * 16;
    size_t low = offset + offsetof(struct fal_q6_k, ql) + 64 * side + sixteen;
    panel_gather16(rows, low, first);
    panel_gather16(rows, low + 32, second);
    panel_gather16(rows, offset + offsetof(struct fal_q6_k, qh) + 32 * side + sixteen, high);
    uint8_t(*codes)[FAL_PANEL_BYTES] = half->codes + 32 * side + 4 * (part & 1);
    for (int j = 0; j < 4; j++) {
        __m512i h = high[j];
        __m512i top = panel_masked(_mm512_slli_epi32(h, 4), 48);
        panel_store(codes[j], _mm512_or_si512(panel_low_nibbles(first[j]), top));
        top = panel_masked(_mm512_slli_epi32(h, 2), 48);
        panel_store(codes[j + 8], _mm512_or_si512(panel_low_nibbles(second[j]), top));
        top = panel_masked(h, 48);
        panel_store(codes[j + 16], _mm512_or_si512(panel_high_nibbles(first[j]), top));
        top = panel_masked(_mm512_srli_epi32(h, 2), 48);
        panel_store(codes[j + 24], _mm512_or_si512(panel_high_nibbles(second[j]), top));
    }
}

FAL_PANEL_INLINE void decode_q6_k(const fal_panel_rows *rows, size_t offset, struct half *half) {
    __m512i scales[4];
    panel_gather16(rows, offset + offsetof(struct fal_q6_k, scales), scales);
    for (int j = 0; j < 4; j++) {
        store_signed_scales(half, 4 * j, scales[j], 5);
    }
    _mm512_storeu_ps(half->d, panel_gather_f16(rows, offset + offsetof(struct fal_q6_k, d)));
    for (int part = 0; part < 4; part++) {
        decode_six_bits(rows, offset, part, half);
    }
}

FAL_PANEL_INLINE void decode_iq4_xs(const fal_panel_rows *rows, size_t offset, struct half *half) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table = panel_table(values);
    __m512i head = panel_gather4(rows, offset); /* d, scales_h */
    __m512i scales_l = panel_gather4(rows, offset + offsetof(struct fal_iq4_xs, scales_l));
    __m512i base = _mm512_setzero_si512();
    _mm512_storeu_ps(half->d, panel_low_f16(head));
    for (unsigned j = 0; j < 8; j++) {
        __m512i bytes[4], codes[8];
        panel_gather16(rows, offset + offsetof(struct fal_iq4_xs, qs) + 16 * (size_t)j, bytes);
        for (int i = 0; i < 4; i++) {
            codes[i] = _mm512_shuffle_epi8(table, panel_low_nibbles(bytes[i]));
            codes[i + 4] = _mm512_shuffle_epi8(table, panel_high_nibbles(bytes[i]));
        }
        for (int i = 0; i < 8; i++)
            panel_store(half->codes[8 * j + i], codes[i]);
        __m512i low = _mm512_and_si512(_mm512_srli_epi32(scales_l, 4 * j), _mm512_set1_epi32(15));
        __m512i high = _mm512_and_si512(_mm512_srli_epi32(head, 16 + 2 * j), _mm512_set1_epi32(3));
        __m512i scale = _mm512_or_si512(low, _mm512_slli_epi32(high, 4));
        scale = _mm512_sub_epi32(scale, _mm512_set1_epi32(32));
        panel_store(half->scale[j], scale);
        base = _mm512_add_epi32(base, _mm512_mullo_epi32(scale, panel_signed_base(codes)));
    }
    panel_store(half->base, base);
}

/* How scales meet the sums of sub-blocks. */
enum scaling {
    FOLDED, /* they are part of the codes */
    NARROW, /* sums over 16 columns fit 16 bits: one instruction multiplies and adds */
    WIDE    /* products of 32 bits */
};

/* What the sums of min * x.sums are for. */
enum lows {
    NO_LOWS,  /* nothing: there are none */
    AS_CODES, /* an offset of the codes: subtracted from the integer sum */
    AS_MINIMA /* minima with a scale of their own, dmin */
};

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    int columns_per_scale; /* 16 or 32 */
    enum scaling scaling;
    bool is_signed;
    enum lows lows;
};

/* Some tokens of a block: block of token t at x + t * x_row_bytes, and for signed codes the activations 128 higher. */
struct tokens {
    const char *x;
    size_t x_row_bytes;
    uint8_t raised[FAL_PANEL_TOKENS][256];
};

FAL_PANEL_INLINE const struct fal_q8_k *block_of(const struct tokens *tokens, int t) {
    return (const struct fal_q8_k *)(const void *)(tokens->x + (size_t)t * tokens->x_row_bytes);
}

/* sums[h][t] += minima . sums of x */
FAL_PANEL_INLINE void dot_lows(const struct panel *panel, const struct tokens *tokens, int n_tokens,
                               __m512i sums[2][FAL_PANEL_TOKENS]) {
    for (int s = 0; s < 8; s++) {
        __m512i min[2] = {panel_load(panel->half[0].min[s]), panel_load(panel->half[1].min[s])};
        for (int t = 0; t < n_tokens; t++) {
            __m512i x = panel_broadcast(block_of(tokens, t)->sums + 2 * s);
            for (int h = 0; h < 2; h++)
                sums[h][t] = _mm512_dpwssd_epi32(sums[h][t], min[h], x);
        }
    }
}

/* sums[h][t] += scale * (codes . x) over n_vectors of codes from `first` on, all of one sub-block. A scale for a NARROW sum
 * meets its low half; the high half, its sign, meets zero. */
FAL_PANEL_INLINE void dot_scaled(const struct kind kind, const struct panel *panel, int first,
                                 int n_vectors, const uint8_t *const *x, int n_tokens,
                                 __m512i sums[2][FAL_PANEL_TOKENS]) {
    const struct half *half = panel->half;
    const uint8_t *part[FAL_PANEL_TOKENS];
    __m512i partial[2][FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        part[t] = x[t] + 4 * first;
        partial[0][t] = partial[1][t] = _mm512_setzero_si512();
    }
    panel_dot(half[0].codes[first], half[1].codes[first], n_vectors, kind.is_signed, part, n_tokens,
              partial);
    for (int h = 0; h < 2; h++) {
        __m512i scale = panel_load(half[h].scale[4 * first / kind.columns_per_scale]);
        if (kind.scaling == NARROW) scale = _mm512_and_si512(scale, _mm512_set1_epi32(0xffff));
        for (int t = 0; t < n_tokens; t++) {
            sums[h][t] =
                kind.scaling == NARROW
                    ? _mm512_dpwssd_epi32(sums[h][t], partial[h][t], scale)
                    : _mm512_add_epi32(sums[h][t], _mm512_mullo_epi32(partial[h][t], scale));
        }
    }
}

/* The integer sums of a block. */
FAL_PANEL_INLINE void dot_codes(const struct kind kind, const struct panel *panel,
                                const struct tokens *tokens, int n_tokens,
                                __m512i sums[2][FAL_PANEL_TOKENS]) {
    const struct half *half = panel->half;
    const uint8_t *x[FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        x[t] = kind.is_signed ? tokens->raised[t] : (const uint8_t *)block_of(tokens, t)->q;
        for (int h = 0; h < 2; h++)
            sums[h][t] = kind.is_signed ? panel_load(half[h].base) : _mm512_setzero_si512();
    }
    if (kind.scaling == FOLDED) {
        panel_dot(half[0].codes[0], half[1].codes[0], 64, false, x, n_tokens, sums);
        return;
    }
    const int n_vectors = kind.scaling == NARROW ? 4 : kind.columns_per_scale / 4;
    for (int first = 0; first < 64; first += n_vectors)
        dot_scaled(kind, panel, first, n_vectors, x, n_tokens, sums);
}

/* y += panel . tokens; y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     const struct tokens *tokens, int n_tokens, float *y,
                                     int64_t y_stride, fal_panel_masks masks) {
    __m512i sums[2][FAL_PANEL_TOKENS], lows[2][FAL_PANEL_TOKENS];
    dot_codes(kind, panel, tokens, n_tokens, sums);
    for (int t = 0; t < n_tokens; t++)
        lows[0][t] = lows[1][t] = _mm512_setzero_si512();
    if (kind.lows != NO_LOWS) dot_lows(panel, tokens, n_tokens, lows);
    for (int h = 0; h < 2; h++) {
        const struct half *half = &panel->half[h];
        __m512 d = _mm512_loadu_ps(half->d);
        for (int t = 0; t < n_tokens; t++) {
            float *at = y + t * y_stride + h * FAL_PANEL_HALF;
            __m512 x_d = _mm512_set1_ps(block_of(tokens, t)->d);
            __m512i sum = sums[h][t];
            if (kind.lows == AS_CODES) sum = _mm512_sub_epi32(sum, lows[h][t]);
            __m512 acc = _mm512_maskz_loadu_ps(masks.half[h], at);
            __m512 scale = _mm512_mul_ps(d, x_d);
            acc = _mm512_add_ps(acc, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sum)));
            if (kind.lows == AS_MINIMA) {
                scale = _mm512_mul_ps(_mm512_loadu_ps(half->dmin), x_d);
                acc = _mm512_sub_ps(acc, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(lows[h][t])));
            }
            _mm512_mask_storeu_ps(at, masks.half[h], acc);
        }
    }
}

/* n_tokens tokens from `token` on with block `index` of the panel that begins at `row`. */
FAL_PANEL_INLINE void multiply_tokens(const struct kind kind, const fal_product *p, int64_t row,
                                      const struct panel *panel, int64_t index, int64_t token,
                                      int n_tokens) {
    struct tokens tokens;
    tokens.x = (const char *)p->x + (size_t)token * p->x_row_bytes
               + (size_t)index * sizeof(struct fal_q8_k);
    tokens.x_row_bytes = p->x_row_bytes;
    for (int t = 0; kind.is_signed && t < n_tokens; t++) {
        for (int i = 0; i < 256; i += 32)
            panel_raise(tokens.raised[t] + i, block_of(&tokens, t)->q + i);
    }
    multiply_panel(kind, panel, &tokens, n_tokens, p->y + token * p->y_stride + row, p->y_stride,
                   panel_masks(p, row));
}

/* One panel at a time, as in matmul_legacy.c. */
FAL_PANEL_INLINE void multiply_many(const struct kind kind, const fal_product *p) {
    struct panel panel;
    int64_t n_blocks = p->n_cols / 256;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += FAL_PANEL_ROWS) {
        for (int64_t index = 0; index < n_blocks; index++) {
            size_t offset = (size_t)index * kind.block_bytes;
            int64_t token = 0;
            panel_prefetch(p, row, offset, kind.block_bytes);
            for (int h = 0; h < 2; h++) {
                fal_panel_rows rows = panel_rows_from(p, row + h * FAL_PANEL_HALF);
                kind.decode(&rows, offset, &panel.half[h]);
            }
            for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS)
                multiply_tokens(kind, p, row, &panel, index, token, FAL_PANEL_TOKENS);
            for (; token < p->n_tokens; token++)
                multiply_tokens(kind, p, row, &panel, index, token, 1);
        }
    }
}

/* The eight scales of each row as numbers of 16 bits, from the block's first eight bytes. */
FAL_PANEL_INLINE __m512i few_iq4_xs_scales(__m512i head) {
    __m512i low = _mm512_shuffle_epi8(
        head, few_four((int)0x80048004u, (int)0x80058005u, (int)0x80068006u, (int)0x80078007u));
    low = _mm512_and_si512(_mm512_srlv_epi16(low, _mm512_set1_epi32(0x00040000)),
                           _mm512_set1_epi16(15));
    __m512i high = _mm512_shuffle_epi8(head, _mm512_set1_epi32(0x03020302));
    high = _mm512_srlv_epi16(high, few_four(0x00020000, 0x00060004, 0x000a0008, 0x000e000c));
    high = _mm512_slli_epi16(_mm512_and_si512(high, _mm512_set1_epi16(3)), 4);
    return _mm512_sub_epi16(_mm512_or_si512(low, high), _mm512_set1_epi16(32));
}

/* Codes stand 128 higher than they are. */
FAL_PANEL_INLINE void few_add_iq4_xs(const fal_quads *quads, int e, struct few_sums *sums,
                                     __m512i *head) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table =
        _mm512_xor_si512(panel_table(values), _mm512_set1_epi32((int)0x80808080u));
    *head = few_load(quads, e, 0);
    __m512i scales = few_iq4_xs_scales(*head);
    few_add_lows(sums, 0, _mm512_unpacklo_epi16(scales, scales));
    few_add_lows(sums, 1, _mm512_unpackhi_epi16(scales, scales));
    __m512i wide[2] = {_mm512_srai_epi32(_mm512_unpacklo_epi16(scales, scales), 16),
                       _mm512_srai_epi32(_mm512_unpackhi_epi16(scales, scales), 16)};
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        __m512i v = few_load(quads, e, offsetof(struct fal_iq4_xs, qs) + 16 * (size_t)j);
        __m512i first = _mm512_shuffle_epi8(table, panel_low_nibbles(v));
        __m512i second = _mm512_shuffle_epi8(table, panel_high_nibbles(v));
        const int lane = 0x03020100 + 0x04040404 * (j % 4);
        __m512i scale = _mm512_shuffle_epi8(wide[j / 4], _mm512_set1_epi32(lane));
        for (int t = 0; t < sums->n_tokens; t++) {
            const int8_t *x = sums->x[t]->q + 32 * j;
            __m512i partial = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, quads_repeat(x));
            partial = _mm512_dpbusd_epi32(partial, second, quads_repeat(x + 16));
            __m512i *chain = few_chain(sums, t, 32 * j);
            *chain = _mm512_add_epi32(*chain, _mm512_mullo_epi32(partial, scale));
        }
    }
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const struct few_kind few,
                               const fal_product *p) {
    if (p->n_rows < FAL_QUADS_ROWS)
        multiply_many(kind, p);
    else if (p->n_tokens == 1)
        few_multiply(few, p, 1);
    else if (p->n_tokens == 2)
        few_multiply(few, p, 2);
    else if (p->n_tokens == 3)
        few_multiply(few, p, 3);
    else
        multiply_many(kind, p);
}

void fal_matmul_q2_k_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q2_k), decode_q2_k, 16, FOLDED, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q2_k), few_add_q2_k, few_scales_q2_k, true, 0}, p);
}

void fal_matmul_q3_k_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q3_k), decode_q3_k, 16, NARROW, false, AS_CODES},
             (struct few_kind){sizeof(struct fal_q3_k), few_add_q3_k, few_scales_q3_k, false, 2},
             p);
}

void fal_matmul_q4_k_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_k), decode_q4_k, 32, NARROW, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q4_k), few_add_q4_k, few_scales_pair, true, 0}, p);
}

void fal_matmul_q5_k_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_k), decode_q5_k, 32, WIDE, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q5_k), few_add_q5_k, few_scales_pair, true, 0}, p);
}

void fal_matmul_q6_k_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q6_k), decode_q6_k, 16, WIDE, false, AS_CODES},
             (struct few_kind){sizeof(struct fal_q6_k), few_add_q6_k, few_scales_q6_k, false, 5},
             p);
}

void fal_matmul_iq4_xs_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_iq4_xs), decode_iq4_xs, 32, WIDE, true, NO_LOWS},
        (struct few_kind){sizeof(struct fal_iq4_xs), few_add_iq4_xs, few_scales_pair, false, 7}, p);
}
