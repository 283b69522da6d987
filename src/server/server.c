/* Body of server.h: owns what all requests share. */
#include "base/alloc.h"
#include "base/file.h"
#include "server/router.h"
#include "server/server_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void fal_server_say(const fal_server *server, fal_log_level level, const char *format, ...) {
    char line[500];
    va_list arguments;
    if (!server->log.function) return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    server->log.function(server->log.user, level, "server", line);
}

/* ---- keys ---- */

static fal_status read_keys(const fal_server *server, fal_keys **out, fal_error *err) {
    enum {
        MOST_BYTES = 1 << 20
    };

    char *text = NULL;
    size_t length = 0;
    *out = NULL;
    if (server->keys_text)
        return fal_keys_open(out, server->keys_text, server->keys_text_name, err);
    if (!server->keys_file) return FAL_OK;
    FAL_TRY(fal_file_read_regular(&text, &length, server->keys_file, MOST_BYTES, err));
    fal_status status = fal_keys_open(out, text, server->keys_file, err);
    fal_free(text);
    return status;
}

fal_status fal_server_reload_keys(fal_server *server, fal_error *err) {
    fal_keys *keys;
    FAL_TRY(read_keys(server, &keys, err));
    pthread_mutex_lock(&server->keys_lock);
    fal_keys *before = server->keys;
    server->keys = keys;
    pthread_mutex_unlock(&server->keys_lock);
    fal_keys_close(before);
    if (keys) fal_server_say(server, FAL_LOG_INFO, "%zu keys", fal_keys_count(keys));
    return FAL_OK;
}

bool fal_server_admits(fal_server *server, fal_exchange *x) {
    static const char scheme[] = "Bearer ";
    uint64_t keyholder = 0;
    const char *shown = fal_exchange_header(x, "Authorization");
    if (shown && strncasecmp(shown, scheme, sizeof scheme - 1) == 0)
        shown += sizeof scheme - 1;
    else
        shown = fal_exchange_header(x, "X-Api-Key");
    pthread_mutex_lock(&server->keys_lock);
    bool is_admitted = !server->keys || (shown && fal_keys_find(server->keys, shown, &keyholder));
    pthread_mutex_unlock(&server->keys_lock);
    fal_exchange_set_keyholder(x, keyholder);
    return is_admitted;
}

/* ---- models ---- */

static fal_status copy_models(fal_server *server, const fal_server_options *o, fal_error *err) {
    server->models = fal_alloc(o->n_models, sizeof *server->models);
    if (!server->models) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < o->n_models; i++) {
        const char *id = o->models[i].id;
        for (size_t k = 0; k < i; k++)
            if (strcmp(o->models[k].id, id) == 0)
                return fal_fail(err, FAL_E_ARGUMENT, "two models are called '%.200s'", id);
        server->models[i] = o->models[i];
        server->models[i].id = fal_copy_string(id, strlen(id));
        server->n_models = i + 1;
        if (!server->models[i].id) return fal_fail_memory(err, strlen(id));
    }
    return FAL_OK;
}

static void release_models(fal_server *server) {
    for (size_t i = 0; i < server->n_models; i++)
        fal_free((char *)(uintptr_t)server->models[i].id);
    fal_free(server->models);
}

fal_status fal_server_model_get(fal_server *server, const char *id, const fal_server_model **out,
                                fal_error *err) {
    *out = &server->models[0];
    if (!id || !id[0]) return FAL_OK;
    for (size_t i = 0; i < server->n_models; i++) {
        *out = &server->models[i];
        if (strcmp(server->models[i].id, id) == 0) return FAL_OK;
    }
    *out = NULL;
    return fal_fail(err, FAL_E_NOT_FOUND, "there is no model '%.200s'; GET /v1/models lists them",
                    id);
}

const fal_server_model *fal_server_model_at(const fal_server *server, size_t index) {
    return index < server->n_models ? &server->models[index] : NULL;
}

/* ---- the server ---- */

static char *copy_or_null(const char *text) {
    return text ? fal_copy_string(text, strlen(text)) : NULL;
}

fal_status fal_server_open(fal_server **out, const fal_server_options *o, fal_error *err) {
    fal_status status = FAL_OK;
    *out = NULL;
    fal_server *server = fal_alloc(1, sizeof *server);
    if (!server) return fal_fail_memory(err, sizeof *server);
    pthread_mutex_init(&server->keys_lock, NULL);
    server->cors = (fal_cors){.origins = o->origins,
                              .checks_names = !o->keys_file && !o->keys_text,
                              .host = o->http.host,
                              .hosts = o->hosts};
    server->max_seconds = o->max_seconds;
    server->log = o->log;
    server->started = (int64_t)time(NULL);
    server->keys_file = copy_or_null(o->keys_file);
    server->keys_text = copy_or_null(o->keys_text);
    server->keys_text_name = copy_or_null(o->keys_text_name);
    server->store = o->store;
    server->store_why = copy_or_null(o->store_why);
    if ((o->keys_file && !server->keys_file) || (o->keys_text && !server->keys_text)
        || (o->keys_text_name && !server->keys_text_name) || (o->store_why && !server->store_why))
        FAL_TRY_OUT(fal_fail_memory(err, 0));
    FAL_TRY_OUT(fal_cors_check(&server->cors, err));
    FAL_TRY_OUT(copy_models(server, o, err));
    FAL_TRY_OUT(fal_server_reload_keys(server, err));
    fal_http_options http = o->http;
    http.calls = fal_router_calls;
    http.user = server;
    FAL_TRY_OUT(fal_http_open(&server->http, &http, err));
    FAL_TRY_OUT(fal_http_start(server->http, err));
    *out = server;
    return FAL_OK;
out:
    fal_server_close(server);
    return status;
}

void fal_server_close(fal_server *server) {
    if (!server) return;
    fal_http_close(server->http);
    release_models(server);
    fal_metrics_release(&server->metrics);
    fal_keys_close(server->keys);
    fal_free(server->keys_file);
    fal_free(server->keys_text);
    fal_free(server->keys_text_name);
    fal_free(server->store_why);
    pthread_mutex_destroy(&server->keys_lock);
    fal_free(server);
}

int fal_server_port(const fal_server *server) {
    return fal_http_port(server->http);
}

void fal_server_drain(fal_server *server) {
    fal_http_drain(server->http);
}

bool fal_server_is_draining(const fal_server *server) {
    return fal_http_is_draining(server->http);
}

bool fal_server_is_drained(const fal_server *server) {
    return fal_server_is_draining(server) && fal_http_n_exchanges(server->http) == 0;
}

int64_t fal_server_started(const fal_server *server) {
    return server->started;
}

double fal_server_max_seconds(const fal_server *server) {
    return server->max_seconds;
}

fal_store *fal_server_store(const fal_server *server, const char **why) {
    *why = server->store_why;
    return server->store;
}

fal_http *fal_server_http(const fal_server *server) {
    return server->http;
}

const fal_log *fal_server_log(const fal_server *server) {
    return &server->log;
}
