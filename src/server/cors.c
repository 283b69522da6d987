/* Body of cors.h. Source: the Fetch standard, "CORS protocol". */
#include "server/cors.h"

#include "base/bytes.h"

#include <string.h>
#include <strings.h>

fal_status fal_cors_check(const fal_cors *cors, fal_error *err) {
    for (size_t i = 0; cors->origins && cors->origins[i]; i++) {
        const char *origin = cors->origins[i], *host = strstr(origin, "://");
        if (strcmp(origin, "*") == 0) continue;
        if (!host || host == origin || !host[3] || strpbrk(host + 3, "/?# \t\r\n")
            || strlen(origin) > 300)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "origin '%.300s': neither * nor like https://example.org:8443", origin);
    }
    for (size_t i = 0; cors->hosts && cors->hosts[i]; i++) {
        const char *host = cors->hosts[i];
        if (strcmp(host, "*") == 0) continue;
        if (!host[0] || strpbrk(host, ":/?#@*[] \t\r\n") || strlen(host) > 253)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "host '%.300s': neither * nor a name alone, like chat.example.org",
                            host);
    }
    return FAL_OK;
}

/* The own page: its origin is where the request goes to. */
static bool is_own(const fal_exchange *x, const char *origin) {
    const char *host = fal_exchange_header(x, "Host"), *named = strstr(origin, "://");
    return host && named && strcasecmp(named + 3, host) == 0;
}

/* A whole name may end with a dot. */
static fal_slice without_dot(fal_slice name) {
    if (name.length > 1 && name.data[name.length - 1] == '.') name.length--;
    return name;
}

/* The name in a Host or an origin's: without the port. False: what follows it is no port. */
static bool read_name(fal_slice *out, const char *host) {
    size_t length = strcspn(host, host[0] == '[' ? "]" : ":");
    length += host[length] == ']';
    const char *port = host + length + (host[length] == ':');
    *out = without_dot((fal_slice){host, length});
    return !port[strspn(port, "0123456789")];
}

static bool is_same(fal_slice name, fal_slice other) {
    return name.length == other.length && strncasecmp(name.data, other.data, name.length) == 0;
}

/* An address or localhost. */
static bool is_fixed(fal_slice name) {
    static const char local[] = "localhost";
    size_t n = sizeof local - 1;
    if (!name.length || name.data[0] == '[' || strspn(name.data, "0123456789.") >= name.length)
        return true;
    return name.length >= n && strncasecmp(name.data + name.length - n, local, n) == 0
           && (name.length == n || name.data[name.length - n - 1] == '.');
}

static bool is_known_name(const fal_cors *cors, const char *host) {
    fal_slice name, other;
    if (!read_name(&name, host)) return false;
    if (is_fixed(name) || (cors->host && is_same(name, without_dot(fal_slice_of(cors->host)))))
        return true;
    for (size_t i = 0; cors->hosts && cors->hosts[i]; i++)
        if (strcmp(cors->hosts[i], "*") == 0
            || is_same(name, without_dot(fal_slice_of(cors->hosts[i]))))
            return true;
    for (size_t i = 0; cors->origins && cors->origins[i]; i++) {
        const char *named = strstr(cors->origins[i], "://");
        if (named && read_name(&other, named + 3) && is_same(name, other)) return true;
    }
    return false;
}

const char *fal_cors_refuse(const fal_cors *cors, fal_exchange *x) {
    const char *origin = fal_exchange_header(x, "Origin");
    const char *host = fal_exchange_header(x, "Host");
    if (cors->checks_names && host && !is_known_name(cors, host))
        return "without keys the server answers under an address, localhost and the names of "
               "--allow-host only";
    if (!origin || is_own(x, origin)) return NULL;
    for (size_t i = 0; cors->origins && cors->origins[i]; i++) {
        bool is_any = strcmp(cors->origins[i], "*") == 0;
        if (!is_any && strcasecmp(cors->origins[i], origin) != 0) continue;
        fal_exchange_set_header(x, "Access-Control-Allow-Origin", is_any ? "*" : origin);
        fal_exchange_set_header(x, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
        if (!is_any) fal_exchange_set_header(x, "Vary", "Origin");
        return NULL;
    }
    return "pages of this origin may not use the server; see --cors";
}

/* What stands in a header of a request may go into one of the answer. */
static bool is_list_of_names(const char *text) {
    for (; *text; text++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ", *text))
            return false;
    return true;
}

void fal_cors_answer_preflight(fal_exchange *x, const char *methods) {
    const char *wanted = fal_exchange_header(x, "Access-Control-Request-Headers");
    fal_exchange_set_header(x, "Allow", methods);
    if (fal_exchange_header(x, "Access-Control-Request-Method")) {
        fal_exchange_set_header(x, "Access-Control-Allow-Methods", methods);
        if (wanted && is_list_of_names(wanted))
            fal_exchange_set_header(x, "Access-Control-Allow-Headers", wanted);
        fal_exchange_set_header(x, "Access-Control-Max-Age", "86400");
    }
    fal_exchange_answer(x, 204, "text/plain", "", 0);
}
