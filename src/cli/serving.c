/* Opens what serve's options name, in the order in which it depends on each other, and closes it in the other. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/string_builder.h"
#include "cli/serve_options.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_PEM_BYTES = 1 << 20,
    MOST_NAME_BYTES = 200
};

static void show_event(void *user, fal_log_level level, const char *area, const char *text) {
    const fal_serving *s = user;
    if (level == FAL_LOG_WARNING || s->o->model.verbose) fal_terminal_notice("%s: %s", area, text);
}

static fal_log log_of(const fal_serving *s) {
    /* The sink's user is only read, but its type is shared with sinks that write. */
    return (fal_log){show_event, (void *)(uintptr_t)s};
}

/* ---- models ---- */

/* "/models/alfred.gguf" is called alfred, the one inside fledgling. */
static char *name_of(const char *file) {
    static const char suffix[] = ".gguf";
    const char *name = file ? fal_path_base(file) : "fledgling";
    size_t length = strlen(name), n = sizeof suffix - 1;
    if (length > n && strcmp(name + length - n, suffix) == 0) length -= n;
    return fal_copy_string(name, length);
}

/* The folder that is named may be made, none above it: who mistypes a path is told. */
static fal_status check_cache_folder(const char *folder, fal_error *err) {
    size_t length = strlen(folder);
    if (!length) return fal_fail(err, FAL_E_ARGUMENT, "serve: --cache-dir: a folder needs a name");
    while (length > 1 && folder[length - 1] == '/')
        length--;
    while (length > 0 && folder[length - 1] != '/')
        length--;
    if (!length) return FAL_OK;
    char *above = fal_copy_string(folder, length);
    if (!above) return fal_fail_memory(err, length);
    fal_status status =
        fal_file_is_directory(above)
            ? FAL_OK
            : fal_fail(err, FAL_E_NOT_FOUND,
                       "serve: --cache-dir: there is no folder '%s' to make '%s' in", above,
                       folder);
    fal_free(above);
    return status;
}

/* Several models have a folder each below the one that was named. */
static fal_status cache_folder_of(const fal_serving *s, const char *id, char **out,
                                  fal_error *err) {
    const char *folder = s->o->cache_folder;
    *out = NULL;
    if (!folder) return FAL_OK;
    *out =
        s->o->further.count ? fal_path_join(folder, id) : fal_copy_string(folder, strlen(folder));
    return *out ? FAL_OK : fal_fail_memory(err, 0);
}

static fal_status open_engine(fal_serving *s, fal_server_model *m, fal_error *err) {
    const fal_serve_options *o = s->o;
    fal_engine_options options = {.n_parallel = o->n_parallel,
                                  .n_waiting = o->n_waiting,
                                  .n_context = o->model.n_context,
                                  .n_batch = o->model.n_batch,
                                  .kv_type = o->model.kv_type,
                                  .without_cache = o->without_cache,
                                  .log = log_of(s)};
    char *folder;
    if (o->cache_size)
        FAL_TRY(fal_size_read("--cache-size", o->cache_size, &options.cache_bytes, err));
    if (o->disk_size) FAL_TRY(fal_size_read("--disk-size", o->disk_size, &options.disk_bytes, err));
    fal_status status = cache_folder_of(s, m->id, &folder, err);
    options.cache_dir = folder;
    if (status == FAL_OK) status = fal_engine_open(&m->engine, m->model, &options, err);
    fal_free(folder);
    return status;
}

static fal_status open_model(fal_serving *s, const char *file, const char *name, fal_error *err) {
    fal_server_model *m = &s->models[s->n_models++];
    fal_model_choice choice = s->o->model;
    choice.file = file;
    char *id = name ? fal_copy_string(name, strlen(name)) : name_of(file);
    if (!id) return fal_fail_memory(err, 0);
    m->id = id;
    FAL_TRY(fal_model_choice_open(&choice, "serve: no model is named; falconer serve -m FILE",
                                  &m->model, NULL, err));
    return open_engine(s, m, err);
}

static fal_status open_models(fal_serving *s, fal_error *err) {
    const fal_serve_options *o = s->o;
    s->models = fal_alloc(1 + o->further.count, sizeof *s->models);
    if (!s->models) return fal_fail_memory(err, 0);
    FAL_TRY(open_model(s, o->model.file, o->name, err));
    for (size_t i = 0; i < o->further.count; i++)
        FAL_TRY(open_model(s, o->further.items[i], NULL, err));
    return FAL_OK;
}

static void close_models(fal_serving *s) {
    for (size_t i = 0; i < s->n_models; i++) {
        fal_engine_close(s->models[i].engine);
        fal_model_close(s->models[i].model);
        fal_free((char *)(uintptr_t)s->models[i].id);
    }
    fal_free(s->models);
}

