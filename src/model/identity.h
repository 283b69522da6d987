/* What tells one model from another, for what was computed by one of them and is to be gone on from later. */
#ifndef FAL_MODEL_IDENTITY_H
#define FAL_MODEL_IDENTITY_H

#include <falconer/model.h>

#include "base/digest.h"

enum {
    FAL_CONTEXT_WORDS_SIZE = 136
};

/* SHA-256 of the architecture, the sizes and features, and of each weight: its number type, its shape and the first, the
 * middle and the last 4 KiB of its bytes. So a model of many GiB is told in milliseconds; two that differ in no such
 * piece are taken for one. hex [FAL_SHA256_HEX]. */
void fal_model_identity(const fal_model *m, char *hex);

/* How positions enter, in words: "ntk-yarn, base 10000, factor 4, trained context 2048, ...", "alibi", "learned". Equal
 * words: cells of one are cells of the other. */
void fal_model_context_words(const fal_model *m, char out[FAL_CONTEXT_WORDS_SIZE]);

#endif
