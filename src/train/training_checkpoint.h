/* What a training run saves to go on from: weights, moments and how far it is, in a folder step-N of the run's folder.
 *
 * A checkpoint is whole or absent: it is written under another name, synced, and renamed. Its manifest, written last,
 * holds the digest of every tensor. Weights and moments are safetensors files in logical names and shapes. */
#ifndef FAL_TRAIN_TRAINING_CHECKPOINT_H
#define FAL_TRAIN_TRAINING_CHECKPOINT_H

#include "train/optimizer.h"

enum {
    FAL_MAX_SETTINGS = 32,
    FAL_SETTING_SIZE = 64
};

/* One number or word that decides what training computes. */
typedef struct fal_setting {
    char name[FAL_SETTING_SIZE], text[FAL_SETTING_SIZE];
} fal_setting;

/* How far a run is, and what it was told. */
typedef struct fal_progress_of_run {
    int64_t step, n_tokens; /* done */
    uint64_t plan_hash;
    fal_setting settings[FAL_MAX_SETTINGS];
    int n_settings;
} fal_progress_of_run;

/* Writes directory/step-N. Fails: ARGUMENT (it is there already), IO, MEMORY; then nothing of it stays. */
fal_status fal_training_checkpoint_write(const char *directory, fal_trainable *trainable,
                                         fal_optimizer *optimizer, const fal_progress_of_run *at,
                                         fal_error *err);

/* *step of the newest checkpoint in directory; -1: there is none, or no such folder. Fails: IO, MEMORY. */
fal_status fal_training_checkpoint_find(const char *directory, int64_t *step, fal_error *err);

/* What directory/step-N says of itself, without its tensors. Fails: FORMAT (damaged), NOT_FOUND, IO, MEMORY. */
fal_status fal_training_checkpoint_look(const char *directory, int64_t step,
                                        fal_progress_of_run *at, fal_error *err);

/* Reads directory/step-N into weights and moments; *at becomes what it says of itself. On failure weights and moments may
 * be half read.
 * Fails: FORMAT (cut short, damaged or of another model, naming the tensor), NOT_FOUND, IO, MEMORY. */
fal_status fal_training_checkpoint_read(const char *directory, int64_t step,
                                        fal_trainable *trainable, fal_optimizer *optimizer,
                                        fal_progress_of_run *at, fal_error *err);

/* Removes all but the newest `keep` checkpoints, and what interrupted runs left half written. Fails: IO, MEMORY. */
fal_status fal_training_checkpoint_keep(const char *directory, int keep, fal_error *err);

#endif
