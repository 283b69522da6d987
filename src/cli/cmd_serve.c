/* serve: one process, many clients. What the server is lies in src/server; here are its options, its start and its end. */
#include "base/alloc.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/serve_signals.h"
#include "cli/terminal.h"
#include "server/server.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct serve_options {
    fal_model_choice model;
    const char *host, *socket, *keys, *certificate, *key;
    int port;
    fal_texts origins;
} serve_options;

#define AT(member) offsetof(serve_options, member)

static const fal_option network_rows[] = {
    FAL_ROW(TEXT, "host", 0, AT(host), "ADDRESS", "where to listen (127.0.0.1: this machine only)"),
    FAL_ROW_COUNT("port", 'p', AT(port), "N", 0, 65535, "TCP port (8080); 0: any free one"),
    FAL_ROW(FILE, "socket", 0, AT(socket), "PATH", "listen at a Unix socket instead"),
    FAL_ROW(FILE, "tls-cert", 0, AT(certificate), "FILE", "PEM file with the certificate: HTTPS"),
    FAL_ROW(FILE, "tls-key", 0, AT(key), "FILE", "PEM file with its private key"),
    FAL_ROW(FILE, "keys", 0, AT(keys), "FILE", "keys of clients, one a line; SIGHUP: read again"),
    FAL_ROW(LIST, "cors", 0, AT(origins), "ORIGIN",
            "web pages that may use it; *: all; repeatable"),
    {0}};

static const fal_option_group groups[] = {
    {"Network", network_rows,          0        },
    {"Model",   fal_model_option_rows, AT(model)},
    {NULL,      NULL,                  0        }
};

static const fal_example examples[] = {
    {"falconer serve -m falcon-7b.gguf --port 8080", "Serve a model to this machine:"},
    {NULL,                                           NULL                            }
};

static void set_defaults(void *values) {
    serve_options *o = values;
    o->port = 8080;
}

/* What a serving command holds. */
typedef struct serving {
    const serve_options *o;
    fal_model *model;
    char *certificate, *key; /* PEM */
    fal_server *server;
} serving;

static void show_event(void *user, fal_log_level level, const char *area, const char *text) {
    const serve_options *o = user;
    if (level == FAL_LOG_WARNING || o->model.verbose) fal_terminal_notice("%s: %s", area, text);
}

/* A connection is a file; the system's usual bound is low. */
static void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static fal_status read_tls(serving *s, fal_error *err) {
    enum {
        MOST_BYTES = 1 << 20
    };

    const serve_options *o = s->o;
    size_t length = 0;
    if (!o->certificate != !o->key)
        return fal_fail(err, FAL_E_ARGUMENT, "serve: --tls-cert and --tls-key belong together");
    if (!o->certificate) return FAL_OK;
    FAL_TRY(fal_file_read(&s->certificate, &length, o->certificate, MOST_BYTES, err));
    return fal_file_read(&s->key, &length, o->key, MOST_BYTES, err);
}

/* "fledgling (built in)" and "/models/alfred.gguf" are called fledgling and alfred. */
static void name_model(const char *file, char *out, size_t size) {
    const char *name = file ? fal_path_base(file) : "fledgling";
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".gguf") == 0) length -= 5;
    snprintf(out, size, "%.*s", (int)(length < 200 ? length : 200), name);
}

static fal_status open_server(serving *s, fal_error *err) {
    const serve_options *o = s->o;
    char id[256];
    name_model(o->model.file, id, sizeof id);
    const fal_server_model models[] = {
        {id, s->model, NULL}
    };
    /* The sink's user is only read, but its type is shared with sinks that write. */
    const fal_server_options options = {
        .models = models,
        .n_models = 1,
        .http = {.host = o->host,
                 .port = o->port,
                 .socket_path = o->socket,
                 .tls_certificate = s->certificate,
                 .tls_key = s->key},
        .origins = o->origins.count ? o->origins.items : NULL,
        .keys_file = o->keys,
        .log = {show_event, (void *)(uintptr_t)o}
    };
    return fal_server_open(&s->server, &options, err);
}

static void say_where(const serving *s) {
    const serve_options *o = s->o;
    const char *scheme = o->certificate ? "https" : "http", *host = o->host ? o->host : "127.0.0.1";
    if (o->socket) {
        printf("serving at %s; try: curl --unix-socket %s http://localhost/health\n", o->socket,
               o->socket);
    } else {
        int port = fal_server_port(s->server);
        printf("serving at %s://%s:%d; try: curl %s://%s:%d/health\n", scheme, host, port, scheme,
               host, port);
    }
    fflush(stdout);
}

/* SIGTERM and SIGINT let what runs come to its end, a second one does not wait. */
static void serve_until_told(serving *s) {
    fal_error err = {0};
    for (;;) {
        int signal = fal_signals_next(fal_server_is_draining(s->server) ? 50 : -1);
        if (fal_server_is_drained(s->server)) return;
        if (signal == 0) continue;
        if (signal == SIGHUP) {
            if (fal_server_reload_keys(s->server, &err) != FAL_OK)
                fal_terminal_notice("keys stay as they are: %s", err.message);
            continue;
        }
        if (fal_server_is_draining(s->server)) _exit(128 + signal);
        fal_terminal_notice("stopping when what runs has ended; once more: at once");
        fal_server_drain(s->server);
    }
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    serving s = {.o = parsed->values};
    fal_status status = FAL_OK;
    raise_file_limit();
    FAL_TRY_OUT(read_tls(&s, err));
    FAL_TRY_OUT(fal_model_choice_open(
        &s.o->model, "serve: no model is named; falconer serve -m FILE", &s.model, NULL, err));
    FAL_TRY_OUT(open_server(&s, err));
    FAL_TRY_OUT(fal_signals_collect(err));
    say_where(&s);
    serve_until_told(&s);
out:
    fal_server_close(s.server);
    fal_model_close(s.model);
    fal_free(s.certificate);
    fal_free(s.key);
    return status;
}

const fal_command fal_command_serve = {
    .description = "Serves a model over HTTP until it gets SIGTERM or SIGINT.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(serve_options),
    .set_defaults = set_defaults,
    .run = run};
