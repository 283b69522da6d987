/* Makes a byte-level vocabulary from text: splits it as a pretokenizer does, counts the words, and learns merges. */
#ifndef FAL_TEXT_BPE_TRAIN_H
#define FAL_TEXT_BPE_TRAIN_H

#include "text/bpe_merges.h"
#include "text/vocabulary.h"

enum {
    FAL_BYTE_TOKENS =
        256 /* every vocabulary has a token for each byte, so that any text can be written in it */
};

/* Zero means default. All of it is borrowed, and needed until the trainer is closed. */
typedef struct fal_bpe_training {
    const char *pretokenizer; /* a name of pretokenizers.def; NULL: falcon */
    const char *const
        *controls; /* [n_controls] texts of the control tokens, which get the first ids */
    size_t n_controls;
    size_t n_tokens;    /* wanted: control tokens, bytes and merges */
    uint64_t min_count; /* how often a pair must stand side by side; 0: 2 */
    size_t max_words;   /* different words that are kept: rarer ones are forgotten; 0: 8 Mi */
    int n_threads;      /* 0: usable cores */
} fal_bpe_training;

typedef struct fal_bpe_train_report {
    uint64_t n_bytes, n_words; /* read */
    uint64_t n_tokens;         /* that the words kept are written in */
    size_t n_distinct;         /* different words kept */
    size_t n_forgotten;        /* different words that were forgotten for want of room */
} fal_bpe_train_report;

typedef struct fal_bpe_trainer fal_bpe_trainer;

/* Fails: ARGUMENT (fewer tokens wanted than controls and bytes, or more than 2^31 - 1; a control token that is empty, no
 * UTF-8, given twice or a single character), UNSUPPORTED (the pretokenizer), MEMORY, IO. */
fal_status fal_bpe_trainer_open(fal_bpe_trainer **out, const fal_bpe_training *how, fal_error *err);
void fal_bpe_trainer_close(fal_bpe_trainer *t);

/* Takes in a text [length bytes], which is copied; no word reaches from one text into the next. The result depends on the
 * texts and their order only when words are forgotten, and never on threads. Words of more than 256 bytes count as words of
 * that length. Fails: LIMIT (4 Gi different words), MEMORY. */
fal_status fal_bpe_trainer_add(fal_bpe_trainer *t, const char *text, size_t length, fal_error *err);

/* Learns the merges; nothing can be added afterwards. Ids are: control tokens, bytes in the order of their characters in
 * the byte-to-character mapping, then products of merges. Special ids are -1, and there may be fewer tokens than wanted.
 *
 *   out     released by the caller
 *   report  may be NULL
 *   Fails: CANCELLED, LIMIT, MEMORY. */
fal_status fal_bpe_trainer_finish(fal_bpe_trainer *t, fal_on_merge *on_merge, void *user,
                                  fal_vocabulary *out, fal_bpe_train_report *report,
                                  fal_error *err);

#endif
