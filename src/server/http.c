/* Body of http.h: what a handler reads of a request and how it answers. Who calls handlers, and when, is http_daemon.c's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "formats/json_value.h"
#include "server/http_private.h"
#include "server/json_body.h"

#include <stdio.h>
#include <string.h>

/* ---- the request ---- */

const char *fal_exchange_method(const fal_exchange *x) {
    return x->method;
}

const char *fal_exchange_path(const fal_exchange *x) {
    return x->path;
}

const char *fal_exchange_header(const fal_exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->connection->mhd, MHD_HEADER_KIND, name);
}

const char *fal_exchange_query(const fal_exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->connection->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *fal_exchange_body(const fal_exchange *x, size_t *length) {
    *length = x->body.length;
    return x->body.text ? x->body.text : "";
}

const char *fal_exchange_id(const fal_exchange *x) {
    return x->id;
}

double fal_exchange_age(const fal_exchange *x) {
    return fal_seconds() - x->begun;
}

bool fal_exchange_is_left(const fal_exchange *x) {
    return x->is_left;
}

void *fal_exchange_user(const fal_exchange *x) {
    return x->http->user;
}

void fal_exchange_set_route(fal_exchange *x, const void *route) {
    x->route = route;
}

const void *fal_exchange_route(const fal_exchange *x) {
    return x->route;
}

void fal_exchange_set_keyholder(fal_exchange *x, uint64_t keyholder) {
    x->keyholder = keyholder;
}

uint64_t fal_exchange_keyholder(const fal_exchange *x) {
    return x->keyholder;
}

int64_t fal_exchange_announced(const fal_exchange *x) {
    return x->announced;
}

bool fal_exchange_is_answered(const fal_exchange *x) {
    return x->response != NULL;
}

bool fal_exchange_is_waiting(const fal_exchange *x) {
    return x->later != NULL;
}

static void add_pair(fal_pairs *pairs, const char *name, size_t name_length, const char *value,
                     size_t length) {
    fal_pair pair = {fal_copy_string(name, name_length), fal_copy_string(value, length)};
    if (pair.name && pair.value
        && fal_grow((void **)&pairs->items, &pairs->capacity, pairs->count + 1,
                    sizeof *pairs->items)) {
        pairs->items[pairs->count++] = pair;
        return;
    }
    fal_free(pair.name);
    fal_free(pair.value);
}

static const char *find_pair(const fal_pairs *pairs, const char *name) {
    for (size_t i = 0; i < pairs->count; i++)
        if (strcmp(pairs->items[i].name, name) == 0) return pairs->items[i].value;
    return NULL;
}

static void release_pairs(fal_pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        fal_free(pairs->items[i].name);
        fal_free(pairs->items[i].value);
    }
    fal_free(pairs->items);
}

void fal_exchange_add_segment(fal_exchange *x, const char *name, size_t name_length,
                              const char *text, size_t length) {
    add_pair(&x->segments, name, name_length, text, length);
}

const char *fal_exchange_segment(const fal_exchange *x, const char *name) {
    const char *text = find_pair(&x->segments, name);
    return text ? text : "";
}

fal_status fal_exchange_json(const fal_exchange *x, json_t **out, fal_error *err) {
    size_t length = 0;
    const char *text = fal_exchange_body(x, &length);
    return fal_json_body_read(out, text, length, err);
}

/* ---- one answer ---- */

void fal_exchange_set_header(fal_exchange *x, const char *name, const char *value) {
    if (!find_pair(&x->headers, name))
        add_pair(&x->headers, name, strlen(name), value, strlen(value));
}

