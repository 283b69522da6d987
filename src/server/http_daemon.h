/* libmicrohttpd behind one face: a listening socket, one thread for all connections, limits and time-outs. What is done
 * with a request is the caller's (router.h). */
#ifndef FAL_SERVER_HTTP_DAEMON_H
#define FAL_SERVER_HTTP_DAEMON_H

#include "server/http.h"

#include <stdint.h>

typedef struct fal_http fal_http;

/* Zero means default. */
typedef struct fal_http_limits {
    size_t header_bytes; /* of one request: 32 KiB */
    size_t body_bytes;   /* of one request: 16 MiB */
    size_t bodies_bytes; /* of all that are being received, and of what is kept of them: 256 MiB */
    int n_connections;   /* 4096; further ones wait to be accepted */
    double idle_seconds; /* without a byte, and for a request to begin: 60 */
    double body_seconds; /* for a whole body: 60 */
} fal_http_limits;

/* Called on the socket thread. */
typedef struct fal_http_calls {
    /* The headers are there, the body is not. Answering here refuses the request; its body is not kept. */
    void (*begin)(void *user, fal_exchange *x);
    /* The request is whole: answer, begin a stream, or wait. */
    void (*serve)(void *user, fal_exchange *x);
    /* The exchange is over. code: what was answered, 0 if nothing; n_bytes: of the body. is_left: the client went before. */
    void (*end)(void *user, fal_exchange *x, int code, uint64_t n_bytes, bool is_left);
} fal_http_calls;

typedef struct fal_http_options {
    const char *host;                      /* a name or an address; NULL: loopback */
    int port;                              /* 0: any free one */
    const char *socket_path;               /* NULL, or a Unix socket instead of host and port */
    const char *tls_certificate, *tls_key; /* PEM texts; both or none */
    fal_http_limits limits;
    fal_http_calls calls;
    void *user;
} fal_http_options;

/* Listens; fal_http_start serves. Strings are copied or used up.
 *
 *   out    owned by the caller
 *   Fails: ARGUMENT (host, certificate), IO (the address is in use), UNSUPPORTED (no TLS in this libmicrohttpd), MEMORY. */
fal_status fal_http_open(fal_http **out, const fal_http_options *o, fal_error *err);
/* Starts the socket thread, once. Fails: IO. */
fal_status fal_http_start(fal_http *http, fal_error *err);
/* No further connections; answers close theirs. Any thread; returns at once. */
void fal_http_drain(fal_http *http);
bool fal_http_is_draining(const fal_http *http);
/* Requests whose headers are there and whose answer is not out. Any thread. */
int fal_http_n_exchanges(const fal_http *http);
int fal_http_n_connections(const fal_http *http);
/* Seconds of processor time that the socket thread has used. Any thread. */
double fal_http_processor_seconds(const fal_http *http);
/* Cuts off what is still open, releases what waits, ends the thread. */
void fal_http_close(fal_http *http);

/* As they hold, defaults filled in; borrowed. */
const fal_http_limits *fal_http_limits_get(const fal_http *http);
/* Whether only this machine reaches the host (NULL: it does), as far as its name tells. */
bool fal_http_is_loopback(const char *host);
/* The port; 0 for a Unix socket. */
int fal_http_port(const fal_http *http);

/* The user of the options, for handlers. */
void *fal_exchange_user(const fal_exchange *x);
/* The route's part of the exchange, for the router: what it stored there; NULL at first. */
void fal_exchange_set_route(fal_exchange *x, const void *route);
const void *fal_exchange_route(const fal_exchange *x);
/* Notes whose key the request shows. */
void fal_exchange_set_keyholder(fal_exchange *x, uint64_t keyholder);
/* Remembers a named part of the path; both are copied. Fails silently where memory is short: the segment is "". */
void fal_exchange_add_segment(fal_exchange *x, const char *name, size_t name_length,
                              const char *text, size_t length);
/* Whether an answer is there or a stream has begun; whether somebody waits. */
bool fal_exchange_is_answered(const fal_exchange *x);
bool fal_exchange_is_waiting(const fal_exchange *x);
/* Bytes that the client announced for the body; -1: it did not say. */
int64_t fal_exchange_announced(const fal_exchange *x);

#endif
