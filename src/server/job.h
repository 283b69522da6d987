/* One request for answers: started at an engine, followed by its events, taken by one consumer thread. */
#ifndef FAL_SERVER_JOB_H
#define FAL_SERVER_JOB_H

#include <falconer/generate.h>

typedef struct fal_engine fal_engine;
typedef struct fal_grammar fal_grammar;
typedef struct fal_job fal_job;

enum {
    FAL_JOB_MAX_ANSWERS = 128,
    FAL_JOB_MAX_TOP = 64
};

/* Zero means default. Arrays and words are copied. */
typedef struct fal_job_options {
    const int32_t *prompt; /* [n_prompt], at least one */
    size_t n_prompt;
    int n_answers; /* 0: one; they share the prompt's computation. Answer i draws from stream i */
    fal_sampling sampling;
    int max_new_tokens;      /* of each answer; 0: until something else ends it */
    const char *const *stop; /* NULL-terminated list of words; NULL: none */
    bool ignore_end, penalise_prompt, show_control; /* as in fal_generate_options */
    const fal_grammar *grammar;   /* NULL: anything may be said; the job holds it, too */
    bool wants_log_probabilities; /* of the tokens drawn */
    int n_top;                    /* most probable tokens told beside each of these; 0: none */
    bool wants_prompt_log_probabilities; /* of the prompt's tokens, and n_top beside them */
    bool wants_embedding;                /* of the prompt; no answer is drawn */
    bool wants_no_answer;                /* only what the prompt tells; no answer is drawn */
    bool
        truncate; /* a prompt too long loses its beginning, so that an answer has room; else it is refused */
    /* For whom it is computed: what was computed for one keyholder serves no other, so that nobody learns from it what
     * somebody else asked. 0: nobody in particular */
    uint64_t keyholder;
    /* From the start on; then answers end as they are (FAL_FINISH_LENGTH). Fails (CANCELLED) if nothing was drawn. 0: no bound */
    double max_seconds;
    /* Called on a computing thread when events begin to wait; must only wake somebody. more: the on_event of another job,
     * the same function, is called right after, and may wake for both. It may come before fal_job_start has returned (*out
     * is set already), and never after fal_job_release has. NULL: the consumer asks. */
    void (*on_event)(void *user, bool more);
    void *user;
} fal_job_options;

/* Puts a job into the queue.
 *
 *   out    released by the caller (fal_job_release); NULL on failure
 *   Fails: ARGUMENT (an option, a token), LIMIT (the prompt is longer than the context; both lengths are named), BUSY (the
 *          queue is full), CANCELLED (the engine is draining), MEMORY. Any thread. */
FAL_MUST_CHECK fal_status fal_job_start(fal_job **out, fal_engine *e, const fal_job_options *o,
                                        fal_error *err);

typedef enum fal_job_event_kind {
    FAL_JOB_PROMPT, /* the prompt is computed: n_prompt, n_cached, n_dropped, and log-probabilities if wanted */
    FAL_JOB_PIECE,     /* of one answer: text, token, log_probability, tops */
    FAL_JOB_FINISH,    /* of one answer: finish, stop_word, n_tokens */
    FAL_JOB_EMBEDDING, /* embedding */
    FAL_JOB_FAILED,    /* the last event: failure; answers without their FINISH will get none */
    FAL_JOB_DONE       /* the last event: all went well */
} fal_job_event_kind;

/* One event. What does not belong to its kind is zero. Text and tops of a PIECE are
 * borrowed until the next take, other pointers until the job is released. */
typedef struct fal_job_event {
    fal_job_event_kind kind;
    int answer; /* 0 ... n_answers - 1 */
    double at;  /* fal_seconds, when it happened */
    /* PIECE: as fal_piece; with token -1 it is what was held back until the end. */
    const char *text;
    size_t length;
    int32_t token;
    double log_probability;
    double since; /* fal_seconds, when the step began that it is from */
    /* PIECE: [n_top] the most probable tokens, best first. PROMPT: [n_prompt, n_top], of row 0 nothing is known. */
    size_t n_top;
    const int32_t *top_ids;
    const double *top_values;
    /* PROMPT */
    size_t n_prompt;       /* tokens that stand */
    size_t n_cached;       /* of them, how many were computed for somebody before */
    size_t n_dropped;      /* tokens lost at the beginning (truncate) */
    double queue_seconds;  /* that it waited for its place */
    const int32_t *prompt; /* [n_prompt] */
    const double *prompt_log_probabilities; /* [n_prompt], the first is 0; NULL: not wanted */
    /* FINISH */
    fal_finish finish;
    const char *stop_word;
    size_t n_tokens; /* drawn, an end token included */
    /* EMBEDDING: [d_model] the mean over the prompt's tokens of the final norm's output; its length is not 1. */
    const float *embedding;
    size_t d_model;
    const fal_error *failure; /* FAILED */
} fal_job_event;

/* The next event; false: none waits. An answer pauses while more than some 64 KiB of its job's events wait. One consumer
 * thread at a time. */
bool fal_job_take(fal_job *job, fal_job_event *out);

/* Ends the job within one step; it fails with CANCELLED unless it is over already. Any thread. */
void fal_job_cancel(fal_job *job);

/* Cancels what still runs, and gives the job up. NULL is fine. Waits for an on_event under way, those of jobs that are told
 * together with it, too: hold no lock that any on_event takes. May be called inside the job's own on_event, not inside that
 * of another. Jobs may outlive their engine. */
void fal_job_release(fal_job *job);

#endif
