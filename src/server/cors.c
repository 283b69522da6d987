/* Body of cors.h. Source: the Fetch standard, "CORS protocol". */
#include "server/cors.h"

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
    return FAL_OK;
}

/* The own page: its origin is where the request goes to. */
static bool is_own(const fal_exchange *x, const char *origin) {
    const char *host = fal_exchange_header(x, "Host"), *named = strstr(origin, "://");
    return host && named && strcasecmp(named + 3, host) == 0;
}

/* An address, localhost or a name without a dot, with or without a port: no name that somebody elsewhere could point here. */
static bool is_local_name(const char *host) {
    size_t length = strcspn(host, ":");
    static const char local[] = "localhost";
    size_t n = sizeof local - 1;
    if (host[0] == '[' || strspn(host, "0123456789.") == length || !memchr(host, '.', length))
        return true;
    return length >= n && strncasecmp(host + length - n, local, n) == 0
           && (length == n || host[length - n - 1] == '.');
}

static bool is_known_name(const fal_cors *cors, const char *host) {
    if (is_local_name(host)) return true;
    for (size_t i = 0; cors->origins && cors->origins[i]; i++) {
        const char *named = strstr(cors->origins[i], "://");
        if (named && strcasecmp(named + 3, host) == 0) return true;
    }
    return false;
}

bool fal_cors_allows(const fal_cors *cors, fal_exchange *x) {
    const char *origin = fal_exchange_header(x, "Origin");
    const char *host = fal_exchange_header(x, "Host");
    if (cors->is_local && host && !is_known_name(cors, host)) return false;
    if (!origin || is_own(x, origin)) return true;
    for (size_t i = 0; cors->origins && cors->origins[i]; i++) {
        bool is_any = strcmp(cors->origins[i], "*") == 0;
        if (!is_any && strcasecmp(cors->origins[i], origin) != 0) continue;
        fal_exchange_set_header(x, "Access-Control-Allow-Origin", is_any ? "*" : origin);
        fal_exchange_set_header(x, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
        if (!is_any) fal_exchange_set_header(x, "Vary", "Origin");
        return true;
    }
    return false;
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
