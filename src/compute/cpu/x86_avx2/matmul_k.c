/* Products with types of 256 weights, with AVX2: panels of eight rows (panel.h).
 *
 * Order of additions and bits are those of portable/matmul_k.c: all sums within a block are exact integers. Codes are
 * kept unsigned; what a type subtracts from them is part of the minima. */
#include "compute/cpu/x86_avx2/few_vectors.h"
#include "compute/cpu/x86_frames/few_k.h"
#include "compute/cpu/x86_frames/panel_prefetch.h"
#include "quant/iq4_xs.h"

enum {
    MANY_TOKENS = 64, /* for so many, panels share a reading of the activations; for fewer, */
    MANY_PANELS = 4   /* one at a time: weights arrive while the one before is at work */
};

/* One block of eight rows. Vector g of codes holds columns 4 g .. 4 g + 3. */
struct panel {
    uint8_t codes[64][FAL_PANEL_BYTES];
    int16_t scale[16][16]; /* [sub-block], twice per row; sub-blocks of 16 or 32 columns */
    int16_t min[8][16]; /* [s]: per row, of columns 32 s .. 32 s + 15, then of the 16 after them */
    float d[FAL_PANEL_ROWS], dmin[FAL_PANEL_ROWS];
};

/* Decodes the block at offset of each row. */
typedef void decode_block(const fal_panel_rows *rows, size_t offset, struct panel *panel);

/* Bytes [offset, offset + 32) of each row. */
FAL_PANEL_INLINE void gather32(const fal_panel_rows *rows, size_t offset, __m256i out[8]) {
    panel_gather16(rows, offset, out);
    panel_gather16(rows, offset + 16, out + 4);
}

/* Four unsigned scales per lane, for sub-blocks first .. first + 3. */
FAL_PANEL_INLINE void store_scales(struct panel *panel, int first, __m256i scales) {
    panel_store(panel->scale[first], panel_pair(scales, 0, 0));
    panel_store(panel->scale[first + 1], panel_pair(scales, 1, 1));
    panel_store(panel->scale[first + 2], panel_pair(scales, 2, 2));
    panel_store(panel->scale[first + 3], panel_pair(scales, 3, 3));
}

/* Four signed scales per lane, for the 16-column sub-blocks from first on; codes carry an offset. */
FAL_PANEL_INLINE void store_signed_scales(struct panel *panel, int first, __m256i scales,
                                          int offset_bits) {
    panel_store(panel->scale[first], panel_signed_pair(scales, 0, 0));
    panel_store(panel->scale[first + 1], panel_signed_pair(scales, 1, 1));
    panel_store(panel->scale[first + 2], panel_signed_pair(scales, 2, 2));
    panel_store(panel->scale[first + 3], panel_signed_pair(scales, 3, 3));
    panel_store(panel->min[first / 2],
                _mm256_slli_epi16(panel_signed_pair(scales, 0, 1), offset_bits));
    panel_store(panel->min[first / 2 + 1],
                _mm256_slli_epi16(panel_signed_pair(scales, 2, 3), offset_bits));
}

/* Four codes of two bits from each byte: vector 8 k + j of a half from bits 2 k of vector j. */
FAL_PANEL_INLINE void decode_two_bits(const fal_panel_rows *rows, size_t offset,
                                      struct panel *panel) {
    __m256i bytes[8];
    for (int half = 0; half < 2; half++) {
        uint8_t(*codes)[FAL_PANEL_BYTES] = panel->codes + 32 * half;
        gather32(rows, offset + 32 * (size_t)half, bytes);
        for (int j = 0; j < 8; j++) {
            panel_store(codes[j], panel_masked(bytes[j], 3));
            panel_store(codes[j + 8], panel_masked(_mm256_srli_epi16(bytes[j], 2), 3));
            panel_store(codes[j + 16], panel_masked(_mm256_srli_epi16(bytes[j], 4), 3));
            panel_store(codes[j + 24], panel_masked(_mm256_srli_epi16(bytes[j], 6), 3));
        }
    }
}

