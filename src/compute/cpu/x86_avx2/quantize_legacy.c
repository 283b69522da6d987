/* Weights into blocks of 32 with AVX2. Without importance a block is one look at its extremes; with importance, and for
 * iq4_nl, the searches of quant run with this set's lanes. Blocks with anything unusual go to the type's own encoder. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/lanes_avx2.h"
#include "quant/encode_blocks.h"
#include "quant/q8_0.h"

/* 32 weights. */
typedef struct block_vectors {
    __m256 v[4];
} block_vectors;

static inline block_vectors load_32(const float *x) {
    block_vectors b;
    for (int i = 0; i < 4; i++)
        b.v[i] = _mm256_loadu_ps(x + 8 * i);
    return b;
}

static inline float largest_lane(__m256 v) {
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
}

static inline float smallest_lane(__m256 v) {
    __m128 a = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    a = _mm_min_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_min_ss(a, _mm_movehdup_ps(a)));
}

/* The largest magnitude's bits: magnitudes order as integers, infinity and not-a-number above all. */
static inline uint32_t largest_bits(const block_vectors *b) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        largest =
            _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(b->v[i]), magnitude));
    __m128i a =
        _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    a = _mm_max_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
}

/* Whether weights need no bounds. */
static inline bool is_ordinary(uint32_t largest) {
    return largest <= 0x4d800000u; /* FAL_WEIGHT_BOUND */
}

/* The first weight of this magnitude. */
static inline float find_extreme(const block_vectors *b, const float *x, uint32_t largest) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const __m256i wanted = _mm256_set1_epi32((int)largest);
    for (int i = 0; i < 4; i++) {
        __m256i bits = _mm256_and_si256(_mm256_castps_si256(b->v[i]), magnitude);
        int mask = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(bits, wanted)));
        if (mask) return x[8 * i + __builtin_ctz((unsigned)mask)];
    }
    return 0.0f;
}

/* (x - low) * inverse bounded and rounded to nearest even, as 32 bytes in order. */
static inline __m256i round_32(const block_vectors *b, float low, float inverse, float least,
                               float most) {
    __m256i codes[4];
    for (int i = 0; i < 4; i++) {
        __m256 t = _mm256_sub_ps(b->v[i], _mm256_set1_ps(low));
        t = _mm256_mul_ps(t, _mm256_set1_ps(inverse));
        t = _mm256_min_ps(_mm256_max_ps(t, _mm256_set1_ps(least)), _mm256_set1_ps(most));
        codes[i] = _mm256_cvtps_epi32(t);
    }
    __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]),
                                        _mm256_packs_epi32(codes[2], codes[3]));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Low four bits of 32 codes into 16 bytes. */
static inline void store_nibbles(__m256i codes, uint8_t *qs) {
    codes = _mm256_and_si256(codes, _mm256_set1_epi8(15));
    __m128i high = _mm_slli_epi16(_mm256_extracti128_si256(codes, 1), 4);
    _mm_storeu_si128((__m128i *)(void *)qs, _mm_or_si128(_mm256_castsi256_si128(codes), high));
}

static inline void store_fifth_bits(__m256i codes, uint8_t *qh) {
    int bits = _mm256_movemask_epi8(_mm256_slli_epi16(codes, 3));
    memcpy(qh, &bits, sizeof bits);
}

/* The codes 0 .. 2 * largest - 1 of a block with one scale, and the scale. False: it is for the type's own encoder. */
static inline bool scale_codes(const float *x, int largest, uint16_t *d, __m256i *codes) {
    block_vectors b = load_32(x);
    uint32_t bits = largest_bits(&b);
    if (!is_ordinary(bits)) return false;
    *d = fal_f16_scale(find_extreme(&b, x, bits) / -(float)largest);
    if ((*d & 0x7c00u) == 0) return false;
    float inverse = 1.0f / fal_f32_from_f16(*d);
    __m256i found = round_32(&b, 0.0f, inverse, -(float)largest, (float)largest - 1.0f);
    *codes = _mm256_add_epi8(found, _mm256_set1_epi8((char)largest));
    return true;
}