/* Takes the response for the answer; a second one is dropped. */
static void set_response(fal_exchange *x, int code, const char *type, struct MHD_Response *response,
                         uint64_t n_bytes) {
    if (x->response || !response) {
        if (response) MHD_destroy_response(response);
        return;
    }
    fal_exchange_set_header(x, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    x->response = response;
    x->code = code;
    x->n_answered = n_bytes;
}

void fal_exchange_answer_static(fal_exchange *x, int code, const char *type, const void *body,
                                size_t length) {
    /* The library's prototype lacks a const; it only reads. */
    union {
        const void *in;
        void *out;
    } bytes = {body};

    set_response(x, code, type,
                 MHD_create_response_from_buffer(length, bytes.out, MHD_RESPMEM_PERSISTENT),
                 length);
}

/* Takes body, which fal_alloc or its like gave; NULL: short memory. */
static void answer_taken(fal_exchange *x, int code, const char *type, char *body, size_t length) {
    static const char short_of_memory[] = "{\"error\":\"out of memory\"}\n";
    struct MHD_Response *response =
        body && !x->response
            ? MHD_create_response_from_buffer_with_free_callback(length, body, fal_free)
            : NULL;
    if (response) {
        set_response(x, code, type, response, length);
        return;
    }
    fal_free(body);
    fal_exchange_answer_static(x, 503, "application/json", short_of_memory,
                               sizeof short_of_memory - 1);
}

void fal_exchange_answer(fal_exchange *x, int code, const char *type, const void *body,
                         size_t length) {
    answer_taken(x, code, type, fal_copy_string(length ? body : "", length), length);
}

void fal_exchange_answer_json(fal_exchange *x, int code, json_t *take_body) {
    fal_string_builder text = {0};
    fal_json_write_text(&text, take_body, JSON_COMPACT);
    fal_string_append_text(&text, "\n");
    json_decref(take_body);
    size_t length = text.length;
    answer_taken(x, code, "application/json", text.failed ? NULL : fal_string_take(&text), length);
    fal_string_release(&text);
}

/* A content reader: hands out what was written, or suspends the exchange until there is more. */
static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t size) {
    fal_exchange *x = user;
    (void)position;
    if (x->out.length == x->n_taken && x->was_held_back && x->later && !x->is_ended) {
        x->was_held_back = false;
        x->later->proceed(x->user, x);
    }
    size_t n = x->out.length - x->n_taken;
    if (x->is_left || x->out.failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > size) n = size;
    if (n) {
        memcpy(buffer, x->out.text + x->n_taken, n);
        x->n_taken += n;
        x->n_answered += n;
        if (x->n_taken == x->out.length) {
            fal_string_clear(&x->out);
            x->n_taken = 0;
        }
        return (ssize_t)n;
    }
    /* The library asks again only when all that it had is sent. */
    x->is_out = x->is_ended;
    if (x->is_ended) return MHD_CONTENT_READER_END_OF_STREAM;
    fal_exchange_suspend(x);
    return 0;
}

void fal_exchange_begin_stream(fal_exchange *x, const char *type) {
    enum {
        BLOCK_BYTES = 4096
    };

    if (x->response) return;
    set_response(
        x, 200, type,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, x, NULL), 0);
    if (!x->response) {
        answer_taken(x, 503, type, NULL, 0);
        return;
    }
    x->is_stream = true;
}

void fal_exchange_write(fal_exchange *x, const void *data, size_t length) {
    if (!x->is_stream || x->is_ended || x->is_left) return;
    if (x->n_taken > 0 && x->n_taken >= x->out.length / 2) {
        memmove(x->out.text, x->out.text + x->n_taken, x->out.length - x->n_taken);
        x->out.length -= x->n_taken;
        x->n_taken = 0;
    }
    fal_string_append(&x->out, data, length);
}

void fal_exchange_end_stream(fal_exchange *x) {
    if (x->is_stream) x->is_ended = true;
}

void fal_exchange_break_stream(fal_exchange *x) {
    x->out.failed = true;
}

size_t fal_exchange_backlog(fal_exchange *x) {
    size_t n = x->out.length - x->n_taken;
    if (n > FAL_EXCHANGE_BACKLOG) x->was_held_back = true;
    return n;
}

void fal_exchange_wait(fal_exchange *x, const fal_later *later, void *user) {
    x->later = later;
    x->user = user;
}

