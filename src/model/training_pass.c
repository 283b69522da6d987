/* Body of training_pass.h: memory, checks of a batch, the order of the halves. The halves are training_forward.c,
 * training_head.c and training_backward.c. Tensors lie in one block that each batch is laid out in; laid out without
 * memory on a plan queue, the same code measures it. */
#include "base/alloc.h"
#include "model/training_private.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    HEAD_ROWS = 256 /* without a device */
};

/* ---- memory ---- */

static void *take_bytes(fal_training_pass *pass, int64_t count, size_t size) {
    size_t bytes;
    void *begin = pass->memory ? pass->memory + pass->used : NULL;
    if (!fal_multiply_size((size_t)count, size, &bytes)
        || !fal_add_size(bytes, ALIGNMENT - 1, &bytes)
        || !fal_add_size(pass->used, bytes / ALIGNMENT * ALIGNMENT, &pass->used))
        pass->used = SIZE_MAX;
    return begin;
}

static fal_tensor take(fal_training_pass *pass, int64_t n_rows, int64_t n_cols) {
    size_t row_bytes = ((size_t)n_cols * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return (fal_tensor){.data = take_bytes(pass, n_rows, row_bytes),
                        .type = fal_type_by_id(FAL_TYPE_F32),
                        .n_rows = n_rows,
                        .n_cols = n_cols,
                        .row_bytes = row_bytes};
}

/* Memory of the layer's own, or that which all layers share. */
static fal_tensor keep(fal_training_pass *pass, fal_tensor *shared, bool is_own, int64_t n_cols) {
    if (is_own) return take(pass, pass->batch.n_tokens, n_cols);
    if (!fal_tensor_is_given(*shared)) *shared = take(pass, pass->batch.n_tokens, n_cols);
    return *shared;
}

static void lay_out_layer(fal_training_pass *pass, fal_training_kept *k,
                          fal_training_kept *shared) {
    const fal_params *p = &pass->trainable->params;
    int rank = pass->trainable->lora.rank;
    bool keeps_most = pass->has_backward && pass->options.recompute != FAL_RECOMPUTE_LAYER;
    bool keeps_all = keeps_most && pass->options.recompute == FAL_RECOMPUTE_NONE;
    bool is_parallel = fal_params_has(p, FAL_FEATURE_PARALLEL);
    k->attn_normed = keep(pass, &shared->attn_normed, keeps_all, p->d_model);
    k->qkv = keep(pass, &shared->qkv, keeps_most, fal_params_qkv_rows(p));
    k->heads = keep(pass, &shared->heads, keeps_most, (int64_t)p->n_heads * p->head_dim);
    k->log_sums = keep(pass, &shared->log_sums, keeps_most, p->n_heads);
    if (!is_parallel) k->middle = keep(pass, &shared->middle, keeps_most, p->d_model);
    k->ffn_normed = k->attn_normed;
    if (!is_parallel || fal_params_has(p, FAL_FEATURE_TWO_NORMS))
        k->ffn_normed = keep(pass, &shared->ffn_normed, keeps_all, p->d_model);
    k->up = keep(pass, &shared->up, keeps_most, p->d_ff);
    k->wide = keep(pass, &shared->wide, keeps_all, p->d_ff);
    if (rank == 0) return;
    k->low_qkv = keep(pass, &shared->low_qkv, keeps_most, rank);
    k->low_output = keep(pass, &shared->low_output, keeps_most, rank);
    k->low_up = keep(pass, &shared->low_up, keeps_most, rank);
    k->low_down = keep(pass, &shared->low_down, keeps_most, rank);
}

/* Without a backward pass two blocks of rows take turns as input and output of the layers. */
static void lay_out_rows(fal_training_pass *pass) {
    const fal_params *p = &pass->trainable->params;
    fal_tensor turns[2] = {FAL_NONE, FAL_NONE};
    fal_training_kept shared = {0};
    for (int layer = 0; layer < p->n_layers; layer++) {
        fal_training_kept *k = &pass->kept[layer];
        *k = (fal_training_kept){0};
        k->x = keep(pass, &turns[layer % 2], pass->has_backward, p->d_model);
        lay_out_layer(pass, k, &shared);
    }
    pass->output = keep(pass, &turns[p->n_layers % 2], pass->has_backward, p->d_model);
}

static void lay_out_gradients(fal_training_pass *pass, int64_t n_head_rows) {
    const fal_params *p = &pass->trainable->params;
    int64_t n = pass->batch.n_tokens;
    pass->head_dnormed = take(pass, n_head_rows, p->d_model);
    pass->head_dx = take(pass, n_head_rows, p->d_model);
    pass->dx = take(pass, n, p->d_model);
    pass->dnormed = take(pass, n, p->d_model);
    pass->dheads = take(pass, n, (int64_t)p->n_heads * p->head_dim);
    pass->dqkv = take(pass, n, fal_params_qkv_rows(p));
    pass->dwide = take(pass, n, p->d_ff);
    if (pass->trainable->lora.rank > 0) pass->dlow = take(pass, n, pass->trainable->lora.rank);
}

/* Gives the batch at hand its tensors; fewer tokens never need more memory. */
static void lay_out(fal_training_pass *pass) {
    const fal_params *p = &pass->trainable->params;
    int64_t n = pass->batch.n_tokens;
    int64_t n_head_rows = n < pass->head_rows ? n : pass->head_rows;
    pass->used = 0;
    pass->rope = fal_params_has(p, FAL_FEATURE_ROPE) ? take(pass, n, p->head_dim) : FAL_NONE;
    lay_out_rows(pass);
    pass->head_x = take(pass, n_head_rows, p->d_model);
    pass->head_normed = take(pass, n_head_rows, p->d_model);
    pass->head_logits = take(pass, n_head_rows, p->n_vocab);
    if (pass->has_backward) lay_out_gradients(pass, n_head_rows);
}

/* ---- opening ---- */

static fal_status check_options(const fal_training_pass_options *o, fal_error *err) {
    if (o->max_tokens < 1 || o->max_tokens > INT32_MAX)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "batches of %" PRId64 " tokens, between 1 and %d are possible",
                        o->max_tokens, INT32_MAX);
    if ((int)o->recompute < FAL_RECOMPUTE_NONE || (int)o->recompute > FAL_RECOMPUTE_LAYER)
        return fal_fail(err, FAL_E_ARGUMENT, "recompute %d, between %d and %d is possible",
                        (int)o->recompute, FAL_RECOMPUTE_NONE, FAL_RECOMPUTE_LAYER);
    if (!(o->z_loss >= 0 && o->z_loss <= 1))
        return fal_fail(err, FAL_E_ARGUMENT, "z-loss coefficient %g, between 0 and 1 is possible",
                        o->z_loss);
    return FAL_OK;
}

