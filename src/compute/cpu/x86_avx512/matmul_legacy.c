/* Products with types of 32 weights and one or two scales, with AVX-512 and VNNI: few tokens by rows as they
 * lie (few_legacy.h), some by 16 rows turned in registers, many by panels of 32 rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_legacy.c: a block's sum is an exact integer. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx512/few_legacy.h"
#include "compute/cpu/x86_avx512/panel.h"
#include "compute/cpu/x86_frames/panel_prefetch.h"
#include "quant/iq4_nl.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"
#include "quant/q8_1.h"

enum {
    CHUNK = 8,         /* blocks decoded at a time */
    SOME_TOKENS = 8,   /* that registers hold the sums of */
    MOST_BLOCKS = 2048 /* of a row, where sums have to begin with something */
};

/* One block of 16 rows: weight = d * code + m. Vector j of codes holds columns 4 j .. 4 j + 3. */
struct block {
    __m512i codes[8];
    __m512 d, m;
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_panel_rows *rows, size_t offset, struct block *block);

FAL_PANEL_INLINE void decode_nibbles(const fal_panel_rows *rows, size_t offset,
                                     struct block *block) {
    __m512i bytes[4];
    panel_gather16(rows, offset, bytes);
    for (int j = 0; j < 4; j++) {
        block->codes[j] = panel_low_nibbles(bytes[j]);
        block->codes[j + 4] = panel_high_nibbles(bytes[j]);
    }
}

/* Adds the four bits of high from `first` on as the fifth bits of four codes. */
FAL_PANEL_INLINE __m512i with_fifth_bits(__m512i codes, __m512i high, int first) {
    const int from = (first >> 3) * 0x01010101;
    const __m512i order = _mm512_broadcast_i32x4(
        _mm_setr_epi32(from, from + 0x04040404, from + 0x08080808, from + 0x0c0c0c0c));
    const __m512i bits = _mm512_set1_epi32(first & 4 ? (int)0x80402010u : 0x08040201);
    __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(high, order), bits);
    return _mm512_mask_add_epi8(codes, is_set, codes, _mm512_set1_epi8(16));
}

FAL_PANEL_INLINE void decode_five_bits(const fal_panel_rows *rows, size_t offset, __m512i high,
                                       struct block *block) {
    decode_nibbles(rows, offset, block);
    for (int j = 0; j < 8; j++)
        block->codes[j] = with_fifth_bits(block->codes[j], high, 4 * j);
}

FAL_PANEL_INLINE void decode_q4_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    block->d = panel_gather_f16(rows, offset);
    block->m = _mm512_mul_ps(block->d, _mm512_set1_ps(-8.0f));
    decode_nibbles(rows, offset + offsetof(struct fal_q4_0, qs), block);
}

FAL_PANEL_INLINE void decode_q4_1(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m512i head = panel_gather4(rows, offset);
    block->d = panel_low_f16(head);
    block->m = panel_high_f16(head);
    decode_nibbles(rows, offset + offsetof(struct fal_q4_1, qs), block);
}

FAL_PANEL_INLINE void decode_q5_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m512i head[4]; /* d, half of qh; the other half */
    panel_gather16(rows, offset, head);
    block->d = panel_low_f16(head[0]);
    block->m = _mm512_mul_ps(block->d, _mm512_set1_ps(-16.0f));
    __m512i high = _mm512_or_si512(_mm512_srli_epi32(head[0], 16), _mm512_slli_epi32(head[1], 16));
    decode_five_bits(rows, offset + offsetof(struct fal_q5_0, qs), high, block);
}

FAL_PANEL_INLINE void decode_q5_1(const fal_panel_rows *rows, size_t offset, struct block *block) {
    __m512i head[4]; /* d, m; qh; some codes */
    panel_gather16(rows, offset, head);
    block->d = panel_low_f16(head[0]);
    block->m = panel_high_f16(head[0]);
    decode_five_bits(rows, offset + offsetof(struct fal_q5_1, qs), head[1], block);
}

FAL_PANEL_INLINE void decode_q8_0(const fal_panel_rows *rows, size_t offset, struct block *block) {
    block->d = panel_gather_f16(rows, offset);
    block->m = _mm512_setzero_ps();
    for (int i = 0; i < 2; i++)
        panel_gather16(rows, offset + offsetof(struct fal_q8_0, q) + 16 * (size_t)i,
                       block->codes + 4 * i);
}

FAL_PANEL_INLINE void decode_iq4_nl(const fal_panel_rows *rows, size_t offset,
                                    struct block *block) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m512i table = panel_table(values);
    block->d = panel_gather_f16(rows, offset);
    block->m = _mm512_setzero_ps();
    decode_nibbles(rows, offset + offsetof(struct fal_iq4_nl, qs), block);
    for (int j = 0; j < 8; j++)
        block->codes[j] = _mm512_shuffle_epi8(table, block->codes[j]);
}

