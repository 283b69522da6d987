/* Body of learner.h. */
#include "eval/learner.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

struct fal_learner {
    fal_trainable *trainable;
    fal_training_pass *pass;
    fal_queue *queue;
    float **moments; /* [2 * count]: first and second of each weight */
    int count;
    int64_t n_steps;
    fal_learner_batch batch;
    float *nll, *logits;
};

static fal_status open_batch(fal_learner_batch *b, int64_t max_tokens, fal_error *err) {
    size_t n = (size_t)max_tokens;
    b->max_tokens = max_tokens;
    b->tokens = fal_alloc(n, sizeof *b->tokens);
    b->positions = fal_alloc(n, sizeof *b->positions);
    b->targets = fal_alloc(n, sizeof *b->targets);
    b->weights = fal_alloc(n, sizeof *b->weights);
    b->parts = fal_alloc(n, sizeof *b->parts);
    b->starts = fal_alloc(n + 1, sizeof *b->starts);
    if (!b->tokens || !b->positions || !b->targets || !b->weights || !b->parts || !b->starts)
        return fal_fail(err, FAL_E_MEMORY, "out of memory for a batch of %lld tokens",
                        (long long)max_tokens);
    return FAL_OK;
}

static void release_batch(fal_learner_batch *b) {
    fal_free(b->tokens);
    fal_free(b->positions);
    fal_free(b->targets);
    fal_free(b->weights);
    fal_free(b->parts);
    fal_free(b->starts);
}

void fal_learner_batch_clear(fal_learner_batch *b) {
    b->n_tokens = b->n_sequences = 0;
    b->starts[0] = 0;
}

fal_learner_sequence fal_learner_batch_add(fal_learner_batch *b, int n_tokens) {
    int64_t at = b->n_tokens;
    memset(b->weights + at, 0, (size_t)n_tokens * sizeof *b->weights);
    b->n_tokens += n_tokens;
    b->starts[++b->n_sequences] = b->n_tokens;
    return (fal_learner_sequence){b->tokens + at, b->weights + at, b->parts + at};
}

/* Positions and targets follow from tokens and starts. */
static fal_batch finish(fal_learner_batch *b) {
    for (int64_t i = 0; i < b->n_sequences; i++) {
        int64_t begin = b->starts[i], end = b->starts[i + 1];
        for (int64_t t = begin; t < end; t++) {
            b->positions[t] = (int32_t)(t - begin);
            b->targets[t] = t + 1 < end ? b->tokens[t + 1] : 0;
        }
    }
    return (fal_batch){.n_tokens = b->n_tokens,
                       .tokens = b->tokens,
                       .positions = b->positions,
                       .targets = b->targets,
                       .weights = b->weights,
                       .starts = b->starts,
                       .n_sequences = b->n_sequences};
}

static fal_status open_moments(fal_learner *l, fal_error *err) {
    l->count = fal_trainable_count(l->trainable);
    l->moments = fal_alloc(2 * (size_t)l->count, sizeof *l->moments);
    if (!l->moments) return fal_fail(err, FAL_E_MEMORY, "out of memory for moments");
    memset(l->moments, 0, 2 * (size_t)l->count * sizeof *l->moments);
    for (int i = 0; i < l->count; i++) {
        const fal_trainable_weight *w = fal_trainable_at(l->trainable, i);
        size_t n = (size_t)(w->n_rows * w->n_cols);
        for (int k = 0; k < 2; k++) {
            l->moments[2 * i + k] = fal_alloc(n, sizeof(float));
            if (!l->moments[2 * i + k])
                return fal_fail(err, FAL_E_MEMORY, "out of memory for moments");
            memset(l->moments[2 * i + k], 0, n * sizeof(float));
        }
    }
    return FAL_OK;
}

fal_status fal_learner_open(fal_learner **out, const fal_params *params, uint64_t seed,
                            fal_device *device, int64_t max_tokens, fal_error *err) {
    const fal_trainable_options how = {.seed = seed};
    const fal_training_pass_options pass = {.max_tokens = max_tokens};
    fal_status status = FAL_OK;
    fal_learner *l = fal_alloc(1, sizeof *l);
    *out = NULL;
    if (!l) return fal_fail(err, FAL_E_MEMORY, "out of memory");
    *l = (fal_learner){0};
    l->nll = fal_alloc((size_t)max_tokens, sizeof *l->nll);
    l->logits = fal_alloc((size_t)params->n_vocab * (size_t)max_tokens, sizeof *l->logits);
    if (!l->nll || !l->logits) {
        status =
            fal_fail(err, FAL_E_MEMORY, "out of memory for %lld tokens", (long long)max_tokens);
        goto out;
    }
    FAL_TRY_OUT(open_batch(&l->batch, max_tokens, err));
    FAL_TRY_OUT(
        fal_trainable_open_fresh(&l->trainable, fal_arch_by_name("falcon"), params, &how, err));
    FAL_TRY_OUT(open_moments(l, err));
    FAL_TRY_OUT(fal_queue_open(&l->queue, device, err));
    FAL_TRY_OUT(fal_training_pass_open(&l->pass, l->trainable, device, &pass, err));
    *out = l;
    l = NULL;
out:
    fal_learner_close(l);
    return status;
}

