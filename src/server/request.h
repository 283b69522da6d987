/* What a client asks for, read from JSON by the rows of request_fields.def: wrong types and values out of bounds are
 * refused by name. All dialects end in the same struct; what it means for a job is job_request.h's. */
#ifndef FAL_SERVER_REQUEST_H
#define FAL_SERVER_REQUEST_H

#include <falconer/sampling.h>

#include "base/fail.h"

#include <jansson.h>

/* Kinds of bodies; each is a bit, so that a field can stand in several. */
enum {
#define FAL_BODY(name, schema, is_tolerant, meaning) FAL_BODY_INDEX_##name,
#include "server/request_bodies.def"
#undef FAL_BODY
    FAL_BODY_COUNT_OF_KINDS
};

typedef enum fal_body {
#define FAL_BODY(name, schema, is_tolerant, meaning) FAL_BODY_##name = 1 << FAL_BODY_INDEX_##name,
#include "server/request_bodies.def"
#undef FAL_BODY
} fal_body;

/* Zero: not given. */
typedef enum fal_flag {
    FAL_UNSAID,
    FAL_NO,
    FAL_YES
} fal_flag;

typedef struct fal_whole {
    bool is_given;
    int64_t value;
} fal_whole;

typedef struct fal_number {
    bool is_given;
    double value;
} fal_number;

/* NULL-terminated once a word was given; array and words are owned. */
typedef struct fal_words {
    char **items;
    size_t count, capacity;
} fal_words;

/* Zero-initialise. JSON values and texts are borrowed from body; NULL: not given. */
typedef struct fal_request {
    json_t *body;      /* owned */
    char offender[80]; /* the field that was refused, for answers that name it; "" if none */
    size_t n_too_long, n_context; /* tokens of a prompt that does not fit; 0: it does */
    const char *model, *inputs, *text, *content, *truncation, *grammar, *encoding;
    json_t *messages, *system, *prompt, *parameters, *tokens, *biases, *response_format, *schema,
        *stream_options, *ignored;
    fal_number temperature, top_p, min_p, typical_p, repetition_penalty, presence_penalty,
        frequency_penalty;
    fal_whole max_tokens, max_length, top_k, seed, n, best_of, n_top, truncate, dimensions;
    fal_flag stream, echo, full_text, do_sample, logprobs, details, prefill, ignores_end, adds_bos,
        with_pieces, parse_special, opens_answer, continues;
    fal_words stop;
} fal_request;

/* Reads a body of the given kind. Release r in any case.
 *
 *   body   a JSON object; taken, whatever comes of it
 *   Fails: ARGUMENT (a field, named, with its value and bound), MEMORY. */
fal_status fal_request_read(fal_request *r, fal_body kind, json_t *take_body, fal_error *err);
/* The same for an object that is part of r->body. */
fal_status fal_request_read_object(fal_request *r, fal_body kind, json_t *object, fal_error *err);
/* Lets the body go, and all that is borrowed from it. */
void fal_request_drop_body(fal_request *r);
void fal_request_release(fal_request *r);

/* ARGUMENT, keeping the field's name for answers that tell it. */
__attribute__((format(printf, 4, 5))) fal_status fal_request_refuse(fal_request *r,
                                                                    const char *field,
                                                                    fal_error *err,
                                                                    const char *format, ...);

/* The JSON schema of a kind of body, made of its rows; owned. NULL: memory is short. */
json_t *fal_request_schema(int body_index);
/* Its name in the document. */
const char *fal_request_schema_name(int body_index);

#endif
