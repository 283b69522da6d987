/* A generated world in some 200 words, for experiments with small models: prose about things, facts that are stated and asked
 * back, objects moved about, firms and where they lie. A word is a token.
 *
 * Everything depends on seed and index alone. What examples ask is never asked in the same way in a document: names and
 * answers are drawn anew each time. */
#ifndef FAL_EVAL_SMALL_WORLD_H
#define FAL_EVAL_SMALL_WORLD_H

#include <stddef.h>
#include <stdint.h>

enum {
    FAL_WORLD_WORDS = 256,    /* the vocabulary */
    FAL_WORLD_END = 0,        /* the token behind a document */
    FAL_WORLD_WORD_SIZE = 16, /* of a word as text, terminated */
    FAL_WORLD_SHORTEST = 128  /* tokens of the shortest example */
};

/* The tasks of the long benchmark; rows of small_world_tasks.def. */
typedef enum fal_world_task {
#define FAL_WORLD_TASK(id, name, chance, meaning) FAL_WORLD_##id,
#include "eval/small_world_tasks.def"
#undef FAL_WORLD_TASK
    FAL_WORLD_TASK_COUNT
} fal_world_task;

typedef struct fal_world_task_row {
    const char *name, *meaning;
    double
        chance; /* the share of right answers of one who guesses among what the document offers */
} fal_world_task_row;

const fal_world_task_row *fal_world_task_at(int index); /* NULL past the end */

/* What a token of a document is, for the loss. */
typedef enum fal_world_part {
    FAL_WORLD_PROSE,
    FAL_WORLD_ANSWER
} fal_world_part;

/* A document of exactly n_tokens, the last one FAL_WORLD_END. tokens, parts [n_tokens] out; n_tokens at least 2.
 *
 *   chatter  share of prose, 0 to 1; the rest are facts and questions */
void fal_world_document(uint64_t seed, uint64_t index, double chatter, int n_tokens,
                        int32_t *tokens, uint8_t *parts);

/* One example: a document with a question at its end. What is stated and asked is as hard at every length; only the prose
 * around it grows.
 *
 *   tokens          [n_tokens] out; n_tokens at least FAL_WORLD_SHORTEST
 *   depth           where the asked fact stands: 0 the beginning, 1 the end
 *   *first_answer   index of the answer's first token; the answer ends before the final "." and FAL_WORLD_END
 *   Returns the number of tokens of the answer. */
int fal_world_example(fal_world_task task, uint64_t seed, uint64_t index, double depth,
                      int n_tokens, int32_t *tokens, int *first_answer);

/* The word of a token as text; "?" beyond the vocabulary. */
void fal_world_word(int32_t token, char out[FAL_WORLD_WORD_SIZE]);

#endif
