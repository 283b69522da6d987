/* The routes that tell whether the server is alive and takes requests. */
#include "server/router.h"
#include "server/server_private.h"

static void answer(fal_exchange *x, bool is_good, const char *status) {
    fal_exchange_set_header(x, "Cache-Control", "no-store");
    fal_exchange_answer_json(x, is_good ? 200 : 503, json_pack("{s:s}", "status", status));
}

fal_status fal_route_health(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)server;
    (void)err;
    answer(x, true, "ok");
    return FAL_OK;
}

fal_status fal_route_ready(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)err;
    bool is_draining = fal_server_is_draining(server);
    answer(x, !is_draining, is_draining ? "draining" : "ready");
    return FAL_OK;
}
