/* A request for answers on its way: its prompts, each a job; what the jobs' events have told so far. The form of a dialect
 * says how that looks. Lives on the socket thread. */
#ifndef FAL_SERVER_ANSWERS_H
#define FAL_SERVER_ANSWERS_H

#include "base/string_builder.h"
#include "server/job_request.h"
#include "server/server.h"

typedef struct fal_answers fal_answers;

/* Tokens, and what is told of them. Borrowed. */
typedef struct fal_told {
    size_t count;
    const int32_t *ids;              /* [count] */
    const double *log_probabilities; /* [count] */
    bool lacks_first;                /* of token 0 nothing is known: a prompt's */
    size_t n_top;
    const int32_t *top_ids; /* [count, n_top], best first */
    const double *top_values;
} fal_told;

/* One answer to one prompt. */
typedef struct fal_choice {
    size_t asked;                  /* index of its prompt */
    int index;                     /* in what the client sees */
    fal_string_builder text, held; /* held: what a form has not written yet */
    fal_told told;                 /* without a flush; points to the arrays below */
    int32_t *ids, *top_ids;
    double *log_probabilities, *top_values;
    size_t room_ids, room_log_probabilities, room_top_ids, room_top_values;
    double sum;          /* of log-probabilities */
    size_t n_characters; /* of the text that was told before, for offsets */
    bool is_finished;
    fal_finish finish;
    const char *stop_word; /* borrowed until the jobs are released; NULL: none */
    size_t n_tokens;
} fal_choice;

/* One prompt. */
typedef struct fal_asked {
    fal_tokens tokens;
    fal_string_builder text; /* what stands in front of an answer that repeats the prompt */
    size_t n_bytes;          /* of that as the client sent it */
    size_t n_cut;            /* tokens that were cut off its beginning, as the client said */
    fal_job *job;            /* NULL: not yet started */
    fal_told told;           /* once it is computed: those that stand */
    size_t n_cached, n_dropped;
    const float *embedding;
    size_t d_model;
    bool is_done;
} fal_asked;

/* How a dialect asks and tells. Functions that are not needed may be NULL. */
typedef struct fal_answer_form {
    const char *id_prefix; /* "chatcmpl-" */
    /* Reads the body (fal_answers_read), asks (fal_answers_ask), completes job.options. Afterwards the request's JSON is
     * gone, and what is borrowed from it. */
    fal_status (*prepare)(fal_answers *a, fal_error *err);
    /* Of a stream: its beginning (the prompt is computed), a piece, the end of an answer, the end of all, a failure. */
    void (*begin)(fal_answers *a, const fal_asked *asked);
    void (*piece)(fal_answers *a, fal_choice *c, const fal_job_event *e);
    void (*finish)(fal_answers *a, fal_choice *c);
    void (*end)(fal_answers *a);
    void (*fail)(fal_answers *a, const fal_error *why);
    /* All at once; owned by the caller. May set headers. */
    json_t *(*whole)(fal_answers *a);
    /* The field that has the beginning of a prompt cut off which is too long, and what it does; NULL: there is none. */
    const char *cut_advice;
} fal_answer_form;

struct fal_answers {
    const fal_answer_form *form;
    fal_server *server;
    fal_exchange *x;
    const fal_server_model *model;
    const fal_tokenizer *tokenizer;
    fal_request request;
    fal_job_request job;
    bool is_stream, keeps_tokens; /* keeps_tokens: choices remember their tokens */
    bool tells_usage;             /* at the end of a stream, in the OpenAI dialect */
    bool tells_base64;            /* embeddings */
    bool tells_nothing_drawn;     /* only the prompts are told of */
    char id[80];
    int64_t created; /* seconds since 1970 */
    /* fal_seconds; 0: not yet. What is computed is told by the engine's clock: when its events were taken says little. */
    double started, jobs_started;
    double prompts_ready, ended; /* the last prompt, the last event */
    double drawing;              /* the step that drew the first token began */
    double queue_seconds;        /* the longest wait of a job for its place */
    fal_asked *asked;
    size_t n_asked, room_asked, n_started, n_done;
    fal_choice *choices; /* [n_asked, job.n_answers] */
    size_t n_choices;
    fal_error failure; /* status FAL_E_OK: none */
    bool is_over;
};

/* Serves one exchange by a form: what a handler returns. */
fal_status fal_answers_serve(const fal_answer_form *form, fal_server *server, fal_exchange *x,
                             fal_error *err);

/* ---- for prepare ---- */

/* Reads the exchange's body into a->request and finds the model; names that are none are refused if is_strict. */
fal_status fal_answers_read(fal_answers *a, fal_body kind, bool is_strict, fal_error *err);

/* The model that r names; absent, empty, "tgi" and addresses mean the first, and any other unknown name, too, unless
 * is_strict. Fails: NOT_FOUND. */
fal_status fal_answers_model(fal_server *server, fal_request *r, bool is_strict,
                             const fal_server_model **out, fal_error *err);

/* Before a prompt's text [n_bytes] is tokenized, which takes long if it is: LIMIT where it cannot fit, unless the client has
 * it cut. After fal_job_request_read. */
fal_status fal_answers_check_bytes(fal_answers *a, const char *field, size_t n_bytes,
                                   fal_error *err);
/* The same of the request's messages. knows_roles, and how else it fails: fal_request_render. */
fal_status fal_answers_check_messages(fal_answers *a, bool knows_roles, fal_error *err);

/* Adds a prompt; tokens and text are taken, whatever comes of it. An empty prompt becomes the bos token.
 * Fails: ARGUMENT, LIMIT (longer than the context: both lengths are named), MEMORY. */
fal_status fal_answers_ask(fal_answers *a, const char *field, fal_tokens *take_tokens,
                           fal_string_builder *take_text, fal_error *err);

/* ---- for telling ---- */

/* Tokens of all prompts and of all answers that were drawn. */
size_t fal_answers_n_prompt(const fal_answers *a);
size_t fal_answers_n_cached(const fal_answers *a);
size_t fal_answers_n_dropped(const fal_answers *a);
size_t fal_answers_n_drawn(const fal_answers *a);

/* The answers to a prompt, best first: fills best [job.n_answers] with them. */
void fal_answers_rank(fal_answers *a, size_t asked, fal_choice **best);

/* Row i of told as a told of its own. */
fal_told fal_told_at(const fal_told *told, size_t i);
/* A piece's token. */
fal_told fal_told_of_event(const fal_job_event *e);

/* The HTTP code of an answer that ends with this status. */
int fal_answer_code(fal_status status);

/* Answers an error in the dialect of the exchange's route, with what machines want to know of it: the field, both lengths of
 * a prompt that is too long. r may be NULL. */
void fal_answer_error(fal_exchange *x, const fal_request *r, const fal_error *err);

#endif
