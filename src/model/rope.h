/* Context extension: a method gives frequencies and a gain; nothing else. */
#ifndef FAL_MODEL_ROPE_H
#define FAL_MODEL_ROPE_H

#include "base/fail.h"

#include <stdbool.h>

typedef struct fal_rope_input {
    int n_dims;          /* head_dim: even, at least 4 */
    double base;         /* 10000 */
    double factor;       /* s, at least 1; 0: 1 */
    int trained_context; /* L, tokens */
    int context_now;     /* the length at hand, for dynamic methods; 0: trained_context * factor */
    double beta_fast,
        beta_slow; /* turns within L that bound the ramp of the by-parts methods; 0: 32 and 1 */
    double attention_factor; /* another gain on top, as GGUF files carry it; 0: 1 */
} fal_rope_input;

/* frequency [n_dims / 2] out, radians per position; *base the base in force; *gain scales rotated queries and keys. */
typedef void fal_rope_function(const fal_rope_input *in, double *frequency, double *base,
                               double *gain);

typedef struct fal_rope_method {
    const char *name;
    fal_rope_function *function;
    const char *meaning;
} fal_rope_method;

int fal_rope_method_count(void);
const fal_rope_method *fal_rope_method_at(int index);
const fal_rope_method *fal_rope_method_by_name(const char *name); /* NULL: no such method */
/* True if the frequencies depend on context_now. */
bool fal_rope_method_is_dynamic(const fal_rope_method *method);

/* Checks the input (ARGUMENT, naming value and bound) and calls the method. base and gain may be NULL. */
fal_status fal_rope_compute(const fal_rope_method *method, const fal_rope_input *in,
                            double *frequency, double *base, double *gain, fal_error *err);

#endif
