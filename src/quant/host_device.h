/* Lets the layout of a block and the decode of one weight compile as C and as CUDA. The only file here that asks what
 * the compiler is. A qualifier, a check of sizes, and f16 to f32. */
#ifndef FAL_QUANT_HOST_DEVICE_H
#define FAL_QUANT_HOST_DEVICE_H

#include "base/half.h"

#include <stdint.h>

#if defined(__CUDACC__)
#    include <cuda_fp16.h>
#    define FAL_HOST_DEVICE __host__ __device__
#else
#    define FAL_HOST_DEVICE
#endif

#if defined(__cplusplus)
#    define FAL_BLOCK_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "layout of " #    type)
#else
#    define FAL_BLOCK_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "layout of " #    type)
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "blocks are read in place and are little-endian"
#endif

/* The f32 of an f16 stored in a block. */
static inline FAL_HOST_DEVICE float fal_block_f16(uint16_t half) {
#if defined(__CUDACC__)
    return __half2float(__ushort_as_half(half));
#else
    return fal_f32_from_f16(half);
#endif
}

#endif
