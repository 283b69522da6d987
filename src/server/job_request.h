/* From what a request says to the options of a job. */
#ifndef FAL_SERVER_JOB_REQUEST_H
#define FAL_SERVER_JOB_REQUEST_H

#include <falconer/model.h>

#include "server/job.h"
#include "server/request.h"
#include "text/grammar.h"

/* How a dialect draws where a request is silent. */
typedef enum fal_draw_default {
    FAL_DRAWS,         /* temperature 1 */
    FAL_DRAWS_IF_ASKED /* the most probable token, unless anything about sampling is said */
} fal_draw_default;

/* What jobs are made of. Zero-initialise; release. */
typedef struct fal_job_request {
    fal_job_options
        options; /* all but prompt, events and release; borrows from the rest and from the request */
    fal_grammar *grammar;   /* owned; NULL: none */
    const char **stop;      /* owned array */
    fal_token_bias *biases; /* owned */
    int n_answers, n_told;  /* drawn, and told, of each prompt */
} fal_job_request;

/* Reads what r says of drawing, lengths and forms.
 *
 *   own_stop  words at which answers end anyway; NULL: none
 *   Fails: ARGUMENT (a field, named), UNSUPPORTED (a schema), MEMORY. */
fal_status fal_job_request_read(fal_job_request *out, fal_request *r, const fal_model *model,
                                fal_draw_default draws, const char *const *own_stop,
                                fal_error *err);
void fal_job_request_release(fal_job_request *j);

#endif
