/* Products with types of 32 weights and one or two scales, with AVX-512 and VNNI: panels of 32 rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_legacy.c: a block's sum is an exact integer. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/few_legacy.h"
#include "compute/cpu/x86_avx512/panel.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

enum {
    CHUNK = 8 /* blocks decoded at a time */
};

/* weight = d * code + m */
struct half {
    uint8_t codes[CHUNK][8][FAL_PANEL_BYTES];
    float d[CHUNK][FAL_PANEL_HALF], m[CHUNK][FAL_PANEL_HALF];
    int32_t base[CHUNK][FAL_PANEL_HALF]; /* of signed codes: see panel_signed_base */
};

struct panel {
    struct half half[2];
};

/* Decodes block `index` of the half from the rows' bytes at offset. */
typedef void decode_block(const fal_panel_rows *rows, size_t offset, struct half *half, int index);

FAL_PANEL_INLINE void store_scales(struct half *half, int index, __m512 d, __m512 m) {
    _mm512_storeu_ps(half->d[index], d);
    _mm512_storeu_ps(half->m[index], m);
}

FAL_PANEL_INLINE void decode_nibbles(const fal_panel_rows *rows, size_t offset, struct half *half,
                                     int index) {
    __m512i bytes[4];
    panel_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        panel_store(half->codes[index][j], panel_low_nibbles(bytes[j]));
        panel_store(half->codes[index][j + 4], panel_high_nibbles(bytes[j]));
    }
}

/* The four bits of high from `first` on, as the fifth bits of four codes. */
FAL_PANEL_INLINE __m512i fifth_bits(__m512i high, int first) {
    const int from = (first >> 3) * 0x01010101;
    const __m512i order = _mm512_broadcast_i32x4(
        _mm_setr_epi32(from, from + 0x04040404, from + 0x08080808, from + 0x0c0c0c0c));
    const __m512i bits = _mm512_set1_epi32(first & 4 ? (int)0x80402010u : 0x08040201);
    __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(high, order), bits);
    return _mm512_maskz_mov_epi8(is_set, _mm512_set1_epi32(0x10101010));
}

FAL_PANEL_INLINE void decode_five_bits(const fal_panel_rows *rows, size_t offset, __m512i high,
                                       struct half *half, int index) {
    __m512i bytes[4];
    panel_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        panel_store(half->codes[index][j],
                    _mm512_or_si512(panel_low_nibbles(bytes[j]), fifth_bits(high, 4 * j)));
        panel_store(half->codes[index][j + 4],
                    _mm512_or_si512(panel_high_nibbles(bytes[j]), fifth_bits(high, 16 + 4 * j)));
    }
}

FAL_PANEL_INLINE void decode_q4_0(const fal_panel_rows *rows, size_t offset, struct half *half,
                                  int index) {
    __m512 d = panel_low_f16(panel_gather2(rows, offset));
    store_scales(half, index, d, _mm512_mul_ps(d, _mm512_set1_ps(-8.0f)));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_0, qs), half, index);
}

FAL_PANEL_INLINE void decode_q4_1(const fal_panel_rows *rows, size_t offset, struct half *half,
                                  int index) {
    __m512i head = panel_gather4(rows, offset);
    store_scales(half, index, panel_low_f16(head), panel_high_f16(head));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_1, qs), half, index);
}

FAL_PANEL_INLINE void decode_q5_0(const fal_panel_rows *rows, size_t offset, struct half *half,
                                  int index) {
    __m512 d = panel_low_f16(panel_gather2(rows, offset));
    store_scales(half, index, d, _mm512_mul_ps(d, _mm512_set1_ps(-16.0f)));
    __m512i high = panel_gather4(rows, offset + offsetof(struct fal_q5_0, qh));
    decode_five_bits(rows, offset + offsetof(struct fal_q5_0, qs), high, half, index);
}

FAL_PANEL_INLINE void decode_q5_1(const fal_panel_rows *rows, size_t offset, struct half *half,
                                  int index) {
    __m512i head = panel_gather4(rows, offset);
    store_scales(half, index, panel_low_f16(head), panel_high_f16(head));
    __m512i high = panel_gather4(rows, offset + offsetof(struct fal_q5_1, qh));
    decode_five_bits(rows, offset + offsetof(struct fal_q5_1, qs), high, half, index);
}

