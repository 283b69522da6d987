/* Products: portable against double precision, every other set against portable, and every result against the same row
 * and token computed alone. */
#include "kernelcheck.h"
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
#include "quant/type.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_FIELDS = 2,
    MAX_ROWS = 41,
    MAX_TOKENS = 17
};

/* Where a block keeps its f16 scales, and the largest number that a code or a minimum multiplies each with. A term of
 * the product is at most the sum of |scale| * most, times |x|: what rounding errors are measured by. */
static const struct layout {
    const char *type;
    int n_fields;

    struct {
        size_t offset;
        double most;
    } fields[MAX_FIELDS];
} layouts[] = {
    {"q4_0",   1, {{offsetof(struct fal_q4_0, d), 15}}                                            },
    {"q4_1",   2, {{offsetof(struct fal_q4_1, d), 15}, {offsetof(struct fal_q4_1, m), 1}}         },
    {"q5_0",   1, {{offsetof(struct fal_q5_0, d), 31}}                                            },
    {"q5_1",   2, {{offsetof(struct fal_q5_1, d), 31}, {offsetof(struct fal_q5_1, m), 1}}         },
    {"q8_0",   1, {{offsetof(struct fal_q8_0, d), 128}}                                           },
    {"iq4_nl", 1, {{offsetof(struct fal_iq4_nl, d), 127}}                                         },
    {"q2_k",   2, {{offsetof(struct fal_q2_k, d), 45}, {offsetof(struct fal_q2_k, dmin), 15}}     },
    {"q3_k",   1, {{offsetof(struct fal_q3_k, d), 32 * 4}}                                        },
    {"q4_k",   2, {{offsetof(struct fal_q4_k, d), 63 * 15}, {offsetof(struct fal_q4_k, dmin), 63}}},
    {"q5_k",   2, {{offsetof(struct fal_q5_k, d), 63 * 31}, {offsetof(struct fal_q5_k, dmin), 63}}},
    {"q6_k",   1, {{offsetof(struct fal_q6_k, d), 128 * 32}}                                      },
    {"iq4_xs", 1, {{offsetof(struct fal_iq4_xs, d), 32 * 127}}                                    },
};

typedef enum fal_weights {
    WEIGHTS_ENCODED, /* noise, through the type's encoder */
    WEIGHTS_RANDOM,  /* any codes, moderate scales of both signs */
    WEIGHTS_MINIMUM, /* codes of zero bits */
    WEIGHTS_MAXIMUM, /* codes of one bits, the largest scale */
    WEIGHTS_DENORMAL,
    WEIGHTS_SIGNED_ZERO,
    WEIGHTS_KINDS
} fal_weights;

static const char *const weights_names[WEIGHTS_KINDS] = {"encoded", "random",   "minimum",
                                                         "maximum", "denormal", "signed zero"};

/* Weights and activations of one case, large enough for MAX_ROWS and MAX_TOKENS. */
struct sample {
    const fal_type *type;
    const struct layout *layout; /* NULL for float types */
    int64_t n_cols;
    size_t w_row_bytes, x_row_bytes;
    unsigned char *w, *x;
    double *weights, *activations; /* decoded */
    double *most;                  /* [MAX_ROWS, n_cols]: see layouts */
};

static const struct layout *layout_of(const fal_type *type) {
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (strcmp(layouts[i].type, type->name) == 0) return &layouts[i];
    }
    return NULL;
}

static void *get_memory(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (!memory) exit(1);
    return memory;
}

static float float_weight(fal_kernelcheck *c, fal_weights kind) {
    float noise = (float)fal_random_normal(&c->random);
    uint64_t bits = fal_random_u64(&c->random);
    switch (kind) {
    case WEIGHTS_RANDOM: return ldexpf(noise, (int)(bits % 24) - 12);
    case WEIGHTS_MINIMUM: return -60000.0f;
    case WEIGHTS_MAXIMUM: return 60000.0f;
    case WEIGHTS_DENORMAL: return fal_f32_from_bits((uint32_t)(bits & 0x807fffffu));
    case WEIGHTS_SIGNED_ZERO: return bits & 1 ? 0.0f : -0.0f;
    case WEIGHTS_ENCODED:
    case WEIGHTS_KINDS: break;
    }
    return noise;
}

