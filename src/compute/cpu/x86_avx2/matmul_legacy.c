/* Products with types of 32 weights and one or two scales, with AVX2: panels of eight rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_legacy.c. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/panel.h"
#include "compute/cpu/x86_frames/panel_prefetch.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

enum {
    CHUNK = 8, /* blocks decoded at a time */
    FEW_TOKENS = 2,
    MANY_TOKENS = 64, /* for so many, panels share a reading of the activations; for fewer, */
    MANY_PANELS = 4   /* one at a time: weights arrive while the one before is at work */
};

/* One block of eight rows: weight = d * code + m. */
struct block {
    uint8_t codes[8][FAL_PANEL_BYTES];
    float d[FAL_PANEL_ROWS], m[FAL_PANEL_ROWS];
};

struct panel {
    struct block blocks[CHUNK];
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_panel_rows *rows, size_t offset, struct block *block);

FAL_PANEL_INLINE void store_scales(struct block *block, __m256 d, __m256 m) {
    _mm256_storeu_ps(block->d, d);
    _mm256_storeu_ps(block->m, m);
}

FAL_PANEL_INLINE void decode_nibbles(const fal_panel_rows *rows, size_t offset,
                                     struct block *block) {
    __m256i bytes[4];
    panel_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        panel_store(block->codes[j], panel_low_nibbles(bytes[j]));
        panel_store(block->codes[j + 4], panel_high_nibbles(bytes[j]));
    }
}

/* The four bits of high from `first` on, as the fifth bits of four codes. */
FAL_PANEL_INLINE __m256i fifth_bits(__m256i high, int first) {
    const int from = (first >> 3) * 0x01010101;
    const __m256i order =
        _mm256_setr_epi32(from, from + 0x04040404, from + 0x08080808, from + 0x0c0c0c0c, from,
                          from + 0x04040404, from + 0x08080808, from + 0x0c0c0c0c);
    const __m256i mask = _mm256_set1_epi32(first & 4 ? (int)0x80402010u : 0x08040201);
    __m256i bits = _mm256_and_si256(_mm256_shuffle_epi8(high, order), mask);
    return _mm256_and_si256(_mm256_cmpeq_epi8(bits, mask), _mm256_set1_epi8(16));
}

FAL_PANEL_INLINE void decode_five_bits(const fal_panel_rows *rows, size_t offset, __m256i high,
                                       struct block *block) {
    __m256i bytes[4];
    panel_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        __m256i low_codes = _mm256_or_si256(panel_low_nibbles(bytes[j]), fifth_bits(high, 4 * j));
        __m256i high_codes =
            _mm256_or_si256(panel_high_nibbles(bytes[j]), fifth_bits(high, 16 + 4 * j));
        panel_store(block->codes[j], low_codes);
        panel_store(block->codes[j + 4], high_codes);
    }
}

FAL_PANEL_INLINE void decode_q4_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m256 d = panel_gather_f16(rows, offset);
    store_scales(block, d, _mm256_mul_ps(d, _mm256_set1_ps(-8.0f)));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_0, qs), block);
}

FAL_PANEL_INLINE void decode_q4_1(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m256i head[2];
    panel_gather8(rows, offset, head);
    store_scales(block, panel_low_f16(head[0]), panel_high_f16(head[0]));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_1, qs), block);
}

FAL_PANEL_INLINE void decode_q5_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m256 d = panel_gather_f16(rows, offset);
    store_scales(block, d, _mm256_mul_ps(d, _mm256_set1_ps(-16.0f)));
    __m256i high = panel_gather4(rows, offset + offsetof(struct fal_q5_0, qh));
    decode_five_bits(rows, offset + offsetof(struct fal_q5_0, qs), high, block);
}

FAL_PANEL_INLINE void decode_q5_1(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m256i head[2]; /* d, m; qh */
    panel_gather8(rows, offset, head);
    store_scales(block, panel_low_f16(head[0]), panel_high_f16(head[0]));
    decode_five_bits(rows, offset + offsetof(struct fal_q5_1, qs), head[1], block);
}