/* What sets a type apart; a constant where it is used. */
struct kind {
    size_t block_bytes;
    decode_block *decode;
    bool is_signed, has_minimum;
};

/* A few tokens at one block. Token t is at x[t / 4] + t % 4 * row_bytes: as with rows of weights (x86_frames/quads.h), few addresses
 * reach all. */
struct some_tokens {
    const char *x[2];
    size_t row_bytes;
    const int32_t *
        lows; /* [SOME_TOKENS] of this block, for codes that stand 128 higher: what sums begin with */
};

FAL_PANEL_INLINE const struct fal_q8_1 *some_block(const struct some_tokens *tokens, int t) {
    return (const void *)(tokens->x[t / 4] + (size_t)(t % 4) * tokens->row_bytes);
}

/* -128 times the sum of 32 activations. */
FAL_PANEL_INLINE int32_t some_low(const int8_t *x) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)x);
    __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8((char)0x80), v);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(1, 0, 3, 2)));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(2, 3, 0, 1)));
    return -_mm_cvtsi128_si32(sum);
}

/* acc[t] += the block of 16 rows . token t */
FAL_PANEL_INLINE void some_add_block(const struct kind kind, const struct block *block,
                                     const struct some_tokens *tokens, int n_tokens, __m512 *acc) {
    const int n_chains = n_tokens < 4 ? 2 : 1; /* that sums do not wait for each other */
    __m512i sums[SOME_TOKENS][2];
    for (int t = 0; t < n_tokens; t++) {
        sums[t][0] = kind.is_signed ? _mm512_set1_epi32(tokens->lows[t]) : _mm512_setzero_si512();
        sums[t][1] = _mm512_setzero_si512();
    }
    for (int j = 0; j < 8; j++) {
        for (int t = 0; t < n_tokens; t++) {
            __m512i *sum = &sums[t][j % n_chains];
            *sum = _mm512_dpbusd_epi32(*sum, block->codes[j],
                                       panel_broadcast(some_block(tokens, t)->q + 4 * j));
        }
    }
    for (int t = 0; t < n_tokens && n_chains > 1; t++)
        sums[t][0] = _mm512_add_epi32(sums[t][0], sums[t][1]);
    for (int t = 0; t < n_tokens; t++) {
        const struct fal_q8_1 *x = some_block(tokens, t);
        __m512 scale = _mm512_mul_ps(block->d, _mm512_set1_ps(x->d));
        acc[t] = _mm512_add_ps(acc[t], _mm512_mul_ps(scale, _mm512_cvtepi32_ps(sums[t][0])));
        if (kind.has_minimum)
            acc[t] = _mm512_add_ps(acc[t], _mm512_mul_ps(block->m, _mm512_set1_ps(x->s)));
    }
}

/* Sixteen rows from `row` on by all tokens, n_tokens of them; lows [n_blocks, SOME_TOKENS]. */
FAL_PANEL_INLINE void some_multiply(const struct kind kind, const fal_product *p, int64_t row,
                                    int n_tokens, const int32_t *lows) {
    int64_t n_blocks = p->n_cols / 32;
    const char *ahead = NULL;
    struct some_tokens tokens;
    tokens.x[0] = p->x;
    tokens.x[1] = tokens.x[0] + 4 * p->x_row_bytes;
    tokens.row_bytes = p->x_row_bytes;
    tokens.lows = lows;
    fal_quads quads = quads_from(p, row);
    __m512 acc[SOME_TOKENS];
    for (int t = 0; t < n_tokens; t++)
        acc[t] = _mm512_setzero_ps();
    for (int64_t i = 0; i < n_blocks; i++) {
        struct block block;
        ahead = quads_prefetch_cycle(ahead, p, row, i, kind.block_bytes);
        const fal_panel_rows rows = quads_rows(&quads);
        kind.decode(&rows, 0, &block);
        for (int j = 0; kind.is_signed && j < 8; j++)
            block.codes[j] = _mm512_xor_si512(block.codes[j], _mm512_set1_epi32((int)0x80808080u));
        some_add_block(kind, &block, &tokens, n_tokens, acc);
        quads_step(&quads, kind.block_bytes);
        tokens.x[0] += sizeof(struct fal_q8_1);
        tokens.x[1] += sizeof(struct fal_q8_1);
        tokens.lows += SOME_TOKENS;
    }
    for (int t = 0; t < n_tokens; t++)
        _mm512_storeu_ps(p->y + t * p->y_stride + row, acc[t]);
}