static uint16_t scale_bits(fal_kernelcheck *c, fal_weights kind) {
    uint64_t bits = fal_random_u64(&c->random);
    switch (kind) {
    case WEIGHTS_MINIMUM: return 0x3c00;
    case WEIGHTS_MAXIMUM: return 0x7bff;
    case WEIGHTS_DENORMAL: return (uint16_t)(bits & 0x83ff);
    case WEIGHTS_SIGNED_ZERO: return (uint16_t)(bits & 0x8000);
    case WEIGHTS_ENCODED:
    case WEIGHTS_RANDOM:
    case WEIGHTS_KINDS: break;
    }
    return (uint16_t)((bits & 0x83ff) | (9 + bits / 65536 % 8) << 10); /* 2^-6 to 2^2 */
}

static void fill_block(fal_kernelcheck *c, const struct sample *s, fal_weights kind,
                       unsigned char *block) {
    for (int i = 0; i < s->type->bytes_per_block; i++) {
        uint8_t random = (uint8_t)fal_random_u64(&c->random);
        block[i] = kind == WEIGHTS_MINIMUM ? 0 : kind == WEIGHTS_MAXIMUM ? 0xff : random;
    }
    for (int i = 0; i < s->layout->n_fields; i++) {
        uint16_t bits = scale_bits(c, kind);
        memcpy(block + s->layout->fields[i].offset, &bits, sizeof bits);
    }
}

static void fill_weights(fal_kernelcheck *c, struct sample *s, fal_weights kind) {
    int64_t n = MAX_ROWS * s->n_cols, n_blocks = n / s->type->weights_per_block;
    bool is_encoded = !s->layout || (kind == WEIGHTS_ENCODED && s->type->encode);
    float *floats = get_memory((size_t)n * sizeof *floats);
    for (int64_t i = 0; is_encoded && i < n; i++) {
        floats[i] = float_weight(c, kind);
    }
    if (is_encoded) s->type->encode(floats, NULL, s->w, n_blocks);
    for (int64_t i = 0; !is_encoded && i < n_blocks; i++) {
        fill_block(c, s, kind, s->w + i * s->type->bytes_per_block);
    }
    s->type->decode(s->w, floats, n_blocks);
    for (int64_t i = 0; i < n; i++) {
        s->weights[i] = (double)floats[i];
        s->most[i] = fabs(s->weights[i]);
        if (!s->layout) continue;
        const unsigned char *block =
            s->w + i / s->type->weights_per_block * s->type->bytes_per_block;
        s->most[i] = 0.0;
        for (int j = 0; j < s->layout->n_fields; j++) {
            uint16_t bits;
            memcpy(&bits, block + s->layout->fields[j].offset, sizeof bits);
            s->most[i] += s->layout->fields[j].most * fabs((double)fal_f32_from_f16(bits));
        }
    }
    free(floats);
}

static void encode_activations(const struct sample *s, const float *floats, int64_t n_tokens) {
    fal_encode_kernel *encode =
        fal_kernel_set_encoder(&fal_kernels_portable, s->type->partner->name);
    for (int64_t token = 0; token < n_tokens; token++) {
        unsigned char *at = s->x + (size_t)token * s->x_row_bytes;
        const float *row = floats + token * s->n_cols;
        if (encode)
            encode(row, at, s->n_cols);
        else
            memcpy(at, row, s->x_row_bytes);
    }
}

static void fill_activations(fal_kernelcheck *c, struct sample *s, fal_inputs inputs) {
    int64_t n = MAX_TOKENS * s->n_cols;
    float *floats = get_memory((size_t)n * sizeof *floats);
    kernelcheck_fill(c, inputs, floats, n);
    encode_activations(s, floats, MAX_TOKENS);
    s->type->partner->decode(s->x, floats, n / s->type->partner->weights_per_block);
    for (int64_t i = 0; i < n; i++) {
        s->activations[i] = (double)floats[i];
    }
    free(floats);
}

