/* Byte-pair merging: the bytes of one piece become token ids, lowest rank first. */
#ifndef FAL_TEXT_BPE_H
#define FAL_TEXT_BPE_H

#include "base/string_map.h"
#include "text/vocabulary.h"

typedef struct fal_bpe fal_bpe;

/* Working memory of fal_bpe_encode. Zero-initialise; release when done. Belongs to one thread at a time. */
typedef struct fal_bpe_scratch {
    struct fal_bpe_symbol *symbols;
    uint64_t *queue;
    size_t symbol_capacity, queue_capacity;
} fal_bpe_scratch;

/* Builds the tables. Tokens that a merge must never produce (control, unknown, unused) take part in none.
 *
 *   ids    every text of v->tokens to its id; needed only during this call
 *   Fails: FORMAT (a merge without exactly one space, with an unknown part or result, or given twice), MEMORY. */
fal_status fal_bpe_open(fal_bpe **out, const fal_vocabulary *v, const fal_string_map *ids,
                        fal_error *err);
void fal_bpe_close(fal_bpe *b);

/* Appends the ids of a piece [length bytes]. Bytes without a token are dropped before merging, and added to *n_dropped.
 * Time grows as length times its logarithm.
 * Fails: LIMIT (a piece of 4 GiB or more), MEMORY. */
fal_status fal_bpe_encode(const fal_bpe *b, fal_bpe_scratch *scratch, const char *bytes,
                          size_t length, fal_tokens *out, size_t *n_dropped, fal_error *err);

void fal_bpe_scratch_release(fal_bpe_scratch *scratch);

#endif
