/* A job from inside: what its owner's thread and those that compute share, and what is the latter's alone. */
#ifndef FAL_SERVER_JOB_PRIVATE_H
#define FAL_SERVER_JOB_PRIVATE_H

#include "runtime/answer.h"
#include "server/job.h"
#include "server/places.h"

#include <pthread.h>
#include <stdatomic.h>

/* One answer of a job; the computing thread's, and within a step that of the thread that computes it. */
typedef struct fal_job_answer {
    fal_job *job;
    int index;
    bool is_over;
    fal_place *place; /* where it is computed; NULL: it waits, or is over */
    fal_generate_options how;
    fal_answer *answer; /* NULL before it has a place */
    /* What its timeline holds before the next draw but the pending token: the prompt; of one that had to give its place
     * away, also what was drawn. */
    const int32_t *feed;  /* [n_feed] */
    size_t n_feed, n_fed; /* of these, so many are computed */
    int32_t *parked;      /* what feed points to if it is not the prompt; or NULL */
    int32_t pending;      /* drawn and not computed yet; -1: none */
    /* Of the step at hand. */
    bool is_computed, is_drawn; /* is_drawn: a token that is still to be told */
    fal_piece drawn;
    fal_status draw_status;
    fal_error draw_failure;
    double step_began_at;
    double last_at; /* when its last token was drawn; 0: none was */
} fal_job_answer;

/* Records of events, one behind the other; grows to the most that waits. */
typedef struct fal_job_records {
    char *bytes;
    size_t length, capacity;
} fal_job_records;

enum {
    FAL_JOB_ROWS = 32 /* most tokens of a prompt in one step when each of them is looked at */
};

struct fal_job {
    /* Constant from the start on. */
    fal_engine *engine;
    fal_job_options how; /* prompt and stop point to copies */
    int32_t *prompt;     /* [n_prompt] */
    size_t n_prompt, n_dropped;
    char *stop_text;        /* the words, each terminated */
    const char **stop;      /* into them */
    fal_token_bias *biases; /* [how.sampling.n_biases] or NULL */
    int n_answers;          /* at least one: the first computes the prompt */
    double started_at, queue_seconds;

    /* The computing thread's. */
    fal_job *next;           /* in the list that it stands in */
    fal_job_answer *answers; /* [n_answers], at least one: the first one computes the prompt */
    int n_placed, n_over;    /* answers that hold a place; answers that are over */
    bool is_admitted, is_prompt_done;
    bool is_fetching, has_fetched; /* a timeline from disk */
    size_t n_cached;
    float *
        rows; /* of one step: logits [FAL_JOB_ROWS, n_vocab] or hidden states [FAL_JOB_ROWS, d_model]; or NULL */
    double *hidden_sum;               /* [d_model] or NULL */
    double paused_at;                 /* 0: it is not paused */
    double *prompt_log_probabilities; /* [n_prompt] or NULL */
    double *prompt_top_values;        /* [n_prompt, n_top] or NULL */
    int32_t *prompt_top_ids;
    float *embedding; /* [d_model] or NULL */

    atomic_bool is_cancelled; /* a wish; relaxed, since nothing else is told by it */

    /* Protects what follows. A computing thread never holds it across a callback, and takes no other lock inside. */
    pthread_mutex_t events_lock;
    pthread_cond_t called_back;
    fal_job_records written,
        taken;     /* those that compute append to one, the consumer reads the other */
    size_t n_read; /* bytes of `taken` */
    fal_error failure;
    double ended_at;
    bool has_news; /* something was put and not told since */
    bool is_over, is_last_taken;
    bool is_told;        /* on_event was called and not everything was taken since */
    bool is_calling;     /* on_event is under way or about to be, on `caller` */
    bool calls_again;    /* meanwhile there was more to tell */
    bool is_silent;      /* on_event is not called any more */
    bool is_released;    /* by the owner */
    bool is_unattached;  /* by the engine, whose last touch this is */
    bool waits_for_room; /* the engine wants to know when events were taken */
    pthread_t caller;
};

/* ---- for the computing thread ---- */

/* Appends an event; text, token, tops and pointers as in fal_job_event. Fails: MEMORY. Any of the threads that compute, as
 * fal_job_is_full and fal_jobs_tell. */
fal_status fal_job_put(fal_job *job, const fal_job_event *event, fal_error *err);

/* Whether so many events wait that the job has to pause. True also asks for a wake-up of the engine when some are taken. */
bool fal_job_is_full(fal_job *job);

/* Calls on_event of those jobs, any of them several times, that have news and whose consumer does not know yet that events
 * wait. */
void fal_jobs_tell(fal_job *const *jobs, size_t n);

/* Whether each token of the prompt is looked at, so that all of it has to be computed. */
static inline bool fal_job_looks_at_prompt(const fal_job *job) {
    return job->how.wants_embedding || job->how.wants_prompt_log_probabilities;
}

/* Whether nothing is drawn. */
static inline bool fal_job_has_no_answer(const fal_job *job) {
    return job->how.wants_embedding || job->how.wants_no_answer;
}

/* The last event: status OK or why it failed. Gives the job up: it may be gone afterwards. */
void fal_job_end(fal_job *job, fal_status status, const fal_error *failure);

#endif