FAL_PANEL_INLINE void decode_q8_0(const fal_panel_rows *rows, size_t offset, struct half *half,
                                  int index) {
    __m512i bytes[4];
    _mm512_storeu_ps(half->d[index], panel_low_f16(panel_gather2(rows, offset)));
    for (int part = 0; part < 2; part++) {
        panel_gather16(rows, offset + offsetof(struct fal_q8_0, q) + 16 * (size_t)part, bytes);
        for (int j = 0; j < 4; j++) {
            panel_store(half->codes[index][4 * part + j], bytes[j]);
        }
    }
}

FAL_PANEL_INLINE void decode_iq4_nl(const fal_panel_rows *rows, size_t offset, struct half *half,
                                    int index) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table = panel_table(values);
    __m512i bytes[4];
    _mm512_storeu_ps(half->d[index], panel_low_f16(panel_gather2(rows, offset)));
    panel_gather16(rows, offset + offsetof(struct fal_iq4_nl, qs), bytes);
    for (int j = 0; j < 4; j++) {
        panel_store(half->codes[index][j], _mm512_shuffle_epi8(table, panel_low_nibbles(bytes[j])));
        panel_store(half->codes[index][j + 4],
                    _mm512_shuffle_epi8(table, panel_high_nibbles(bytes[j])));
    }
}

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    bool is_signed, has_minimum;
};

/* Some tokens of a chunk: blocks of token t at x + t * x_row_bytes, and for signed codes the activations 128 higher. */
struct tokens {
    const char *x;
    size_t x_row_bytes;
    uint8_t raised[FAL_PANEL_TOKENS][CHUNK * 32];
};

FAL_PANEL_INLINE const struct fal_q8_1 *block_of(const struct tokens *tokens, int t, int index) {
    const char *x = tokens->x + (size_t)t * tokens->x_row_bytes;
    return (const struct fal_q8_1 *)(const void *)x + index;
}

/* acc += panel . tokens for block `index`. */
FAL_PANEL_INLINE void add_block(const struct kind kind, const struct panel *panel, int index,
                                const struct tokens *tokens, int n_tokens,
                                __m512 acc[2][FAL_PANEL_TOKENS]) {
    const struct half *half = panel->half;
    const uint8_t *codes[FAL_PANEL_TOKENS];
    __m512i sums[2][FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        codes[t] = kind.is_signed ? tokens->raised[t] + 32 * index
                                  : (const uint8_t *)block_of(tokens, t, index)->q;
        for (int h = 0; h < 2; h++) {
            sums[h][t] = kind.is_signed ? panel_load(half[h].base[index]) : _mm512_setzero_si512();
        }
    }
    panel_dot(half[0].codes[index][0], half[1].codes[index][0], 8, kind.is_signed, codes, n_tokens,
              sums);
    for (int h = 0; h < 2; h++) {
        __m512 d = _mm512_loadu_ps(half[h].d[index]);
        for (int t = 0; t < n_tokens; t++) {
            __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(block_of(tokens, t, index)->d));
            acc[h][t] =
                _mm512_add_ps(acc[h][t], _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sums[h][t])));
        }
        if (!kind.has_minimum) continue;
        __m512 m = _mm512_loadu_ps(half[h].m[index]);
        for (int t = 0; t < n_tokens; t++) {
            __m512 s = _mm512_set1_ps(block_of(tokens, t, index)->s);
            acc[h][t] = _mm512_add_ps(acc[h][t], _mm512_mul_ps(m, s));
        }
    }
}

