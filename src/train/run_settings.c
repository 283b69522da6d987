/* Body of run_settings.h. */
#include "train/run_settings.h"

#include "base/hash.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- defaults ---- */

static void set_default(double *value, double by_default) {
    if (*value == 0) *value = by_default;
}

/* Negative: none. */
static void set_default_or_none(double *value, double by_default) {
    if (*value == 0) *value = by_default;
    if (*value < 0) *value = 0;
}

static fal_status check_range(const char *name, double value, double min, double max,
                              fal_error *err) {
    if (value >= min && value <= max) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "%s is %g, from %g to %g is possible", name, value, min,
                    max);
}

fal_status fal_run_defaults(fal_train_options *o, fal_error *err) {
    if (o->micro_batch == 0) o->micro_batch = 1;
    if (o->keep == 0) o->keep = 2;
    set_default(&o->learning_rate, 1e-5);
    set_default_or_none(&o->warm_up, 0.02);
    set_default_or_none(&o->floor, 0.1);
    set_default_or_none(&o->beta1, 0.9);
    set_default_or_none(&o->beta2, 0.95);
    set_default(&o->epsilon, 1e-8);
    set_default_or_none(&o->clip, 1);
    FAL_TRY(check_range("learning rate", o->learning_rate, 0, 1e30, err));
    FAL_TRY(check_range("warm-up", o->warm_up, 0, 1, err));
    FAL_TRY(check_range("floor", o->floor, 0, 1, err));
    FAL_TRY(check_range("schedule", o->schedule, 0, FAL_SCHEDULE_COUNT - 1, err));
    FAL_TRY(check_range("micro-batch", o->micro_batch, 1, 1 << 20, err));
    FAL_TRY(check_range("checkpoints kept", o->keep, 1, 1 << 20, err));
    FAL_TRY(check_range("checkpoint every", o->checkpoint_every, 0, INT32_MAX, err));
    return check_range("validate every", o->validate_every, 0, INT32_MAX, err);
}

/* ---- listing ---- */

/* Follows from the plan, whose hash is compared; kept for messages. */
static const char TOTAL[] = "total tokens";

static fal_setting *add(fal_progress_of_run *out, const char *name) {
    fal_setting *s = &out->settings[out->n_settings++];
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static void add_number(fal_progress_of_run *out, const char *name, double value) {
    fal_setting *s = add(out, name);
    snprintf(s->text, sizeof s->text, "%.17g", value);
}

static void add_word(fal_progress_of_run *out, const char *name, const char *text) {
    fal_setting *s = add(out, name);
    snprintf(s->text, sizeof s->text, "%s", text);
}

static void add_hash(fal_progress_of_run *out, const char *name, uint64_t hash) {
    fal_setting *s = add(out, name);
    snprintf(s->text, sizeof s->text, "%016llx", (unsigned long long)hash);
}

static uint64_t hash_row(uint64_t hash, const fal_trainable_weight *w, int64_t row) {
    const float *values = fal_tensor_f32_row(w->value, row);
    for (int64_t i = 0; i < w->n_cols; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = fal_hash_add(hash, bits);
    }
    return hash;
}

/* Of the first and the last row of each weight that is not trained: checkpoints do not hold those. */
static uint64_t hash_frozen(fal_trainable *t) {
    uint64_t hash = 0;
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        if (w->is_frozen) hash = hash_row(hash_row(hash, w, 0), w, w->n_rows - 1);
    }
    return hash;
}

/* Sizes, and what tensors of the same sizes can be read as in more than one way. */
static void list_model(const fal_params *p, fal_progress_of_run *out) {
    add_number(out, "layers", p->n_layers);
    add_number(out, "width", p->d_model);
    add_number(out, "ffn width", p->d_ff);
    add_number(out, "vocabulary", p->n_vocab);
    add_number(out, "heads", p->n_heads);
    add_number(out, "kv heads", p->n_kv_heads);
    add_number(out, "norm epsilon", (double)p->norm_epsilon);
    add_hash(out, "features of the model", p->features);
}

