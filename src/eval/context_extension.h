/* The experiment on context extension: a small Falcon is trained at a short context, extended fourfold by each method with
 * the same data, and measured before, during and after.
 *
 * What the model card of Alfred tells about 7B and 40B models is asked here of models that a small machine can train. The
 * text is small_world.h's. */
#ifndef FAL_EVAL_CONTEXT_EXTENSION_H
#define FAL_EVAL_CONTEXT_EXTENSION_H

#include "base/fail.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct fal_extension_preset {
    const char *name;
    int n_seeds, n_context, n_layers, d_model, n_heads, n_kv_heads;
    double base;
    int pretrain_steps, pretrain_sequences; /* of n_context tokens */
    int extend_steps, extend_sequences;     /* of FAL_EXTENSION_FACTOR * n_context tokens */
    int n_examples;
    bool has_long_model; /* first seed only */
    const char *meaning;
} fal_extension_preset;

enum {
    FAL_EXTENSION_FACTOR = 4,
    FAL_EXTENSION_LENGTHS = 3, /* n_context times 1, 2, 4 */
    FAL_EXTENSION_NORM_BATCHES = 16
};

/* NULL: past the end; no such name. */
const fal_extension_preset *fal_extension_preset_at(int index);
const fal_extension_preset *fal_extension_preset_by_name(const char *name);

typedef struct fal_extension_arm {
    const char *name, *method;
    double beta_fast;
    const char *meaning;
} fal_extension_arm;

const fal_extension_arm *fal_extension_arm_at(int index); /* NULL past the end */

/* stage: "pretraining", "extending by ntk", ...; borrowed for the call. Returning false cancels. */
typedef bool fal_on_extension(void *user, const char *stage, int64_t n_done, int64_t n_total,
                              double loss);

typedef struct fal_extension_options {
    int n_threads; /* 0: the usable cores */
    fal_on_extension *on_progress;
    void *user;
} fal_extension_options;

/* All arms of one seed.
 *
 *   out  owned by the caller (json_decref): {"seed", "pretraining": {"loss"}, "base": measures at n_context, "arms":
 *        {name: {"norms": [..], "curve": [loss of each step], "before": measures, "after": measures}}, "long_model"};
 *        measures are {"loss": [by third of the distance: up to n_context, twice, four times], "short": loss of documents
 *        that fit n_context, "scores": {task: [right answers at each length, 0 to 1]}}
 *   Fails: CANCELLED, MEMORY, FORMAT (a loss that is not finite, with stage and step). */
fal_status fal_extension_run(const fal_extension_preset *preset, uint64_t seed,
                             const fal_extension_options *options, json_t **out, fal_error *err);

#endif