/* Some blocks of 32 rows, decoded. */
struct half {
    uint8_t codes[CHUNK][8][FAL_PANEL_BYTES];
    float d[CHUNK][FAL_PANEL_HALF], m[CHUNK][FAL_PANEL_HALF];
    int32_t base[CHUNK][FAL_PANEL_HALF]; /* of signed codes: see panel_signed_base */
};

struct panel {
    struct half half[2];
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
            struct block block;
            kind.decode(&rows, offset + (size_t)i * kind.block_bytes, &block);
            for (int j = 0; j < 8; j++)
                panel_store(half->codes[i][j], block.codes[j]);
            _mm512_storeu_ps(half->d[i], block.d);
            _mm512_storeu_ps(half->m[i], block.m);
            if (kind.is_signed) panel_store(half->base[i], panel_signed_base(block.codes));
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

/* Whether turning pays: from two tokens on; with signed codes, of which there is twice as much to turn, from five on. */
FAL_PANEL_INLINE bool turns(const struct kind kind, int64_t n_tokens) {
    return n_tokens >= (kind.is_signed ? 5 : 2);
}

/* Sixteen rows from `row` on by n_tokens tokens. */
FAL_PANEL_INLINE void multiply_sixteen(const struct kind kind, const struct few_kind few,
                                       const fal_product *p, int64_t row, int n_tokens,
                                       const int32_t *lows) {
    if (turns(kind, n_tokens))
        some_multiply(kind, p, row, n_tokens, lows);
    else
        few_multiply(few, p, row, n_tokens);
}

FAL_PANEL_INLINE void multiply(const struct kind kind, const struct few_kind few,
                               const fal_product *p) {
    int32_t lows[MOST_BLOCKS * SOME_TOKENS];
    int64_t n_blocks = p->n_cols / 32;
    if (p->n_rows < FAL_QUADS_ROWS || p->n_tokens > SOME_TOKENS
        || (kind.is_signed && n_blocks > MOST_BLOCKS)) {
        multiply_many(kind, p);
        return;
    }
    for (int64_t t = 0; kind.is_signed && turns(kind, p->n_tokens) && t < p->n_tokens; t++) {
        const char *x = (const char *)p->x + t * (int64_t)p->x_row_bytes;
        const struct fal_q8_1 *blocks = (const void *)x;
        for (int64_t i = 0; i < n_blocks; i++)
            lows[i * SOME_TOKENS + t] = some_low(blocks[i].q);
    }
    for (int64_t next = 0; next < p->n_rows; next += FAL_QUADS_ROWS) {
        int64_t row = quads_first_row(p, next);
        switch (p->n_tokens) {
        case 1: multiply_sixteen(kind, few, p, row, 1, lows); break;
        case 2: multiply_sixteen(kind, few, p, row, 2, lows); break;
        case 3: multiply_sixteen(kind, few, p, row, 3, lows); break;
        case 4: multiply_sixteen(kind, few, p, row, 4, lows); break;
        case 5: multiply_sixteen(kind, few, p, row, 5, lows); break;
        case 6: multiply_sixteen(kind, few, p, row, 6, lows); break;
        case 7: multiply_sixteen(kind, few, p, row, 7, lows); break;
        case 8: multiply_sixteen(kind, few, p, row, 8, lows); break;
        default: break;
        }
    }
}

void fal_matmul_q4_0_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_0), decode_q4_0, false, true},
             (struct few_kind){sizeof(struct fal_q4_0), offsetof(struct fal_q4_0, qs),
                               few_codes_four, few_scales_q4_0, false, true},
             p);
}

void fal_matmul_q4_1_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_1), decode_q4_1, false, true},
             (struct few_kind){sizeof(struct fal_q4_1), offsetof(struct fal_q4_1, qs),
                               few_codes_four, few_scales_q4_1, false, true},
             p);
}

void fal_matmul_q5_0_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_0), decode_q5_0, false, true},
             (struct few_kind){sizeof(struct fal_q5_0), offsetof(struct fal_q5_0, qs),
                               few_codes_five, few_scales_q5_0, false, true},
             p);
}

void fal_matmul_q5_1_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_1), decode_q5_1, false, true},
             (struct few_kind){sizeof(struct fal_q5_1), offsetof(struct fal_q5_1, qs),
                               few_codes_five, few_scales_q5_1, false, true},
             p);
}

void fal_matmul_q8_0_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q8_0), decode_q8_0, true, false},
             (struct few_kind){sizeof(struct fal_q8_0), offsetof(struct fal_q8_0, q),
                               few_codes_eight, few_scales_alone, true, false},
             p);
}

void fal_matmul_iq4_nl_avx512(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_iq4_nl), decode_iq4_nl, true, false},
             (struct few_kind){sizeof(struct fal_iq4_nl), offsetof(struct fal_iq4_nl, qs),
                               few_codes_iq4, few_scales_alone, true, false},
             p);
}
