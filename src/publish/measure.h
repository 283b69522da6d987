/* The numbers of one file: how far it is from the reference, how quick it is, and how much memory it takes. */
#ifndef FAL_PUBLISH_MEASURE_H
#define FAL_PUBLISH_MEASURE_H

#include "eval/eval.h"
#include "publish/set.h"

/* Measures how far the model in the file at path lies from reference.
 *
 *   out       filled
 *   how       n_window, n_windows and n_threads say what to do; what was found out about the reference is filled in
 *   tokens    [n_tokens] of the text
 *   progress  NULL: none
 *   Fails: as fal_model_open and fal_eval_compare. */
fal_status fal_measure_quality(fal_measured *out, fal_measuring *how, fal_model *reference,
                               const char *path, const fal_tokens *tokens,
                               fal_on_progress *progress, void *user, fal_error *err);

/* Something to do, which fills result. */
typedef fal_status fal_task(void *argument, void *result, fal_error *err);

/* Called now and then while another process works; false cancels. */
typedef bool fal_on_wait(void *user);

/* Does task in a process of its own and takes over what it left in result [n_bytes], which is zero before and stays as it
 * is where the task fails. Fails: as task; CANCELLED, IO (the process cannot be, or ends without an answer), MEMORY. */
typedef fal_status fal_run_apart(void *result, size_t n_bytes, fal_task *task, void *argument,
                                 fal_on_wait *on_wait, void *user, fal_error *err);

/* Strings are borrowed. */
typedef struct fal_cost_question {
    const char *path, *text;           /* of the model; of the text whose beginning is read */
    int n_threads, n_prompt, n_answer; /* tokens read at once, then one by one */
    int n_context;                     /* of the session whose memory is measured */
    fal_run_apart *run_apart;          /* NULL: there is no such way, and memory is not measured */
    fal_on_wait *on_wait;              /* NULL: none */
    void *user;
} fal_cost_question;

/* Measures speed, and the most memory that a process holds whose session has all of n_context in use. Where so much
 * memory is not to be had, speed alone is measured.
 * Fails: as fal_model_open, fal_session_feed and run_apart. */
fal_status fal_measure_cost(fal_cost *out, const fal_cost_question *q, fal_error *err);

#endif
