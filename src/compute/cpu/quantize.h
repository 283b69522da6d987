/* Encoding rows of weights with the fastest kernels of this processor, for those who write files. */
#ifndef FAL_COMPUTE_CPU_QUANTIZE_H
#define FAL_COMPUTE_CPU_QUANTIZE_H

#include "quant/type.h"

/* As type->encode, bit for bit, and faster where there is a kernel.
 *
 *   weights     [n_blocks * weights_per_block]; blocks of 256 and rows may be cut anywhere between blocks
 *   importance  NULL, or of the same shape: how much an error of each weight counts
 *   blocks      out; may not overlap weights
 * May be called from several threads. */
void fal_cpu_encode(const fal_type *type, const float *weights, const float *importance,
                    void *blocks, int64_t n_blocks);

#endif
