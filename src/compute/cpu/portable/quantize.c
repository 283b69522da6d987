/* Weights into blocks: the types' own encoders. */
#include "compute/cpu/kernels.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

#define PORTABLE(type)                                                                 \
    void fal_quantize_##type##_portable(const float *weights, const float *importance, \
                                        void *blocks, int64_t n_blocks) {              \
        fal_##type##_encode(weights, importance, blocks, n_blocks);                    \
    }

PORTABLE(q4_0)
PORTABLE(q4_1)
PORTABLE(q5_0)
PORTABLE(q5_1)
PORTABLE(q8_0)
PORTABLE(iq4_nl)
PORTABLE(q2_k)
PORTABLE(q3_k)
PORTABLE(q4_k)
PORTABLE(q5_k)
PORTABLE(q6_k)
PORTABLE(iq4_xs)