/* Whether list_model lists it. */
static bool is_of_model(const char *name) {
    static const char *const names[] = {
        "layers", "width",    "ffn width",    "vocabulary",
        "heads",  "kv heads", "norm epsilon", "features of the model"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

static void list_rope(const fal_params *p, fal_progress_of_run *out) {
    if (!fal_params_has(p, FAL_FEATURE_ROPE)) return;
    const fal_rope_settings *rope = &p->rope;
    add_word(out, "context method", rope->method->name);
    add_number(out, "context scale", rope->factor);
    add_number(out, "trained context", rope->trained_context);
    add_number(out, "rope base", rope->base);
    add_number(out, "attention factor", rope->attention_factor);
}

void fal_run_settings_list(const fal_train_subject *subject, const fal_train_options *o,
                           int64_t total_tokens, fal_progress_of_run *out) {
    *out = (fal_progress_of_run){.plan_hash = fal_plan_hash(subject->plan)};
    add_number(out, "sequence length", subject->sequence_length);
    add_number(out, "batch sequences", subject->batch_sequences);
    add_number(out, "micro-batch", o->micro_batch);
    add_number(out, TOTAL, (double)total_tokens);
    add_number(out, "learning rate", o->learning_rate);
    add_word(out, "schedule", fal_schedule_name((int)o->schedule));
    add_number(out, "warm-up", o->warm_up);
    add_number(out, "floor", o->floor);
    add_number(out, "weight decay", o->weight_decay);
    add_number(out, "beta1", o->beta1);
    add_number(out, "beta2", o->beta2);
    add_number(out, "epsilon", o->epsilon);
    add_number(out, "clip", o->clip);
    add_number(out, "z-loss", o->z_loss);
    fal_lora_options lora = fal_trainable_lora(subject->model);
    add_number(out, "lora rank", lora.rank);
    add_number(out, "lora alpha", lora.alpha);
    list_model(fal_trainable_params(subject->model), out);
    list_rope(fal_trainable_params(subject->model), out);
    add_hash(out, "frozen weights", hash_frozen(subject->model));
}

/* ---- comparing ---- */

/* NULL: there is none. */
static const char *find(const fal_progress_of_run *in, const char *name) {
    for (int i = 0; i < in->n_settings; i++) {
        if (strcmp(in->settings[i].name, name) == 0) return in->settings[i].text;
    }
    return NULL;
}

static const char *total_of(const fal_progress_of_run *in) {
    const char *text = find(in, TOTAL);
    return text ? text : "unknown";
}

/* Numbers are kept with all their digits, and told with those that a person wrote. */
static void shorten(const char *text, char out[FAL_SETTING_SIZE]) {
    char *end;
    double value = strtod(text, &end);
    if (end > text && !*end)
        snprintf(out, FAL_SETTING_SIZE, "%.10g", value);
    else
        snprintf(out, FAL_SETTING_SIZE, "%s", text);
}

static const char FORCED[] = "; with force the run goes on all the same";

/* Checkpoints by a version that did not know a setting say nothing of it. */
static fal_status compare_settings(const fal_progress_of_run *now, const fal_progress_of_run *then,
                                   bool of_model_only, fal_error *err) {
    for (int i = 0; i < now->n_settings; i++) {
        const char *name = now->settings[i].name, *before = find(then, name);
        char ours[FAL_SETTING_SIZE], theirs[FAL_SETTING_SIZE];
        if (strcmp(name, TOTAL) == 0 || !before || strcmp(before, now->settings[i].text) == 0
            || (of_model_only && !is_of_model(name)))
            continue;
        shorten(now->settings[i].text, ours);
        shorten(before, theirs);
        return fal_fail(err, FAL_E_ARGUMENT, "%s is %s now and %s in the checkpoint%s", name, ours,
                        theirs, is_of_model(name) ? "" : FORCED);
    }
    return FAL_OK;
}

fal_status fal_run_settings_compare_model(const fal_progress_of_run *now,
                                          const fal_progress_of_run *then, fal_error *err) {
    return compare_settings(now, then, true, err);
}

fal_status fal_run_settings_compare(const fal_progress_of_run *now, const fal_progress_of_run *then,
                                    fal_error *err) {
    FAL_TRY(compare_settings(now, then, false, err));
    if (now->plan_hash == then->plan_hash) return FAL_OK;
    return fal_fail(
        err, FAL_E_ARGUMENT,
        "the data are planned otherwise, %s tokens now and %s in the checkpoint: sources, "
        "weights, seed, total tokens or length are others%s",
        total_of(now), total_of(then), FORCED);
}