FAL_PANEL_INLINE void decode_nibbles(const fal_panel_rows *rows, size_t offset,
                                     struct panel *panel) {
    __m256i bytes[8];
    for (int quarter = 0; quarter < 4; quarter++) {
        gather32(rows, offset + 32 * (size_t)quarter, bytes);
        for (int j = 0; j < 8; j++) {
            panel_store(panel->codes[16 * quarter + j], panel_low_nibbles(bytes[j]));
            panel_store(panel->codes[16 * quarter + j + 8], panel_high_nibbles(bytes[j]));
        }
    }
}

/* Adds 1 << place to the codes of columns 32 n + k for every bit n of byte k. */
FAL_PANEL_INLINE void add_high_bits(const fal_panel_rows *rows, size_t offset, int place,
                                    struct panel *panel) {
    __m256i bytes[8];
    gather32(rows, offset, bytes);
    for (int j = 0; j < 8; j++) {
        for (int n = 0; n < 8; n++) {
            __m256i bit = n < place ? _mm256_slli_epi16(bytes[j], place - n)
                                    : _mm256_srli_epi16(bytes[j], n - place);
            uint8_t *codes = panel->codes[8 * n + j];
            panel_store(codes, _mm256_or_si256(panel_load(codes), panel_masked(bit, 1 << place)));
        }
    }
}

FAL_PANEL_INLINE void decode_q2_k(const fal_panel_rows *rows, size_t offset, struct panel *panel) {
    __m256i scales[4];
    __m256i d = panel_gather4(rows, offset + offsetof(struct fal_q2_k, d));
    _mm256_storeu_ps(panel->d, panel_low_f16(d));
    _mm256_storeu_ps(panel->dmin, panel_high_f16(d));
    panel_gather16(rows, offset + offsetof(struct fal_q2_k, scales), scales);
    for (int j = 0; j < 4; j++) {
        __m256i mins = panel_high_nibbles(scales[j]);
        store_scales(panel, 4 * j, panel_low_nibbles(scales[j]));
        panel_store(panel->min[2 * j], panel_pair(mins, 0, 1));
        panel_store(panel->min[2 * j + 1], panel_pair(mins, 2, 3));
    }
    decode_two_bits(rows, offset + offsetof(struct fal_q2_k, qs), panel);
}

FAL_PANEL_INLINE void decode_q3_k(const fal_panel_rows *rows, size_t offset, struct panel *panel) {
    size_t at = offset + offsetof(struct fal_q3_k, scales);
    __m256i low[2] = {panel_gather4(rows, at), panel_gather4(rows, at + 4)};
    __m256i high = panel_gather4(rows, at + 8);
    for (int j = 0; j < 4; j++) {
        __m256i nibbles = j < 2 ? panel_low_nibbles(low[j]) : panel_high_nibbles(low[j - 2]);
        __m256i top = _mm256_slli_epi16(panel_masked(_mm256_srli_epi16(high, 2 * j), 3), 4);
        __m256i scales = _mm256_sub_epi8(_mm256_or_si256(nibbles, top), _mm256_set1_epi8(32));
        store_signed_scales(panel, 4 * j, scales, 2);
    }
    _mm256_storeu_ps(panel->d,
                     panel_low_f16(panel_gather2(rows, offset + offsetof(struct fal_q3_k, d))));
    decode_two_bits(rows, offset + offsetof(struct fal_q3_k, qs), panel);
    add_high_bits(rows, offset + offsetof(struct fal_q3_k, hmask), 2, panel);
}

