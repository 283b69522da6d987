/* Weights into blocks of 256 with NEON: the searches of quant with this set's lanes. */
#include "compute/cpu/arm_neon/lanes_neon.h"
#include "compute/cpu/kernels.h"
#include "quant/encode_k.h"

void fal_quantize_q2_k_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    encode_rows_q2_k(weights, importance, blocks, n_blocks);
}

void fal_quantize_q3_k_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    encode_rows_q3_k(weights, importance, blocks, n_blocks);
}

void fal_quantize_q4_k_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    encode_rows_q4_k(weights, importance, blocks, n_blocks);
}

void fal_quantize_q5_k_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    encode_rows_q5_k(weights, importance, blocks, n_blocks);
}

void fal_quantize_q6_k_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    encode_rows_q6_k(weights, importance, blocks, n_blocks);
}

void fal_quantize_iq4_xs_neon(const float *weights, const float *importance, void *blocks,
                              int64_t n_blocks) {
    encode_rows_iq4_xs(weights, importance, blocks, n_blocks);
}
