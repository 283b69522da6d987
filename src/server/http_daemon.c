/* Body of http_daemon.h: what libmicrohttpd calls, from the first byte of a request to the end of its exchange. The loop
 * around it is http_loop.c's, the listening socket listening.c's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/random.h"
#include "server/http_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    DRAIN_FACTOR =
        4 /* a body beyond the limit is read, and thrown away, up to so many times the limit */
};

/* ---- connections ---- */

static void open_connection(fal_http *http, struct MHD_Connection *mhd, void **socket_context) {
    fal_connection *c = fal_alloc(1, sizeof *c);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!c || !info) {
        fal_free(c);
        return; /* its first request is refused */
    }
    c->mhd = mhd;
    c->socket = info->connect_fd;
    c->since = fal_seconds();
    c->next = http->connections;
    if (c->next) c->next->previous = c;
    http->connections = c;
    *socket_context = c;
    fal_http_watch(http, c);
    atomic_fetch_add(&http->n_connections, 1);
}

static void close_connection(fal_http *http, fal_connection *c) {
    fal_http_unwatch(http, c);
    if (c->next) c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        http->connections = c->next;
    fal_free(c);
    atomic_fetch_sub(&http->n_connections, 1);
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        open_connection(user, mhd, socket_context);
    else if (*socket_context)
        close_connection(user, *socket_context);
}

/* ---- a request ---- */

static int64_t announced_bytes(const fal_exchange *x) {
    const char *text = fal_exchange_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char *end = NULL;
    errno = 0;
    long long n = text ? strtoll(text, &end, 10) : -1;
    /* What is no number the library refuses by itself. */
    return text && (errno || *end || n < 0) ? INT64_MAX : n;
}

static bool wants_permission(const fal_exchange *x) {
    const char *expect = fal_exchange_header(x, MHD_HTTP_HEADER_EXPECT);
    return expect && strcasecmp(expect, "100-continue") == 0;
}

/* A refused body is read all the same, unless it is long or its client asks first: an answer in the middle of it, followed by
 * a close, would often be lost on the way. */
static bool refuses_at_once(const fal_exchange *x) {
    return wants_permission(x) || x->announced / DRAIN_FACTOR > (int64_t)x->http->limits.body_bytes;
}

static enum MHD_Result count_lengths(void *user, enum MHD_ValueKind kind, const char *name,
                                     const char *value) {
    (void)kind;
    (void)value;
    *(int *)user += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0
                    || strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    return MHD_YES;
}

/* A request that says twice where it ends: a proxy in front may have read it otherwise, so nothing behind it is trusted.
 * Source: RFC 9112, section 6.3. */
static bool is_ambiguous(struct MHD_Connection *mhd) {
    int n = 0;
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_lengths, &n);
    return n > 1;
}

static enum MHD_Result refuse_ambiguous(fal_exchange *x) {
    static const char words[] = "{\"error\":\"the request says more than once how long it is\"}\n";
    fal_exchange_set_header(x, MHD_HTTP_HEADER_CONNECTION, "close");
    fal_exchange_answer_static(x, MHD_HTTP_BAD_REQUEST, "application/json", words,
                               sizeof words - 1);
    return fal_exchange_queue(x);
}

static enum MHD_Result begin_request(fal_http *http, struct MHD_Connection *mhd, const char *method,
                                     const char *path, void **context) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    fal_connection *c = info ? info->socket_context : NULL;
    fal_exchange *x = c ? fal_exchange_open(http, c, method, path) : NULL;
    if (!x) return MHD_NO;
    *context = x;
    x->announced = announced_bytes(x);
    if (is_ambiguous(mhd)) return refuse_ambiguous(x);
    http->calls.begin(http->user, x);
    if (x->response && refuses_at_once(x)) return fal_exchange_queue(x);
    return MHD_YES;
}

