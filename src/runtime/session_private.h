/* What a session is inside, for this folder's own files. */
#ifndef FAL_RUNTIME_SESSION_PRIVATE_H
#define FAL_RUNTIME_SESSION_PRIVATE_H

#include "model/forward.h"
#include "runtime/batch.h"
#include "runtime/saved_timeline.h"

struct fal_session {
    fal_model *model;
    fal_batch *batch; /* where it is computed */
    bool owns_batch;
    fal_cache cache;
    size_t cache_bytes; /* of the keys, and of the values */
    int32_t *tokens;    /* [n_context] */
    size_t count;
    size_t n_expected; /* dynamic methods count on at least so many tokens */
    double *frequency; /* [head_dim / 2], of the step at hand */
    double gain;
    float *logits; /* [n_vocab] */
    bool has_logits;
    float *step_logits;       /* [STEP_WITH_LOGITS, n_vocab], made when first needed */
    fal_timeline_facts facts; /* for files; made when first needed */
    bool has_facts;
    fal_on_progress *on_progress;
    void *progress_user;
};

/* Whether tokens may be appended. Fails: ARGUMENT (an id outside the vocabulary), LIMIT (the context is full). */
fal_status fal_session_check_tokens(const fal_session *s, const int32_t *tokens, size_t count,
                                    fal_error *err);

fal_model *fal_batch_model(const fal_batch *b);
/* Where the batch's operations are called. */
fal_queue *fal_batch_queue(fal_batch *b);

#endif
