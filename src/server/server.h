/* The folder's face: models, served over HTTP until told to stop. Below it, what handlers ask. */
#ifndef FAL_SERVER_SERVER_H
#define FAL_SERVER_SERVER_H

#include <falconer/log.h>
#include <falconer/model.h>

#include "server/http_daemon.h"

typedef struct fal_server fal_server;
typedef struct fal_engine fal_engine;
typedef struct fal_store fal_store;

/* A model to serve. */
typedef struct fal_server_model {
    const char *id;     /* how clients call it */
    fal_model *model;   /* must outlive the server */
    fal_engine *engine; /* must outlive the server */
} fal_server_model;

/* Zero means default. */
typedef struct fal_server_options {
    /* [n_models], at least one, copied; the first answers who names none. */
    const fal_server_model *models;
    size_t n_models;
    fal_http_options http; /* calls and user are the server's own */
    /* NULL-terminated, borrowed: pages of these may use the server (cors.h). */
    const char *const *origins;
    /* The same: names that it answers under when it asks for no key (cors.h). */
    const char *const *hosts;
    /* Where keys are (keys.h): a file, or text. Neither: everybody who reaches the server may use it. */
    const char *keys_file, *keys_text;
    const char *keys_text_name; /* where keys_text is from, for messages */
    double max_seconds;         /* of an answer, for handlers; 0: no bound */
    /* What the page keeps; used on the socket thread, must outlive the server. NULL: nothing is kept. */
    fal_store *store;
    const char
        *store_why; /* why nothing is kept, where that is a fault; NULL: it is wanted so. Copied */
    /* An event a request (info), and what goes wrong (warning); called on the socket thread, too. */
    fal_log log;
} fal_server_options;

/* Listens and serves from here on.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: as fal_http_open, fal_keys_open; ARGUMENT (an origin, a host, two models with one id); NOT_FOUND, IO (the keys). */
fal_status fal_server_open(fal_server **out, const fal_server_options *o, fal_error *err);
int fal_server_port(const fal_server *server);
/* Takes no requests from here on, what runs goes on; returns at once. */
void fal_server_drain(fal_server *server);
/* Nothing runs any more: fal_server_close loses nobody's answer. */
bool fal_server_is_drained(const fal_server *server);
/* Reads the keys again; on failure those from before hold. Any thread. */
fal_status fal_server_reload_keys(fal_server *server, fal_error *err);
void fal_server_close(fal_server *server);

/* ---- for handlers ---- */

/* By its id; NULL or "": the first. Fails: NOT_FOUND. */
fal_status fal_server_model_get(fal_server *server, const char *id, const fal_server_model **out,
                                fal_error *err);
/* Borrowed; NULL past the end. */
const fal_server_model *fal_server_model_at(const fal_server *server, size_t index);
/* Seconds since 1970 when it was opened. */
int64_t fal_server_started(const fal_server *server);
bool fal_server_is_draining(const fal_server *server);
/* The bound of an answer for fal_job_options.max_seconds. */
double fal_server_max_seconds(const fal_server *server);
/* NULL: nothing is kept; *why then says why, or is NULL where it is wanted so. */
fal_store *fal_server_store(const fal_server *server, const char **why);
fal_http *fal_server_http(const fal_server *server);
const fal_log *fal_server_log(const fal_server *server);

#endif