/* d, dmin and the twelve bytes of k_scales.h, which q4_k and q5_k begin with. */
FAL_PANEL_INLINE void decode_k_scales(const fal_panel_rows *rows, size_t offset,
                                      struct panel *panel) {
    __m256i head[4];
    panel_gather16(rows, offset, head);
    _mm256_storeu_ps(panel->d, panel_low_f16(head[0]));
    _mm256_storeu_ps(panel->dmin, panel_high_f16(head[0]));
    __m256i top_scales = panel_masked(_mm256_srli_epi16(head[1], 2), 48);
    __m256i top_mins = panel_masked(_mm256_srli_epi16(head[2], 2), 48);
    store_scales(panel, 0, panel_masked(head[1], 63));
    store_scales(panel, 4, _mm256_or_si256(panel_low_nibbles(head[3]), top_scales));
    __m256i mins[2] = {panel_masked(head[2], 63),
                       _mm256_or_si256(panel_high_nibbles(head[3]), top_mins)};
    for (int j = 0; j < 2; j++) {
        panel_store(panel->min[4 * j], panel_pair(mins[j], 0, 0));
        panel_store(panel->min[4 * j + 1], panel_pair(mins[j], 1, 1));
        panel_store(panel->min[4 * j + 2], panel_pair(mins[j], 2, 2));
        panel_store(panel->min[4 * j + 3], panel_pair(mins[j], 3, 3));
    }
}

FAL_PANEL_INLINE void decode_q4_k(const fal_panel_rows *rows, size_t offset, struct panel *panel) {
    decode_k_scales(rows, offset, panel);
    decode_nibbles(rows, offset + offsetof(struct fal_q4_k, qs), panel);
}

FAL_PANEL_INLINE void decode_q5_k(const fal_panel_rows *rows, size_t offset, struct panel *panel) {
    decode_k_scales(rows, offset, panel);
    decode_nibbles(rows, offset + offsetof(struct fal_q5_k, qs), panel);
    add_high_bits(rows, offset + offsetof(struct fal_q5_k, qh), 4, panel);
}

FAL_PANEL_INLINE void decode_q6_k(const fal_panel_rows *rows, size_t offset, struct panel *panel) {
    __m256i scales[4];
    panel_gather16(rows, offset + offsetof(struct fal_q6_k, scales), scales);
    for (int j = 0; j < 4; j++) {
        store_signed_scales(panel, 4 * j, scales[j], 5);
    }
    _mm256_storeu_ps(panel->d,
                     panel_low_f16(panel_gather2(rows, offset + offsetof(struct fal_q6_k, d))));
    for (int part = 0; part < 4;
         part++) { /* 16 bytes of qh, with the 2 x 16 bytes of ql that they complete */
        __m256i first[4], second[4], high[4];
        size_t half = (size_t)part >> 1, sixteen = (size_t)(part & 1) * 16;
        panel_gather16(rows, offset + offsetof(struct fal_q6_k, ql) + 64 * half + sixteen, first);
        panel_gather16(rows, offset + offsetof(struct fal_q6_k, ql) + 64 * half + 32 + sixteen,
                       second);
        panel_gather16(rows, offset + offsetof(struct fal_q6_k, qh) + 32 * half + sixteen, high);
        uint8_t(*codes)[FAL_PANEL_BYTES] = panel->codes + 32 * half + 4 * (part & 1);
        for (int j = 0; j < 4; j++) {
            __m256i h = high[j];
            __m256i top = panel_masked(_mm256_slli_epi16(h, 4), 48);
            panel_store(codes[j], _mm256_or_si256(panel_low_nibbles(first[j]), top));
            top = panel_masked(_mm256_slli_epi16(h, 2), 48);
            panel_store(codes[j + 8], _mm256_or_si256(panel_low_nibbles(second[j]), top));
            panel_store(codes[j + 16],
                        _mm256_or_si256(panel_high_nibbles(first[j]), panel_masked(h, 48)));
            top = panel_masked(_mm256_srli_epi16(h, 2), 48);
            panel_store(codes[j + 24], _mm256_or_si256(panel_high_nibbles(second[j]), top));
        }
    }
}

