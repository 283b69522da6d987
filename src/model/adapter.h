/* Adapters on disk, in the form of PEFT: adapter_config.json and adapter_model.safetensors in a folder, tensors under the
 * names of Hugging Face and in their row order. What adapters do in memory is lora.c's. */
#ifndef FAL_MODEL_ADAPTER_H
#define FAL_MODEL_ADAPTER_H

#include "formats/checkpoint.h"
#include "model/trainable.h"

/* Writes what was trained: A and B of every adapter; norms, and embeddings with the head, where they were trained too. If
 * the context is extended, context.json tells the settings in the fields of a config.json, for PEFT has no place for them.
 * The folder appears whole or not at all.
 *
 *   base_model  base_model_name_or_path: what the adapter is for, by path or name
 *   replaces    an adapter that is in the folder already may be lost; other files never are
 *   Fails: ARGUMENT (no adapters; the folder is there), IO, MEMORY.
 *   Source: huggingface/peft, src/peft/utils/save_and_load.py and src/peft/tuners/lora/config.py. */
fal_status fal_trainable_write_adapter(const fal_trainable *t, const char *base_model,
                                       const char *directory, bool replaces, fal_error *err);

/* What an adapter does to one weight; tensors are borrowed from it. */
typedef struct fal_adapter_change {
    const fal_checkpoint_tensor *a, *b; /* [rank, columns], [rows, rank]; NULL: none */
    float scale;                        /* of B A */
    const fal_checkpoint_tensor
        *whole;             /* takes the weight's place before B A is added; NULL: none */
    bool is_regrouped;      /* rows of b and whole are in Hugging Face's order of QKV */
    int64_t n_rows, n_cols; /* of the weight; n_rows is 1 for vectors */
} fal_adapter_change;

typedef struct fal_adapter fal_adapter;

/* Reads an adapter's folder, trained here or elsewhere, for a model with these parameters. Weights that are adapted beyond
 * those that training here adapts are fine.
 *
 *   Fails: NOT_FOUND (no adapter in it), FORMAT (damaged, A without B, a shape that does not fit the model, naming the
 *   tensor), UNSUPPORTED (another method than LoRA, or a kind of it that is more than B A, naming the setting or tensor),
 *   IO, MEMORY. */
fal_status fal_adapter_open(fal_adapter **out, const char *directory, const fal_arch *arch,
                            const fal_params *params, fal_error *err);

/* The contents of an adapter's files; context.data is NULL where there is none. tensors is safetensors. */
typedef struct fal_adapter_texts {
    fal_slice config, context, tensors;
} fal_adapter_texts;

/* As fal_adapter_open, from memory; texts->tensors is borrowed until close. */
fal_status fal_adapter_parse(fal_adapter **out, const fal_adapter_texts *texts,
                             const fal_arch *arch, const fal_params *params, fal_error *err);
void fal_adapter_close(fal_adapter *a);

/* By the weight's name in GGUF files; NULL: the weight stays as it is. */
const fal_adapter_change *fal_adapter_find(const fal_adapter *a, const char *name);

/* Adds one row of scale * (B A) to sums [n_cols]; a [rank, n_cols], b_row [rank]. Training and merging both fold by it. */
void fal_lora_add_row(double *sums, int64_t n_cols, const float *a, const float *b_row,
                      int64_t rank, float scale);

/* How many weights change. */
int fal_adapter_count(const fal_adapter *a);

/* The settings of context.json and the context they are good for; NULL: the base model's. */
const fal_rope_settings *fal_adapter_rope(const fal_adapter *a, int *n_context);

#endif