static struct sample sample_open(const fal_type *type, int64_t n_cols) {
    struct sample s = {.type = type, .layout = layout_of(type), .n_cols = n_cols};
    const fal_type *partner = type->partner;
    s.w_row_bytes = (size_t)(n_cols / type->weights_per_block) * (size_t)type->bytes_per_block;
    s.x_row_bytes =
        (size_t)(n_cols / partner->weights_per_block) * (size_t)partner->bytes_per_block;
    s.w = get_memory(MAX_ROWS * s.w_row_bytes);
    s.x = get_memory(MAX_TOKENS * s.x_row_bytes);
    s.weights = get_memory(MAX_ROWS * (size_t)n_cols * sizeof(double));
    s.most = get_memory(MAX_ROWS * (size_t)n_cols * sizeof(double));
    s.activations = get_memory(MAX_TOKENS * (size_t)n_cols * sizeof(double));
    return s;
}

static void sample_release(struct sample *s) {
    free(s->w);
    free(s->x);
    free(s->weights);
    free(s->most);
    free(s->activations);
}

/* A part of a sample, in guarded memory: rows and tokens from the first ones given. */
struct part {
    int64_t first_row, n_rows, first_token, n_tokens, gap; /* gap: floats between the rows of y */
    fal_placement placement;
};

/* y [n_tokens, n_rows], dense; checks what lies around it. */
static void run_part(fal_kernelcheck *c, const fal_kernel_set *set, const struct sample *s,
                     struct part part, float *y) {
    fal_matmul_kernel *kernel;
    kernelcheck_find(c, set, &kernel);
    int64_t stride = part.n_rows + part.gap;
    fal_placement even = part.placement == FAL_AT_END_ODD ? FAL_AT_END : part.placement;
    fal_guarded w = fal_guarded_open((size_t)part.n_rows * s->w_row_bytes, part.placement);
    fal_guarded x = fal_guarded_open((size_t)part.n_tokens * s->x_row_bytes, even);
    size_t n_floats = (size_t)((part.n_tokens - 1) * stride + part.n_rows);
    fal_guarded out = fal_guarded_open(n_floats * sizeof *y, even);
    memcpy(w.data, s->w + (size_t)part.first_row * s->w_row_bytes, w.bytes);
    memcpy(x.data, s->x + (size_t)part.first_token * s->x_row_bytes, x.bytes);
    memset(out.data, 0x7e, out.bytes);
    fal_product p = {.w = w.data,
                     .w_row_bytes = s->w_row_bytes,
                     .n_rows = part.n_rows,
                     .x = x.data,
                     .x_row_bytes = s->x_row_bytes,
                     .n_tokens = part.n_tokens,
                     .n_cols = s->n_cols,
                     .y = (float *)(void *)out.data,
                     .y_stride = stride};
    kernel(&p);
    for (int64_t token = 0; token < part.n_tokens; token++) {
        memcpy(y + token * part.n_rows, p.y + token * stride, (size_t)part.n_rows * sizeof *y);
        for (int64_t i = 0; i < part.gap * 4 && token + 1 < part.n_tokens; i++) {
            const unsigned char *gap = (const unsigned char *)(p.y + token * stride + part.n_rows);
            if (gap[i] != 0x7e) kernelcheck_fail(c, "wrote between the rows of y");
        }
    }
    kernelcheck_margins(c, &out, "y");
    fal_guarded_close(&w);
    fal_guarded_close(&x);
    fal_guarded_close(&out);
}

/* Against sums in double. A row passes through one rounding per block (or column) and a few more, each at most epsilon
 * times the sum of magnitudes; what lies below the smallest normal number may vanish. */
static void compare_with_double(fal_kernelcheck *c, const struct sample *s, struct part part,
                                const float *y) {
    double n_sums = (double)(s->n_cols / s->type->weights_per_block) + 8.0;
    for (int64_t token = 0; token < part.n_tokens; token++) {
        const double *x = s->activations + (part.first_token + token) * s->n_cols;
        for (int64_t row = 0; row < part.n_rows; row++) {
            const double *w = s->weights + (part.first_row + row) * s->n_cols;
            const double *most = s->most + (part.first_row + row) * s->n_cols;
            double sum = 0.0, magnitude = 0.0;
            for (int64_t i = 0; i < s->n_cols; i++) {
                sum += w[i] * x[i];
                magnitude += most[i] * fabs(x[i]);
            }
            double bound = n_sums * (double)FLT_EPSILON * magnitude
                           + (double)s->n_cols * 127.0 * 4096.0 * (double)FLT_TRUE_MIN;
            double actual = (double)y[token * part.n_rows + row];
            if (!kernelcheck_is_near(actual, sum, bound))
                kernelcheck_fail(c, "row %lld, token %lld: %.9g, not %.9g within %.3g",
                                 (long long)row, (long long)token, actual, sum, bound);
        }
    }
}

