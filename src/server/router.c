/* Body of router.h: finds the route, and asks before the body comes whether the request may have it. */
#include "server/router.h"

#include "server/server_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const fal_route routes[] = {
#define FAL_ROUTE(method, path, handler, access, dialect, meaning) \
    {#method,                                                      \
     path,                                                         \
     #handler,                                                     \
     meaning,                                                      \
     fal_route_##handler,                                          \
     FAL_ACCESS_##access,                                          \
     &fal_dialect_##dialect},
#include "server/routes.def"
#undef FAL_ROUTE
};

int fal_route_count(void) {
    return (int)(sizeof routes / sizeof *routes);
}

const fal_route *fal_route_at(int index) {
    return index >= 0 && index < fal_route_count() ? &routes[index] : NULL;
}

const fal_route *fal_exchange_route_get(const fal_exchange *x) {
    return fal_exchange_route(x);
}

/* ---- finding ---- */

/* Whether path has the form of pattern. x: NULL, or where its named parts go. */
static bool fits(const char *pattern, const char *path, fal_exchange *x) {
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) return false;
            continue;
        }
        const char *name = pattern + 1;
        size_t name_length = strcspn(name, ".}");
        bool takes_rest = name[name_length] == '.';
        size_t length = takes_rest ? strlen(path) : strcspn(path, "/");
        if (!length) return false;
        if (x) fal_exchange_add_segment(x, name, name_length, path, length);
        path += length;
        pattern = name + strcspn(name, "}") + 1;
    }
    return !*path;
}

static bool does(const fal_route *route, const char *method) {
    return strcmp(route->method, method) == 0
           || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static const fal_route *find_route(const fal_exchange *x, const char *method) {
    for (int i = 0; i < fal_route_count(); i++)
        if ((!method || does(&routes[i], method))
            && fits(routes[i].path, fal_exchange_path(x), NULL))
            return &routes[i];
    return NULL;
}

/* The methods of all routes with the path of x, as "GET, HEAD"; writes at most size bytes. */
static void list_methods(const fal_exchange *x, char *out, size_t size) {
    size_t used = 0;
    for (int i = 0; i < fal_route_count() && used < size; i++) {
        if (!fits(routes[i].path, fal_exchange_path(x), NULL)) continue;
        bool is_get = strcmp(routes[i].method, "GET") == 0;
        used += (size_t)snprintf(out + used, size - used, "%s%s%s", used ? ", " : "",
                                 routes[i].method, is_get ? ", HEAD" : "");
    }
    if (used < size) snprintf(out + used, size - used, "%sOPTIONS", used ? ", " : "");
}

/* ---- failing ---- */

/* Paths that are no route speak the dialect of their neighbours. */
static const fal_dialect *dialect_of(const fal_exchange *x) {
    const fal_route *route = fal_exchange_route(x);
    if (route) return route->dialect;
    return strncmp(fal_exchange_path(x), "/v1/", 4) == 0 ? &fal_dialect_openai : &fal_dialect_plain;
}

void fal_exchange_fail_with(fal_exchange *x, int code, fal_status status, const char *message) {
    json_t *body = dialect_of(x)->error(&code, status, message);
    if (code == 429) fal_exchange_set_header(x, "Retry-After", "1");
    if (code == 503 || code == 529) fal_exchange_set_header(x, "Retry-After", "5");
    fal_exchange_answer_json(x, code, body);
}

void fal_exchange_fail(fal_exchange *x, const fal_error *err) {
    int code = fal_status_http_code(err->status);
    /* The client is still there: it was the server that gave up. */
    if (err->status == FAL_E_CANCELLED) code = 503;
    fal_exchange_fail_with(x, code, err->status,
                           err->message[0] ? err->message : fal_status_words(err->status));
}

/* ---- before the body ---- */

static bool is_json(const fal_exchange *x) {
    static const char json[] = "application/json";
    const char *type = fal_exchange_header(x, "Content-Type");
    size_t n = sizeof json - 1;
    return type && strncasecmp(type, json, n) == 0 && strchr("; \t", type[n]) != NULL;
}

static bool has_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0
           || strcmp(method, "PATCH") == 0;
}

