/* Body of optimizer.h: what is computed are operations of the device; here are the moments and the order. */
#include "train/optimizer.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum {
    LINE_FLOATS = 16, /* each moment begins at a line of the processor's memory */
    N_MOMENTS = 2
};

struct fal_optimizer {
    fal_trainable *trainable;
    fal_queue *queue;
    fal_optimizer_options options;
    fal_device *device;
    float *numbers;                 /* of all moments; memory of the device */
    fal_tensor *moments[N_MOMENTS]; /* [fal_trainable_count] */
};

static fal_status check_options(const fal_optimizer_options *o, fal_error *err) {
    if (!(o->beta1 >= 0 && o->beta1 < 1))
        return fal_fail(err, FAL_E_ARGUMENT, "beta1 is %g, from 0 to below 1 is possible",
                        o->beta1);
    if (!(o->beta2 >= 0 && o->beta2 < 1))
        return fal_fail(err, FAL_E_ARGUMENT, "beta2 is %g, from 0 to below 1 is possible",
                        o->beta2);
    if (!(o->epsilon > 0 && o->epsilon <= 1))
        return fal_fail(err, FAL_E_ARGUMENT, "epsilon is %g, from above 0 to 1 is possible",
                        o->epsilon);
    if (!(o->weight_decay >= 0 && o->weight_decay <= 1e3))
        return fal_fail(err, FAL_E_ARGUMENT, "weight decay is %g, from 0 to 1000 is possible",
                        o->weight_decay);
    return FAL_OK;
}

static size_t padded(const fal_trainable_weight *w) {
    size_t n = (size_t)w->n_rows * (size_t)w->n_cols;
    return (n + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
}

static fal_status take_moments(fal_optimizer *o, fal_error *err) {
    int count = fal_trainable_count(o->trainable);
    size_t n_numbers = 0;
    for (int i = 0; i < count; i++) {
        const fal_trainable_weight *w = fal_trainable_at(o->trainable, i);
        if (!w->is_frozen) n_numbers += N_MOMENTS * padded(w);
    }
    for (int k = 0; k < N_MOMENTS; k++)
        o->moments[k] = fal_alloc((size_t)count, sizeof *o->moments[k]);
    if (!o->moments[0] || !o->moments[1]) return fal_fail_memory(err, 0);
    void *memory;
    FAL_TRY(fal_memory_take(&memory, o->device, n_numbers * sizeof *o->numbers, err));
    memset(memory, 0, n_numbers * sizeof *o->numbers);
    o->numbers = memory;
    float *at = o->numbers;
    for (int i = 0; i < count; i++) {
        const fal_trainable_weight *w = fal_trainable_at(o->trainable, i);
        for (int k = 0; k < N_MOMENTS && !w->is_frozen; k++) {
            o->moments[k][i] = w->value;
            o->moments[k][i].data = at;
            at += padded(w);
        }
    }
    return FAL_OK;
}

fal_status fal_optimizer_open(fal_optimizer **out, fal_trainable *trainable, fal_device *device,
                              const fal_optimizer_options *options, fal_error *err) {
    *out = NULL;
    FAL_TRY(check_options(options, err));
    fal_optimizer *o = fal_alloc(1, sizeof *o);
    if (!o) return fal_fail_memory(err, sizeof *o);
    o->trainable = trainable;
    o->device = device;
    o->options = *options;
    fal_status status = take_moments(o, err);
    if (status == FAL_OK) status = fal_queue_open(&o->queue, device, err);
    if (status != FAL_OK) {
        fal_optimizer_close(o);
        return status;
    }
    *out = o;
    return FAL_OK;
}

void fal_optimizer_close(fal_optimizer *o) {
    if (!o) return;
    fal_queue_close(o->queue);
    for (int k = 0; k < N_MOMENTS; k++)
        fal_free(o->moments[k]);
    fal_memory_give(o->numbers, o->device);
    fal_free(o);
}

uint64_t fal_optimizer_bytes(const fal_arch *arch, const fal_params *params,
                             const fal_trainable_options *options) {
    fal_trainable_options without = options ? *options : (fal_trainable_options){0};
    uint64_t all = fal_trainable_bytes(arch, params, options);
    without.without_gradients = true;
    return N_MOMENTS * (all - fal_trainable_bytes(arch, params, &without));
}

fal_status fal_optimizer_clear_gradients(fal_optimizer *o, fal_error *err) {
    fal_tensor all = fal_trainable_gradients(o->trainable);
    if (fal_tensor_is_given(all)) o->queue->ops->scale(o->queue, all, 0);
    return fal_queue_wait(o->queue, err);
}

fal_status fal_optimizer_gradient_norm(fal_optimizer *o, double *norm, fal_error *err) {
    fal_tensor all = fal_trainable_gradients(o->trainable);
    double sum = 0;
    if (fal_tensor_is_given(all)) o->queue->ops->square_sum(o->queue, &sum, all);
    FAL_TRY(fal_queue_wait(o->queue, err));
    *norm = sqrt(sum);
    return FAL_OK;
}

fal_status fal_optimizer_update(fal_optimizer *o, double learning_rate, double gradient_scale,
                                int64_t step, fal_error *err) {
    fal_adamw vectors = {.learning_rate = learning_rate,
                         .beta1 = o->options.beta1,
                         .beta2 = o->options.beta2,
                         .epsilon = o->options.epsilon,
                         .gradient_scale = gradient_scale,
                         .step = step};
    fal_adamw matrices = vectors;
    matrices.weight_decay = o->options.weight_decay;
    for (int i = 0; i < fal_trainable_count(o->trainable); i++) {
        const fal_trainable_weight *w = fal_trainable_at(o->trainable, i);
        if (w->is_frozen) continue;
        o->queue->ops->adamw(o->queue, w->value, o->moments[FAL_MOMENT_FIRST][i],
                             o->moments[FAL_MOMENT_SECOND][i], w->gradient,
                             w->is_matrix ? &matrices : &vectors);
    }
    return fal_queue_wait(o->queue, err);
}

fal_tensor fal_optimizer_moment(fal_optimizer *o, int index, fal_moment which) {
    return o->moments[which][index];
}
