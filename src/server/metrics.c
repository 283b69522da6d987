/* Body of metrics.h, and the route that shows it. Source: Prometheus, "Exposition formats", text format 0.0.4. */
#include "server/metrics.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/string_builder.h"
#include "server/engine.h"
#include "server/router.h"
#include "server/server_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void fal_metrics_count(fal_metrics *metrics, int route, int code, double seconds, uint64_t n_bytes,
                       bool is_left) {
    fal_metrics_answers *found = NULL;
    for (size_t i = 0; i < metrics->n_answers && !found; i++)
        if (metrics->answers[i].route == route && metrics->answers[i].code == code)
            found = &metrics->answers[i];
    if (!found
        && fal_grow((void **)&metrics->answers, &metrics->capacity, metrics->n_answers + 1,
                    sizeof *metrics->answers)) {
        found = &metrics->answers[metrics->n_answers++];
        *found = (fal_metrics_answers){.route = route, .code = code};
    }
    if (found) {
        found->count++;
        found->seconds += seconds;
    }
    metrics->n_bytes += n_bytes;
    metrics->n_left += is_left;
}

void fal_metrics_release(fal_metrics *metrics) {
    fal_free(metrics->answers);
    *metrics = (fal_metrics){0};
}

/* ---- writing ---- */

typedef struct page {
    fal_string_builder text;
    const fal_server *server;
    fal_engine_state *states; /* [n_models] */
} page;

static void write_head(page *p, const char *kind, const char *name, const char *meaning) {
    fal_string_append_format(&p->text, "# HELP %s %s\n# TYPE %s %s\n", name, meaning, name, kind);
}

static void write_number(page *p, const char *kind, const char *name, double value,
                         const char *meaning) {
    write_head(p, kind, name, meaning);
    fal_string_append_format(&p->text, "%s %.15g\n", name, value);
}

/* The value of a label between quotes. */
static void write_escaped(fal_string_builder *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            fal_string_append_text(out, "\\n");
        else if (*text == '"' || *text == '\\')
            fal_string_append_format(out, "\\%c", *text);
        else
            fal_string_append(out, text, 1);
    }
}

static void write_model(page *p, const char *name, const char *suffix, size_t model,
                        const char *more) {
    fal_string_append_format(&p->text, "%s%s{model=\"", name, suffix);
    write_escaped(&p->text, fal_server_model_at(p->server, model)->id);
    fal_string_append_format(&p->text, "\"%s} ", more);
}

static void write_histogram(page *p, const char *name, size_t model, const fal_histogram *h) {
    uint64_t count = 0;
    for (int i = 0; i <= FAL_HISTOGRAM_BOUNDS; i++) {
        char bound[40] = ",le=\"+Inf\"";
        if (i < FAL_HISTOGRAM_BOUNDS)
            snprintf(bound, sizeof bound, ",le=\"%g\"", fal_histogram_bounds[i]);
        count += h->counts[i];
        write_model(p, name, "_bucket", model, bound);
        fal_string_append_format(&p->text, "%llu\n", (unsigned long long)count);
    }
    write_model(p, name, "_sum", model, "");
    fal_string_append_format(&p->text, "%.9g\n", h->sum);
    write_model(p, name, "_count", model, "");
    fal_string_append_format(&p->text, "%llu\n", (unsigned long long)count);
}

static void write_engines(page *p) {
    size_t n_models = 0;
    while (fal_server_model_at(p->server, n_models))
        n_models++;
#define FAL_METRIC_NUMBER(kind, name, value, meaning)                   \
    write_head(p, #kind, name, meaning);                                \
    for (size_t i = 0; i < n_models; i++) {                             \
        const fal_engine_state *s = &p->states[i];                      \
        write_model(p, name, "", i, "");                                \
        fal_string_append_format(&p->text, "%.15g\n", (double)(value)); \
    }
#define FAL_METRIC_HISTOGRAM(name, value, meaning) \
    write_head(p, "histogram", name, meaning);     \
    for (size_t i = 0; i < n_models; i++) {        \
        const fal_engine_state *s = &p->states[i]; \
        write_histogram(p, name, i, &(value));     \
    }
#include "server/metrics.def"
#undef FAL_METRIC_NUMBER
#undef FAL_METRIC_HISTOGRAM
}

static void write_answers(page *p, const char *name, const char *meaning, bool in_seconds) {
    const fal_metrics *metrics = &p->server->metrics;
    write_head(p, "counter", name, meaning);
    for (size_t i = 0; i < metrics->n_answers; i++) {
        const fal_metrics_answers *a = &metrics->answers[i];
        const fal_route *route = fal_route_at(a->route);
        fal_string_append_format(&p->text, "%s{method=\"%s\",route=\"%s\",code=\"%d\"} %.15g\n",
                                 name, route ? route->method : "", route ? route->path : "",
                                 a->code, in_seconds ? a->seconds : (double)a->count);
    }
}

static void write_process(page *p) {
    const fal_metrics *metrics = &p->server->metrics;
    const fal_http *http = p->server->http;
    struct timespec spent = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    write_number(p, "counter", "falconer_http_sent_bytes_total", (double)metrics->n_bytes,
                 "Bytes of answers, without headers.");
    write_number(p, "counter", "falconer_http_left_total", (double)metrics->n_left,
                 "Clients that left before their answer was whole.");
    write_number(p, "gauge", "falconer_http_connections", fal_http_n_connections(http),
                 "Connections that are open.");
    write_number(p, "gauge", "falconer_http_requests_open", fal_http_n_exchanges(http),
                 "Requests whose answer is not out, this one included.");
    write_number(p, "counter", "falconer_http_cpu_seconds_total", fal_http_processor_seconds(http),
                 "Processor time of the socket thread.");
    write_number(p, "counter", "process_cpu_seconds_total",
                 (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9,
                 "Processor time of all threads.");
    write_number(p, "gauge", "process_resident_memory_bytes", (double)fal_held_memory(),
                 "Memory that the process holds.");
    write_number(p, "gauge", "process_start_time_seconds", (double)p->server->started,
                 "When it was started, in seconds since 1970.");
}

fal_status fal_route_metrics(fal_server *server, fal_exchange *x, fal_error *err) {
    page p = {.server = server};
    p.states = fal_alloc(server->n_models, sizeof *p.states);
    if (!p.states) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < server->n_models; i++)
        fal_engine_state_get(server->models[i].engine, &p.states[i]);
    write_answers(&p, "falconer_http_requests_total",
                  "Requests by route and code (0: the client left).", false);
    write_answers(&p, "falconer_http_request_seconds_total",
                  "Seconds from headers to the end, summed.", true);
    write_process(&p);
    write_engines(&p);
    fal_status status = fal_string_status(&p.text, err);
    if (status == FAL_OK)
        fal_exchange_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", p.text.text,
                            p.text.length);
    fal_string_release(&p.text);
    fal_free(p.states);
    return status;
}