/* y += panel . tokens for n_blocks blocks; y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     int n_blocks, const struct tokens *tokens, int n_tokens,
                                     float *y, int64_t y_stride, fal_panel_masks masks) {
    __m512 acc[2][FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        for (int h = 0; h < 2; h++) {
            acc[h][t] = _mm512_maskz_loadu_ps(masks.half[h], y + t * y_stride + h * FAL_PANEL_HALF);
        }
    }
    for (int i = 0; i < n_blocks; i++) {
        add_block(kind, panel, i, tokens, n_tokens, acc);
    }
    for (int t = 0; t < n_tokens; t++) {
        for (int h = 0; h < 2; h++) {
            _mm512_mask_storeu_ps(y + t * y_stride + h * FAL_PANEL_HALF, masks.half[h], acc[h][t]);
        }
    }
}

FAL_PANEL_INLINE void decode_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                   int64_t first, int n, struct panel *panel) {
    size_t offset = (size_t)first * kind.block_bytes;
    panel_prefetch(p, row, offset, (size_t)n * kind.block_bytes);
    for (int h = 0; h < 2; h++) {
        struct half *half = &panel->half[h];
        fal_panel_rows rows = panel_rows_from(p, row + h * FAL_PANEL_HALF);
        for (int i = 0; i < n; i++) {
            kind.decode(&rows, offset + (size_t)i * kind.block_bytes, half, i);
            if (kind.is_signed) panel_store(half->base[i], panel_signed_base(half->codes[i][0], 8));
        }
    }
}

/* n_tokens tokens from `token` on with blocks [first, first + n) of the panel that begins at `row`. */
FAL_PANEL_INLINE void multiply_tokens(const struct kind kind, const fal_product *p, int64_t row,
                                      const struct panel *panel, int64_t first, int n,
                                      int64_t token, int n_tokens) {
    struct tokens tokens;
    tokens.x = (const char *)p->x + (size_t)token * p->x_row_bytes
               + (size_t)first * sizeof(struct fal_q8_1);
    tokens.x_row_bytes = p->x_row_bytes;
    for (int t = 0; kind.is_signed && t < n_tokens; t++) {
        for (int i = 0; i < n; i++)
            panel_raise(tokens.raised[t] + 32 * i, block_of(&tokens, t, i)->q);
    }
    multiply_panel(kind, panel, n, &tokens, n_tokens, p->y + token * p->y_stride + row, p->y_stride,
                   panel_masks(p, row));
}

/* One panel at a time: what it takes of the activations stays in the nearest caches until the next one comes, and weights
 * arrive while the tokens of the panel before are at work. */
FAL_PANEL_INLINE void multiply_many(const struct kind kind, const fal_product *p) {
    struct panel panel;
    int64_t n_blocks = p->n_cols / 32;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += FAL_PANEL_ROWS) {
        for (int64_t first = 0; first < n_blocks; first += CHUNK) {
            int n = n_blocks - first < CHUNK ? (int)(n_blocks - first) : CHUNK;
            int64_t token = 0;
            decode_chunk(kind, p, row, first, n, &panel);
            for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS)
                multiply_tokens(kind, p, row, &panel, first, n, token, FAL_PANEL_TOKENS);
            for (; token < p->n_tokens; token++)
                multiply_tokens(kind, p, row, &panel, first, n, token, 1);
        }
    }
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const struct few_kind few,
                               const fal_product *p) {
    if (p->n_rows < FAL_QUADS_ROWS)
        multiply_many(kind, p);
    else if (p->n_tokens == 1)
        few_multiply(few, p, 0, 1);
    else if (p->n_tokens == 2)
        few_multiply(few, p, 0, 2);
    else if (p->n_tokens == 3)
        few_multiply(few, p, 0, 3);
    else if (p->n_tokens == 4)
        few_multiply(few, p, 0, 4);
    else
        multiply_many(kind, p);
}

void fal_matmul_q4_0_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_q4_0), decode_q4_0, false, true},
        (struct few_kind){sizeof(struct fal_q4_0), few_codes_q4_0, few_scales_q4_0, false, true},
        p);
}

void fal_matmul_q4_1_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_q4_1), decode_q4_1, false, true},
        (struct few_kind){sizeof(struct fal_q4_1), few_codes_q4_1, few_scales_q4_1, false, true},
        p);
}

void fal_matmul_q5_0_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_q5_0), decode_q5_0, false, true},
        (struct few_kind){sizeof(struct fal_q5_0), few_codes_q5_0, few_scales_q5_0, false, true},
        p);
}

void fal_matmul_q5_1_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_q5_1), decode_q5_1, false, true},
        (struct few_kind){sizeof(struct fal_q5_1), few_codes_q5_1, few_scales_q5_1, false, true},
        p);
}

void fal_matmul_q8_0_avx512(const fal_product *p) {
    multiply(
        (struct kind){sizeof(struct fal_q8_0), decode_q8_0, true, false},
        (struct few_kind){sizeof(struct fal_q8_0), few_codes_q8_0, few_scales_alone, true, false},
        p);
}

void fal_matmul_iq4_nl_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_iq4_nl), decode_iq4_nl, true, false},
             (struct few_kind){sizeof(struct fal_iq4_nl), few_codes_iq4_nl, few_scales_alone, true,
                               false},
             p);
}
