/* Which context method is in force and with which numbers: read from and written to GGUF metadata, read from a Hugging
 * Face config. The formulas are rope.c's. */
#ifndef FAL_MODEL_ROPE_SETTINGS_H
#define FAL_MODEL_ROPE_SETTINGS_H

#include <falconer/gguf.h>

#include "model/config_writer.h"
#include "model/rope.h"

typedef struct fal_rope_settings {
    const fal_rope_method *method;
    double base;                 /* before the method */
    double factor;               /* 1 with method none */
    int trained_context;         /* tokens, before the extension */
    double beta_fast, beta_slow; /* 0: the usual 32 and 1 */
    double attention_factor;     /* a gain on top of the method's; 1 */
} fal_rope_settings;

/* Puts another method in place of the one in force: base, factor and trained context stay, what tuned the old method goes. */
void fal_rope_settings_set_method(fal_rope_settings *settings, const fal_rope_method *method);

/* Reads <architecture>.rope.* and falconer.rope.*; n_context is the file's context length. Our own keys name the method;
 * where they contradict the common ones, the common ones win. Fails: FORMAT, UNSUPPORTED (a scaling type). */
fal_status fal_rope_settings_from_gguf(fal_rope_settings *out, const fal_gguf *f,
                                       const char *architecture, int n_context, fal_error *err);

/* Reads rope_theta, rope_scaling and LightOn's ntk_, embedding_ and vanilla_scaling_factor; *n_context becomes the
 * extended context. Fails: FORMAT, UNSUPPORTED (a type or combination). */
fal_status fal_rope_settings_from_hf(fal_rope_settings *out, const json_t *config, int *n_context,
                                     fal_error *err);

/* How a config says the context method. */
typedef enum fal_rope_form {
    FAL_ROPE_BY_NAME, /* by its name; ntk-yarn and its kin as the first Alfred and LightOn's code have them */
    FAL_ROPE_BY_NUMBERS /* by what transformers computes the same from: a base, or its own types */
} fal_rope_form;

/* Writes max_position_embeddings, rope_theta and rope_scaling, and by name also the fields of the first Alfred; read back,
 * the frequencies, the gain and n_context are the same. Fails: UNSUPPORTED (a gain that a form has no place for). */
fal_status fal_rope_settings_to_hf(const fal_rope_settings *settings, int head_dim, int n_context,
                                   fal_rope_form form, fal_config_writer *w, fal_error *err);

/* The numbers that GGUF's common keys express a method by. */
typedef struct fal_rope_keys {
    double freq_base;
    const char *scaling_type; /* "linear", "yarn"; NULL: none */
    double scaling_factor;
    double attn_factor; /* 1: not written */
    int original_context;
    double beta_fast, beta_slow; /* 0: the usual ones, not written */
    bool is_extended;            /* scaling.* keys are written at all */
} fal_rope_keys;

/* Spells a method in common keys; dynamic-ntk cannot be spelt and becomes its base alone. Fails: FORMAT. */
fal_status fal_rope_settings_to_keys(const fal_rope_settings *settings, int head_dim,
                                     fal_rope_keys *out, fal_error *err);

/* Calls the method. context_now: see fal_rope_input. */
fal_status fal_rope_settings_compute(const fal_rope_settings *settings, int head_dim,
                                     int context_now, double *frequency, double *base, double *gain,
                                     fal_error *err);

#endif
