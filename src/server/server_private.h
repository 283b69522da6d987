/* What a server is made of; for server.c, router.c, health.c and metrics.c. */
#ifndef FAL_SERVER_SERVER_PRIVATE_H
#define FAL_SERVER_SERVER_PRIVATE_H

#include "server/cors.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/server.h"

#include <pthread.h>

struct fal_server {
    fal_http *http;
    fal_server_model *models; /* [n_models] ids are owned */
    size_t n_models;
    fal_cors cors;
    fal_metrics metrics; /* the socket thread's */
    fal_store *store;    /* or NULL, */
    char *store_why;     /* and why, or NULL */
    double max_seconds;
    fal_log log;
    int64_t started;
    char *keys_file, *keys_text, *keys_text_name; /* or NULL */
    pthread_mutex_t keys_lock;
    fal_keys *keys; /* under the lock; NULL: none are wanted */
};

/* Whether the request shows a key that is wanted, or none is wanted. Notes whose key it is (fal_exchange_keyholder). */
bool fal_server_admits(fal_server *server, fal_exchange *x);

/* Writes one event; without a sink nothing. */
__attribute__((format(printf, 3, 4))) void fal_server_say(const fal_server *server,
                                                          fal_log_level level, const char *format,
                                                          ...);

#endif
