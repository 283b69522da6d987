/* Which web pages may use this server: requests of browsers name their origin, and are refused from elsewhere. */
#ifndef FAL_SERVER_CORS_H
#define FAL_SERVER_CORS_H

#include "server/http.h"

/* NULL-terminated lists; NULL: empty. */
typedef struct fal_cors {
    const char *const *origins; /* as "https://example.org" or "*": pages besides the own one */
    bool checks_names;          /* no key is asked for: see fal_cors_refuse */
    const char *host;           /* a name or an address that it listens at, or NULL */
    const char *const *hosts;   /* further names that it may be called by; "*": any */
} fal_cors;

/* Fails: ARGUMENT (an origin that is neither "*" nor scheme://host[:port]; a host that is no name alone). */
fal_status fal_cors_check(const fal_cors *cors, fal_error *err);

/* Why the page that sends the request may not use the server; NULL: it may. Programs other than browsers name no origin:
 * they may. Where it is another's page, the headers that let it read the answer are set.
 *
 * A page can call itself the server's own by letting its name point to an address that its visitor reaches (DNS rebinding).
 * So a server that asks for no key answers under names that nobody else can point anywhere: addresses, localhost, its own
 * host, the hosts of origins, and those that were named. */
const char *fal_cors_refuse(const fal_cors *cors, fal_exchange *x);

/* Answers the request with which a browser asks before. methods: as "GET, HEAD, POST". */
void fal_cors_answer_preflight(fal_exchange *x, const char *methods);

#endif
