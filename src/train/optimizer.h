/* AdamW over the weights of a trainable model that have gradients: moments, the norm of all gradients, the update. */
#ifndef FAL_TRAIN_OPTIMIZER_H
#define FAL_TRAIN_OPTIMIZER_H

#include "compute/device.h"
#include "model/trainable.h"

typedef struct fal_optimizer fal_optimizer;

typedef struct fal_optimizer_options {
    double beta1, beta2, epsilon;
    double weight_decay; /* of matrices; norms and biases do not decay */
} fal_optimizer_options;

/* Moments begin at 0. trainable and device must outlive it. Fails: ARGUMENT (a number out of range, named), MEMORY. */
fal_status fal_optimizer_open(fal_optimizer **out, fal_trainable *trainable, fal_device *device,
                              const fal_optimizer_options *options, fal_error *err);
void fal_optimizer_close(fal_optimizer *o);

/* Bytes that open takes for a model of these. */
uint64_t fal_optimizer_bytes(const fal_arch *arch, const fal_params *params,
                             const fal_trainable_options *options);

/* Sets all gradients to 0. */
fal_status fal_optimizer_clear_gradients(fal_optimizer *o, fal_error *err);

/* *norm: root of the sum of squares of all gradients, in double, in an order that depends on the model alone. */
fal_status fal_optimizer_gradient_norm(fal_optimizer *o, double *norm, fal_error *err);

/* One step with this rate; gradients are multiplied by gradient_scale first. step counts from 1. */
fal_status fal_optimizer_update(fal_optimizer *o, double learning_rate, double gradient_scale,
                                int64_t step, fal_error *err);

typedef enum fal_moment {
    FAL_MOMENT_FIRST, /* m */
    FAL_MOMENT_SECOND /* v */
} fal_moment;

/* The moment of the weight at index of the trainable, f32 in the weight's shape; FAL_NONE for a frozen one. May be written. */
fal_tensor fal_optimizer_moment(fal_optimizer *o, int index, fal_moment which);

#endif