FAL_PANEL_INLINE void decode_iq4_xs(const fal_panel_rows *rows, size_t offset,
                                    struct panel *panel) {
    static const int8_t values[16] = FAL_IQ4_VALUES;
    const __m256i table = _mm256_broadcastsi128_si256(panel_load16((const uint8_t *)values));
    __m256i head[2]; /* d, scales_h; scales_l */
    panel_gather8(rows, offset, head);
    _mm256_storeu_ps(panel->d, panel_low_f16(head[0]));
    for (int j = 0; j < 8; j++) {
        __m256i low = _mm256_and_si256(_mm256_srli_epi32(head[1], 4 * j), _mm256_set1_epi32(15));
        __m256i high =
            _mm256_and_si256(_mm256_srli_epi32(head[0], 16 + 2 * j), _mm256_set1_epi32(3));
        __m256i scale = _mm256_or_si256(low, _mm256_slli_epi32(high, 4));
        scale = _mm256_or_si256(scale, _mm256_slli_epi32(scale, 16));
        panel_store(panel->scale[j], _mm256_sub_epi16(scale, _mm256_set1_epi16(32)));
    }
    for (int j = 0; j < 8; j++) {
        __m256i bytes[4];
        panel_gather16(rows, offset + offsetof(struct fal_iq4_xs, qs) + 16 * (size_t)j, bytes);
        for (int i = 0; i < 4; i++) {
            uint8_t(*codes)[FAL_PANEL_BYTES] = panel->codes + 8 * j + i;
            panel_store(codes[0], _mm256_shuffle_epi8(table, panel_low_nibbles(bytes[i])));
            panel_store(codes[4], _mm256_shuffle_epi8(table, panel_high_nibbles(bytes[i])));
        }
    }
}

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
    int run;               /* see panel_dot */
    bool is_signed;
    enum lows lows;
};

/* sums[t] += minima . sums of x */
FAL_PANEL_INLINE void dot_lows(const struct panel *panel, const struct fal_q8_k *const *x,
                               int n_tokens, __m256i *sums) {
    for (int s = 0; s < 8; s++) {
        __m256i min = panel_load(panel->min[s]);
        for (int t = 0; t < n_tokens; t++) {
            sums[t] = _mm256_add_epi32(sums[t],
                                       _mm256_madd_epi16(min, panel_broadcast(x[t]->sums + 2 * s)));
        }
    }
}

/* y += panel . tokens; x and y of token t at t * stride. */
FAL_PANEL_INLINE void multiply_panel(const struct kind kind, const struct panel *panel,
                                     const char *x, size_t x_row_bytes, int n_tokens, float *y,
                                     int64_t y_stride, int n_rows) {
    const struct fal_q8_k *block[FAL_PANEL_TOKENS];
    __m256i sums[FAL_PANEL_TOKENS], lows[FAL_PANEL_TOKENS];
    for (int t = 0; t < n_tokens; t++) {
        block[t] = (const struct fal_q8_k *)(const void *)(x + (size_t)t * x_row_bytes);
        sums[t] = lows[t] = _mm256_setzero_si256();
    }
    for (int s = 0; s < 256 / kind.columns_per_scale; s++) {
        const int8_t *codes[FAL_PANEL_TOKENS];
        for (int t = 0; t < n_tokens; t++) {
            codes[t] = block[t]->q + s * kind.columns_per_scale;
        }
        panel_dot(panel->codes[s * kind.columns_per_scale / 4], kind.columns_per_scale / 4,
                  kind.run, kind.is_signed, panel_load(panel->scale[s]), codes, n_tokens, sums);
    }
    if (kind.lows != NO_LOWS) dot_lows(panel, block, n_tokens, lows);
    __m256 d = _mm256_loadu_ps(panel->d);
    for (int t = 0; t < n_tokens; t++) {
        __m256 x_d = _mm256_set1_ps(block[t]->d);
        __m256i sum = kind.lows == AS_CODES ? _mm256_sub_epi32(sums[t], lows[t]) : sums[t];
        __m256 acc = panel_read_y(y + t * y_stride, n_rows);
        acc = _mm256_add_ps(acc, _mm256_mul_ps(_mm256_mul_ps(d, x_d), _mm256_cvtepi32_ps(sum)));
        if (kind.lows == AS_MINIMA) {
            __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(panel->dmin), x_d);
            acc = _mm256_sub_ps(acc, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(lows[t])));
        }
        panel_write_y(y + t * y_stride, n_rows, acc);
    }
}

