/* Encoders of activations: the bits that quant's headers promise, in every set. */
#include "kernelcheck.h"
#include "quant/type.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    MAX_BLOCKS = 5
};

static void run(fal_kernelcheck *c, const fal_kernel_set *set, const float *x, int64_t n,
                unsigned char *blocks, size_t bytes, fal_placement placement) {
    fal_encode_kernel *kernel;
    kernelcheck_find(c, set, &kernel);
    fal_guarded in = fal_guarded_open((size_t)n * sizeof *x, placement);
    fal_guarded out = fal_guarded_open(bytes, placement);
    memcpy(in.data, x, in.bytes);
    kernel((const float *)(void *)in.data, out.data, n);
    memcpy(blocks, out.data, bytes);
    kernelcheck_margins(c, &out, "blocks");
    fal_guarded_close(&in);
    fal_guarded_close(&out);
}

/* Each number lies within half a step of its code, and what cannot be encoded is zero or not a number. */
static void check_precision(fal_kernelcheck *c, const fal_type *type, const float *x,
                            const unsigned char *blocks, int64_t n_blocks) {
    float decoded[MAX_BLOCKS * 256];
    type->decode(blocks, decoded, n_blocks);
    for (int64_t block = 0; block < n_blocks; block++) {
        const float *from = x + block * type->weights_per_block;
        const float *to = decoded + block * type->weights_per_block;
        double most = 0.0;
        bool is_finite = true;
        for (int i = 0; i < type->weights_per_block; i++) {
            most = fmax(most, fabs((double)from[i]));
            is_finite = is_finite && isfinite(from[i]);
        }
        double step = most / 127.0;
        double bound = step < (double)FLT_MIN ? most : step * 0.5 + most * 2e-7;
        for (int i = 0; i < type->weights_per_block; i++) {
            double expected = is_finite ? (double)from[i] : (double)NAN;
            if (!kernelcheck_is_near((double)to[i], expected, bound))
                kernelcheck_fail(c, "number %d of block %lld: %g became %g", i, (long long)block,
                                 (double)from[i], (double)to[i]);
        }
    }
}

static void check_blocks(fal_kernelcheck *c, const fal_type *type, const float *x, int64_t n_blocks,
                         fal_placement placement) {
    unsigned char actual[MAX_BLOCKS * 512], expected[MAX_BLOCKS * 512];
    size_t bytes = (size_t)n_blocks * (size_t)type->bytes_per_block;
    int64_t n = n_blocks * type->weights_per_block;
    run(c, c->set, x, n, actual, bytes, placement);
    type->encode(x, NULL, expected, n_blocks);
    if (memcmp(actual, expected, bytes) != 0)
        kernelcheck_fail(c, "other bits than the type's own encoder");
    check_precision(c, type, x, actual, n_blocks);
}

void check_fal_encode_kernel(fal_kernelcheck *c) {
    const fal_type *type = fal_type_by_name(c->kernel + strlen("encode_"));
    if (!type || !type->encode || type->weights_per_block > 256) {
        kernelcheck_fail(c, "no such type of activations");
        return;
    }
    static const float special[] = {NAN,    INFINITY, -INFINITY, 0.5f * FLT_MAX, 127.0f * FLT_MIN,
                                    FLT_MIN};
    float x[MAX_BLOCKS * 256];
    for (int64_t n_blocks = 1; n_blocks <= MAX_BLOCKS; n_blocks++) {
        int64_t n = n_blocks * type->weights_per_block;
        for (int inputs = 0; inputs < FAL_INPUTS; inputs++) {
            for (int placement = 0; placement < FAL_PLACEMENTS; placement += FAL_AT_START) {
                kernelcheck_case(c, "%s, %lld blocks", kernelcheck_input_name((fal_inputs)inputs),
                                 (long long)n_blocks);
                kernelcheck_fill(c, (fal_inputs)inputs, x, n);
                check_blocks(c, type, x, n_blocks, (fal_placement)placement);
            }
        }
        for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
            kernelcheck_case(c, "%g in one of %lld blocks", (double)special[i],
                             (long long)n_blocks);
            kernelcheck_fill(c, FAL_INPUT_NOISE, x, n);
            x[fal_random_u64(&c->random) % (uint64_t)n] = special[i];
            check_blocks(c, type, x, n_blocks, FAL_AT_END);
        }
        /* Halves: codes on the border between two, which round to the even one. */
        kernelcheck_case(c, "halves, %lld blocks", (long long)n_blocks);
        for (int64_t i = 0; i < n; i++) {
            x[i] = i % type->weights_per_block ? (float)(i % 250) * 0.5f - 62.0f : 127.0f;
        }
        check_blocks(c, type, x, n_blocks, FAL_AT_END);
    }
}
