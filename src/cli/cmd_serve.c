/* serve: one process, many clients. What the server is lies in src/server, what it is opened from in serving.c; here are its
 * start and its end. */
#include "cli/command.h"
#include "cli/serve_options.h"
#include "cli/serve_signals.h"
#include "cli/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const fal_example examples[] = {
    {"falconer serve -m falcon-7b.gguf",                                                    "Serve a model to this machine:"},
    {"falconer serve -m alfred.gguf --host 0.0.0.0 --keys /etc/falconer/keys",
     "To everybody who has a key:"                                                                                          },
    {"falconer serve -m alfred.gguf --also falcon-7b.gguf --cache-dir /var/cache/falconer",
     "Two models; prompts seen before a restart are not computed again:"                                                    },
    {NULL,                                                                                  NULL                            }
};

/* A connection is a file; the system's usual bound is low. */
static void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static void say_warnings(const fal_serve_options *o) {
    if (!o->socket && !fal_http_is_loopback(o->host) && !o->keys && !getenv("FALCONER_API_KEYS"))
        fal_terminal_notice("everybody who reaches %s may use this server; see --keys", o->host);
}

/* The address, and something to try it with. */
static void say_where(const fal_serving *s) {
    const fal_serve_options *o = s->o;
    char address[400], curl[400] = "curl";
    if (o->socket) {
        snprintf(address, sizeof address, "http://localhost");
        snprintf(curl, sizeof curl, "curl --unix-socket %.300s", o->socket);
    } else {
        const char *host = o->host ? o->host : "127.0.0.1";
        if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) host = "localhost";
        bool is_v6 = strchr(host, ':') != NULL;
        snprintf(address, sizeof address, "%s://%s%.256s%s:%d", o->certificate ? "https" : "http",
                 is_v6 ? "[" : "", host, is_v6 ? "]" : "", fal_server_port(s->server));
    }
    for (size_t i = 0; i < s->n_models; i++)
        printf("%s%s", i ? ", " : "serving ", s->models[i].id);
    printf(" at %s\n", o->socket ? o->socket : address);
    printf("try: %s %s/v1/chat/completions -H 'Content-Type: application/json' \\\n"
           "       -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Good morning!\"}]}'\n",
           curl, address);
    fflush(stdout);
}

/* SIGTERM and SIGINT let what runs come to its end; a second one does not wait for it. */
static void serve_until_told(fal_serving *s) {
    enum {
        LOOK_MS = 20
    };

    for (;;) {
        bool is_draining = fal_server_is_draining(s->server);
        int signal = fal_signals_next(is_draining ? LOOK_MS : -1);
        fal_error err = {0};
        if (signal == SIGHUP && fal_server_reload_keys(s->server, &err) != FAL_OK)
            fal_terminal_notice("keys stay as they were: %s", err.message);
        if (signal && signal != SIGHUP) {
            if (is_draining) _exit(128 + signal);
            fal_terminal_notice("stopping when what runs has ended; once more: at once");
            fal_server_drain(s->server);
        }
        if (fal_server_is_drained(s->server)) return;
    }
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    fal_serving s = {.o = parsed->values};
    raise_file_limit();
    say_warnings(s.o);
    fal_status status = fal_serving_open(&s, err);
    if (status == FAL_OK) status = fal_signals_collect(err);
    if (status == FAL_OK) {
        say_where(&s);
        serve_until_told(&s);
    }
    fal_serving_release(&s);
    return status;
}

const fal_command fal_command_serve = {
    .description =
        "Answers many clients at once over HTTP: programs that speak the dialects of OpenAI, Anthropic, Hugging Face "
        "endpoints and text-generation-inference, and people, by the page at /. It listens on this machine only unless "
        "--host says otherwise.\n\n"
        "Requests share the computing: they join and leave at any step, and a prompt whose beginning was computed "
        "before is computed from there on. The same seed gives the same answer, whatever else is served. Requests "
        "beyond --parallel wait; beyond --queue they are refused (429). A client that leaves stops its answer.\n\n"
        "With --keys (or keys in the environment variable FALCONER_API_KEYS) clients show one, as Authorization: "
        "Bearer KEY or as X-Api-Key: KEY. The file holds a key a line; after # comes a comment. Web pages of other origins "
        "are refused unless --cors names them. Without keys it answers under addresses, localhost and the names of "
        "--allow-host only, since a page could let any other name point to it.\n\n"
        "GET /health tells whether it computes, GET /ready whether it takes requests, GET /metrics has numbers for "
        "Prometheus. SIGTERM and Ctrl-C end it when what runs has ended, a second one at once; SIGHUP reads the keys "
        "again. With --verbose each request is a line on stderr, without anything that a user wrote.",
    .groups = fal_serve_option_groups,
    .examples = examples,
    .values_bytes = sizeof(fal_serve_options),
    .set_defaults = fal_serve_set_defaults,
    .run = run};