/* Rows [row, row + n_panels * 8) with block `index`. */
FAL_PANEL_INLINE void multiply_chunk(const struct kind kind, const fal_product *p, int64_t row,
                                     int n_panels, const struct panel *panels, int64_t index) {
    const char *x = (const char *)p->x + (size_t)index * sizeof(struct fal_q8_k);
    int64_t token = 0;
    for (; token + FAL_PANEL_TOKENS <= p->n_tokens; token += FAL_PANEL_TOKENS) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], x + (size_t)token * p->x_row_bytes, p->x_row_bytes,
                           FAL_PANEL_TOKENS, p->y + token * p->y_stride + at, p->y_stride,
                           panel_n_rows(p, at));
        }
    }
    for (; token < p->n_tokens; token++) {
        for (int i = 0; i < n_panels; i++) {
            int64_t at = row + i * FAL_PANEL_ROWS;
            multiply_panel(kind, &panels[i], x + (size_t)token * p->x_row_bytes, p->x_row_bytes, 1,
                           p->y + token * p->y_stride + at, p->y_stride, panel_n_rows(p, at));
        }
    }
}

FAL_PANEL_INLINE void multiply_many(const struct kind kind, const fal_product *p) {
    struct panel panels[MANY_PANELS];
    int64_t n_blocks = p->n_cols / 256;
    int64_t step = (p->n_tokens < MANY_TOKENS ? 1 : MANY_PANELS) * FAL_PANEL_ROWS;
    for (int64_t token = 0; token < p->n_tokens; token++) {
        memset(p->y + token * p->y_stride, 0, (size_t)p->n_rows * sizeof *p->y);
    }
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int64_t n_rows = p->n_rows - row < step ? p->n_rows - row : step;
        int n_panels = (int)((n_rows + FAL_PANEL_ROWS - 1) / FAL_PANEL_ROWS);
        for (int64_t index = 0; index < n_blocks; index++) {
            size_t offset = (size_t)index * kind.block_bytes;
            panel_prefetch(p, row, offset, kind.block_bytes);
            for (int i = 0; i < n_panels; i++) {
                fal_panel_rows rows = panel_rows_from(p, row + i * FAL_PANEL_ROWS);
                kind.decode(&rows, offset, &panels[i]);
            }
            multiply_chunk(kind, p, row, n_panels, panels, index);
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
    else
        multiply_many(kind, p);
}

void fal_matmul_q2_k_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q2_k), decode_q2_k, 16, 4, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q2_k), few_add_q2_k, few_scales_q2_k, true, 0}, p);
}

void fal_matmul_q3_k_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q3_k), decode_q3_k, 16, 4, false, AS_CODES},
             (struct few_kind){sizeof(struct fal_q3_k), few_add_q3_k, few_scales_q3_k, false, 2},
             p);
}

void fal_matmul_q4_k_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q4_k), decode_q4_k, 32, 8, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q4_k), few_add_q4_k, few_scales_pair, true, 0}, p);
}

void fal_matmul_q5_k_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q5_k), decode_q5_k, 32, 4, false, AS_MINIMA},
             (struct few_kind){sizeof(struct fal_q5_k), few_add_q5_k, few_scales_pair, true, 0}, p);
}

void fal_matmul_q6_k_avx2(const fal_product *p) {
    multiply((struct kind){sizeof(struct fal_q6_k), decode_q6_k, 16, 2, false, AS_CODES},
             (struct few_kind){sizeof(struct fal_q6_k), few_add_q6_k, few_scales_q6_k, false, 5},
             p);
}

void fal_matmul_iq4_xs_avx2(const fal_product *p) {
    multiply_many((struct kind){sizeof(struct fal_iq4_xs), decode_iq4_xs, 32, 1, true, NO_LOWS}, p);
}
