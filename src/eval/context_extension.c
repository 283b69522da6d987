/* Body of context_extension.h. Arms differ in the table of frequencies and its gain, in nothing else: the same weights,
 * batches and order. */
#include "eval/context_extension.h"

#include "base/alloc.h"
#include "eval/learner.h"
#include "eval/small_world.h"

#include <math.h>
#include <stdio.h>
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
    N_ARMS = sizeof arms / sizeof arms[0],
    NORM_SEQUENCES = 2, /* of each batch that the first norm is measured on */
    LOSS_SEQUENCES = 32 /* that losses by position are measured on */
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

const fal_extension_arm *fal_extension_arm_at(int index) {
    return index >= 0 && index < N_ARMS ? &arms[index] : NULL;
}

/* Which numbers of documents each stage draws, so that none is met twice. */
enum {
    STREAM_PRETRAIN,
    STREAM_EXTEND,
    STREAM_NORM,
    STREAM_LOSS,
    STREAM_SHORT,
    STREAM_EXAMPLES
};

typedef struct experiment {
    const fal_extension_preset *preset;
    uint64_t seed;
    const fal_extension_options *options;
    fal_device *device;
    fal_rope_settings trained; /* at the short context */
    const char *stage;
} experiment;

static uint64_t stream(const experiment *e, int which) {
    return e->seed * 16 + (uint64_t)which;
}

static fal_status report(const experiment *e, int64_t n_done, int64_t n_total, double loss,
                         fal_error *err) {
    const fal_extension_options *o = e->options;
    if (!isfinite(loss))
        return fal_fail(err, FAL_E_FORMAT, "%s, step %lld: the loss is not finite", e->stage,
                        (long long)n_done);
    if (o->on_progress && !o->on_progress(o->user, e->stage, n_done, n_total, loss))
        return fal_fail(err, FAL_E_CANCELLED, "cancelled while %s", e->stage);
    return FAL_OK;
}

static fal_params make_params(const experiment *e) {
    const fal_extension_preset *p = e->preset;
    return (fal_params){.n_layers = p->n_layers,
                        .n_heads = p->n_heads,
                        .n_kv_heads = p->n_kv_heads,
                        .head_dim = p->d_model / p->n_heads,
                        .d_model = p->d_model,
                        .d_ff = 4 * p->d_model,
                        .n_vocab = FAL_WORLD_WORDS,
                        .n_context = p->n_context,
                        .norm_epsilon = 1e-5f,
                        .features = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL | FAL_FEATURE_TWO_NORMS,
                        .rope = e->trained,
                        .has_tied_head = true,
                        .bos = -1,
                        .eos = FAL_WORLD_END};
}

/* Falcon's ramp ends at the pair that turns 32 times in 2048 positions: at this share of all pairs. The turns that the same
 * share of this model's pairs makes. */
static double matched_turns(const fal_extension_preset *p) {
    const double two_pi = 6.283185307179586476925;
    double share = log(2048.0 / (32.0 * two_pi)) / log(10000.0);
    return (double)p->n_context / (two_pi * pow(p->base, share));
}

static fal_rope_settings extended(const experiment *e, const fal_extension_arm *arm) {
    fal_rope_settings rope = e->trained;
    rope.method = fal_rope_method_by_name(arm->method);
    rope.factor = strcmp(arm->method, "none") == 0 ? 1.0 : FAL_EXTENSION_FACTOR;
    rope.beta_fast = arm->beta_fast < 0 ? matched_turns(e->preset) : arm->beta_fast;
    return rope;
}

/* ---- data ---- */

static void add_document(fal_learner_batch *b, uint64_t seed, uint64_t index, double chatter,
                         int n_tokens, bool with_prompts) {
    fal_learner_sequence s = fal_learner_batch_add(b, n_tokens);
    uint8_t *parts = s.parts;
    fal_world_document(seed, index, chatter, n_tokens, s.tokens, parts);
    for (int i = 0; i + 1 < n_tokens; i++)
        s.weights[i] = with_prompts || parts[i + 1] == FAL_WORLD_ANSWER ? 1.0f : 0.0f;
}

