/* The options of train, which are also the keys of its configuration. */
#ifndef FAL_CLI_TRAIN_OPTIONS_H
#define FAL_CLI_TRAIN_OPTIONS_H

#include "cli/options.h"
#include "train/train.h"

typedef struct fal_train_choice {
    /* where training starts */
    const char *model, *tokenizer, *layout;
    int n_layers, d_model, n_heads, n_kv_heads, d_ff, n_context;
    double rope_base;
    bool untied_head;
    /* what of it is trained, and how far it sees */
    int lora_rank;
    double lora_alpha;
    bool lora_norms, lora_embeddings;
    const char *context_method;
    double context_scale;
    /* data */
    fal_texts sources, groups, validation;
    const char *chat_format;
    double prompt_share;
    bool strict;
    /* batches */
    int sequence_length, batch_sequences, micro_batch;
    double batch_tokens, total_tokens;
    uint64_t seed;
    const char *recompute;
    /* optimizer */
    double learning_rate, warm_up, floor, weight_decay, beta1, beta2, epsilon, clip, z_loss;
    const char *schedule;
    /* output */
    const char *out, *type, *name;
    int checkpoint_every, keep, validate_every;
    bool no_hf, resume, force, plan, json, quiet;
    const char *device;
    int n_threads;
} fal_train_choice;

extern const fal_option_group fal_train_option_groups[];

/* The values that stand where nothing is said and 0 would say something else. */
void fal_train_choice_defaults(void *choice);

/* As the library wants them. sequence_length is known by then. Fails: ARGUMENT (numbers that do not go together). */
fal_status fal_train_choice_options(const fal_train_choice *choice, fal_train_options *out,
                                    fal_error *err);

/* *n_sequences: packed sequences per step; *n_tokens: of the whole training, 0 for one epoch. Fails: ARGUMENT. */
fal_status fal_train_choice_batch(const fal_train_choice *choice, int sequence_length,
                                  int *n_sequences, int64_t *n_tokens, fal_error *err);

/* Adapters and seed of the trainable model. */
fal_trainable_options fal_train_choice_trainable(const fal_train_choice *choice);

#endif
