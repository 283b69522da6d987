/* Weights into blocks of 32 with NEON: the searches of quant with this set's lanes. Without importance there is a search for
 * iq4_nl only, and the rest is left to the types' own encoders. */
#include "compute/cpu/arm_neon/lanes_neon.h"
#include "compute/cpu/kernels.h"
#include "quant/encode_blocks.h"

void fal_quantize_q4_0_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    if (importance)
        search_rows_q4_0(weights, importance, blocks, n_blocks);
    else
        fal_q4_0_encode(weights, NULL, blocks, n_blocks);
}

void fal_quantize_q4_1_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    if (importance)
        search_rows_q4_1(weights, importance, blocks, n_blocks);
    else
        fal_q4_1_encode(weights, NULL, blocks, n_blocks);
}

void fal_quantize_q5_0_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    if (importance)
        search_rows_q5_0(weights, importance, blocks, n_blocks);
    else
        fal_q5_0_encode(weights, NULL, blocks, n_blocks);
}

void fal_quantize_q5_1_neon(const float *weights, const float *importance, void *blocks,
                            int64_t n_blocks) {
    if (importance)
        search_rows_q5_1(weights, importance, blocks, n_blocks);
    else
        fal_q5_1_encode(weights, NULL, blocks, n_blocks);
}

void fal_quantize_iq4_nl_neon(const float *weights, const float *importance, void *blocks,
                              int64_t n_blocks) {
    search_rows_iq4_nl(weights, importance, blocks, n_blocks);
}
