/* Body of gradient.h. */
#include "train/gradient.h"

#include "base/alloc.h"

#include <math.h>

struct fal_gradient {
    const fal_train_subject *subject;
    fal_optimizer *optimizer;
    fal_training_pass *pass;
    fal_batch_buffer buffer;
    float *nll; /* [tokens of a micro-batch] */
    int micro_batch;
};

/* ---- sums ---- */

double fal_loss_sum_part(const fal_loss_sum *sum, fal_loss_part part) {
    return sum->weight[part] > 0 ? sum->nll[part] / sum->weight[part] : (double)NAN;
}

double fal_loss_sum_total(const fal_loss_sum *sum) {
    double nll = 0, weight = 0;
    for (int part = 0; part < FAL_LOSS_PART_COUNT; part++) {
        nll += sum->nll[part];
        weight += sum->weight[part];
    }
    return weight > 0 ? nll / weight : (double)NAN;
}

/* Adds what a batch lost. Returns the first token whose loss is not finite, or -1. */
static int64_t add_losses(const fal_gradient *g, const fal_batch *batch, fal_loss_sum *sum) {
    sum->n_tokens += batch->n_tokens;
    for (int64_t i = 0; i < batch->n_tokens; i++) {
        double weight = (double)batch->weights[i];
        if (weight == 0) continue;
        if (!isfinite(g->nll[i])) return i;
        sum->nll[g->buffer.parts[i]] += weight * (double)g->nll[i];
        sum->weight[g->buffer.parts[i]] += weight;
    }
    return -1;
}

/* ---- opening ---- */

uint64_t fal_gradient_batch_bytes(int64_t n_tokens) {
    const fal_batch_buffer *b = NULL;
    size_t per_token = sizeof *b->tokens + sizeof *b->positions + sizeof *b->targets
                       + sizeof *b->weights + sizeof *b->parts + sizeof *b->starts + sizeof(float);
    return (uint64_t)n_tokens * per_token;
}

static fal_status open_parts(fal_gradient *g, const fal_train_options *o, fal_error *err) {
    const fal_train_subject *s = g->subject;
    int64_t n_tokens = (int64_t)s->sequence_length * g->micro_batch;
    const fal_training_pass_options how = {
        .max_tokens = n_tokens, .recompute = o->recompute, .z_loss = o->z_loss};
    FAL_TRY(fal_training_pass_open(&g->pass, s->model, s->device, &how, err));
    FAL_TRY(fal_batch_buffer_open(&g->buffer, n_tokens, err));
    g->nll = fal_alloc((size_t)n_tokens, sizeof *g->nll);
    return g->nll ? FAL_OK : fal_fail_memory(err, (size_t)n_tokens * sizeof *g->nll);
}

fal_status fal_gradient_open(fal_gradient **out, const fal_train_subject *subject,
                             fal_optimizer *optimizer, const fal_train_options *options,
                             fal_error *err) {
    *out = NULL;
    fal_gradient *g = fal_alloc(1, sizeof *g);
    if (!g) return fal_fail_memory(err, sizeof *g);
    g->subject = subject;
    g->optimizer = optimizer;
    g->micro_batch = options->micro_batch;
    fal_status status = open_parts(g, options, err);
    if (status != FAL_OK) {
        fal_gradient_close(g);
        return status;
    }
    *out = g;
    return FAL_OK;
}

void fal_gradient_close(fal_gradient *g) {
    if (!g) return;
    fal_training_pass_close(g->pass);
    fal_batch_buffer_release(&g->buffer);
    fal_free(g->nll);
    fal_free(g);
}

/* ---- blame ---- */

/* Which passage of the plan lies at index of the batch that begins with sequence first. */
static fal_passage passage_of(const fal_plan *plan, int64_t first, int64_t index) {
    fal_packed packed = fal_plan_sequence(plan, first);
    while (index >= packed.n_passages) {
        index -= packed.n_passages;
        packed = fal_plan_sequence(plan, ++first);
    }
    return packed.passages[index];
}

static fal_status fail_passage(const fal_gradient *g, const fal_plan *plan, int64_t first,
                               int64_t index, const char *what, fal_error *err) {
    const fal_train_subject *s = g->subject;
    const fal_documents *all = plan == s->plan ? s->documents : s->validation_documents;
    const fal_document *d = &all->items[passage_of(plan, first, index).document];
    return fal_fail(err, FAL_E_LIMIT, "%s of record %lld of '%s' is not finite", what,
                    (long long)d->record, s->sources[d->source]);
}