FAL_PANEL_INLINE void decode_q8_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m256i bytes[4];
    _mm256_storeu_ps(block->d, panel_gather_f16(rows, offset));
    for (int half = 0; half < 2; half++) {
        panel_gather16(rows, offset + offsetof(struct fal_q8_0, q) + 16 * (size_t)half, bytes);
        for (int j = 0; j < 4; j++) {
            panel_store(block->codes[4 * half + j], bytes[j]);
        }
    }
}

FAL_PANEL_INLINE void decode_iq4_nl(const fal_panel_rows *rows, size_t offset,
                                    struct block *block) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)values));
    __m256i bytes[4];
    _mm256_storeu_ps(block->d, panel_gather_f16(rows, offset));
    panel_gather16(rows, offset + offsetof(struct fal_iq4_nl, qs), bytes);
    for (int j = 0; j < 4; j++) {
        panel_store(block->codes[j], _mm256_shuffle_epi8(table, panel_low_nibbles(bytes[j])));
        panel_store(block->codes[j + 4], _mm256_shuffle_epi8(table, panel_high_nibbles(bytes[j])));
    }
}

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    int run; /* see panel_dot */
    bool is_signed, has_minimum;
};

/* acc[t] += block . x[t] */
FAL_PANEL_INLINE void multiply_block(const struct kind kind, const struct block *block,
                                     const struct fal_q8_1 *const *x, int n_tokens, __m256 *acc) {
    const int8_t *codes[FAL_PANEL_TOKENS];
    __m256i sums[FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        codes[t] = x[t]->q;
        sums[t] = _mm256_setzero_si256();
    }
    panel_dot(block->codes[0], 8, kind.run, kind.is_signed, _mm256_set1_epi16(1), codes, n_tokens,
              sums);
    __m256 d = _mm256_loadu_ps(block->d);
    for (int t = 0; t < n_tokens; t++) {
        __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(x[t]->d));
        acc[t] = _mm256_add_ps(acc[t], _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums[t])));
    }
    if (!kind.has_minimum) return;
    __m256 m = _mm256_loadu_ps(block->m);
    for (int t = 0; t < n_tokens; t++)
        acc[t] = _mm256_add_ps(acc[t], _mm256_mul_ps(m, _mm256_set1_ps(x[t]->s)));
}

/* Block `index` of the rows of activations that begin at x. */
FAL_PANEL_INLINE void find_activations(const struct fal_q8_1 **out, const char *x,
                                       size_t x_row_bytes, int n_tokens, int64_t index) {
    for (int t = 0; t < n_tokens; t++)
        out[t] = (const struct fal_q8_1 *)(const void *)(x + (size_t)t * x_row_bytes) + index;
}

/* y += panel . tokens for n_blocks blocks; x and y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     int n_blocks, const char *x, size_t x_row_bytes, int n_tokens,
                                     float *y, int64_t y_stride, int n_rows) {
    __m256 acc[FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++)
        acc[t] = panel_read_y(y + t * y_stride, n_rows);
    for (int i = 0; i < n_blocks; i++) {
        const struct fal_q8_1 *tokens[FAL_PANEL_TOKENS];
        find_activations(tokens, x, x_row_bytes, n_tokens, i);
        multiply_block(kind, &panel->blocks[i], tokens, n_tokens, acc);
    }
    for (int t = 0; t < n_tokens; t++)
        panel_write_y(y + t * y_stride, n_rows, acc[t]);
}

FAL_PANEL_INLINE void decode_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                   int64_t first, int n, struct panel *panel) {
    fal_panel_rows rows = panel_rows_from(p, row);
    size_t offset = (size_t)first * kind.block_bytes;
    panel_prefetch(p, row, offset, (size_t)n * kind.block_bytes);
    for (int i = 0; i < n; i++)
        kind.decode(&rows, offset + (size_t)i * kind.block_bytes, &panel->blocks[i]);
}

/* Rows [row, row + n_panels * 8) with blocks [first, first + n). */
FAL_PANEL_INLINE void multiply_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                     int n_panels, const struct panel *panels, int64_t first,
                                     int n) {
    const char *x = (const char *)p->x + (size_t)first * sizeof(struct fal_q8_1);
    int64_t token = 0;
    for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], n, x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           FAL_PANEL_TOKENS, p->y + token * p->y_stride + at, p->y_stride,
                           panel_n_rows(p, at));
        }
    }
    for (; token < p->n_tokens; token++) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], n, x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           1, p->y + token * p->y_stride + at, p->y_stride, panel_n_rows(p, at));
        }
    }
}

