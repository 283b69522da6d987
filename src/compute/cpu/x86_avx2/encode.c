/* Activations into 8-bit blocks with AVX2; the bits are fixed by quant/q8_1.h and quant/q8_k.h. */
#include "compute/cpu/kernels.h"
#include "quant/q8_1.h"
#include "quant/q8_k.h"

#include <float.h>
#include <immintrin.h>

/* Scale, its reciprocal (0 for a block of zeros), from the largest magnitudes' bits in each lane. */
struct scale {
    float d, reciprocal;
};

static inline struct scale find_scale(__m256i largest) {
    __m128i v =
        _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    v = _mm_max_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    v = _mm_max_epi32(v, _mm_shuffle_epi32(v, 0xb1));
    uint32_t bits = (uint32_t)_mm_cvtsi128_si32(v);
    if (bits >= 0x7f800000u) return (struct scale){fal_f32_from_bits(0x7fc00000u), 0.0f};
    float d = fal_f32_from_bits(bits) / 127.0f;
    if (d < FLT_MIN) return (struct scale){0.0f, 0.0f};
    return (struct scale){d, 1.0f / d};
}

/* Magnitudes order as integers, and not-a-number lies above infinity. */
static inline __m256i larger_bits(__m256i largest, const float *x) {
    __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(x));
    return _mm256_max_epi32(largest, _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff)));
}

/* 32 codes in order. A block without a reciprocal may hold not-a-number, so zero is not left to the product. */
static inline __m256i encode_32(const float *x, float reciprocal) {
    if (reciprocal == 0.0f) return _mm256_setzero_si256();
    __m256 r = _mm256_set1_ps(reciprocal);
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), r));
    __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), r));
    __m256i c = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16), r));
    __m256i d = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 24), r));
    __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Sums of four neighbouring codes in each lane. */
static inline __m256i sum_fours(__m256i codes) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

static inline int sum_lanes(__m128i v) {
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1));
    return _mm_cvtsi128_si32(v);
}

void fal_encode_q8_1_avx2(const float *x, void *blocks, int64_t n) {
    struct fal_q8_1 *block = blocks;
    for (int64_t i = 0; i < n; i += 32, block++) {
        __m256i largest = _mm256_setzero_si256();
        for (int j = 0; j < 32; j += 8) {
            largest = larger_bits(largest, x + i + j);
        }
        struct scale scale = find_scale(largest);
        __m256i codes = encode_32(x + i, scale.reciprocal);
        __m256i sums = sum_fours(codes);
        int sum = sum_lanes(
            _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)));
        block->d = scale.d;
        block->s = scale.d * (float)sum;
        _mm256_storeu_si256((__m256i *)(void *)block->q, codes);
    }
}

void fal_encode_q8_k_avx2(const float *x, void *blocks, int64_t n) {
    struct fal_q8_k *block = blocks;
    for (int64_t i = 0; i < n; i += 256, block++) {
        __m256i largest = _mm256_setzero_si256();
        for (int j = 0; j < 256; j += 8) {
            largest = larger_bits(largest, x + i + j);
        }
        struct scale scale = find_scale(largest);
        block->d = scale.d;
        for (int j = 0; j < 8; j++) {
            __m256i codes = encode_32(x + i + 32 * j, scale.reciprocal);
            __m256i sums = sum_fours(codes);
            _mm256_storeu_si256((__m256i *)(void *)(block->q + 32 * j), codes);
            block->sums[2 * j] = (int16_t)sum_lanes(_mm256_castsi256_si128(sums));
            block->sums[2 * j + 1] = (int16_t)sum_lanes(_mm256_extracti128_si256(sums, 1));
        }
    }
}