static fal_packing packing_of(const fal_training_pass *pass) {
    const fal_params *p = &pass->trainable->params;
    return (fal_packing){.starts = pass->batch.starts,
                         .n_sequences = pass->batch.n_sequences,
                         .n_heads = p->n_heads,
                         .n_kv_heads = p->n_kv_heads,
                         .head_dim = p->head_dim,
                         .scale = (float)(1 / sqrt((double)p->head_dim)),
                         .alibi_slopes = pass->trainable->alibi_slopes};
}

/* One largest batch on a plan queue: every shape is checked, pass->memory_bytes is what it takes. */
static fal_status plan(fal_training_pass *pass, fal_device *device, fal_error *err) {
    const int64_t starts[] = {0, pass->options.max_tokens};
    FAL_TRY(fal_queue_open_plan(&pass->queue, device, err));
    pass->batch = (fal_batch){.n_tokens = starts[1], .starts = starts, .n_sequences = 1};
    pass->n_scored = starts[1];
    lay_out(pass);
    pass->memory_bytes = pass->used;
    pass->packing = packing_of(pass);
    fal_training_forward(pass);
    fal_training_head(pass, 1, pass->has_backward);
    if (pass->has_backward) fal_training_backward(pass);
    fal_status status = fal_queue_wait(pass->queue, err);
    fal_queue_close(pass->queue);
    pass->queue = NULL;
    pass->batch = (fal_batch){0};
    return status;
}

static fal_status open_planned(fal_training_pass **out, fal_trainable *t, fal_device *device,
                               const fal_training_pass_options *options, fal_error *err) {
    *out = NULL;
    FAL_TRY(check_options(options, err));
    fal_training_pass *pass = fal_alloc(1, sizeof *pass);
    if (!pass) return fal_fail_memory(err, sizeof *pass);
    pass->trainable = t;
    pass->options = *options;
    pass->has_backward = t->has_gradients;
    pass->head_rows = device ? device->backend->piece_rows : HEAD_ROWS;
    pass->kept = fal_alloc((size_t)t->params.n_layers, sizeof *pass->kept);
    pass->frequency = fal_alloc((size_t)t->params.head_dim / 2, sizeof *pass->frequency);
    fal_status status =
        pass->kept && pass->frequency ? plan(pass, device, err) : fal_fail_memory(err, 0);
    if (status != FAL_OK) {
        fal_training_pass_close(pass);
        return status;
    }
    *out = pass;
    return FAL_OK;
}

