/* Finds tokens that stand in text by their name: control tokens, and those that the user of a tokenizer added. */
#ifndef FAL_TEXT_SPECIALS_H
#define FAL_TEXT_SPECIALS_H

#include "text/vocabulary.h"

/* Zero-initialise; release when done. Borrows the texts of the vocabulary that it was made from. */
typedef struct fal_specials_list {
    const fal_vocabulary *vocabulary;
    int32_t *ids; /* [n], by first byte, longest first */
    size_t n;
    uint32_t starts[257]; /* where in ids each first byte begins */
} fal_specials_list;

/* Collects the tokens of one type. Fails: MEMORY. */
fal_status fal_specials_collect(fal_specials_list *out, const fal_vocabulary *v,
                                fal_token_type type, fal_error *err);
void fal_specials_release(fal_specials_list *list);

/* The leftmost token in text [length bytes], the longest if several begin there. False: there is none. */
bool fal_specials_find(const fal_specials_list *list, const char *text, size_t length,
                       size_t *begin, int32_t *id);

/* The longest token that text begins with, or -1. */
int32_t fal_specials_at(const fal_specials_list *list, const char *text, size_t length);

#endif