/* Quantized products are the same bits in every set; float products differ by two sums' errors. */
static void compare_with_portable(fal_kernelcheck *c, const struct sample *s, struct part part,
                                  const float *y) {
    float *expected = get_memory((size_t)(part.n_rows * part.n_tokens) * sizeof *expected);
    if (!s->type->is_quantized) {
        compare_with_double(c, s, part, y);
        free(expected);
        return;
    }
    run_part(c, &fal_kernels_portable, s, part, expected);
    for (int64_t i = 0; i < part.n_rows * part.n_tokens; i++) {
        if (memcmp(&y[i], &expected[i], sizeof y[i]) != 0)
            kernelcheck_fail(c, "row %lld, token %lld: %.9g, but portable has %.9g",
                             (long long)(i % part.n_rows), (long long)(i / part.n_rows),
                             (double)y[i], (double)expected[i]);
    }
    free(expected);
}

static void check_values(fal_kernelcheck *c, const struct sample *s, struct part part) {
    float *y = get_memory((size_t)(part.n_rows * part.n_tokens) * sizeof *y);
    run_part(c, c->set, s, part, y);
    if (c->set == &fal_kernels_portable)
        compare_with_double(c, s, part, y);
    else
        compare_with_portable(c, s, part, y);
    free(y);
}

/* Every combination of inputs, with some rows and tokens; in brief, without the search that encodes weights. */
static void check_inputs(fal_kernelcheck *c, struct sample *s) {
    for (int kind = c->is_brief ? WEIGHTS_RANDOM : WEIGHTS_ENCODED; kind < WEIGHTS_KINDS; kind++) {
        fill_weights(c, s, (fal_weights)kind);
        for (int inputs = 0; inputs < FAL_INPUTS; inputs++) {
            fill_activations(c, s, (fal_inputs)inputs);
            int64_t most = inputs % 2 == 0 ? 10 : MAX_ROWS;
            struct part part = {.n_rows = 1 + (int64_t)(fal_random_u64(&c->random) % most),
                                .n_tokens = 1 + (int64_t)(fal_random_u64(&c->random) % 6),
                                .gap = (int64_t)(fal_random_u64(&c->random) % 3),
                                .placement = (fal_placement)((kind + inputs) % FAL_PLACEMENTS)};
            kernelcheck_case(c, "%s weights, %s, %lld columns, %lld rows, %lld tokens",
                             weights_names[kind], kernelcheck_input_name((fal_inputs)inputs),
                             (long long)s->n_cols, (long long)part.n_rows,
                             (long long)part.n_tokens);
            check_values(c, s, part);
        }
    }
}

/* Each result has the bits that its row and token have alone. */
static void check_alone(fal_kernelcheck *c, const struct sample *s, const float *alone,
                        struct part part) {
    float y[MAX_ROWS * MAX_TOKENS];
    kernelcheck_case(c, "%lld columns, rows %lld + %lld, tokens %lld + %lld", (long long)s->n_cols,
                     (long long)part.first_row, (long long)part.n_rows, (long long)part.first_token,
                     (long long)part.n_tokens);
    run_part(c, c->set, s, part, y);
    for (int64_t token = 0; token < part.n_tokens; token++) {
        for (int64_t row = 0; row < part.n_rows; row++) {
            const float *expected =
                &alone[(part.first_token + token) * MAX_ROWS + part.first_row + row];
            const float *actual = &y[token * part.n_rows + row];
            if (memcmp(actual, expected, sizeof *actual) != 0)
                kernelcheck_fail(c, "row %lld, token %lld: %.9g, but alone %.9g", (long long)row,
                                 (long long)token, (double)*actual, (double)*expected);
        }
    }
}