bool fal_exchange_count(fal_exchange *x, size_t bytes) {
    fal_http *http = x->http;
    http->bodies_bytes -= x->n_counted;
    x->n_counted = 0;
    if (bytes > http->limits.bodies_bytes - http->bodies_bytes) return false;
    http->bodies_bytes += bytes;
    x->n_counted = bytes;
    return true;
}

void fal_exchange_wake(fal_exchange *x, bool more) {
    fal_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    if (!x->is_woken) {
        x->is_woken = true;
        x->next_woken = NULL;
        *(http->n_woken ? &http->last_woken->next_woken : &http->first_woken) = x;
        http->last_woken = x;
        http->n_woken++;
    }
    bool rings = http->sleeps && !more;
    if (rings) http->sleeps = false;
    pthread_mutex_unlock(&http->lock);
    if (rings) fal_http_ring(http);
}

/* ---- for the daemon ---- */

fal_exchange *fal_exchange_open(fal_http *http, fal_connection *connection, const char *method,
                                const char *path) {
    fal_exchange *x = fal_alloc(1, sizeof *x);
    if (!x) return NULL;
    x->http = http;
    x->connection = connection;
    x->method = method;
    x->path = path;
    x->begun = fal_seconds();
    x->announced = -1;
    snprintf(x->id, sizeof x->id, "%08llx-%llx", (unsigned long long)(http->id_prefix & 0xffffffff),
             (unsigned long long)++http->n_ids);
    connection->exchange = x;
    atomic_fetch_add(&http->n_exchanges, 1);
    return x;
}

void fal_exchange_release_later(fal_exchange *x) {
    const fal_later *later = x->later;
    x->later = NULL;
    if (later) later->release(x->user);
}

/* Nobody wakes x any more; what was rung before is taken off the list. */
static void forget_wakeup(fal_exchange *x) {
    fal_http *http = x->http;
    pthread_mutex_lock(&http->lock);
    fal_exchange *before = NULL;
    for (fal_exchange *at = http->first_woken; x->is_woken && at;
         before = at, at = at->next_woken) {
        if (at != x) continue;
        *(before ? &before->next_woken : &http->first_woken) = x->next_woken;
        if (http->last_woken == x) http->last_woken = before;
        http->n_woken--;
        break;
    }
    pthread_mutex_unlock(&http->lock);
}

void fal_exchange_close(fal_exchange *x) {
    fal_http *http = x->http;
    fal_exchange_release_later(x);
    forget_wakeup(x);
    if (x->response) MHD_destroy_response(x->response);
    fal_exchange_count(x, 0);
    x->connection->exchange = NULL;
    x->connection->since = fal_seconds();
    fal_string_release(&x->body);
    fal_string_release(&x->out);
    release_pairs(&x->segments);
    release_pairs(&x->headers);
    fal_free(x);
    atomic_fetch_sub(&http->n_exchanges, 1);
}

enum MHD_Result fal_exchange_queue(fal_exchange *x) {
    if (x->is_left) return MHD_NO;
    if (x->is_queued) return MHD_YES;
    fal_exchange_set_header(x, "X-Request-Id", x->id);
    if (atomic_load(&x->http->is_draining))
        fal_exchange_set_header(x, MHD_HTTP_HEADER_CONNECTION, "close");
    for (size_t i = 0; i < x->headers.count; i++)
        if (MHD_add_response_header(x->response, x->headers.items[i].name,
                                    x->headers.items[i].value)
            != MHD_YES)
            return MHD_NO;
    x->is_queued = true;
    return MHD_queue_response(x->connection->mhd, (unsigned)x->code, x->response);
}

void fal_exchange_suspend(fal_exchange *x) {
    if (x->is_suspended) return;
    x->is_suspended = true;
    MHD_suspend_connection(x->connection->mhd);
}

void fal_exchange_go_on(fal_exchange *x) {
    bool has_news = x->is_left || (x->response && !x->is_queued) || x->is_ended || x->out.failed
                    || x->out.length > x->n_taken;
    if (!x->is_suspended || !has_news) return;
    x->is_suspended = false;
    MHD_resume_connection(x->connection->mhd);
}
