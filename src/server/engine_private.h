/* The engine from inside: what its files share. */
#ifndef FAL_SERVER_ENGINE_PRIVATE_H
#define FAL_SERVER_ENGINE_PRIVATE_H

#include "server/engine.h"
#include "server/job_private.h"

/* A list of jobs in the order of their arrival, linked by next. */
typedef struct fal_job_list {
    fal_job *first;
    fal_job **end; /* where the next one goes; meaningless while it is empty */
} fal_job_list;

struct fal_engine {
    fal_model *model;
    fal_engine_options how; /* defaults resolved */
    char *kv_type;          /* what how.kv_type points to */
    size_t n_context, n_vocab, d_model, longest_token;
    bool shares; /* what one prompt's timeline holds may serve another */
    pthread_t thread;
    bool has_thread;

    /* The computing thread's. */
    fal_batch *batch;
    fal_shelf *shelf; /* NULL: nothing outlasts an answer */
    fal_places *places;
    fal_job_list waiting;      /* jobs of which an answer has no place yet */
    fal_job_list running;      /* jobs all whose answers have had a place */
    fal_batch_part *parts;     /* [n_parallel] of the step at hand */
    fal_job_answer **partners; /* [n_parallel] whose parts these are */
    fal_job **told;            /* [n_parallel] whose consumers are to know */
    fal_job_answer **feeding;  /* [n_parallel] whose prompts are under way */
    fal_job_answer **drawing;  /* [n_parallel] who draw */
    size_t turn;               /* which of them comes first */
    size_t first_part;         /* of them that are being computed */
    double walk_began_at;      /* when answers last began to go on by themselves */
    double seconds_per_token;  /* measured; 0: not yet */

    /* Protects what follows; held for a few instructions only, never across a callback. */
    pthread_mutex_t lock;
    pthread_cond_t work;  /* the computing thread has a reason to look */
    pthread_cond_t ended; /* a job has ended */
    fal_job_list arrived;
    size_t n_jobs;     /* that have not ended */
    size_t n_unplaced; /* of them, those that no place was found for */
    bool is_woken, is_refusing, is_closing;
    double woken_at;
    bool is_asleep;      /* nothing is to be done */
    double last_sign_at; /* of life */
    fal_engine_state
        state; /* counters and sizes; what depends on the time is filled when asked for */
};

/* Adds a job that is ready. Fails: BUSY, CANCELLED. Any thread. */
fal_status fal_engine_enqueue(fal_engine *e, fal_job *job, fal_error *err);

/* Makes the computing thread look at what has changed. Any thread. */
void fal_engine_wake(fal_engine *e);

/* ---- lists ---- */

/* At the end; and from wherever it stands, if it is in this list. */
void fal_job_list_add(fal_job_list *list, fal_job *job);
void fal_job_list_remove(fal_job_list *list, fal_job *job);

/* ---- the computing thread (round.c) ---- */

/* Ends what is cancelled or late, gives places to answers, computes a step, hands out what was drawn. False: there was
 * nothing to compute. */
bool fal_engine_round(fal_engine *e);

/* Lets everybody see how places and shelf stand. */
void fal_engine_publish(fal_engine *e);

/* Ends a job with all of its answers; it may be gone afterwards. failure NULL: all went well. */
void fal_engine_end_job(fal_engine *e, fal_job *job, const fal_error *failure);

/* An answer needs no more computing: its place becomes idle. */
void fal_engine_leave_place(fal_engine *e, fal_job_answer *a);

/* Whether the job waits for its consumer; notes since when. */
bool fal_job_pauses(fal_job *job, double now);

/* ---- one step (step.c) ---- */

/* Ends the answers of a job whose prompt is computed as they are, as if they had their most tokens; then the job, which may
 * be gone afterwards. */
void fal_engine_cut_job(fal_engine *e, fal_job *job);

/* Computes a step for all answers that have a place and do not pause, and hands out what was drawn; more of them, for a
 * while, where nothing else is to be done. Ends jobs that are over or fail. False: there was nothing to compute. */
bool fal_engine_step(fal_engine *e, double now);

#endif
