/* One request and its answer, as handlers see them. An exchange lives on the socket thread: every function here is for
 * that thread, but for fal_exchange_wake. Strings that are handed out are borrowed until the exchange is over. */
#ifndef FAL_SERVER_HTTP_H
#define FAL_SERVER_HTTP_H

#include "base/fail.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fal_exchange fal_exchange;

/* ---- the request ---- */

const char *fal_exchange_method(const fal_exchange *x);
/* Decoded, without the query; terminated. */
const char *fal_exchange_path(const fal_exchange *x);
/* NULL: not sent. Names of headers are compared without case. */
const char *fal_exchange_header(const fal_exchange *x, const char *name);
const char *fal_exchange_query(const fal_exchange *x, const char *name);
/* What stands in the path where the route has "{name}" or "{name...}"; "" for a name that the route does not have. */
const char *fal_exchange_segment(const fal_exchange *x, const char *name);
/* Whole, with a zero behind it; its length is within the limit. Gone when the handler has returned. */
const char *fal_exchange_body(const fal_exchange *x, size_t *length);
/* The body as a JSON object. *out is owned by the caller. Fails: ARGUMENT (no JSON, with its line; no object; a text with a
 * zero byte in it; deeper than 128; of so many values that they take more than 128 MiB), MEMORY. */
fal_status fal_exchange_json(const fal_exchange *x, json_t **out, fal_error *err);
/* Which request this is, in the log and in the header x-request-id. */
const char *fal_exchange_id(const fal_exchange *x);
/* Whose key it shows, as a number (keys.h); 0: none is asked for. */
uint64_t fal_exchange_keyholder(const fal_exchange *x);
/* Seconds since its headers were there. */
double fal_exchange_age(const fal_exchange *x);
/* The client has left, or the server stops: whatever is written now reaches nobody. */
bool fal_exchange_is_left(const fal_exchange *x);

/* ---- one answer ---- */

/* Before the answer or the stream begins. Both are copied; the first of several values under one name holds. */
void fal_exchange_set_header(fal_exchange *x, const char *name, const char *value);
/* Copies body [length bytes]. A second answer is ignored, as is one after fal_exchange_begin_stream. */
void fal_exchange_answer(fal_exchange *x, int code, const char *type, const void *body,
                         size_t length);
/* As fal_exchange_answer, without a copy: body stays as it is for ever. */
void fal_exchange_answer_static(fal_exchange *x, int code, const char *type, const void *body,
                                size_t length);
/* body is taken; NULL, where memory was short, becomes a 503. */
void fal_exchange_answer_json(fal_exchange *x, int code, json_t *take_body);
/* Code 200, in chunks. */
void fal_exchange_begin_stream(fal_exchange *x, const char *type);
void fal_exchange_write(fal_exchange *x, const void *data, size_t length);
void fal_exchange_end_stream(fal_exchange *x);
/* Ends it so that the client sees that it is not whole. */
void fal_exchange_break_stream(fal_exchange *x);
/* Bytes written that the client has not taken: whoever writes a long stream stops while this is over
 * FAL_EXCHANGE_BACKLOG, and is called again (proceed) when the client has taken them. */
size_t fal_exchange_backlog(fal_exchange *x);

enum {
    FAL_EXCHANGE_BACKLOG = 65536
};

/* ---- an answer that comes later ---- */

typedef struct fal_later {
    /* After each fal_exchange_wake, and when a backlog was taken. Answers, writes, or waits for the next call. */
    void (*proceed)(void *user, fal_exchange *x);
    /* The exchange is over or its client has left. Called exactly once; cancels what still runs. When it returns, nobody
     * wakes the exchange any more. */
    void (*release)(void *user);
} fal_later;

/* A handler that cannot answer at once says so; then it returns FAL_OK. later is static, user stays with the caller until
 * release. */
void fal_exchange_wait(fal_exchange *x, const fal_later *later, void *user);

/* Counts what is kept of the request until the exchange is over among the bodies, which have a bound together. The body
 * itself counts no more once the handler is called. False: there is no room; nothing is counted. */
bool fal_exchange_count(fal_exchange *x, size_t bytes);

/* From any thread: something is ready. Many calls before the socket thread comes to it are one. more: another call for an
 * exchange of the same server follows at once, and that one will do to wake the thread. */
void fal_exchange_wake(fal_exchange *x, bool more);

#endif