/* ---- the store ---- */

static char *usual_store_path(fal_error *err) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    fal_string_builder folder = {0};
    if (state && state[0] == '/')
        fal_string_append_format(&folder, "%s/falconer", state);
    else if (home && home[0] == '/')
        fal_string_append_format(&folder, "%s/.local/state/falconer", home);
    char *path = NULL;
    if (folder.text && !folder.failed && fal_folder_make(folder.text, err) == FAL_OK)
        path = fal_path_join(folder.text, "conversations.sqlite");
    fal_string_release(&folder);
    return path;
}

/* A store that cannot be had is told here and by the page, but is no reason not to serve; a folder that is not there is,
 * when somebody named it. */
static fal_status open_store(fal_serving *s, fal_error *err) {
    const fal_serve_options *o = s->o;
    fal_error why = {.message = "no home folder"};
    if (o->without_store) return FAL_OK;
    s->store_path = o->store ? fal_copy_string(o->store, strlen(o->store)) : usual_store_path(&why);
    if (s->store_path && fal_store_open(&s->store, s->store_path, &why) == FAL_OK) return FAL_OK;
    if (o->store && why.status == FAL_E_NOT_FOUND)
        return fal_fail(err, why.status, "--store: %s", why.message);
    fal_terminal_notice("the page keeps nothing: %s", why.message);
    s->store_why = fal_copy_string(why.message, strlen(why.message));
    return FAL_OK;
}

/* ---- the server ---- */

static fal_status check(const fal_serve_options *o, fal_error *err) {
    if (!o->certificate != !o->key)
        return fal_fail(err, FAL_E_ARGUMENT, "serve: --tls-cert and --tls-key belong together");
    if (o->socket && o->host)
        return fal_fail(err, FAL_E_ARGUMENT, "serve: only one of --socket and --host can be given");
    if (o->store && o->without_store)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "serve: only one of --store and --no-store can be given");
    if (o->name && !o->name[0])
        return fal_fail(err, FAL_E_ARGUMENT, "serve: --name is empty; clients need a name to call");
    for (const char *c = o->name; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127 || c - o->name >= MOST_NAME_BYTES)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "serve: --name has a control character or more than %d bytes",
                            MOST_NAME_BYTES);
    if (o->without_cache && (o->cache_size || o->cache_folder))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "serve: --no-cache goes with neither --cache-size nor --cache-dir");
    if (o->cache_folder) FAL_TRY(check_cache_folder(o->cache_folder, err));
    return FAL_OK;
}

static fal_status read_tls(fal_serving *s, fal_error *err) {
    size_t length = 0;
    if (!s->o->certificate) return FAL_OK;
    FAL_TRY(fal_file_read(&s->certificate, &length, s->o->certificate, MOST_PEM_BYTES, err));
    return fal_file_read(&s->key, &length, s->o->key, MOST_PEM_BYTES, err);
}

static fal_status open_server(fal_serving *s, fal_error *err) {
    const fal_serve_options *o = s->o;
    uint64_t max_body = 0;
    if (o->max_body) FAL_TRY(fal_size_read("--max-body", o->max_body, &max_body, err));
    const fal_server_options options = {
        .models = s->models,
        .n_models = s->n_models,
        .http = {.host = o->host,
                 .port = o->port,
                 .socket_path = o->socket,
                 .tls_certificate = s->certificate,
                 .tls_key = s->key,
                 .limits = {.body_bytes = (size_t)max_body,
                            .n_connections = o->n_connections,
                            .idle_seconds = o->idle_seconds,
                            .body_seconds = o->body_seconds}},
        .origins = o->origins.count ? o->origins.items : NULL,
        .hosts = o->hosts.count ? o->hosts.items : NULL,
        .keys_file = o->keys,
        .keys_text = o->keys ? NULL : getenv("FALCONER_API_KEYS"),
        .keys_text_name = "FALCONER_API_KEYS",
        .max_seconds = o->n_seconds,
        .store = s->store,
        .store_why = s->store_why,
        .log = log_of(s)
    };
    return fal_server_open(&s->server, &options, err);
}

fal_status fal_serving_open(fal_serving *s, fal_error *err) {
    FAL_TRY(check(s->o, err));
    FAL_TRY(read_tls(s, err));
    FAL_TRY(open_models(s, err));
    FAL_TRY(open_store(s, err));
    return open_server(s, err);
}

void fal_serving_release(fal_serving *s) {
    fal_server_close(s->server);
    fal_store_close(s->store);
    close_models(s);
    fal_free(s->store_path);
    fal_free(s->store_why);
    fal_free(s->certificate);
    fal_free(s->key);
    *s = (fal_serving){0};
}