static void refuse_unknown(fal_exchange *x) {
    char methods[100], message[200];
    const fal_route *other = find_route(x, NULL);
    if (!other) {
        fal_exchange_fail_with(x, 404, FAL_E_NOT_FOUND, "there is nothing at this path");
        return;
    }
    fal_exchange_set_route(x, other);
    list_methods(x, methods, sizeof methods);
    snprintf(message, sizeof message, "this path takes %s", methods);
    fal_exchange_set_header(x, "Allow", methods);
    fal_exchange_fail_with(x, 405, FAL_E_ARGUMENT, message);
}

static void refuse_without_key(fal_exchange *x) {
    fal_exchange_set_header(x, "WWW-Authenticate", "Bearer");
    fal_exchange_fail_with(x, 401, FAL_E_ARGUMENT,
                           "a key is wanted: Authorization: Bearer KEY, or X-Api-Key: KEY");
}

static void check_body(fal_exchange *x, const fal_http_limits *limits) {
    char message[200];
    int64_t announced = fal_exchange_announced(x);
    if (announced > 0 && (uint64_t)announced > limits->body_bytes) {
        snprintf(message, sizeof message, "the body has %lld bytes, at most %zu",
                 (long long)announced, limits->body_bytes);
        fal_exchange_fail_with(x, 413, FAL_E_ARGUMENT, message);
    } else if (!is_json(x)) {
        fal_exchange_fail_with(x, 415, FAL_E_ARGUMENT,
                               "the body must be JSON: Content-Type: application/json");
    }
}

static void begin(void *user, fal_exchange *x) {
    fal_server *server = user;
    const char *method = fal_exchange_method(x);
    const char *refusal = fal_cors_refuse(&server->cors, x);
    if (refusal) {
        fal_exchange_fail_with(x, 403, FAL_E_ARGUMENT, refusal);
        return;
    }
    if (strcmp(method, "OPTIONS") == 0 && find_route(x, NULL)) {
        char methods[100];
        list_methods(x, methods, sizeof methods);
        fal_cors_answer_preflight(x, methods);
        return;
    }
    const fal_route *route = find_route(x, method);
    if (!route) {
        refuse_unknown(x);
        return;
    }
    fal_exchange_set_route(x, route);
    fits(route->path, fal_exchange_path(x), x);
    if (route->access == FAL_ACCESS_KEY && !fal_server_admits(server, x))
        refuse_without_key(x);
    else if (has_body(method))
        check_body(x, fal_http_limits_get(server->http));
}

/* ---- the handler, and after it ---- */

static void serve(void *user, fal_exchange *x) {
    fal_server *server = user;
    const fal_route *route = fal_exchange_route(x);
    fal_error err = {0};
    if (!route) return;
    if (route->access == FAL_ACCESS_KEY && fal_server_is_draining(server)) {
        fal_exchange_fail_with(x, 503, FAL_E_CANCELLED, "the server is stopping");
        return;
    }
    fal_status status = route->handler(server, x, &err);
    if (status == FAL_OK && (fal_exchange_is_answered(x) || fal_exchange_is_waiting(x))) return;
    if (status == FAL_OK) status = fal_fail(&err, FAL_E_BUG, "%s: no answer", route->handler_name);
    err.status = status;
    fal_exchange_fail(x, &err);
}

static void end(void *user, fal_exchange *x, int code, uint64_t n_bytes, bool is_left) {
    fal_server *server = user;
    const fal_route *route = fal_exchange_route(x);
    double seconds = fal_exchange_age(x);
    fal_metrics_count(&server->metrics, route ? (int)(route - routes) : -1, code, seconds, n_bytes,
                      is_left);
    /* The pattern, not the path: what a user wrote is in no log. */
    fal_server_say(server, FAL_LOG_INFO, "%s %s %s %d %.3f s %llu bytes%s", fal_exchange_id(x),
                   route ? route->method : "-", route ? route->path : "-", code, seconds,
                   (unsigned long long)n_bytes, is_left ? ", the client left" : "");
}

const fal_http_calls fal_router_calls = {begin, serve, end};
