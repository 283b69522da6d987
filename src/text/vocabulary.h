/* Tokens, merges and special ids as read from any file format: what a tokenizer is made of and what a converter writes. */
#ifndef FAL_TEXT_VOCABULARY_H
#define FAL_TEXT_VOCABULARY_H

#include <falconer/tokenizer.h>

#include "base/bytes.h"

typedef enum fal_token_type {
    FAL_TOKEN_NORMAL = 1,
    FAL_TOKEN_UNKNOWN = 2,
    FAL_TOKEN_CONTROL = 3,
    FAL_TOKEN_USER_DEFINED = 4,
    FAL_TOKEN_UNUSED = 5,
    FAL_TOKEN_BYTE = 6
} fal_token_type;

/* Everything is owned by the vocabulary and released by fal_vocabulary_release. Zero-initialise. Ids are -1 for none. */
typedef struct fal_vocabulary {
    size_t n_tokens, n_merges;
    fal_slice *
        tokens; /* [n_tokens] in the byte-to-character mapping of byte-level BPE (UTF-8), as files hold them */
    int32_t *types;        /* [n_tokens] fal_token_type */
    fal_slice *merges;     /* [n_merges] "left right", best first */
    char *text;            /* where the slices point */
    char pretokenizer[32]; /* a name of pretokenizers.def */
    int32_t bos, eos, eot, unknown, padding;
    bool add_bos;
    char *chat_template; /* NULL: none */
} fal_vocabulary;

void fal_vocabulary_release(fal_vocabulary *v);

/* Makes a tokenizer; takes v's contents on success and leaves it empty. Checks every id, merge and duplicate.
 * Fails: FORMAT, UNSUPPORTED (an unknown pretokenizer), MEMORY. */
fal_status fal_tokenizer_from_vocabulary(fal_tokenizer **out, fal_vocabulary *take_v,
                                         fal_error *err);

/* Reads tokenizer.ggml.* of a GGUF file. */
fal_status fal_vocabulary_from_gguf(fal_vocabulary *out, const fal_gguf *f, fal_error *err);

/* The vocabulary t was made from; borrowed. */
const fal_vocabulary *fal_tokenizer_vocabulary(const fal_tokenizer *t);

#endif