/* The body of a refused request is not kept. */
static void answer_refusal(fal_exchange *x, int code) {
    static const char too_long[] = "{\"error\":\"the body is too long\"}\n",
                      no_room[] = "{\"error\":\"there is no memory for more bodies now\"}\n";
    bool is_long = code == MHD_HTTP_CONTENT_TOO_LARGE;
    if (!is_long) fal_exchange_set_header(x, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    fal_exchange_answer_static(x, code, "application/json", is_long ? too_long : no_room,
                               is_long ? sizeof too_long - 1 : sizeof no_room - 1);
    fal_exchange_count(x, 0);
    fal_string_release(&x->body);
}

static enum MHD_Result take_body(fal_exchange *x, const char *data, size_t length) {
    fal_http *http = x->http;
    x->n_received += length;
    if (x->n_received / DRAIN_FACTOR > http->limits.body_bytes) return MHD_NO;
    if (x->response) return MHD_YES;
    if (x->n_received > http->limits.body_bytes) {
        answer_refusal(x, MHD_HTTP_CONTENT_TOO_LARGE);
        return MHD_YES;
    }
    bool has_room = fal_exchange_count(x, x->n_received);
    if (has_room) fal_string_append(&x->body, data, length);
    if (!has_room || x->body.failed) answer_refusal(x, MHD_HTTP_SERVICE_UNAVAILABLE);
    return MHD_YES;
}

/* Called when the request is whole, and again whenever its exchange goes on. */
static enum MHD_Result serve_request(fal_exchange *x) {
    fal_http *http = x->http;
    if (!x->is_served && !x->response) {
        x->is_served = true;
        fal_exchange_count(x, 0);
        http->calls.serve(http->user, x);
        fal_string_release(&x->body);
        if (x->later && x->connection->hung_up > 0) fal_exchange_leave(x);
    }
    if (x->is_left) return MHD_NO;
    if (x->response) return fal_exchange_queue(x);
    if (!x->later) return MHD_NO;
    fal_exchange_suspend(x);
    return MHD_YES;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *length, void **context) {
    fal_exchange *x = *context;
    (void)version;
    if (!x) return begin_request(user, mhd, method, path, context);
    if (!*length) return serve_request(x);
    size_t n = *length;
    *length = 0;
    return take_body(x, data, n);
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode why) {
    fal_http *http = user;
    fal_exchange *x = *context;
    (void)mhd;
    if (!x) return;
    bool is_left = !x->is_out && (x->is_left || why != MHD_REQUEST_TERMINATED_COMPLETED_OK);
    http->calls.end(http->user, x, x->is_queued ? x->code : 0, x->n_answered, is_left);
    *context = NULL;
    fal_exchange_close(x);
}

/* ---- the daemon ---- */

static void set_limits(fal_http_limits *limits) {
    if (!limits->header_bytes) limits->header_bytes = 32 << 10;
    if (!limits->body_bytes) limits->body_bytes = 16 << 20;
    if (!limits->bodies_bytes) limits->bodies_bytes = 256 << 20;
    if (!limits->n_connections) limits->n_connections = 4096;
    if (limits->idle_seconds <= 0) limits->idle_seconds = 60;
    if (limits->body_seconds <= 0) limits->body_seconds = 60;
    if (limits->bodies_bytes < limits->body_bytes) limits->bodies_bytes = limits->body_bytes;
}

static fal_status start_daemon(fal_http *http, const fal_http_options *o, fal_error *err) {
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL}
    };
    if (o->tls_certificate) {
        if (MHD_is_feature_supported(MHD_FEATURE_SSL) != MHD_YES)
            return fal_fail(err, FAL_E_UNSUPPORTED, "this libmicrohttpd was built without TLS");
        flags |= MHD_USE_TLS;
        /* The library takes both as void pointers, and only reads. */
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
                                         (void *)(uintptr_t)o->tls_certificate};
        tls[1] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->tls_key};
        http->is_tls = true;
    }
    const fal_http_limits *limits = &http->limits;
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, http->listening,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->n_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_bytes, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)limits->idle_seconds + 1, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (http->daemon) return FAL_OK;
    if (o->tls_certificate)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "TLS: the certificate and the key are no pair of PEM texts");
    return fal_fail(err, FAL_E_IO, "cannot start libmicrohttpd");
}

static fal_status watch_daemon(fal_http *http, fal_error *err) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event library = {.events = EPOLLIN, .data.ptr = http->daemon};
    struct epoll_event bell = {.events = EPOLLIN, .data.ptr = http};
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    http->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!info || http->epoll < 0 || http->wakeup < 0
        || epoll_ctl(http->epoll, EPOLL_CTL_ADD, info->epoll_fd, &library) != 0
        || epoll_ctl(http->epoll, EPOLL_CTL_ADD, http->wakeup, &bell) != 0)
        return fal_fail_errno(err, "watching", "sockets");
    return FAL_OK;
}

fal_status fal_http_open(fal_http **out, const fal_http_options *o, fal_error *err) {
    fal_status status = FAL_OK;
    *out = NULL;
    fal_http *http = fal_alloc(1, sizeof *http);
    if (!http) return fal_fail_memory(err, sizeof *http);
    http->listening = http->epoll = http->wakeup = -1;
    http->limits = o->limits;
    http->calls = o->calls;
    http->user = o->user;
    set_limits(&http->limits);
    pthread_mutex_init(&http->lock, NULL);
    if (getrandom(&http->id_prefix, sizeof http->id_prefix, 0) != sizeof http->id_prefix)
        http->id_prefix = (uint64_t)getpid();
    FAL_TRY_OUT(fal_listening_open(http, o, err));
    FAL_TRY_OUT(start_daemon(http, o, err));
    FAL_TRY_OUT(watch_daemon(http, err));
    *out = http;
    return FAL_OK;
out:
    fal_http_close(http);
    return status;
}

fal_status fal_http_start(fal_http *http, fal_error *err) {
    errno = pthread_create(&http->thread, NULL, fal_http_loop, http);
    if (errno) return fal_fail_errno(err, "starting", "the socket thread");
    http->has_thread = true;
    return FAL_OK;
}

void fal_http_drain(fal_http *http) {
    atomic_store(&http->is_draining, true);
    fal_http_ring(http);
}

bool fal_http_is_draining(const fal_http *http) {
    return atomic_load(&http->is_draining);
}

int fal_http_n_exchanges(const fal_http *http) {
    return atomic_load(&http->n_exchanges);
}

int fal_http_n_connections(const fal_http *http) {
    return atomic_load(&http->n_connections);
}

double fal_http_processor_seconds(const fal_http *http) {
    return (double)atomic_load(&http->processor_ns) * 1e-9;
}

const fal_http_limits *fal_http_limits_get(const fal_http *http) {
    return &http->limits;
}

int fal_http_port(const fal_http *http) {
    return http->port;
}

void fal_http_close(fal_http *http) {
    if (!http) return;
    if (http->has_thread) {
        atomic_store(&http->is_stopping, true);
        fal_http_ring(http);
        pthread_join(http->thread, NULL);
    }
    if (http->daemon) MHD_stop_daemon(http->daemon);
    fal_listening_close(http);
    if (http->epoll >= 0) close(http->epoll);
    if (http->wakeup >= 0) close(http->wakeup);
    pthread_mutex_destroy(&http->lock);
    fal_free(http);
}