/* For so few tokens that decoding is most of the work: a block stays in registers between it and the products. */
FAL_PANEL_INLINE void multiply_few(const struct kind kind, const fal_product *p, int n_tokens) {
    int64_t n_blocks = p->n_cols / 32;
    for (int64_t row = 0; row < p->n_rows; row += FAL_PANEL_ROWS) {
        fal_panel_rows rows = panel_rows_from(p, row);
        __m256 acc[FEW_TOKENS];
        for (int t = 0; t < n_tokens; t++)
            acc[t] = _mm256_setzero_ps();
        for (int64_t i = 0; i < n_blocks; i++) {
            const struct fal_q8_1 *tokens[FEW_TOKENS];
            struct block block;
            size_t offset = (size_t)i * kind.block_bytes;
            if (i % CHUNK == 0) panel_prefetch(p, row, offset, CHUNK * kind.block_bytes);
            kind.decode(&rows, offset, &block);
            find_activations(tokens, p->x, p->x_row_bytes, n_tokens, i);
            multiply_block(kind, &block, tokens, n_tokens, acc);
        }
        for (int t = 0; t < n_tokens; t++)
            panel_write_y(p->y + t * p->y_stride + row, panel_n_rows(p, row), acc[t]);
    }
}

FAL_PANEL_INLINE void multiply_many(const struct kind kind, const fal_product *p) {
    struct panel panels[MANY_PANELS];
    int64_t n_blocks = p->n_cols / 32;
    int64_t step = (p->n_tokens < MANY_TOKENS ? 1 : MANY_PANELS) * FAL_PANEL_ROWS;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int64_t n_rows = p->n_rows - row < step ? p->n_rows - row : step;
        int n_panels = (int)((n_rows + FAL_PANEL_ROWS - 1) / FAL_PANEL_ROWS);
        for (int64_t first = 0; first < n_blocks; first += CHUNK) {
            int n = n_blocks - first < CHUNK ? (int)(n_blocks - first) : CHUNK;
            for (int i = 0; i < n_panels; i++) {
                decode_chunk(kind, p, row + i * FAL_PANEL_ROWS, first, n, &panels[i]);
            }
            multiply_chunk(kind, p, row, n_panels, panels, first, n);
        }
    }
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const fal_product *p) {
    if (p->n_tokens == 1)
        multiply_few(kind, p, 1);
    else if (p->n_tokens == 2)
        multiply_few(kind, p, 2);
    else
        multiply_many(kind, p);
}

void fal_matmul_q4_0_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_0), decode_q4_0, 8, false, true}, p);
}

void fal_matmul_q4_1_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_1), decode_q4_1, 8, false, true}, p);
}

void fal_matmul_q5_0_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_0), decode_q5_0, 4, false, true}, p);
}

void fal_matmul_q5_1_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_1), decode_q5_1, 4, false, true}, p);
}

void fal_matmul_q8_0_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q8_0), decode_q8_0, 1, true, false}, p);
}

void fal_matmul_iq4_nl_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_iq4_nl), decode_iq4_nl, 1, true, false}, p);
}
