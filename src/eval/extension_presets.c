/* The lists of the experiment on context extension: presets and arms, and what a preset costs. */
#include "eval/context_extension.h"
#include "eval/small_world.h"

#include <string.h>

static const fal_extension_preset presets[] = {
#define FAL_EXTENSION_PRESET(...) {__VA_ARGS__},
#include "eval/extension_presets.def"
#undef FAL_EXTENSION_PRESET
};

static const fal_extension_arm arms[] = {
#define FAL_EXTENSION_ARM(...) {__VA_ARGS__},
#include "eval/extension_arms.def"
#undef FAL_EXTENSION_ARM
};

enum {
    N_PRESETS = sizeof presets / sizeof presets[0],
    N_ARMS = sizeof arms / sizeof arms[0]
};

const fal_extension_preset *fal_extension_preset_at(int index) {
    return index >= 0 && index < N_PRESETS ? &presets[index] : NULL;
}

const fal_extension_preset *fal_extension_preset_by_name(const char *name) {
    for (int i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    }
    return NULL;
}

json_t *fal_extension_settings(const fal_extension_preset *p) {
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
                     "preset", p->name, "n_context", p->n_context, "n_layers", p->n_layers,
                     "d_model", p->d_model, "n_heads", p->n_heads, "n_kv_heads", p->n_kv_heads,
                     "base", p->base, "pretrain_steps", p->pretrain_steps, "pretrain_sequences",
                     p->pretrain_sequences, "short_steps", p->short_steps, "extend_steps",
                     p->extend_steps, "extend_sequences", p->extend_sequences, "n_norm_batches",
                     p->n_norm_batches, "n_examples", p->n_examples, "n_documents", p->n_documents);
}

const fal_extension_arm *fal_extension_arm_at(int index) {
    return index >= 0 && index < N_ARMS ? &arms[index] : NULL;
}

bool fal_extension_arm_is_compared(const fal_extension_arm *arm) {
    return strcmp(arm->method, "none") != 0;
}

/* ---- cost ---- */

/* Weights of matrices: of the layers, and the embeddings, which are the head. */
static int64_t matrix_weights(const fal_extension_preset *p) {
    int64_t d = p->d_model, head_dim = d / p->n_heads;
    int64_t attention = d * (p->n_heads + 2 * p->n_kv_heads) * head_dim + d * d;
    return p->n_layers * (attention + 8 * d * d) + FAL_WORLD_WORDS * d;
}

static int64_t norm_weights(const fal_extension_preset *p) {
    return (int64_t)(4 * p->n_layers + 2) * p->d_model;
}

/* Sequences of one length, forward and backward or forward only. */
static void add_sequences(fal_extension_cost *cost, const fal_extension_preset *p, int64_t count,
                          int length, bool with_backward) {
    int64_t n = count * length;
    double per_token = 6.0 * (double)matrix_weights(p) + 6.0 * p->n_layers * p->d_model * length;
    *(with_backward ? &cost->n_trained : &cost->n_evaluated) += n;
    cost->flops += (double)n * per_token / (with_backward ? 1 : 3);
}

/* What fal_extension_measure does. */
static void add_measures(fal_extension_cost *cost, const fal_extension_preset *p, int n_lengths) {
    add_sequences(cost, p, p->n_documents, p->n_context << (n_lengths - 1), false);
    add_sequences(cost, p, p->n_documents, p->n_context, false);
    for (int k = 0; k < n_lengths; k++)
        add_sequences(cost, p, (int64_t)p->n_examples * FAL_WORLD_TASK_COUNT, p->n_context << k,
                      false);
}

/* From fresh weights at sequences of `length`, the first ones shorter. */
static void add_pretraining(fal_extension_cost *cost, const fal_extension_preset *p, int length) {
    int64_t n = (int64_t)p->pretrain_sequences * p->n_context;
    cost->n_steps += p->pretrain_steps;
    for (int step = 0; step < p->pretrain_steps; step++) {
        int n_tokens = fal_extension_document_length(p, step, length);
        add_sequences(cost, p, n / n_tokens, n_tokens, true);
    }
}

int fal_extension_document_length(const fal_extension_preset *p, int step, int n_tokens) {
    if (step < p->short_steps) return p->n_context / 4;
    return step < 2 * p->short_steps ? p->n_context / 2 : n_tokens;
}

bool fal_extension_has_long_model(const fal_extension_preset *p, uint64_t seed) {
    return p->has_long_model && seed == FAL_EXTENSION_LONG_MODEL_SEED;
}

fal_extension_cost fal_extension_cost_of(const fal_extension_preset *p, uint64_t seed) {
    fal_extension_cost cost = {.n_parameters = matrix_weights(p) + norm_weights(p)};
    int n_long = FAL_EXTENSION_FACTOR * p->n_context;
    int64_t n_extend = ((int64_t)p->extend_steps + p->n_norm_batches) * p->extend_sequences;
    cost.n_steps = (int64_t)N_ARMS * p->extend_steps;
    add_pretraining(&cost, p, p->n_context);
    add_measures(&cost, p, 1);
    for (int i = 0; i < N_ARMS; i++) {
        add_sequences(&cost, p, n_extend, n_long, true);
        add_measures(&cost, p, FAL_EXTENSION_LENGTHS);
        add_measures(&cost, p, FAL_EXTENSION_LENGTHS);
    }
    if (!fal_extension_has_long_model(p, seed)) return cost;
    add_pretraining(&cost, p, n_long);
    add_measures(&cost, p, FAL_EXTENSION_LENGTHS);
    return cost;
}