/* Ordinary language modelling: every token counts. */
static void fill_pretrain(fal_learner_batch *b, uint64_t seed, uint64_t first, int n_sequences,
                          int n_tokens) {
    fal_learner_batch_clear(b);
    for (int i = 0; i < n_sequences; i++)
        add_document(b, seed, first + (uint64_t)i, 0.35, n_tokens, true);
}

/* The mix of the model card by tokens: 50 % short chat, 45 % long documents, 5 % text; answers count, all of the text, and
 * the prompts of every other long document. */
static void fill_extend(fal_learner_batch *b, const experiment *e, uint64_t seed, uint64_t first,
                        int n_sequences) {
    int n_long = FAL_EXTENSION_FACTOR * e->preset->n_context;
    fal_learner_batch_clear(b);
    for (int i = 0; i < n_sequences; i++) {
        uint64_t index = first + (uint64_t)i;
        double share = fmod((double)index * 0.6180339887498949, 1.0);
        if (share < 0.5) {
            int n_short = e->preset->n_context / 2;
            for (int k = 0; k < n_long / n_short; k++)
                add_document(b, seed, index * 64 + (uint64_t)k, 0.35, n_short, false);
        } else if (share < 0.95) {
            add_document(b, seed, index * 64, 0.35, n_long, index % 2 == 0);
        } else {
            add_document(b, seed, index * 64, 1.0, n_long, true);
        }
    }
}

/* ---- measuring ---- */

/* Mean losses over documents of n_tokens, by position: [0, n_context), to twice, to four times as far. */
static fal_status measure_loss(const experiment *e, fal_learner *l, int which, int n_tokens,
                               double loss[FAL_EXTENSION_LENGTHS], fal_error *err) {
    fal_learner_batch *b = fal_learner_scratch(l);
    double sums[FAL_EXTENSION_LENGTHS] = {0};
    int64_t counts[FAL_EXTENSION_LENGTHS] = {0};
    for (int i = 0; i < LOSS_SEQUENCES; i++) {
        fal_learner_batch_clear(b);
        add_document(b, stream(e, which), (uint64_t)i, 0.35, n_tokens, true);
        const float *nll;
        FAL_TRY(fal_learner_loss(l, b, &nll, err));
        for (int t = 0; t + 1 < n_tokens; t++) {
            int bucket = t < e->preset->n_context ? 0 : t < 2 * e->preset->n_context ? 1 : 2;
            sums[bucket] += (double)nll[t];
            counts[bucket]++;
        }
    }
    for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
        loss[k] = counts[k] ? sums[k] / (double)counts[k] : (double)NAN;
    return FAL_OK;
}

/* The share of examples whose whole answer is what the model holds most probable, token by token. */
static fal_status measure_task(const experiment *e, fal_learner *l, fal_world_task task,
                               int n_tokens, double *score, fal_error *err) {
    fal_learner_batch *b = fal_learner_scratch(l);
    int n_examples = e->preset->n_examples, n_right = 0;
    for (int i = 0; i < n_examples; i++) {
        int first;
        fal_learner_batch_clear(b);
        fal_learner_sequence s = fal_learner_batch_add(b, n_tokens);
        double depth = ((double)i + 0.5) / (double)n_examples;
        int n_answer = fal_world_example(task, stream(e, STREAM_EXAMPLES), (uint64_t)i, depth,
                                         n_tokens, s.tokens, &first);
        bool is_right;
        FAL_TRY(fal_learner_foretells(l, b, first, n_answer, &is_right, err));
        n_right += is_right;
    }
    *score = (double)n_right / (double)n_examples;
    return FAL_OK;
}

