/* A model whose weights are f32 in memory and can change: what training holds instead of a fal_model. */
#ifndef FAL_MODEL_TRAINABLE_H
#define FAL_MODEL_TRAINABLE_H

#include "compute/device.h"
#include "formats/gguf_write.h"
#include "model/arch.h"

/* What of a weight a trainable weight is. */
typedef enum fal_trainable_part {
    FAL_TRAINABLE_WHOLE,
    FAL_TRAINABLE_LORA_A, /* [rank, columns of the weight] */
    FAL_TRAINABLE_LORA_B  /* [rows of the weight, rank] */
} fal_trainable_part;

/* One weight, in logical coordinates: what checkpoints, optimizer and gradients are counted in. */
typedef struct fal_trainable_weight {
    char name
        [FAL_WEIGHT_NAME_SIZE]; /* as in GGUF files; of an adapter: the weight's and ".lora_a" or ".lora_b" */
    fal_weight_id id;
    fal_trainable_part part;
    int layer;              /* 0 outside the layers */
    int64_t n_rows, n_cols; /* n_rows is 1 for vectors */
    bool is_matrix;         /* decays */
    bool is_frozen;         /* has no gradient */
    fal_tensor value;       /* f32, contiguous */
    fal_tensor gradient;    /* f32, contiguous; FAL_NONE when frozen */
} fal_trainable_weight;

/* Low-rank adaptation: y += (alpha / rank) * (x A^T) B^T beside each chosen linear layer. */
typedef struct fal_lora_options {
    int rank;             /* 0: none; all weights are trained */
    double alpha;         /* 0: rank */
    bool with_norms;      /* norms are trained too */
    bool with_embeddings; /* token embeddings and head are trained too */
} fal_lora_options;

typedef struct fal_trainable fal_trainable;

/* Zero means default. */
typedef struct fal_trainable_options {
    uint64_t seed; /* of what is drawn: fresh weights, A of adapters */
    fal_lora_options lora;
    bool without_gradients; /* for measuring only */
    fal_device *
        device; /* of which values and gradients are memory; NULL: the host's. Outlives the model */
} fal_trainable_options;

/* Fresh weights: normal with deviation 0.02, those in front of the residual sum divided by sqrt(2 n_layers); norms 1,
 * biases 0; of adapters A normal with deviation 1 / sqrt(3 columns), B 0. Each number depends on seed, name and index
 * alone. With has_tied_head the token embedding is the head as well; without, the head is a weight of its own.
 * Fails: FORMAT (params), ARGUMENT (options), UNSUPPORTED (an architecture that cannot be trained), MEMORY. */
fal_status fal_trainable_open_fresh(fal_trainable **out, const fal_arch *arch,
                                    const fal_params *params, const fal_trainable_options *options,
                                    fal_error *err);

/* What the metadata say of a model: *arch static, *params with settings restored that the file is known to have lost.
 * Fails: FORMAT, UNSUPPORTED, MEMORY. */
fal_status fal_trainable_read_params(const fal_arch **arch, fal_params *params,
                                     const fal_gguf *file, fal_error *err);

/* Weights of a GGUF file of any types, decoded to f32; settings that the file is known to have lost are restored.
 * file is not needed afterwards. Fails: as fal_model_open. */
fal_status fal_trainable_open_gguf(fal_trainable **out, const fal_gguf *file,
                                   const fal_trainable_options *options, fal_error *err);
void fal_trainable_close(fal_trainable *t);

/* Bytes that opening takes, without opening: weights, gradients, adapters. */
uint64_t fal_trainable_bytes(const fal_arch *arch, const fal_params *params,
                             const fal_trainable_options *options);

const fal_arch *fal_trainable_arch(const fal_trainable *t);
const fal_params *fal_trainable_params(const fal_trainable *t);
/* As it was opened with; alpha is never 0 with adapters. */
fal_lora_options fal_trainable_lora(const fal_trainable *t);
/* Changes the context method in force; *n_context of the params becomes trained_context * factor. Fails: ARGUMENT. */
fal_status fal_trainable_set_rope(fal_trainable *t, const fal_rope_settings *rope, fal_error *err);

/* As in files: embeddings, the layers one after the other, the head; adapters behind their weight. Borrowed; values and
 * gradients may be written. */
int fal_trainable_count(const fal_trainable *t);
fal_trainable_weight *fal_trainable_at(fal_trainable *t, int index);
fal_trainable_weight *fal_trainable_find(fal_trainable *t, const char *name); /* NULL: none */
/* The gradients of all weights as one row; numbers between them are 0 and to stay so. FAL_NONE: there are none. */
fal_tensor fal_trainable_gradients(const fal_trainable *t);

/* Writes the model as GGUF: the metadata of params and rope, every key of `like` that speaks of neither (tokenizer, name;
 * NULL: none), matrices of this type, vectors f32. Adapters are folded in.
 * Fails: ARGUMENT (a quantized type: such files are made by quantizing), IO, MEMORY. */
fal_status fal_trainable_write_gguf(const fal_trainable *t, const fal_gguf *like,
                                    const fal_type *type, const char *path, fal_error *err);

#endif