static void check_invariance(fal_kernelcheck *c, struct sample *s) {
    float alone[MAX_ROWS * MAX_TOKENS];
    fill_weights(c, s, WEIGHTS_RANDOM);
    fill_activations(c, s, FAL_INPUT_NOISE);
    for (int64_t token = 0; token < MAX_TOKENS; token++) {
        for (int64_t row = 0; row < MAX_ROWS; row++) {
            struct part one = {row, 1, token,
                               1,   0, (fal_placement)((row + token) % FAL_PLACEMENTS)};
            kernelcheck_case(c, "%lld columns, one row, one token", (long long)s->n_cols);
            run_part(c, c->set, s, one, &alone[token * MAX_ROWS + row]);
        }
    }
    for (int64_t n_rows = 1; n_rows <= 9; n_rows++) {
        for (int64_t n_tokens = 1; n_tokens <= 9; n_tokens++) {
            int64_t first_row = (int64_t)(fal_random_u64(&c->random) % (MAX_ROWS - 9));
            int64_t first_token = (int64_t)(fal_random_u64(&c->random) % (MAX_TOKENS - 9));
            struct part part = {first_row, n_rows, first_token,
                                n_tokens,  3,      (fal_placement)(n_rows % FAL_PLACEMENTS)};
            check_alone(c, s, alone, part);
        }
    }
    check_alone(c, s, alone, (struct part){0, MAX_ROWS, 0, MAX_TOKENS, 1, FAL_AT_END});
    check_alone(c, s, alone, (struct part){0, MAX_ROWS, 3, 1, 0, FAL_AT_START});
    check_alone(c, s, alone, (struct part){8, 32, 1, 16, 0, FAL_AT_END_ODD});
    for (int64_t n_tokens = 1; n_tokens <= 8; n_tokens++) { /* whole panels, and a few rows more */
        for (int64_t n_rows = 15; n_rows <= 39; n_rows += 8)
            check_alone(c, s, alone, (struct part){2, n_rows, n_tokens, n_tokens, 1, FAL_AT_END});
    }
}

/* An activation that is no number spoils its own token, in every row, and no other. */
static void check_not_a_number(fal_kernelcheck *c, struct sample *s) {
    enum {
        ROWS = 10,
        TOKENS = 6,
        SPOILT = 2
    };
    struct part part = {0, ROWS, 0, TOKENS, 0, FAL_AT_END};
    float before[ROWS * TOKENS], after[ROWS * TOKENS];
    fill_weights(c, s, WEIGHTS_RANDOM);
    fill_activations(c, s, FAL_INPUT_NOISE);
    kernelcheck_case(c, "%lld columns, one activation is not a number", (long long)s->n_cols);
    run_part(c, c->set, s, part, before);
    float *floats = get_memory((size_t)s->n_cols * sizeof *floats);
    kernelcheck_fill(c, FAL_INPUT_NOISE, floats, s->n_cols);
    floats[s->n_cols - 1] = NAN;
    struct sample spoilt = *s;
    spoilt.x += SPOILT * s->x_row_bytes;
    encode_activations(&spoilt, floats, 1);
    free(floats);
    run_part(c, c->set, s, part, after);
    for (int i = 0; i < ROWS * TOKENS; i++) {
        bool is_spoilt = i / ROWS == SPOILT;
        if (is_spoilt ? !isnan(after[i]) : memcmp(&before[i], &after[i], sizeof after[i]) != 0)
            kernelcheck_fail(c, "row %d, token %d: %g", i % ROWS, i / ROWS, (double)after[i]);
    }
}

void check_fal_matmul_kernel(fal_kernelcheck *c) {
    static const int64_t float_cols[] = {1, 7, 8, 9, 33, 511, 512, 513, 1031};
    static const int64_t block_cols[] = {1, 2, 3, 7, 8, 9, 17};
    const fal_type *type = fal_type_by_name(c->kernel + strlen("matmul_"));
    if (!type || (type->is_quantized && !layout_of(type))) {
        kernelcheck_fail(c, "no such type of weights");
        return;
    }
    int n_sizes = type->is_quantized ? (type->weights_per_block > 32 ? 4 : 7) : 9;
    int first = c->is_brief ? 2 : 0, step = !c->is_brief ? 1 : type->is_quantized ? 3 : 5;
    for (int i = first; i < n_sizes; i += step) {
        int64_t n_cols =
            type->is_quantized ? block_cols[i] * type->weights_per_block : float_cols[i];
        struct sample s = sample_open(type, n_cols);
        check_inputs(c, &s);
        bool is_plain = c->set == &fal_kernels_portable; /* it takes rows and tokens one by one */
        if (i % 2 == 0 && !(c->is_brief && is_plain)) check_invariance(c, &s);
        check_not_a_number(c, &s);
        sample_release(&s);
    }
}