static size_t scored_bytes(const fal_training_pass *pass) {
    return (size_t)pass->options.max_tokens
           * (sizeof *pass->rows + sizeof *pass->targets + sizeof *pass->weights
              + sizeof *pass->nll);
}

static fal_status take_memory(fal_training_pass *pass, fal_device *device, fal_error *err) {
    size_t n = (size_t)pass->options.max_tokens;
    pass->rows = fal_alloc(n, sizeof *pass->rows);
    pass->targets = fal_alloc(n, sizeof *pass->targets);
    pass->weights = fal_alloc(n, sizeof *pass->weights);
    pass->nll = fal_alloc(n, sizeof *pass->nll);
    if (!pass->rows || !pass->targets || !pass->weights || !pass->nll)
        return fal_fail_memory(err, scored_bytes(pass));
    void *memory;
    pass->device = device;
    FAL_TRY(fal_memory_take(&memory, device, pass->memory_bytes, err));
    pass->memory = memory;
    return FAL_OK;
}

fal_status fal_training_pass_open(fal_training_pass **out, fal_trainable *trainable,
                                  fal_device *device, const fal_training_pass_options *options,
                                  fal_error *err) {
    fal_training_pass *pass;
    *out = NULL;
    if (fal_device_has_memory(device) && trainable->device != device)
        return fal_fail(err, FAL_E_BUG, "the model is not in the memory of the %s device",
                        device->backend->name);
    FAL_TRY(open_planned(out, trainable, device, options, err));
    pass = *out;
    fal_status status = take_memory(pass, device, err);
    if (status == FAL_OK) status = fal_queue_open(&pass->queue, device, err);
    if (status != FAL_OK) {
        fal_training_pass_close(pass);
        *out = NULL;
    }
    return status;
}

void fal_training_pass_close(fal_training_pass *pass) {
    if (!pass) return;
    fal_queue_close(pass->queue);
    fal_memory_give(pass->memory, pass->device);
    fal_free(pass->rows);
    fal_free(pass->targets);
    fal_free(pass->weights);
    fal_free(pass->nll);
    fal_free(pass->frequency);
    fal_free(pass->kept);
    fal_free(pass);
}

fal_status fal_training_pass_bytes(const fal_arch *arch, const fal_params *params,
                                   const fal_trainable_options *trainable_options,
                                   const fal_training_pass_options *options, uint64_t *out,
                                   fal_error *err) {
    fal_trainable *shell;
    fal_training_pass *pass;
    FAL_TRY(fal_trainable_open_shell(&shell, arch, params, trainable_options, err));
    fal_status status = open_planned(&pass, shell, shell->device, options, err);
    if (status == FAL_OK)
        *out = pass->memory_bytes + scored_bytes(pass) + sizeof *pass
               + (uint64_t)params->n_layers * sizeof *pass->kept
               + (uint64_t)params->head_dim / 2 * sizeof *pass->frequency;
    fal_training_pass_close(pass);
    fal_trainable_close(shell);
    return status;
}

/* ---- a batch ---- */

static fal_status check_size(const fal_training_pass *pass, const fal_batch *b, fal_error *err) {
    if (b->n_tokens < 0 || b->n_sequences < 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "a batch of %" PRId64 " tokens in %" PRId64 " sequences", b->n_tokens,
                        b->n_sequences);
    if (b->n_tokens > pass->options.max_tokens)
        return fal_fail(err, FAL_E_LIMIT,
                        "a batch of %" PRId64 " tokens, at most %" PRId64 " are possible",
                        b->n_tokens, pass->options.max_tokens);
    int64_t last = 0;
    for (int64_t i = 0; i < b->n_sequences; i++) {
        if (b->starts[i] != last && i == 0)
            return fal_fail(err, FAL_E_ARGUMENT, "the first sequence starts at %" PRId64,
                            b->starts[0]);
        if (b->starts[i + 1] < b->starts[i] || b->starts[i + 1] > b->n_tokens)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "sequence %" PRId64 " ends at %" PRId64 " of %" PRId64 " tokens", i,
                            b->starts[i + 1], b->n_tokens);
        last = b->starts[i + 1];
    }
    if (last == b->n_tokens) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "sequences of %" PRId64 " of %" PRId64 " tokens", last,
                    b->n_tokens);
}

