/* Body of learner.h: a trainable model, its optimizer, and one batch that is filled again and again. */
#include "eval/learner.h"

#include "base/alloc.h"
#include "model/training_pass.h"
#include "train/optimizer.h"

#include <string.h>

struct fal_learner {
    fal_device *device;
    fal_trainable *trainable;
    fal_training_pass *pass;
    fal_optimizer *optimizer;
    int64_t n_steps;
    float *kept; /* weights to go back to, one behind the other; NULL: none */

    /* The batch, [max_tokens]. */
    int64_t max_tokens, n_tokens, n_sequences;
    int32_t *tokens, *positions, *targets, *guesses;
    float *weights, *losses;
    uint8_t *parts;
    int64_t *starts; /* [max_tokens + 1] */
};

static fal_status take_batch(fal_learner *l, fal_error *err) {
    size_t n = (size_t)l->max_tokens;
    l->tokens = fal_alloc(n, sizeof *l->tokens);
    l->positions = fal_alloc(n, sizeof *l->positions);
    l->targets = fal_alloc(n, sizeof *l->targets);
    l->guesses = fal_alloc(n, sizeof *l->guesses);
    l->weights = fal_alloc(n, sizeof *l->weights);
    l->losses = fal_alloc(n, sizeof *l->losses);
    l->parts = fal_alloc(n, sizeof *l->parts);
    l->starts = fal_alloc(n + 1, sizeof *l->starts);
    bool is_there = l->tokens && l->positions && l->targets && l->guesses && l->weights && l->losses
                    && l->parts && l->starts;
    return is_there ? FAL_OK : fal_fail_memory(err, n * (4 * sizeof(int32_t) + 2 * sizeof(float)));
}

/* Training begins anew: no moments, no steps. */
static fal_status reset_optimizer(fal_learner *l, fal_error *err) {
    const fal_optimizer_options how = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};
    fal_optimizer_close(l->optimizer);
    l->optimizer = NULL;
    l->n_steps = 0;
    return fal_optimizer_open(&l->optimizer, l->trainable, l->device, &how, err);
}

fal_status fal_learner_open(fal_learner **out, const fal_params *params, uint64_t seed,
                            fal_device *device, int64_t max_tokens, fal_error *err) {
    const fal_trainable_options how = {.seed = seed, .device = device};
    const fal_training_pass_options pass = {.max_tokens = max_tokens};
    fal_status status = FAL_OK;
    fal_learner *l = fal_alloc(1, sizeof *l);
    *out = NULL;
    if (!l) return fal_fail_memory(err, sizeof *l);
    l->device = device;
    l->max_tokens = max_tokens;
    FAL_TRY_OUT(take_batch(l, err));
    FAL_TRY_OUT(
        fal_trainable_open_fresh(&l->trainable, fal_arch_by_name("falcon"), params, &how, err));
    FAL_TRY_OUT(fal_training_pass_open(&l->pass, l->trainable, device, &pass, err));
    FAL_TRY_OUT(reset_optimizer(l, err));
    *out = l;
    l = NULL;
out:
    fal_learner_close(l);
    return status;
}

void fal_learner_close(fal_learner *l) {
    if (!l) return;
    fal_optimizer_close(l->optimizer);
    fal_training_pass_close(l->pass);
    fal_trainable_close(l->trainable);
    fal_free(l->kept);
    fal_free(l->tokens);
    fal_free(l->positions);
    fal_free(l->targets);
    fal_free(l->guesses);
    fal_free(l->weights);
    fal_free(l->losses);
    fal_free(l->parts);
    fal_free(l->starts);
    fal_free(l);
}

/* ---- going back ---- */

static size_t size_of(const fal_trainable_weight *w) {
    return (size_t)w->n_rows * (size_t)w->n_cols;
}

fal_status fal_learner_keep(fal_learner *l, fal_error *err) {
    size_t n_numbers = 0;
    for (int i = 0; i < fal_trainable_count(l->trainable); i++)
        n_numbers += size_of(fal_trainable_at(l->trainable, i));
    if (!l->kept) l->kept = fal_alloc(n_numbers, sizeof *l->kept);
    if (!l->kept) return fal_fail_memory(err, n_numbers * sizeof *l->kept);
    float *at = l->kept;
    for (int i = 0; i < fal_trainable_count(l->trainable); i++) {
        const fal_trainable_weight *w = fal_trainable_at(l->trainable, i);
        memcpy(at, w->value.data, size_of(w) * sizeof *at);
        at += size_of(w);
    }
    return FAL_OK;
}

