/* Body of context_extension.h: the order of the experiment. Arms differ in the table of frequencies and its gain, in nothing
 * else: the same weights, batches and order. */
#include "eval/context_extension.h"

#include "eval/extension_private.h"
#include "eval/small_world.h"
#include "train/schedule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

fal_status fal_extension_advance(fal_extension *e, int64_t n_tokens, fal_error *err) {
    const fal_extension_options *o = e->options;
    e->n_done += n_tokens;
    if (!isfinite(e->loss))
        return fal_fail(err, FAL_E_FORMAT, "%s: the loss is not finite", e->stage);
    if (o->on_progress && !o->on_progress(o->user, e->stage, e->n_done, e->n_total, e->loss))
        return fal_fail(err, FAL_E_CANCELLED, "cancelled while %s", e->stage);
    return FAL_OK;
}

/* ---- models ---- */

static fal_rope_settings trained_rope(const fal_extension_preset *p) {
    return (fal_rope_settings){.method = fal_rope_method_by_name("none"),
                               .base = p->base,
                               .factor = 1,
                               .trained_context = p->n_context,
                               .attention_factor = 1};
}

/* Falcon's ramp ends at the pair that turns 32 times in 2048 positions: at this share of all pairs. The turns that the same
 * share of this model's pairs makes. */
static double matched_turns(const fal_extension_preset *p) {
    const double two_pi = 6.283185307179586476925;
    double share = log(2048.0 / (32.0 * two_pi)) / log(10000.0);
    return (double)p->n_context / (two_pi * pow(p->base, share));
}

static fal_rope_settings extended_rope(const fal_extension_preset *p,
                                       const fal_extension_arm *arm) {
    fal_rope_settings rope = trained_rope(p);
    rope.method = fal_rope_method_by_name(arm->method);
    rope.factor = fal_extension_arm_is_compared(arm) ? FAL_EXTENSION_FACTOR : 1;
    rope.beta_fast = arm->beta_fast < 0 ? matched_turns(p) : arm->beta_fast;
    return rope;
}

/* Like Falcon-40B: two norms in a parallel layer, no biases. */
static fal_params make_params(const fal_extension_preset *p) {
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
                        .rope = trained_rope(p),
                        .has_tied_head = true,
                        .bos = -1,
                        .eos = FAL_WORLD_END};
}

static fal_status open_learner(fal_extension *e, fal_device *device, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    int64_t n_pretrain = (int64_t)p->pretrain_sequences * p->n_context,
            n_extend = (int64_t)p->extend_sequences * p->n_context * FAL_EXTENSION_FACTOR;
    const fal_params params = make_params(p);
    return fal_learner_open(&e->learner, &params, e->seed, device,
                            n_pretrain > n_extend ? n_pretrain : n_extend, err);
}

/* ---- training ---- */

/* Counted in steps: all batches of a stage are equally large. */
static fal_schedule cosine(double peak, int n_steps, int n_warm) {
    return (fal_schedule){.kind = FAL_SCHEDULE_cosine,
                          .peak = peak,
                          .floor = 0.1,
                          .warm_up_tokens = n_warm,
                          .total_tokens = n_steps};
}

/* From fresh weights, at sequences of n_tokens; the first ones are short, for looking a thing up is learned sooner where it
 * stands near. *loss: a running mean over about twenty steps. */
static fal_status pretrain(fal_extension *e, int n_tokens, double *loss, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    int n_steps = p->pretrain_steps, n_all = p->pretrain_sequences * p->n_context, first = 0;
    const fal_schedule rate = {.kind = FAL_SCHEDULE_constant,
                               .peak = FAL_EXTENSION_PRETRAIN_RATE,
                               .warm_up_tokens = n_steps / 20 + 1,
                               .total_tokens = n_steps};
    for (int step = 0; step < n_steps; step++) {
        int length = fal_extension_document_length(p, step, n_tokens);
        fal_extension_fill_documents(e, FAL_STREAM_PRETRAIN, first, n_all / length, length);
        first += n_all / length;
        FAL_TRY(fal_learner_step(e->learner, fal_schedule_rate(&rate, step + 1), &e->loss, err));
        *loss = step == 0 ? e->loss : 0.95 * *loss + 0.05 * e->loss;
        FAL_TRY(fal_extension_advance(e, (int64_t)3 * n_all, err));
    }
    return FAL_OK;
}