/* n_lengths 1: at the trained context only. */
static fal_status measure(const experiment *e, fal_learner *l, int n_lengths, json_t **out,
                          fal_error *err) {
    int n_context = e->preset->n_context;
    double loss[FAL_EXTENSION_LENGTHS], short_loss[FAL_EXTENSION_LENGTHS];
    FAL_TRY(measure_loss(e, l, STREAM_LOSS, n_context << (n_lengths - 1), loss, err));
    FAL_TRY(measure_loss(e, l, STREAM_SHORT, n_context, short_loss, err));
    json_t *scores = json_object(), *losses = json_array();
    for (int k = 0; k < n_lengths; k++)
        json_array_append_new(losses, json_real(loss[k]));
    *out = json_pack("{s:o, s:f, s:o}", "loss", losses, "short", short_loss[0], "scores", scores);
    if (!*out) return fal_fail(err, FAL_E_MEMORY, "out of memory");
    for (int task = 0; task < FAL_WORLD_TASK_COUNT; task++) {
        json_t *by_length = json_array();
        json_object_set_new(scores, fal_world_task_at(task)->name, by_length);
        for (int k = 0; k < n_lengths; k++) {
            double score;
            FAL_TRY(measure_task(e, l, (fal_world_task)task, n_context << k, &score, err));
            json_array_append_new(by_length, json_real(score));
        }
    }
    return FAL_OK;
}

/* The norm of the gradient before any update, on batches of its own. */
static fal_status measure_norms(const experiment *e, fal_learner *l, json_t **out, fal_error *err) {
    fal_learner_batch *b = fal_learner_scratch(l);
    *out = json_array();
    for (int i = 0; i < FAL_EXTENSION_NORM_BATCHES; i++) {
        double norm;
        fill_extend(b, e, stream(e, STREAM_NORM), (uint64_t)(i * NORM_SEQUENCES), NORM_SEQUENCES);
        FAL_TRY(fal_learner_norm(l, b, &norm, err));
        if (json_array_append_new(*out, json_real(norm)) != 0)
            return fal_fail(err, FAL_E_MEMORY, "out of memory");
    }
    return FAL_OK;
}

/* ---- training ---- */

/* Linear warm-up, then half a cosine down to a tenth. */
static double learning_rate(double peak, int step, int n_steps, int n_warm) {
    const double pi = 3.14159265358979323846;
    if (step < n_warm) return peak * (double)(step + 1) / (double)n_warm;
    double part = (double)(step - n_warm) / (double)(n_steps - n_warm);
    return peak * (0.1 + 0.45 * (1.0 + cos(pi * part)));
}

static fal_status pretrain(const experiment *e, fal_learner *l, int n_tokens, int n_sequences,
                           double *loss, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    fal_learner_batch *b = fal_learner_scratch(l);
    double recent = 0;
    for (int step = 0; step < p->pretrain_steps; step++) {
        double now;
        fill_pretrain(b, stream(e, STREAM_PRETRAIN), (uint64_t)step * (uint64_t)n_sequences,
                      n_sequences, n_tokens);
        FAL_TRY(fal_learner_step(
            l, b, learning_rate(2e-3, step, p->pretrain_steps, p->pretrain_steps / 20 + 1), &now,
            err));
        recent = step == 0 ? now : 0.95 * recent + 0.05 * now;
        FAL_TRY(report(e, step + 1, p->pretrain_steps, now, err));
    }
    *loss = recent;
    return FAL_OK;
}

static fal_status extend(const experiment *e, fal_learner *l, json_t **curve, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    fal_learner_batch *b = fal_learner_scratch(l);
    *curve = json_array();
    for (int step = 0; step < p->extend_steps; step++) {
        double now;
        fill_extend(b, e, stream(e, STREAM_EXTEND), (uint64_t)(step * p->extend_sequences),
                    p->extend_sequences);
        FAL_TRY(fal_learner_step(l, b, learning_rate(3e-4, step, p->extend_steps, 3), &now, err));
        if (json_array_append_new(*curve, json_real(now)) != 0)
            return fal_fail(err, FAL_E_MEMORY, "out of memory");
        FAL_TRY(report(e, step + 1, p->extend_steps, now, err));
    }
    return FAL_OK;
}

static fal_status open_learner(const experiment *e, fal_learner **out, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    int64_t n_pretrain = (int64_t)p->pretrain_sequences * p->n_context,
            n_extend = (int64_t)p->extend_sequences * p->n_context * FAL_EXTENSION_FACTOR;
    const fal_params params = make_params(e);
    return fal_learner_open(out, &params, e->seed, e->device,
                            n_pretrain > n_extend ? n_pretrain : n_extend, err);
}

