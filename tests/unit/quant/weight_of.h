/* The one-weight decode of every type, reached by the type's name. */
#ifndef FAL_TESTS_WEIGHT_OF_H
#define FAL_TESTS_WEIGHT_OF_H

#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
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
#include "quant/q8_1.h"
#include "quant/q8_k.h"

#include <math.h>
#include <string.h>

/* NaN: no type of that name. */
static inline float weight_of(const char *type_name, const void *blocks, int64_t block, int index) {
#define FAL_TYPE(name, id, weights, bytes, quantized, in_files, partner, meaning) \
    if (strcmp(type_name, #name) == 0)                                            \
        return fal_##name##_weight((const struct fal_##name *)blocks + block, index);
#include "quant/types.def"
#undef FAL_TYPE
    return NAN;
}

#endif