static fal_status extend(fal_extension *e, bool has_long_data, json_t **curve, fal_error *err) {
    const fal_extension_preset *p = e->preset;
    int64_t n_tokens = (int64_t)p->extend_sequences * p->n_context * FAL_EXTENSION_FACTOR;
    fal_schedule rate = cosine(FAL_EXTENSION_RATE, p->extend_steps, 3);
    *curve = json_array();
    for (int step = 0; step < p->extend_steps; step++) {
        fal_extension_fill_mix(e, FAL_STREAM_EXTEND, step * p->extend_sequences,
                               p->extend_sequences, has_long_data);
        FAL_TRY(fal_learner_step(e->learner, fal_schedule_rate(&rate, step + 1), &e->loss, err));
        FAL_TRY(fal_extension_advance(e, 3 * n_tokens, err));
        if (json_array_append_new(*curve, json_real(e->loss)) != 0) return fal_fail_memory(err, 0);
    }
    return FAL_OK;
}

/* ---- stages ---- */

/* From the learner's kept weights. */
static fal_status run_arm(fal_extension *e, const fal_extension_arm *arm, json_t *results,
                          fal_error *err) {
    json_t *before = NULL, *after = NULL, *norms = NULL, *curve = NULL;
    fal_status status = FAL_OK;
    fal_rope_settings rope = extended_rope(e->preset, arm);
    FAL_TRY_OUT(fal_learner_restore(e->learner, &rope, err));
    FAL_TRY_OUT(fal_extension_measure_norms(e, arm->has_long_data, &norms, err));
    FAL_TRY_OUT(fal_extension_measure(e, FAL_EXTENSION_LENGTHS, &before, err));
    FAL_TRY_OUT(extend(e, arm->has_long_data, &curve, err));
    FAL_TRY_OUT(fal_extension_measure(e, FAL_EXTENSION_LENGTHS, &after, err));
    json_object_set_new(results, arm->name,
                        json_pack("{s:O, s:O, s:O, s:O}", "norms", norms, "curve", curve, "before",
                                  before, "after", after));
out:
    json_decref(before);
    json_decref(after);
    json_decref(norms);
    json_decref(curve);
    return status;
}

static fal_status run_base(fal_extension *e, json_t *results, fal_error *err) {
    json_t *measures = NULL;
    double loss = 0;
    e->stage = "pretraining";
    FAL_TRY(pretrain(e, e->preset->n_context, &loss, err));
    json_object_set_new(results, "pretraining", json_pack("{s:f}", "loss", loss));
    FAL_TRY(fal_learner_keep(e->learner, err));
    fal_status status = fal_extension_measure(e, 1, &measures, err);
    json_object_set_new(results, "base", measures);
    return status;
}

static fal_status run_arms(fal_extension *e, json_t *results, fal_error *err) {
    const fal_extension_arm *arm;
    json_t *by_arm = json_object();
    json_object_set_new(results, "arms", by_arm);
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        char stage[64];
        snprintf(stage, sizeof stage, "extending by %s", arm->name);
        e->stage = stage;
        FAL_TRY(run_arm(e, arm, by_arm, err));
    }
    return FAL_OK;
}

/* A model that has seen the long context from the start, with as many tokens as the others had in pretraining. */
static fal_status run_long_model(fal_extension *e, fal_device *device, json_t *results,
                                 fal_error *err) {
    json_t *measures = NULL;
    double loss = 0;
    e->stage = "training at the long context";
    fal_learner_close(e->learner);
    FAL_TRY(open_learner(e, device, err));
    FAL_TRY(pretrain(e, e->preset->n_context * FAL_EXTENSION_FACTOR, &loss, err));
    fal_status status = fal_extension_measure(e, FAL_EXTENSION_LENGTHS, &measures, err);
    json_object_set_new(results, "long_model", measures);
    return status;
}

static fal_status run_stages(fal_extension *e, fal_device *device, json_t *results,
                             fal_error *err) {
    FAL_TRY(open_learner(e, device, err));
    FAL_TRY(run_base(e, results, err));
    FAL_TRY(run_arms(e, results, err));
    if (!fal_extension_has_long_model(e->preset, e->seed)) return FAL_OK;
    return run_long_model(e, device, results, err);
}

fal_status fal_extension_run(const fal_extension_preset *preset, uint64_t seed,
                             const fal_extension_options *options, json_t **out, fal_error *err) {
    fal_extension_cost cost = fal_extension_cost_of(preset, seed);
    fal_extension e = {.preset = preset,
                       .seed = seed,
                       .options = options,
                       .n_total = 3 * cost.n_trained + cost.n_evaluated};
    fal_device *device = NULL;
    json_t *results = NULL;
    fal_status status = FAL_OK;
    *out = NULL;
    FAL_TRY_OUT(fal_device_open(&device, options->device, options->n_threads, err));
    results = json_pack("{s:I, s:o, s:s}", "seed", (json_int_t)seed, "settings",
                        fal_extension_settings(preset), "device", device->backend->name);
    if (!results) FAL_TRY_OUT(fal_fail_memory(err, 0));
    FAL_TRY_OUT(run_stages(&e, device, results, err));
    *out = json_incref(results);
out:
    fal_learner_close(e.learner);
    fal_device_close(device);
    json_decref(results);
    return status;
}