static fal_status run_arm(const experiment *e, const fal_learner *base,
                          const fal_extension_arm *arm, json_t *results, fal_error *err) {
    fal_learner *l = NULL;
    json_t *before = NULL, *after = NULL, *norms = NULL, *curve = NULL;
    fal_status status = FAL_OK;
    fal_rope_settings rope = extended(e, arm);
    FAL_TRY_OUT(open_learner(e, &l, err));
    FAL_TRY_OUT(fal_learner_take(l, base, &rope, err));
    FAL_TRY_OUT(measure_norms(e, l, &norms, err));
    FAL_TRY_OUT(measure(e, l, FAL_EXTENSION_LENGTHS, &before, err));
    FAL_TRY_OUT(extend(e, l, &curve, err));
    FAL_TRY_OUT(measure(e, l, FAL_EXTENSION_LENGTHS, &after, err));
    json_object_set_new(results, arm->name,
                        json_pack("{s:O, s:O, s:O, s:O}", "norms", norms, "curve", curve, "before",
                                  before, "after", after));
out:
    json_decref(before);
    json_decref(after);
    json_decref(norms);
    json_decref(curve);
    fal_learner_close(l);
    return status;
}

/* A model that has seen the long context from the start, with as many tokens as the others had in pretraining. */
static fal_status run_long_model(experiment *e, json_t *results, fal_error *err) {
    fal_learner *l = NULL;
    json_t *measures = NULL;
    fal_status status = FAL_OK;
    double loss;
    e->stage = "training at the long context";
    FAL_TRY_OUT(open_learner(e, &l, err));
    FAL_TRY_OUT(pretrain(e, l, e->preset->n_context * FAL_EXTENSION_FACTOR,
                         e->preset->pretrain_sequences / FAL_EXTENSION_FACTOR, &loss, err));
    FAL_TRY_OUT(measure(e, l, FAL_EXTENSION_LENGTHS, &measures, err));
    json_object_set(results, "long_model", measures);
out:
    json_decref(measures);
    fal_learner_close(l);
    return status;
}

static fal_status run_arms(experiment *e, json_t *results, fal_error *err) {
    fal_learner *base = NULL;
    json_t *measures = NULL, *by_arm = json_object();
    char stage[64];
    double loss;
    fal_status status = FAL_OK;
    json_object_set_new(results, "arms", by_arm);
    e->stage = "pretraining";
    FAL_TRY_OUT(open_learner(e, &base, err));
    FAL_TRY_OUT(pretrain(e, base, e->preset->n_context, e->preset->pretrain_sequences, &loss, err));
    json_object_set_new(results, "pretraining", json_pack("{s:f}", "loss", loss));
    FAL_TRY_OUT(measure(e, base, 1, &measures, err));
    json_object_set(results, "base", measures);
    for (int i = 0; i < N_ARMS; i++) {
        snprintf(stage, sizeof stage, "extending by %s", arms[i].name);
        e->stage = stage;
        FAL_TRY_OUT(run_arm(e, base, &arms[i], by_arm, err));
    }
out:
    json_decref(measures);
    fal_learner_close(base);
    return status;
}

fal_status fal_extension_run(const fal_extension_preset *preset, uint64_t seed,
                             const fal_extension_options *options, json_t **out, fal_error *err) {
    experiment e = {.preset = preset, .seed = seed, .options = options};
    json_t *results = json_pack("{s:I, s:s}", "seed", (json_int_t)seed, "preset", preset->name);
    fal_status status = FAL_OK;
    e.trained = (fal_rope_settings){.method = fal_rope_method_by_name("none"),
                                    .base = preset->base,
                                    .factor = 1,
                                    .trained_context = preset->n_context,
                                    .attention_factor = 1};
    *out = NULL;
    if (!results) return fal_fail(err, FAL_E_MEMORY, "out of memory");
    FAL_TRY_OUT(fal_device_open(&e.device, NULL, options->n_threads, err));
    FAL_TRY_OUT(run_arms(&e, results, err));
    if (preset->has_long_model && seed == 1) FAL_TRY_OUT(run_long_model(&e, results, err));
    *out = json_incref(results);
out:
    fal_device_close(e.device);
    json_decref(results);
    return status;
}
