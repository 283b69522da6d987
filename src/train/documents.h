/* Tokenized documents of all sources, in memory: what plans are made of. */
#ifndef FAL_TRAIN_DOCUMENTS_H
#define FAL_TRAIN_DOCUMENTS_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* Why a token counts in the loss, as the log tells them apart. */
typedef enum fal_loss_part {
    FAL_LOSS_NONE,   /* it does not */
    FAL_LOSS_ANSWER, /* the assistant's text and its end */
    FAL_LOSS_PROMPT, /* prompts of the partition that ordinary language modelling is done on */
    FAL_LOSS_TEXT,   /* plain text */
    FAL_LOSS_PART_COUNT
} fal_loss_part;

typedef struct fal_document {
    int64_t first_token; /* into tokens and parts */
    int32_t n_tokens;
    int32_t source;
    int64_t record; /* of its source's file, from 1: a line, for messages */
    uint64_t hash;  /* of its content; the same wherever it occurs */
} fal_document;

typedef struct fal_documents {
    int32_t *tokens;
    uint8_t *parts; /* fal_loss_part of each token: why foretelling this token counts */
    int64_t n_tokens, token_capacity;
    fal_document *items;
    int64_t count, capacity;
} fal_documents;

/* Copies one document in. The first token's part is set to FAL_LOSS_NONE: nothing foretells it.
 * Fails: LIMIT (not 1 to INT32_MAX tokens), MEMORY. */
fal_status fal_documents_append(fal_documents *d, const int32_t *tokens, const uint8_t *parts,
                                int64_t n_tokens, int32_t source, int64_t record, uint64_t hash,
                                fal_error *err);
void fal_documents_release(fal_documents *d);

#endif
