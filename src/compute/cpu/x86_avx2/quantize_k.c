/* Weights into blocks of 256 with AVX2: the searches of quant with this set's lanes. */
#include "compute/cpu/kernels.h"
#include "compute/cpu/x86_avx2/lanes_avx2.h"
#include "quant/encode_k.h"

#define FAL_QUANTIZE_K(type)                                                                     \
    void fal_quantize_##type##_avx2(const float *weights, const float *importance, void *blocks, \
                                    int64_t n_blocks) {                                          \
        encode_rows_##type(weights, importance, blocks, n_blocks);                               \
    }

FAL_QUANTIZE_K(q2_k)
FAL_QUANTIZE_K(q3_k)
FAL_QUANTIZE_K(q4_k)
FAL_QUANTIZE_K(q5_k)
FAL_QUANTIZE_K(q6_k)
FAL_QUANTIZE_K(iq4_xs)
