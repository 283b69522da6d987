/* What an exchange and the daemon are made of; for http.c, http_daemon.c, http_loop.c and listening.c. All belongs to the socket
 * thread but what stands under the lock. */
#ifndef FAL_SERVER_HTTP_PRIVATE_H
#define FAL_SERVER_HTTP_PRIVATE_H

#include "base/string_builder.h"
#include "server/http_daemon.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* A connection of a client; requests come one after the other. */
typedef struct fal_connection {
    struct fal_connection *next, *previous;
    struct MHD_Connection *mhd;
    fal_exchange *exchange; /* under way, or NULL */
    int socket;
    double since;   /* it was opened, or its last exchange ended */
    double hung_up; /* when its client ceased to send; 0: it has not */
    bool is_cut;    /* its socket is shut; the library will notice */
} fal_connection;

/* One copied name and value. */
typedef struct fal_pair {
    char *name, *value;
} fal_pair;

typedef struct fal_pairs {
    fal_pair *items;
    size_t count, capacity;
} fal_pairs;

struct fal_exchange {
    fal_http *http;
    fal_connection *connection;
    char id[40];
    const char *method, *path; /* the library's */
    double begun;              /* fal_seconds, when the headers were there */
    const void *route;
    uint64_t keyholder;
    fal_pairs segments, headers;
    /* receiving */
    fal_string_builder body;
    int64_t announced;            /* content-length, -1: none */
    size_t n_received, n_counted; /* bytes of the body; bytes that stand in http->bodies_bytes */
    bool is_served;               /* the whole request was handed over */
    /* answering */
    struct MHD_Response *response;
    int code;
    uint64_t n_answered;
    bool is_queued, is_suspended, is_left;
    /* a stream */
    bool is_stream, is_ended, was_held_back;
    bool is_out; /* the system has all of it */
    fal_string_builder out;
    size_t n_taken; /* of out */
    /* waiting */
    const fal_later *later;
    void *user;
    /* under the lock */
    fal_exchange *next_woken;
    bool is_woken;
};

struct fal_http {
    fal_http_limits limits;
    fal_http_calls calls;
    void *user;
    struct MHD_Daemon *daemon;
    int listening, epoll,
        wakeup; /* epoll: the library's own, wakeup, and the sockets of connections */
    int port;
    bool is_tls;
    char *socket_path; /* to be unlinked; or NULL */
    fal_connection *connections;
    size_t
        bodies_bytes; /* of what is being received, and of what is kept of it; within the limit */
    double swept;
    uint64_t id_prefix, n_ids;
    pthread_t thread;
    bool has_thread, is_quiet; /* is_quiet: no longer listening */
    pthread_mutex_t lock;
    fal_exchange *first_woken, *last_woken; /* under the lock; who was woken first comes first */
    size_t n_woken;
    bool sleeps; /* the thread, until somebody rings */
    atomic_bool is_stopping, is_draining;
    atomic_int n_exchanges, n_connections;
    atomic_uint_fast64_t processor_ns;
};

/* http.c */
fal_exchange *fal_exchange_open(fal_http *http, fal_connection *connection, const char *method,
                                const char *path);
/* Releases who waits, once. */
void fal_exchange_release_later(fal_exchange *x);
void fal_exchange_close(fal_exchange *x);
/* Hands the answer to the library. MHD_NO where it cannot: the connection is closed. */
enum MHD_Result fal_exchange_queue(fal_exchange *x);
/* Lets a suspended exchange go on if it has something to say. */
void fal_exchange_go_on(fal_exchange *x);
void fal_exchange_suspend(fal_exchange *x);

/* http_loop.c: the thread's function (argument: fal_http); rings its bell, from any thread. */
void *fal_http_loop(void *argument);
void fal_http_ring(fal_http *http);
/* Watches the socket of a connection for its client's hanging up. */
void fal_http_watch(fal_http *http, fal_connection *c);
void fal_http_unwatch(fal_http *http, const fal_connection *c);
/* The client of an exchange has left: whoever waits is released. */
void fal_exchange_leave(fal_exchange *x);

/* listening.c: a socket that listens, not blocking. Fails: ARGUMENT, IO. */
fal_status fal_listening_open(fal_http *http, const fal_http_options *o, fal_error *err);
void fal_listening_close(fal_http *http);

#endif
