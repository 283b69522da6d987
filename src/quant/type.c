/* The table of number types, made from types.def, and what can be asked of a row: finding it, sizes. The layouts and
 * their arithmetic are in the files of the types. */
#include "quant/type.h"

#include "base/alloc.h"
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

enum {
#define FAL_TYPE(name, id, weights, bytes, quantized, in_files, partner, meaning) INDEX_##name,
#include "quant/types.def"
#undef FAL_TYPE
    N_TYPES
};

#define FAL_TYPE(name, id, weights, bytes, quantized, in_files, partner, meaning) \
    FAL_BLOCK_SIZE(struct fal_##name, bytes);
#include "quant/types.def"
#undef FAL_TYPE

static const fal_type types[N_TYPES] = {
#define FAL_TYPE(name, id, weights, bytes, quantized, in_files, partner, meaning) \
    {#name,                                                                       \
     id,                                                                          \
     weights,                                                                     \
     bytes,                                                                       \
     quantized,                                                                   \
     in_files,                                                                    \
     fal_##name##_decode,                                                         \
     fal_##name##_encode,                                                         \
     &types[INDEX_##partner],                                                     \
     meaning},
#include "quant/types.def"
#undef FAL_TYPE
};

/* Ids that files may hold and that have no row: a message can name them all the same. */
static const struct {
    uint32_t id;
    const char *name;
} names_without_row[] = {
    {4,  "q4_2"      },
    {5,  "q4_3"      },
    {16, "iq2_xxs"   },
    {17, "iq2_xs"    },
    {18, "iq3_xxs"   },
    {19, "iq1_s"     },
    {21, "iq3_s"     },
    {22, "iq2_s"     },
    {24, "i8"        },
    {25, "i16"       },
    {26, "i32"       },
    {27, "i64"       },
    {28, "f64"       },
    {29, "iq1_m"     },
    {31, "q4_0_4_4"  },
    {32, "q4_0_4_8"  },
    {33, "q4_0_8_8"  },
    {34, "tq1_0"     },
    {35, "tq2_0"     },
    {36, "iq4_nl_4_4"},
    {37, "iq4_nl_4_8"},
    {38, "iq4_nl_8_8"},
    {39, "mxfp4"     },
};

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool equal_without_case(const char *a, const char *b) {
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const fal_type *fal_type_by_name(const char *name) {
    if (name == NULL) return NULL;
    for (int i = 0; i < N_TYPES; i++) {
        if (equal_without_case(types[i].name, name)) return &types[i];
    }
    return NULL;
}

const fal_type *fal_type_by_id(uint32_t gguf_id) {
    for (int i = 0; i < N_TYPES; i++) {
        if (types[i].gguf_id == gguf_id) return &types[i];
    }
    return NULL;
}

const char *fal_type_name_of_id(uint32_t gguf_id) {
    const fal_type *type = fal_type_by_id(gguf_id);
    if (type != NULL) return type->name;
    for (size_t i = 0; i < sizeof names_without_row / sizeof names_without_row[0]; i++) {
        if (names_without_row[i].id == gguf_id) return names_without_row[i].name;
    }
    return NULL;
}

int fal_type_count(void) {
    return N_TYPES;
}

const fal_type *fal_type_at(int index) {
    return index >= 0 && index < N_TYPES ? &types[index] : NULL;
}

fal_status fal_type_row_bytes(const fal_type *type, int64_t n_weights, size_t *out,
                              fal_error *err) {
    if (n_weights < 0 || n_weights % type->weights_per_block != 0) {
        return fal_fail(err, FAL_E_FORMAT,
                        "type %s: a row of %lld weights does not divide into blocks of %d",
                        type->name, (long long)n_weights, type->weights_per_block);
    }
    uint64_t n_blocks = (uint64_t)n_weights / (uint64_t)type->weights_per_block;
    size_t bytes;
    if (n_blocks > SIZE_MAX
        || !fal_multiply_size((size_t)n_blocks, (size_t)type->bytes_per_block, &bytes)) {
        return fal_fail(
            err, FAL_E_LIMIT,
            "type %s: a row of %lld weights takes more bytes (%d per block of %d) than %zu",
            type->name, (long long)n_weights, type->bytes_per_block, type->weights_per_block,
            (size_t)SIZE_MAX);
    }
    *out = bytes;
    return FAL_OK;
}
