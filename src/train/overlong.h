/* Documents longer than a sequence: left, refused, or shortened. */
#ifndef FAL_TRAIN_OVERLONG_H
#define FAL_TRAIN_OVERLONG_H

#include "train/sources.h"

/* Where the middle of a document may be cut out. */
typedef struct fal_cut {
    size_t begin, end; /* tokens of the long part */
    size_t n_fixed;    /* bytes at its beginning that stay */
} fal_cut;

/* Shortens tokens, and parts with them, to at most length. What follows a cut is foretold by nothing: its part becomes
 * FAL_LOSS_NONE. Characters stay whole. False: it cannot be done, or is not wanted; the document is to be dropped. */
bool fal_overlong_fit(fal_overlong how, int length, const fal_tokenizer *tokenizer,
                      const fal_cut *cut, fal_tokens *tokens, uint8_t *parts);

#endif