static fal_status fail_token(const fal_gradient *g, const fal_plan *plan, int64_t first,
                             const fal_batch *batch, int64_t token, fal_error *err) {
    int64_t index = 0;
    while (batch->starts[index + 1] <= token)
        index++;
    return fail_passage(g, plan, first, index, "the loss", err);
}

/* One sequence of a batch as a batch. */
static fal_batch only(const fal_batch *batch, int64_t index, int64_t starts[2]) {
    int64_t at = batch->starts[index];
    starts[0] = 0;
    starts[1] = batch->starts[index + 1] - at;
    return (fal_batch){.n_tokens = starts[1],
                       .tokens = batch->tokens + at,
                       .positions = batch->positions + at,
                       .targets = batch->targets + at,
                       .weights = batch->weights + at,
                       .starts = starts,
                       .n_sequences = 1};
}

/* Looks for the first passage of the step whose gradient alone is not finite. Leaves gradients that are of no use. */
static fal_status blame_gradient(fal_gradient *g, int64_t first, double scale, fal_error *err) {
    const fal_plan *plan = g->subject->plan;
    for (int64_t i = first; i < first + g->subject->batch_sequences; i++) {
        fal_batch all = fal_plan_fill(plan, i, 1, &g->buffer);
        for (int64_t k = 0; k < all.n_sequences; k++) {
            int64_t starts[2];
            double norm;
            fal_batch one = only(&all, k, starts);
            FAL_TRY(fal_optimizer_clear_gradients(g->optimizer, err));
            FAL_TRY(fal_training_pass_run(g->pass, &one, scale, g->nll, err));
            FAL_TRY(fal_optimizer_gradient_norm(g->optimizer, &norm, err));
            if (!isfinite(norm)) return fail_passage(g, plan, i, k, "the gradient", err);
        }
    }
    return fal_fail(err, FAL_E_LIMIT,
                    "the gradient is not finite, though that of each record alone is");
}

/* ---- computing ---- */

/* 1 / the weighted tokens of the step; 0 where there are none. */
static double scale_of(const fal_train_subject *s, int64_t first) {
    int64_t n = 0;
    for (int i = 0; i < s->batch_sequences; i++)
        n += fal_plan_sequence(s->plan, first + i).n_loss_tokens;
    return n > 0 ? 1 / (double)n : 0;
}

fal_status fal_gradient_compute(fal_gradient *g, int64_t step, fal_loss_sum *sum, double *norm,
                                fal_error *err) {
    const fal_train_subject *s = g->subject;
    int64_t first = (step - 1) * s->batch_sequences;
    double scale = scale_of(s, first);
    *sum = (fal_loss_sum){0};
    FAL_TRY(fal_optimizer_clear_gradients(g->optimizer, err));
    for (int done = 0; done < s->batch_sequences; done += g->micro_batch) {
        int left = s->batch_sequences - done, n = left < g->micro_batch ? left : g->micro_batch;
        fal_batch batch = fal_plan_fill(s->plan, first + done, n, &g->buffer);
        FAL_TRY(fal_training_pass_run(g->pass, &batch, scale, g->nll, err));
        int64_t bad = add_losses(g, &batch, sum);
        if (bad >= 0) return fail_token(g, s->plan, first + done, &batch, bad, err);
    }
    FAL_TRY(fal_optimizer_gradient_norm(g->optimizer, norm, err));
    return isfinite(*norm) ? FAL_OK : blame_gradient(g, first, scale, err);
}

fal_status fal_gradient_validate(fal_gradient *g, double *loss, fal_error *err) {
    const fal_plan *plan = g->subject->validation;
    fal_loss_sum sum = {0};
    for (int64_t i = 0; i < fal_plan_n_steps(plan); i++) {
        fal_batch batch = fal_plan_fill(plan, i, 1, &g->buffer);
        FAL_TRY(fal_training_pass_loss(g->pass, &batch, g->nll, err));
        int64_t bad = add_losses(g, &batch, &sum);
        if (bad >= 0) return fail_token(g, plan, i, &batch, bad, err);
    }
    *loss = fal_loss_sum_total(&sum);
    return FAL_OK;
}
