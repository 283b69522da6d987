/* What the parts of kernelcheck share: the state of a run, and one check for each signature in kernels.def. */
#ifndef FAL_TESTS_KERNELS_KERNELCHECK_H
#define FAL_TESTS_KERNELS_KERNELCHECK_H

#include "base/random.h"
#include "compute/cpu/kernels.h"
#include "guarded.h"

#include <stdbool.h>
#include <stdint.h>

/* One kernel of one set under check. */
typedef struct fal_kernelcheck {
    const char *kernel; /* "matmul_q4_0" */
    size_t offset;      /* of the kernel's member in fal_kernel_set */
    const fal_kernel_set *set;
    uint64_t seed;
    fal_random random;
    bool is_brief;  /* fewer sizes, for emulated processors */
    char what[160]; /* the case at hand, for messages */
    long n_cases, n_failures;
} fal_kernelcheck;

typedef void fal_kernelcheck_part(fal_kernelcheck *c);

fal_kernelcheck_part check_fal_matmul_kernel;
fal_kernelcheck_part check_fal_encode_kernel;
fal_kernelcheck_part check_fal_quantize_kernel;
fal_kernelcheck_part check_fal_layer_norm_kernel;
fal_kernelcheck_part check_fal_add_kernel;
fal_kernelcheck_part check_fal_map_kernel;
fal_kernelcheck_part check_fal_rope_kernel;
fal_kernelcheck_part check_fal_to_f16_kernel;
fal_kernelcheck_part check_fal_attend_kernel;
fal_kernelcheck_part check_fal_attend_join_kernel;
fal_kernelcheck_part check_fal_tile_kernel;
fal_kernelcheck_part check_fal_transpose_kernel;
fal_kernelcheck_part check_fal_softmax_tile_kernel;
fal_kernelcheck_part check_fal_softmax_gradient_tile_kernel;
fal_kernelcheck_part check_fal_scale_kernel;
fal_kernelcheck_part check_fal_dot_kernel;
fal_kernelcheck_part check_fal_gradient_kernel;
fal_kernelcheck_part check_fal_layer_norm_gradient_kernel;
fal_kernelcheck_part check_fal_exp_kernel;
fal_kernelcheck_part check_fal_square_sum_kernel;
fal_kernelcheck_part check_fal_adamw_kernel;

/* Prints speeds of products and encoders of every set as JSON, one line each. */
void kernelcheck_bench(const fal_kernel_set *const *sets, int n_sets, const char *filter);

/* Begins a case: its words go in front of what is found wrong in it. */
__attribute__((format(printf, 2, 3))) void kernelcheck_case(fal_kernelcheck *c, const char *format,
                                                            ...);
__attribute__((format(printf, 2, 3))) void kernelcheck_fail(fal_kernelcheck *c, const char *format,
                                                            ...);

/* The bytes beside g's data are untouched. */
void kernelcheck_margins(fal_kernelcheck *c, const fal_guarded *g, const char *name);

/* |actual - expected| <= bound, or both are NaN, or they are equal infinities. */
bool kernelcheck_is_near(double actual, double expected, double bound);

/* Copies the kernel's address out of a set; out is the address of a pointer to its type. */
void kernelcheck_find(const fal_kernelcheck *c, const fal_kernel_set *set, void *out);

/* Rows of f32 to feed a kernel with. */
typedef enum fal_inputs {
    FAL_INPUT_NOISE,
    FAL_INPUT_SPIKES, /* noise with a few values a thousand times as large */
    FAL_INPUT_MAXIMUM,
    FAL_INPUT_MINIMUM,
    FAL_INPUT_ALTERNATING,
    FAL_INPUT_DENORMAL,
    FAL_INPUT_SIGNED_ZERO,
    FAL_INPUTS
} fal_inputs;

const char *kernelcheck_input_name(fal_inputs inputs);
void kernelcheck_fill(fal_kernelcheck *c, fal_inputs inputs, float *x, int64_t n);

#endif