fal_status fal_learner_restore(fal_learner *l, const fal_rope_settings *rope, fal_error *err) {
    const float *at = l->kept;
    if (!at) return fal_fail(err, FAL_E_ARGUMENT, "the learner was told to keep no weights");
    for (int i = 0; i < fal_trainable_count(l->trainable); i++) {
        const fal_trainable_weight *w = fal_trainable_at(l->trainable, i);
        memcpy(w->value.data, at, size_of(w) * sizeof *at);
        at += size_of(w);
    }
    FAL_TRY(fal_trainable_set_rope(l->trainable, rope, err));
    return reset_optimizer(l, err);
}

/* ---- the batch ---- */

void fal_learner_clear(fal_learner *l) {
    l->n_tokens = l->n_sequences = 0;
}

bool fal_learner_has_room(const fal_learner *l, int n_tokens) {
    return l->n_tokens + n_tokens <= l->max_tokens;
}

fal_learner_sequence fal_learner_add(fal_learner *l, int n_tokens) {
    int64_t begin = l->n_tokens;
    l->n_tokens += n_tokens;
    l->starts[++l->n_sequences] = l->n_tokens;
    for (int64_t t = begin; t < l->n_tokens; t++) {
        l->positions[t] = (int32_t)(t - begin);
        l->weights[t] = 0;
    }
    return fal_learner_sequence_at(l, (int)l->n_sequences - 1);
}

int fal_learner_sequence_count(const fal_learner *l) {
    return (int)l->n_sequences;
}

fal_learner_sequence fal_learner_sequence_at(const fal_learner *l, int index) {
    int64_t at = l->starts[index];
    return (fal_learner_sequence){.tokens = l->tokens + at,
                                  .weights = l->weights + at,
                                  .parts = l->parts + at,
                                  .losses = l->losses + at,
                                  .guesses = l->guesses + at,
                                  .n_tokens = (int)(l->starts[index + 1] - at)};
}

/* Targets follow from the tokens; behind a sequence's last one there is none. */
static fal_batch finished(fal_learner *l) {
    for (int64_t i = 0; i < l->n_sequences; i++) {
        int64_t last = l->starts[i + 1] - 1;
        for (int64_t t = l->starts[i]; t < last; t++)
            l->targets[t] = l->tokens[t + 1];
        l->targets[last] = 0;
    }
    return (fal_batch){.n_tokens = l->n_tokens,
                       .tokens = l->tokens,
                       .positions = l->positions,
                       .targets = l->targets,
                       .weights = l->weights,
                       .starts = l->starts,
                       .n_sequences = l->n_sequences};
}

/* ---- computing ---- */

/* Gradients of the mean loss, that loss, and the norm. */
static fal_status compute_gradients(fal_learner *l, double *loss, double *norm, fal_error *err) {
    const fal_batch batch = finished(l);
    double total = 0, sum = 0;
    for (int64_t t = 0; t < l->n_tokens; t++)
        total += (double)l->weights[t];
    double scale = total > 0 ? 1 / total : 0;
    FAL_TRY(fal_optimizer_clear_gradients(l->optimizer, err));
    FAL_TRY(fal_training_pass_run(l->pass, &batch, scale, l->losses, err));
    for (int64_t t = 0; t < l->n_tokens; t++)
        sum += (double)l->weights[t] * (double)l->losses[t];
    *loss = sum * scale;
    return fal_optimizer_gradient_norm(l->optimizer, norm, err);
}

fal_status fal_learner_step(fal_learner *l, double learning_rate, double *loss, fal_error *err) {
    double norm;
    FAL_TRY(compute_gradients(l, loss, &norm, err));
    return fal_optimizer_update(l->optimizer, learning_rate, norm > 1 ? 1 / norm : 1, ++l->n_steps,
                                err);
}

fal_status fal_learner_norm(fal_learner *l, double *norm, fal_error *err) {
    double loss;
    return compute_gradients(l, &loss, norm, err);
}

fal_status fal_learner_foretell(fal_learner *l, fal_error *err) {
    const fal_batch batch = finished(l);
    return fal_training_pass_loss(l->pass, &batch, l->losses, err);
}

fal_status fal_learner_guess(fal_learner *l, fal_error *err) {
    const fal_batch batch = finished(l);
    return fal_training_pass_guess(l->pass, &batch, l->guesses, err);
}
