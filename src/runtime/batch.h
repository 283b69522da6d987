/* Steps over several timelines at once, each with any number of tokens: chunks of prompts beside the single tokens of
 * running answers. One pass over the weights serves them all; the results are those of feeding each session alone, bit
 * for bit, whatever the parts and their neighbours. */
#ifndef FAL_RUNTIME_BATCH_H
#define FAL_RUNTIME_BATCH_H

#include <falconer/session.h>

/* Working memory that the steps of many sessions share. Belongs to one thread at a time, as do all sessions on it. */
typedef struct fal_batch fal_batch;

/* What one session gets in a step. */
typedef struct fal_batch_part {
    fal_session *session;  /* each at most once in a step */
    const int32_t *tokens; /* [count], appended to its timeline */
    size_t count;          /* at least 1 */
    /* Tokens of the same feed that later steps will bring. Dynamic context methods choose their frequencies for the
     * length after the whole feed, so a prompt that comes in chunks says here what is still to come, and then the chunks
     * change nothing. Without meaning for other methods. */
    size_t n_following;
    bool wants_logits; /* of the last token: fal_session_logits afterwards; else there are none */
    float *all_logits; /* NULL, or room for [count, n_vocab]: the logits after each of the tokens */
    float *hidden; /* NULL, or room for [count, d_model]: the final norm's output at each token */
} fal_batch_part;

/* max_tokens: of one step, the sum over its parts; 1 to 65536. The model must outlive the batch.
 * Fails: ARGUMENT, MEMORY. */
fal_status fal_batch_open(fal_batch **out, fal_model *model, int max_tokens, fal_error *err);
/* After the sessions that were opened on it. NULL is fine. */
void fal_batch_close(fal_batch *b);
int fal_batch_max_tokens(const fal_batch *b);

/* What becomes of parts as soon as they are computed, on the threads that computed them: parts of a small model need not
 * wait for each other then. */
typedef struct fal_batch_follower {
    /* Work that belongs to one part, given by its index; other parts' may be under way. */
    void (*each)(void *user, size_t part);
    /* After each of parts [begin, end), which were computed together; others' may be under way. True: they may go on, each
     * with what its `tokens` now point to, as if in another step. They do until any of the step's parts may not. */
    bool (*all)(void *user, size_t begin, size_t end);
    void *user;
} fal_batch_follower;

/* follower NULL: nothing follows.
 * Fails: ARGUMENT (an id outside the vocabulary, a session twice or of another model, a part without tokens), LIMIT (a
 * context is full, more than max_tokens), MEMORY; then the timelines are as they were of those parts that a
 * follower was not called for. No parts: nothing to do. */
fal_status fal_batch_step(fal_batch *b, const fal_batch_part *parts, size_t n_parts,
                          const fal_batch_follower *follower, fal_error *err);

/* A session without working memory of its own: besides its cells it costs its logits and tokens. feed, sync and the rest
 * compute it in the batch's memory. options->n_batch is ignored. Fails as fal_session_open. */
fal_status fal_batch_session_open(fal_session **out, fal_batch *b,
                                  const fal_session_options *options, fal_error *err);

#endif