static fal_status check_id(const char *what, int64_t index, int32_t id, int32_t n, fal_error *err) {
    if (id >= 0 && id < n) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "%s %" PRId64 " is %" PRId32 ", between 0 and %" PRId32 " is possible", what,
                    index, id, n - 1);
}

static fal_status check_tokens(const fal_training_pass *pass, const fal_batch *b, fal_error *err) {
    const fal_params *p = &pass->trainable->params;
    bool are_bounded = fal_params_has(p, FAL_FEATURE_LEARNED_POSITIONS);
    for (int64_t i = 0; i < b->n_tokens; i++) {
        FAL_TRY(check_id("token", i, b->tokens[i], p->n_vocab, err));
        FAL_TRY(
            check_id("position", i, b->positions[i], are_bounded ? p->n_context : INT32_MAX, err));
    }
    return FAL_OK;
}

static fal_status check_targets(const fal_training_pass *pass, const fal_batch *b, fal_error *err) {
    for (int64_t i = 0; i < b->n_tokens; i++) {
        if (!(b->weights[i] >= 0 && b->weights[i] <= 1e30f))
            return fal_fail(err, FAL_E_ARGUMENT,
                            "weight %" PRId64 " is %g, between 0 and 1e30 is possible", i,
                            (double)b->weights[i]);
        if (b->weights[i] > 0)
            FAL_TRY(check_id("target", i, b->targets[i], pass->trainable->params.n_vocab, err));
    }
    return FAL_OK;
}

static fal_status begin(fal_training_pass *pass, const fal_batch *batch, fal_error *err) {
    FAL_TRY(check_size(pass, batch, err));
    FAL_TRY(check_tokens(pass, batch, err));
    pass->batch = *batch;
    pass->packing = packing_of(pass);
    lay_out(pass);
    return FAL_OK;
}

/* Lists the tokens whose loss counts. */
static void list_scored(fal_training_pass *pass) {
    const fal_batch *b = &pass->batch;
    pass->n_scored = 0;
    for (int64_t i = 0; i < b->n_tokens; i++) {
        if (b->weights[i] == 0) continue;
        pass->rows[pass->n_scored] = (int32_t)i;
        pass->targets[pass->n_scored] = b->targets[i];
        pass->weights[pass->n_scored] = b->weights[i];
        pass->n_scored++;
    }
}

static fal_status compute(fal_training_pass *pass, const fal_batch *batch, double scale, float *nll,
                          bool with_gradients, fal_error *err) {
    FAL_TRY(check_size(pass, batch, err));
    FAL_TRY(check_targets(pass, batch, err));
    FAL_TRY(begin(pass, batch, err));
    memset(nll, 0, (size_t)batch->n_tokens * sizeof *nll);
    list_scored(pass);
    if (pass->n_scored == 0) return FAL_OK;
    fal_training_forward(pass);
    fal_training_head(pass, scale, with_gradients);
    if (with_gradients) fal_training_backward(pass);
    FAL_TRY(fal_queue_wait(pass->queue, err));
    for (int64_t i = 0; i < pass->n_scored; i++)
        nll[pass->rows[i]] = pass->nll[i];
    return FAL_OK;
}

fal_status fal_training_pass_run(fal_training_pass *pass, const fal_batch *batch, double scale,
                                 float *nll, fal_error *err) {
    if (!pass->has_backward)
        return fal_fail(err, FAL_E_ARGUMENT, "the trainable model was opened without gradients");
    return compute(pass, batch, scale, nll, true, err);
}

fal_status fal_training_pass_loss(fal_training_pass *pass, const fal_batch *batch, float *nll,
                                  fal_error *err) {
    return compute(pass, batch, 0, nll, false, err);
}

fal_status fal_training_pass_guess(fal_training_pass *pass, const fal_batch *batch,
                                   int32_t *guesses, fal_error *err) {
    FAL_TRY(begin(pass, batch, err));
    for (int64_t i = 0; i < batch->n_tokens; i++)
        guesses[i] = -1;
    list_scored(pass);
    if (pass->n_scored == 0) return FAL_OK;
    fal_training_forward(pass);
    return fal_training_guess(pass, guesses, err);
}

fal_status fal_training_pass_logits(fal_training_pass *pass, const fal_batch *batch, float *logits,
                                    fal_error *err) {
    FAL_TRY(begin(pass, batch, err));
    if (batch->n_tokens == 0) return FAL_OK;
    fal_training_forward(pass);
    return fal_training_logits(pass, logits, err);
}
