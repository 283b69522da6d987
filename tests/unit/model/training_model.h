/* Tiny trainable models of every variant with weights that all matter, and batches for them; and the same loss once more,
 * in double precision and plain loops, sharing nothing with the training pass but the weights. Everything fails the running
 * test by itself. */
#ifndef FAL_TESTS_TRAINING_MODEL_H
#define FAL_TESTS_TRAINING_MODEL_H

#include "check.h"
#include "model/training_pass.h"
#include "test_device.h"

enum {
    TRAINING_MAX_TOKENS = 64,
    TRAINING_MAX_VOCAB = 64
};

typedef struct training_variant {
    const char *name;
    const char *architecture;
    fal_params params;
    fal_lora_options lora;
    double z_loss;
} training_variant;

/* 7B, 11B, 40B, RW, StarCoder, and 40B and StarCoder with adapters. */
int training_variant_count(void);
const training_variant *training_variant_at(int index);

/* Opened fresh in the memory of the device (NULL: the host's), then every value drawn anew: no weight is 0 or 1. */
fal_trainable *training_model_open(const training_variant *v, fal_device *device, uint64_t seed);
void training_model_zero_gradients(fal_trainable *t);

/* A batch with the arrays it points into. Do not copy. */
typedef struct training_batch {
    int32_t tokens[TRAINING_MAX_TOKENS], positions[TRAINING_MAX_TOKENS],
        targets[TRAINING_MAX_TOKENS];
    float weights[TRAINING_MAX_TOKENS];
    int64_t starts[8];
    fal_batch batch;
} training_batch;

/* Sequences of these lengths, positions from 0; about a third of the weights are 0. */
void training_batch_draw(training_batch *b, const fal_params *p, const int64_t *lengths,
                         int n_sequences, uint64_t seed);
/* Sequence index of the batch alone. */
fal_batch training_batch_sequence(const training_batch *b, int index);

/* double_model.c: sum of weights * (nll + z_loss * log_sum^2) with entry `entry` of weight `index` moved by `move`. */
double double_model_loss(fal_trainable *t, const training_variant *v, const fal_batch *batch,
                         int index, int64_t entry, double move);

#endif