/* The same with a minimum. */
static inline bool range_codes(const float *x, int largest, uint16_t *d, uint16_t *m,
                               __m256i *codes) {
    block_vectors b = load_32(x);
    if (!is_ordinary(largest_bits(&b))) return false;
    float high =
        largest_lane(_mm256_max_ps(_mm256_max_ps(b.v[0], b.v[1]), _mm256_max_ps(b.v[2], b.v[3])));
    float low =
        smallest_lane(_mm256_min_ps(_mm256_min_ps(b.v[0], b.v[1]), _mm256_min_ps(b.v[2], b.v[3])));
    if (low == 0.0f) return false; /* of both zeros the first one counts */
    *d = fal_f16_scale((high - low) / (float)largest);
    *m = fal_f16_scale(low);
    float step = fal_f32_from_f16(*d), minimum = fal_f32_from_f16(*m);
    if ((*d & 0x7c00u) == 0 || minimum >= 256.0f * step || -minimum >= 256.0f * step) return false;
    *codes = round_32(&b, minimum, 1.0f / step, 0.0f, (float)largest);
    return true;
}

void fal_quantize_q4_0_avx2(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    struct fal_q4_0 *block = blocks;
    if (importance) {
        search_rows_q4_0(weights, importance, blocks, n_blocks);
        return;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        __m256i codes;
        if (scale_codes(weights + 32 * i, 8, &block[i].d, &codes))
            store_nibbles(codes, block[i].qs);
        else
            fal_q4_0_encode(weights + 32 * i, NULL, &block[i], 1);
    }
}

void fal_quantize_q5_0_avx2(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    struct fal_q5_0 *block = blocks;
    if (importance) {
        search_rows_q5_0(weights, importance, blocks, n_blocks);
        return;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        __m256i codes;
        if (scale_codes(weights + 32 * i, 16, &block[i].d, &codes)) {
            store_nibbles(codes, block[i].qs);
            store_fifth_bits(codes, block[i].qh);
        } else {
            fal_q5_0_encode(weights + 32 * i, NULL, &block[i], 1);
        }
    }
}

void fal_quantize_q4_1_avx2(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    struct fal_q4_1 *block = blocks;
    if (importance) {
        search_rows_q4_1(weights, importance, blocks, n_blocks);
        return;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        __m256i codes;
        if (range_codes(weights + 32 * i, 15, &block[i].d, &block[i].m, &codes))
            store_nibbles(codes, block[i].qs);
        else
            fal_q4_1_encode(weights + 32 * i, NULL, &block[i], 1);
    }
}

void fal_quantize_q5_1_avx2(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    struct fal_q5_1 *block = blocks;
    if (importance) {
        search_rows_q5_1(weights, importance, blocks, n_blocks);
        return;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        __m256i codes;
        if (range_codes(weights + 32 * i, 31, &block[i].d, &block[i].m, &codes)) {
            store_nibbles(codes, block[i].qs);
            store_fifth_bits(codes, block[i].qh);
        } else {
            fal_q5_1_encode(weights + 32 * i, NULL, &block[i], 1);
        }
    }
}

void fal_quantize_q8_0_avx2(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    struct fal_q8_0 *block = blocks;
    for (int64_t i = 0; i < n_blocks; i++) {
        block_vectors b = load_32(weights + 32 * i);
        uint32_t largest = largest_bits(&b);
        uint16_t d = fal_f16_scale(fal_f32_from_bits(largest) / 127.0f);
        if (!is_ordinary(largest) || (d & 0x7c00u) == 0) {
            fal_q8_0_encode(weights + 32 * i, importance, &block[i], 1);
            continue;
        }
        __m256i codes = round_32(&b, 0.0f, 1.0f / fal_f32_from_f16(d), -127.0f, 127.0f);
        block[i].d = d;
        _mm256_storeu_si256((__m256i *)(void *)block[i].q, codes);
    }
}

void fal_quantize_iq4_nl_avx2(const float *weights, const float *importance, void *blocks,
                              int64_t n_blocks) {
    search_rows_iq4_nl(weights, importance, blocks, n_blocks);
}
