/* Activations into 8-bit blocks with AVX-512; the bits are fixed by quant/q8_1.h and quant/q8_k.h. */
#include "compute/cpu/kernels.h"
#include "quant/q8_1.h"
#include "quant/q8_k.h"

#include <float.h>
#include <immintrin.h>

/* Scale, its reciprocal (0 for a block of zeros), from the largest magnitudes' bits in each lane. */
struct scale {
    float d, reciprocal;
};

static inline struct scale find_scale(__m512i largest) {
    uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(largest);
    if (bits >= 0x7f800000u) return (struct scale){fal_f32_from_bits(0x7fc00000u), 0.0f};
    float d = fal_f32_from_bits(bits) / 127.0f;
    if (d < FLT_MIN) return (struct scale){0.0f, 0.0f};
    return (struct scale){d, 1.0f / d};
}

/* Magnitudes order as integers, and not-a-number lies above infinity. */
static inline __m512i larger_bits(__m512i largest, const float *x) {
    __m512i bits = _mm512_castps_si512(_mm512_loadu_ps(x));
    return _mm512_max_epi32(largest, _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
}

/* Sixteen codes; returns their sum. A block without a reciprocal may hold not-a-number, so zero is not left to the
 * product. */
static inline int encode_16(const float *x, float reciprocal, int8_t *codes) {
    __m512i rounded =
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(reciprocal)));
    if (reciprocal == 0.0f) rounded = _mm512_setzero_si512();
    _mm_storeu_si128((__m128i *)(void *)codes, _mm512_cvtsepi32_epi8(rounded));
    return _mm512_reduce_add_epi32(rounded);
}

void fal_encode_q8_1_avx512(const float *x, void *blocks, int64_t n) {
    struct fal_q8_1 *block = blocks;
    for (int64_t i = 0; i < n; i += 32, block++) {
        __m512i largest = larger_bits(larger_bits(_mm512_setzero_si512(), x + i), x + i + 16);
        struct scale scale = find_scale(largest);
        int sum = encode_16(x + i, scale.reciprocal, block->q);
        sum += encode_16(x + i + 16, scale.reciprocal, block->q + 16);
        block->d = scale.d;
        block->s = scale.d * (float)sum;
    }
}

void fal_encode_q8_k_avx512(const float *x, void *blocks, int64_t n) {
    struct fal_q8_k *block = blocks;
    for (int64_t i = 0; i < n; i += 256, block++) {
        __m512i largest = _mm512_setzero_si512();
        for (int j = 0; j < 256; j += 16) {
            largest = larger_bits(largest, x + i + j);
        }
        struct scale scale = find_scale(largest);
        block->d = scale.d;
        for (int j = 0; j < 16; j++) {
            block->sums[j] =
                (int16_t)encode_16(x + i + 16 * j, scale.reciprocal, block->q + 16 * j);
        }
    }
}
