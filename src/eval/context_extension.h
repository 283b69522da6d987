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
    int short_steps; /* the first of them have documents of n_context / 4, as many again of n_context / 2 */
    int extend_steps, extend_sequences; /* of FAL_EXTENSION_FACTOR * n_context tokens */
    int n_norm_batches;                 /* that the first gradient norm is measured on */
    int n_examples, n_documents; /* of each task at each length; that losses are measured on */
    bool has_long_model; /* beside the first seed's arms: one that is trained at the long context */
    const char *meaning;
} fal_extension_preset;

/* Peaks of the learning rate. In pretraining it stays there; in extension it falls by half a cosine to a tenth. */
#define FAL_EXTENSION_PRETRAIN_RATE 3e-3
#define FAL_EXTENSION_RATE          3e-4

/* Of the tokens of answers in pretraining, others weigh 1: what is asked for takes up a small part of the text, and is
 * learned much later without. */
#define FAL_EXTENSION_ANSWER_WEIGHT 4

enum {
    FAL_EXTENSION_FACTOR = 4,
    FAL_EXTENSION_LENGTHS = 3, /* n_context times 1, 2, 4 */
    FAL_EXTENSION_LONG_MODEL_SEED =
        1 /* beside whose arms a model trained at the long context is measured */
};

/* NULL: past the end; no such name. */
const fal_extension_preset *fal_extension_preset_at(int index);
const fal_extension_preset *fal_extension_preset_by_name(const char *name);

/* All numbers of a preset, to be kept with results: two runs with equal settings can be put together. Owned by the caller;
 * NULL when memory is short. */
json_t *fal_extension_settings(const fal_extension_preset *preset);

typedef struct fal_extension_arm {
    const char *name, *method;
    double beta_fast;
    bool has_long_data;
    const char *meaning;
} fal_extension_arm;

const fal_extension_arm *fal_extension_arm_at(int index); /* NULL past the end */
/* Whether it extends, that is: is one of those compared. */
bool fal_extension_arm_is_compared(const fal_extension_arm *arm);

/* What one seed takes. */
typedef struct fal_extension_cost {
    int64_t n_parameters;
    int64_t n_steps;                /* of training, all arms together */
    int64_t n_trained, n_evaluated; /* tokens: forward and backward; forward only */
    double
        flops; /* 6 a parameter and token, 6 layers * width * length a token for attention; forward only: a third */
} fal_extension_cost;

/* Tokens of a document at this step of pretraining for sequences of n_tokens. */
int fal_extension_document_length(const fal_extension_preset *preset, int step, int n_tokens);

/* Whether a model trained at the long context belongs to this seed. */
bool fal_extension_has_long_model(const fal_extension_preset *preset, uint64_t seed);

/* Of one seed's stages. */
fal_extension_cost fal_extension_cost_of(const fal_extension_preset *preset, uint64_t seed);

/* stage: "pretraining", "extending by ntk", ...; borrowed for the call. n_done, n_total: tokens of the whole seed, those
 * of training counted three times. Returning false cancels. */
typedef bool fal_on_extension(void *user, const char *stage, int64_t n_done, int64_t n_total,
                              double loss);

typedef struct fal_extension_options {
    const char *device; /* NULL: "cpu" */
    int n_threads;      /* 0: the usable cores */
    fal_on_extension *on_progress;
    void *user;
} fal_extension_options;

/* All arms of one seed. The same bits for any number of threads.
 *
 *   out  owned by the caller (json_decref): {"seed", "settings", "device", "pretraining": {"loss"}, "base": measures of the
 *        model before extension at n_context, "arms": {name: {"norms": [of each batch], "curve": [loss of each step],
 *        "before": measures, "after": measures}}, "long_model": measures, of FAL_EXTENSION_LONG_MODEL_SEED only};
 *        measures are {"loss": [mean by distance from the document's start: up to n_context, twice, four times as far],
 *        "answers": [likewise, of answers only], "short": loss of documents of n_context tokens, "scores": {task: [right
 *        answers at each length, 0 to 1]}}
 *   Fails: NOT_FOUND (device), CANCELLED, MEMORY, FORMAT (a loss that is not finite, with stage and step). */
fal_status fal_extension_run(const fal_extension_preset *preset, uint64_t seed,
                             const fal_extension_options *options, json_t **out, fal_error *err);

#endif
