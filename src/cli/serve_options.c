/* The option tables of serve. */
#include "cli/serve_options.h"

#include <limits.h>
#include <math.h>

#define AT(member) offsetof(fal_serve_options, member)

static const fal_option network_rows[] = {
    FAL_ROW(TEXT, "host", 0, AT(host), "ADDRESS", "where to listen (127.0.0.1: this machine only)"),
    FAL_ROW_COUNT("port", 'p', AT(port), "N", 0, 65535, "TCP port (8080); 0: any free one"),
    FAL_ROW(FILE, "socket", 0, AT(socket), "PATH", "listen at a Unix socket instead"),
    FAL_ROW(FILE, "tls-cert", 0, AT(certificate), "FILE", "PEM file with the certificate: HTTPS"),
    FAL_ROW(FILE, "tls-key", 0, AT(key), "FILE", "PEM file with its private key"),
    FAL_ROW(FILE, "keys", 0, AT(keys), "FILE", "keys of clients; SIGHUP: read them again"),
    FAL_ROW(LIST, "cors", 0, AT(origins), "ORIGIN",
            "pages that may use it; *: all; may be repeated"),
    FAL_ROW(LIST, "allow-host", 0, AT(hosts), "NAME",
            "name answered without keys; *: any; repeatable"),
    {0}};

static const fal_option work_rows[] = {
    FAL_ROW(LIST, "also", 0, AT(further), "FILE", "a further model; may be repeated"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "how clients call the model (its file's name)"),
    FAL_ROW_COUNT("parallel", 0, AT(n_parallel), "N", 1, 1024,
                  "answers at once (what memory allows)"),
    FAL_ROW_COUNT("queue", 0, AT(n_waiting), "N", 1, 100000,
                  "requests that may wait (256); then 429"),
    FAL_ROW_COUNT("max-seconds", 0, AT(n_seconds), "N", 0, INT_MAX,
                  "longest answer; 0: no bound (0)"),
    FAL_ROW(TEXT, "cache-size", 0, AT(cache_size), "SIZE",
            "for prompts seen before (1/8 of free, up to 1G)"),
    FAL_ROW(DIRECTORY, "cache-dir", 0, AT(cache_folder), "DIR",
            "keep them there, too, and find them again"),
    FAL_ROW(TEXT, "disk-size", 0, AT(disk_size), "SIZE", "most bytes in that folder (4G)"),
    FAL_ROW_FLAG("no-cache", 0, AT(without_cache), "compute every prompt from its beginning"),
    FAL_ROW(FILE, "store", 0, AT(store), "FILE",
            "what the page keeps (in ~/.local/state/falconer)"),
    FAL_ROW_FLAG("no-store", 0, AT(without_store), "the page keeps nothing"),
    {0}};

static const fal_option limit_rows[] = {
    FAL_ROW(TEXT, "max-body", 0, AT(max_body), "SIZE", "longest body of a request (16M)"),
    FAL_ROW_COUNT("connections", 0, AT(n_connections), "N", 1, 1000000,
                  "open at once (4096); others wait"),
    FAL_ROW_COUNT("idle-time", 0, AT(idle_seconds), "S", 1, 86400,
                  "seconds of silence until a cut (60)"),
    FAL_ROW_COUNT("body-time", 0, AT(body_seconds), "S", 1, 86400,
                  "seconds that a body may take (60)"),
    {0}};

const fal_option_group fal_serve_option_groups[] = {
    {"Network", network_rows,          0        },
    {"Work",    work_rows,             0        },
    {"Model",   fal_model_option_rows, AT(model)},
    {"Limits",  limit_rows,            0        },
    {NULL,      NULL,                  0        }
};

void fal_serve_set_defaults(void *values) {
    fal_serve_options *o = values;
    o->port = 8080;
}
