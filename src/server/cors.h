/* Which web pages may use this server: requests of browsers name their origin, and are refused from elsewhere. */
#ifndef FAL_SERVER_CORS_H
#define FAL_SERVER_CORS_H

#include "server/http.h"

typedef struct fal_cors {
    bool
        is_local; /* only this machine reaches the server, and no key is asked for: see fal_cors_allows */
    const char *const *
        origins; /* NULL-terminated, as "https://example.org" or "*"; NULL: none but the own page's */
} fal_cors;

/* Fails: ARGUMENT (neither "*" nor scheme://host[:port]). */
fal_status fal_cors_check(const fal_cors *cors, fal_error *err);

/* Whether the page that sends the request may. Programs other than browsers name no origin: they may. Where it is
 * another's page, the headers that let it read the answer are set.
 *
 * A page can call itself the server's own by letting its name point to this machine (DNS rebinding). So a local server is
 * called by an address, as localhost, or by the name of one of the origins. */
bool fal_cors_allows(const fal_cors *cors, fal_exchange *x);

/* Answers the request with which a browser asks before. methods: as "GET, HEAD, POST". */
void fal_cors_answer_preflight(fal_exchange *x, const char *methods);

#endif
