/* Encoders of weights: the bits of the type's own encoder, in every set, with and without importance. */
#include "base/half.h"
#include "kernelcheck.h"
#include "quant/type.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    MAX_WEIGHTS = 19 * 256
};

/* The case's weights, and their importance; NULL: none. */
typedef struct weights {
    const fal_type *type;
    int64_t n_blocks;
    const float *x, *importance;
} weights;

static void check_blocks(fal_kernelcheck *c, const weights *w, fal_placement placement) {
    static _Alignas(64) unsigned char expected[MAX_WEIGHTS * 2];
    fal_quantize_kernel *kernel;
    kernelcheck_find(c, c->set, &kernel);
    size_t bytes = (size_t)w->n_blocks * (size_t)w->type->bytes_per_block;
    size_t row = (size_t)w->n_blocks * (size_t)w->type->weights_per_block * sizeof *w->x;
    fal_guarded in = fal_guarded_open(row, placement);
    fal_guarded importance = fal_guarded_open(row, placement);
    fal_guarded out = fal_guarded_open(bytes, placement);
    memcpy(in.data, w->x, row);
    if (w->importance) memcpy(importance.data, w->importance, row);
    kernel((const float *)(void *)in.data,
           w->importance ? (const float *)(void *)importance.data : NULL, out.data, w->n_blocks);
    w->type->encode(w->x, w->importance, expected, w->n_blocks);
    for (int64_t b = 0; b < w->n_blocks; b++) {
        size_t at = (size_t)b * (size_t)w->type->bytes_per_block;
        if (memcmp(out.data + at, expected + at, (size_t)w->type->bytes_per_block) != 0)
            kernelcheck_fail(c, "block %lld has other bits than the type's own encoder gives",
                             (long long)b);
    }
    kernelcheck_margins(c, &out, "blocks");
    fal_guarded_close(&in);
    fal_guarded_close(&importance);
    fal_guarded_close(&out);
}

/* Weights as they are in files: rounded ones have ties, decoded ones are found again. */
static void change(const fal_type *type, int kind, float *x, int64_t n_blocks) {
    static _Alignas(64) unsigned char blocks[MAX_WEIGHTS * 2];
    int64_t n = n_blocks * type->weights_per_block;
    for (int64_t i = 0; i < n && kind == 1; i++)
        x[i] = fal_f32_from_bits(fal_bits_from_f32(x[i] * 0.02f) & 0xffff0000u);
    for (int64_t i = 0; i < n && kind == 2; i++)
        x[i] = x[i] * 1e-6f;
    for (int64_t i = 0; i < n && kind == 3; i++)
        x[i] = i / 7 % 3 == 0 ? 0.0f : x[i] * 0.001f + 2.0f;
    if (kind != 4) return;
    type->encode(x, NULL, blocks, n_blocks);
    type->decode(blocks, x, n_blocks);
}

static void check_row(fal_kernelcheck *c, weights *w, float *x, float *importance) {
    int64_t n = w->n_blocks * w->type->weights_per_block;
    w->x = x;
    for (int64_t i = 0; i < n; i++)
        importance[i] = (float)exp(2.0 * fal_random_normal(&c->random));
    for (int with = 0; with < 2; with++) {
        w->importance = with ? importance : NULL;
        check_blocks(c, w, FAL_AT_END);
        if (!c->is_brief) check_blocks(c, w, FAL_AT_START);
    }
}

void check_fal_quantize_kernel(fal_kernelcheck *c) {
    static float x[MAX_WEIGHTS], importance[MAX_WEIGHTS];
    static const int64_t counts[] = {1, 2, 7, 8, 9, 19};
    const size_t first_count = c->is_brief ? 4 : 0, end_count = c->is_brief ? 5 : 6;
    static const float special[] = {NAN, INFINITY, -INFINITY, FLT_MAX, 1e9f, -0x1p28f, 1e-44f};
    weights w = {.type = fal_type_by_name(c->kernel + strlen("quantize_"))};
    if (!w.type) {
        kernelcheck_fail(c, "no such type of weights");
        return;
    }
    if (c->is_brief && c->set == &fal_kernels_portable) return; /* it is the type's own encoder */
    for (size_t k = first_count; k < end_count; k++) {
        w.n_blocks = counts[k];
        int64_t n = w.n_blocks * w.type->weights_per_block;
        for (int inputs = 0; inputs < FAL_INPUTS; inputs++) {
            kernelcheck_case(c, "%s, %lld blocks", kernelcheck_input_name((fal_inputs)inputs),
                             (long long)w.n_blocks);
            kernelcheck_fill(c, (fal_inputs)inputs, x, n);
            check_row(c, &w, x, importance);
        }
        for (int kind = 1; kind <= 4; kind++) {
            kernelcheck_case(c, "noise of kind %d, %lld blocks", kind, (long long)w.n_blocks);
            kernelcheck_fill(c, FAL_INPUT_NOISE, x, n);
            change(w.type, kind, x, w.n_blocks);
            check_row(c, &w, x, importance);
        }
        for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
            kernelcheck_case(c, "%g in one of %lld blocks", (double)special[i],
                             (long long)w.n_blocks);
            kernelcheck_fill(c, FAL_INPUT_NOISE, x, n);
            x[fal_random_u64(&c->random) % (uint64_t)n] = special[i];
            check_row(c, &w, x, importance);
        }
    }
}
