/* From a request to its handler: what every route has in common happens here, before and after the handler. A route is a row
 * of routes.def. */
#ifndef FAL_SERVER_ROUTER_H
#define FAL_SERVER_ROUTER_H

#include "server/dialect.h"
#include "server/http_daemon.h"

typedef struct fal_server fal_server;

/* Answers, begins a stream, or waits (http.h). What it returns but FAL_OK is answered in the dialect of its route. */
typedef fal_status fal_route_handler(fal_server *server, fal_exchange *x, fal_error *err);

typedef enum fal_access {
    FAL_ACCESS_OPEN,
    FAL_ACCESS_KEY
} fal_access;

typedef struct fal_route {
    const char *method, *path, *handler_name, *meaning;
    fal_route_handler *handler;
    fal_access access;
    const fal_dialect *dialect;
} fal_route;

/* The handlers that routes.def names. */
#define FAL_ROUTE(method, path, handler, access, dialect, meaning) \
    fal_route_handler fal_route_##handler;
#include "server/routes.def"
#undef FAL_ROUTE

/* NULL: past the end. */
const fal_route *fal_route_at(int index);
int fal_route_count(void);
/* The route of the request; NULL: none fits. */
const fal_route *fal_exchange_route_get(const fal_exchange *x);

/* Answers an error in the dialect of the route: for who answers later. err is not NULL. */
void fal_exchange_fail(fal_exchange *x, const fal_error *err);
/* The same with a code that no status stands for. */
void fal_exchange_fail_with(fal_exchange *x, int code, fal_status status, const char *message);

/* What the daemon calls; the user of the daemon's options is the fal_server. */
extern const fal_http_calls fal_router_calls;

#endif
