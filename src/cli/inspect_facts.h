/* What can be told of a GGUF file from its metadata and tensor directory alone, also of unknown architectures and of
 * files that hold only a vocabulary. */
#ifndef FAL_CLI_INSPECT_FACTS_H
#define FAL_CLI_INSPECT_FACTS_H

#include <falconer/tokenizer.h>

#include "model/params.h"

/* Tensors of one number type. */
typedef struct fal_type_share {
    const char *name; /* borrowed from the file */
    int n_tensors;
    double n_parameters;
    uint64_t bytes;
} fal_type_share;

enum {
    FAL_MAX_TYPES = 48,
    FAL_MAX_CONTEXTS = 3
};

/* Zero-initialise. Numbers that the file does not tell are 0. */
typedef struct fal_inspected {
    fal_gguf *gguf;
    fal_tokenizer *tokenizer; /* NULL: none that can be read, tokenizer_error says why */
    fal_error tokenizer_error;
    char architecture[64], name[128];
    int64_t n_layers, n_heads, n_kv_heads, key_length, value_length, d_model, d_ff, n_vocab,
        n_context;
    double kv_values_per_token; /* numbers that the cache holds for each token, all layers */
    const char *kv_type;        /* of a cell type; opening sets what a session takes by itself */
    int64_t context_asked;      /* whose memory is wanted; 0: a few usual ones */
    bool is_known;              /* the architecture is built in, and params were read */
    bool has_rope;              /* rope_base and rope_gain are known */
    fal_params params;
    double rope_base, rope_gain; /* in force, of params.rope */
    char restored[256];     /* what the file lost and is restored when it runs; "" if nothing */
    fal_error params_error; /* why a known architecture's parameters could not be read */
    fal_type_share types[FAL_MAX_TYPES]; /* by bytes, largest first */
    int n_types;
    double n_parameters;
    uint64_t weight_bytes;
} fal_inspected;

/* path NULL: the model inside the program. Fails as fal_gguf_open; ARGUMENT (there is none inside). out is released by the caller in any case. */
fal_status fal_inspected_open(fal_inspected *out, const char *path, fal_error *err);
void fal_inspected_release(fal_inspected *inspected);

/* Bytes of a cache of kv_type for n_context tokens; 0 when unknown. */
double fal_inspected_cache_bytes(const fal_inspected *inspected, int64_t n_context);

/* Contexts whose memory is shown, ascending, up to the model's own. Returns how many; 0 where the file does not tell what the cache holds, or has no
 * weights. */
int fal_inspected_contexts(const fal_inspected *inspected, int64_t contexts[FAL_MAX_CONTEXTS]);

/* 0 where there are no parameters. */
double fal_bits_per_weight(double n_parameters, uint64_t bytes);

/* Where positions come from: "rope", "alibi", "learned", or "unknown". */
const char *fal_inspected_positions(const fal_inspected *inspected);

#endif
