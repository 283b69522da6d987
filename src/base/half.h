/* f16 and bf16 to f32 and back, exact; f32 to them rounds to nearest even. Signed zero, infinity and NaN are kept. */
#ifndef FAL_BASE_HALF_H
#define FAL_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float fal_f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t fal_bits_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float fal_f32_from_bf16(uint16_t half) {
    return fal_f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t fal_bf16_from_f32(float value) {
    uint32_t bits = fal_bits_from_f32(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 64u); /* a NaN stays one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float fal_f32_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)
        return fal_f32_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x0400u) return fal_f32_from_bits(sign | ((magnitude << 13) + 0x38000000u));
    /* Subnormal: the bits count units of 2^-24. */
    float value = (float)magnitude * 0x1p-24f;
    return fal_f32_from_bits(sign | fal_bits_from_f32(value));
}

static inline uint16_t fal_f16_from_f32(float value) {
    uint32_t bits = fal_bits_from_f32(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (magnitude >= 0x38800000u) {
        uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
        return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
    }
    /* Subnormal: adding 0.5 leaves units of 2^-24 in the low bits, rounded to even by the addition itself. */
    float shifted = fal_f32_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (fal_bits_from_f32(shifted) - 0x3f000000u));
}

#endif
