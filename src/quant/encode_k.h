/* Rows of blocks of 256, type by type: the shapes, and each block searched and packed. The lanes are those of the
 * including file. */
#ifndef FAL_QUANT_ENCODE_K_H
#define FAL_QUANT_ENCODE_K_H

#include "quant/encode_scale_min.h"
#include "quant/encode_symmetric.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"

#define FAL_ENCODE_ROWS(type, encode, shape)                                                   \
    LANES_INLINE void encode_rows_##type(const float *weights, const float *importance,        \
                                         void *blocks, int64_t n_blocks) {                     \
        struct fal_##type *block = blocks;                                                     \
        for (int64_t b = 0; b < n_blocks; b++) {                                               \
            fal_k_fit fit;                                                                     \
            encode(&shape, weights + 256 * b, importance ? importance + 256 * b : NULL, &fit); \
            fal_##type##_pack(&fit, &block[b]);                                                \
        }                                                                                      \
    }

static const scale_min_shape shape_q2_k = {
    16, 15, {3,     2.0f, 0.1f, 21, 2, true},
      {1.0f, 1.0f,     0.0f,      1.0f   }
};
static const scale_min_shape shape_q4_k = {
    32, 63, {15,    13.8f, 0.1f, 24, 2, true},
      {1.0f, 1.0f,      0.0f,       2.0f    }
};
static const scale_min_shape shape_q5_k = {
    32, 63, {31,    29.5f, 0.125f, 24, 2, true},
      {1.0f, 1.0f,      0.0f,         2.0f      }
};
static const symmetric_shape shape_q3_k = {
    16, 32, {4,  false, 2.6f, 0.1f, 28, 2, true},
      {1.0f, 0.25f,  0.5f,      2.0f      }
};
static const symmetric_shape shape_q6_k = {
    16, 128, {32, false, 31.0f, 0.1f, 20, 2, false},
      {1.0f, 0.0f, 1.0f,      0.0f      }
};
static const symmetric_shape shape_iq4_xs = {
    32, 32, {0,  true, 120.0f, 1.0f, 15, 2, true},
      {1.0f, 0.5f, 0.25f,       2.0f       }
};

FAL_ENCODE_ROWS(q2_k, encode_scale_min, shape_q2_k)
FAL_ENCODE_ROWS(q3_k, encode_symmetric, shape_q3_k)
FAL_ENCODE_ROWS(q4_k, encode_scale_min, shape_q4_k)
FAL_ENCODE_ROWS(q5_k, encode_scale_min, shape_q5_k)
FAL_ENCODE_ROWS(q6_k, encode_symmetric, shape_q6_k)
FAL_ENCODE_ROWS(iq4_xs, encode_symmetric, shape_iq4_xs)

#endif
