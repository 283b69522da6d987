/* Weights into blocks of 256 with NEON: the searches of quant with this set's lanes. */
#include "compute/cpu/arm_neon/lanes_neon.h"
#include "compute/cpu/kernels.h"
#include "quant/encode_k.h"

#define FAL_QUANTIZE_K(type)                                                                     \
    void fal_quantize_##type##_neon(const float *weights, const float *importance, void *blocks, \
                                    int64_t n_blocks) {                                          \
        encode_rows_##type(weights, importance, blocks, n_blocks);                               \
    }

FAL_QUANTIZE_K(q2_k)
FAL_QUANTIZE_K(q3_k)
FAL_QUANTIZE_K(q4_k)
FAL_QUANTIZE_K(q5_k)
FAL_QUANTIZE_K(q6_k)
FAL_QUANTIZE_K(iq4_xs)
