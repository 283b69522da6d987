/* Where tensors come from: a GGUF file or a Hugging Face folder, under one face. Tensors have their GGUF names, shapes and
 * row order; rows are handed out as f32. */
#ifndef FAL_CONVERT_SOURCE_H
#define FAL_CONVERT_SOURCE_H

#include <falconer/log.h>
#include <falconer/tokenizer.h>

#include "convert/metadata.h"
#include "convert/type_plan.h"
#include "formats/gguf_write.h"
#include "model/arch.h"
#include "text/vocabulary.h"

typedef struct fal_source fal_source;

/* What a source says of its model; borrowed until close, or until a context is set. */
typedef struct fal_source_model {
    const fal_arch *arch;
    const fal_params *params;
    const fal_vocabulary *vocabulary; /* NULL: none */
} fal_source_model;

/* What a kind of source does; its functions get the state that its open made. */
typedef struct fal_source_kind {
    void (*close)(void *state);
    /* Decodes rows [first, first + n) of tensor `index` into out [n, columns]. A vector is one row. */
    fal_status (*read_rows)(void *state, int index, int64_t first, int64_t n, float *out,
                            fal_error *err);
    /* Rows [first, first + n) of tensor `index` are not needed any more: their memory may go. */
    void (*forget_rows)(void *state, int index, int64_t first, int64_t n);
    /* Writes all metadata except general.file_type, and what depends on the types of an output. */
    fal_status (*write_metadata)(void *state, fal_gguf_writer *w, const fal_model_words *words,
                                 fal_error *err);
    /* Fails: UNSUPPORTED (an architecture that is not known), FORMAT, MEMORY. */
    fal_status (*read_model)(void *state, fal_source_model *out, fal_error *err);
    /* From here on the model has these settings and is good for n_context tokens. Called after read_model. */
    void (*set_rope)(void *state, const fal_rope_settings *rope, int n_context);
} fal_source_kind;

struct fal_source {
    const fal_source_kind *kind;
    void *state;
    const char *architecture; /* borrowed from the state */
    const char *
        name; /* of the model, by what the file or config says, else the folder; of the state; NULL: none */
    int n_layers, n_tensors;
    int n_context;                  /* tokens; 0: not known */
    const fal_tokenizer *tokenizer; /* NULL: there is none; owned by the state */
    fal_plan_tensor *tensors;       /* [n_tensors]; owned by the state */
};

/* Opens a GGUF file or, if path is a folder, the checkpoint in it. log receives what was noticed.
 *
 *   shapes_only  a folder (or its config.json) may lack weights and vocabulary: shapes then follow from the config, and
 *                rows cannot be read
 *   Fails: NOT_FOUND, IO, FORMAT, UNSUPPORTED, MEMORY. */
fal_status fal_source_open(fal_source **out, const char *path, bool shapes_only, const fal_log *log,
                           fal_error *err);

/* The number type of the first matrix, if that is a float type: a checkpoint's own. NULL: it is quantized. */
const fal_type *fal_source_float_type(const fal_source *s);

/* -1: no tensor of this name. */
int fal_source_find(const fal_source *s, const char *name);

/* A number that tells checkpoints apart: of names, shapes and the first row of every tensor. */
fal_status fal_source_fingerprint(const fal_source *s, uint64_t *out, fal_error *err);
void fal_source_close(fal_source *s);

/* The model of take_base with the adapter in a folder (model/adapter.h) folded in: rows are changed in double while they
 * are read, exactly as training folds. If the adapter has a context of its own, the model gets it. take_base belongs to
 * the new source, also on failure.
 * Fails: as fal_adapter_open; FORMAT (a base without a weight that the adapter changes), MEMORY. */
fal_status fal_source_open_merged(fal_source **out, fal_source *take_base, const char *adapter,
                                  fal_error *err);

/* Used by fal_source_open: fill s (kind, state and facts). On failure s->kind may be set; close handles it. */
fal_status fal_source_open_folder(fal_source *s, const char *directory, bool shapes_only,
                                  const fal_log *log, fal_error *err);
fal_status fal_source_open_gguf(fal_source *s, const char *path, fal_error *err);

/* Rows and columns of a tensor as rows are counted here: a vector is one row. */
int64_t fal_plan_tensor_rows(const fal_plan_tensor *t);
int64_t fal_plan_tensor_columns(const fal_plan_tensor *t);

#endif
