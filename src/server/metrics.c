/* Body of metrics.h, and the route that shows it. Source: Prometheus, "Exposition formats", text format 0.0.4. */
#include "server/metrics.h"

#include "base/alloc.h"
#include "base/string_builder.h"
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

static void write_head(fal_string_builder *out, const char *kind, const char *name,
                       const char *meaning) {
    fal_string_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, meaning, name, kind);
}

static void write_answers(fal_string_builder *out, const fal_metrics *metrics) {
    write_head(out, "counter", "falconer_http_requests_total",
               "Requests by route and code (0: the client left).");
    for (size_t i = 0; i < metrics->n_answers; i++) {
        const fal_metrics_answers *a = &metrics->answers[i];
        const fal_route *route = fal_route_at(a->route);
        fal_string_append_format(
            out, "falconer_http_requests_total{method=\"%s\",route=\"%s\",code=\"%d\"} %llu\n",
            route ? route->method : "", route ? route->path : "", a->code,
            (unsigned long long)a->count);
    }
    write_head(out, "counter", "falconer_http_request_seconds_total",
               "Seconds from headers to the end, summed.");
    for (size_t i = 0; i < metrics->n_answers; i++) {
        const fal_metrics_answers *a = &metrics->answers[i];
        const fal_route *route = fal_route_at(a->route);
        fal_string_append_format(
            out,
            "falconer_http_request_seconds_total{method=\"%s\",route=\"%s\",code=\"%d\"} %.9g\n",
            route ? route->method : "", route ? route->path : "", a->code, a->seconds);
    }
}

fal_status fal_route_metrics(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_string_builder out = {0};
    write_answers(&out, &server->metrics);
    fal_status status = fal_string_status(&out, err);
    if (status == FAL_OK)
        fal_exchange_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", out.text,
                            out.length);
    fal_string_release(&out);
    return status;
}