void fal_learner_close(fal_learner *l) {
    if (!l) return;
    fal_training_pass_close(l->pass);
    fal_queue_close(l->queue);
    for (int i = 0; l->moments && i < 2 * l->count; i++)
        fal_free(l->moments[i]);
    fal_free(l->moments);
    fal_trainable_close(l->trainable);
    release_batch(&l->batch);
    fal_free(l->nll);
    fal_free(l->logits);
    fal_free(l);
}

fal_status fal_learner_take(fal_learner *l, const fal_learner *from, const fal_rope_settings *rope,
                            fal_error *err) {
    for (int i = 0; i < l->count; i++) {
        fal_trainable_weight *w = fal_trainable_at(l->trainable, i);
        memcpy(w->value.data, fal_trainable_at(from->trainable, i)->value.data,
               (size_t)(w->n_rows * w->n_cols) * sizeof(float));
    }
    return fal_trainable_set_rope(l->trainable, rope, err);
}

fal_learner_batch *fal_learner_scratch(fal_learner *l) {
    return &l->batch;
}

static void clear_gradients(fal_learner *l) {
    for (int i = 0; i < l->count; i++)
        l->queue->ops->scale(l->queue, fal_trainable_at(l->trainable, i)->gradient, 0);
}

/* Gradients of the mean loss of the batch, that loss and the norm. */
static fal_status compute_gradients(fal_learner *l, fal_learner_batch *b, double *loss,
                                    double *norm, fal_error *err) {
    const fal_batch batch = finish(b);
    double total = 0, sum = 0, squares = 0;
    for (int64_t t = 0; t < b->n_tokens; t++)
        total += (double)b->weights[t];
    clear_gradients(l);
    FAL_TRY(fal_queue_wait(l->queue, err));
    FAL_TRY(fal_training_pass_run(l->pass, &batch, total > 0 ? 1 / total : 0, l->nll, err));
    for (int64_t t = 0; t < b->n_tokens; t++)
        sum += (double)b->weights[t] * (double)l->nll[t];
    *loss = total > 0 ? sum / total : 0;
    for (int i = 0; i < l->count; i++) {
        double part = 0;
        l->queue->ops->square_sum(l->queue, &part, fal_trainable_at(l->trainable, i)->gradient);
        FAL_TRY(fal_queue_wait(l->queue, err));
        squares += part;
    }
    *norm = sqrt(squares);
    return FAL_OK;
}

fal_status fal_learner_step(fal_learner *l, fal_learner_batch *b, double learning_rate,
                            double *loss, fal_error *err) {
    double norm;
    FAL_TRY(compute_gradients(l, b, loss, &norm, err));
    const fal_adamw how = {.learning_rate = learning_rate,
                           .beta1 = 0.9,
                           .beta2 = 0.95,
                           .epsilon = 1e-8,
                           .gradient_scale = norm > 1 ? 1 / norm : 1,
                           .step = ++l->n_steps};
    for (int i = 0; i < l->count; i++) {
        const fal_trainable_weight *w = fal_trainable_at(l->trainable, i);
        fal_tensor m = w->value, v = w->value;
        m.data = l->moments[2 * i];
        v.data = l->moments[2 * i + 1];
        l->queue->ops->adamw(l->queue, w->value, m, v, w->gradient, &how);
    }
    return fal_queue_wait(l->queue, err);
}

fal_status fal_learner_norm(fal_learner *l, fal_learner_batch *b, double *norm, fal_error *err) {
    double loss;
    return compute_gradients(l, b, &loss, norm, err);
}

fal_status fal_learner_loss(fal_learner *l, fal_learner_batch *b, const float **nll,
                            fal_error *err) {
    const fal_batch batch = finish(b);
    *nll = l->nll;
    return fal_training_pass_loss(l->pass, &batch, l->nll, err);
}

fal_status fal_learner_foretells(fal_learner *l, fal_learner_batch *b, int first, int n,
                                 bool *is_right, fal_error *err) {
    const fal_batch batch = finish(b);
    int64_t n_vocab = fal_trainable_params(l->trainable)->n_vocab;
    FAL_TRY(fal_training_pass_logits(l->pass, &batch, l->logits, err));
    *is_right = true;
    for (int t = first; t < first + n; t++) {
        const float *row = l->logits + (t - 1) * n_vocab;
        for (int64_t k = 0; k < n_vocab; k++)
            *is_right = *is_right && row[k] <= row[b->tokens[t]];
    }
    return FAL_OK;
}
