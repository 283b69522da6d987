/* The options of serve, and what they become: models with engines, a store, a server. */
#ifndef FAL_CLI_SERVE_OPTIONS_H
#define FAL_CLI_SERVE_OPTIONS_H

#include "cli/model_options.h"
#include "server/engine.h"
#include "server/server.h"
#include "server/store.h"

typedef struct fal_serve_options {
    fal_model_choice model;
    fal_texts further; /* files of further models */
    const char *name;
    /* network */
    const char *host, *socket, *keys, *certificate, *key;
    int port;
    fal_texts origins, hosts;
    /* work */
    int n_parallel, n_waiting, n_seconds;
    const char *cache_size, *cache_folder, *disk_size, *store;
    bool without_cache, without_store;
    /* limits */
    const char *max_body;
    int n_connections, idle_seconds, body_seconds;
} fal_serve_options;

/* Groups over a fal_serve_options. */
extern const fal_option_group fal_serve_option_groups[];
void fal_serve_set_defaults(void *values);

/* All that a serving process holds. Zero-initialise; release when done. */
typedef struct fal_serving {
    const fal_serve_options *o;
    fal_server_model *models; /* [n_models]; ids are owned */
    size_t n_models;
    char *certificate, *key;      /* PEM; NULL without TLS */
    char *store_path, *store_why; /* NULL: nothing is kept, and why if that is a fault */
    fal_store *store;
    fal_server *server;
} fal_serving;

/* Opens everything and listens. s->o must outlive it; the caller releases s in any case. Fails: as what it opens; ARGUMENT
 * (options that do not go together). */
fal_status fal_serving_open(fal_serving *s, fal_error *err);
void fal_serving_release(fal_serving *s);

#endif
