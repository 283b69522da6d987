/* The routes that tell whether the server is alive and takes requests. The truth is the engines': a computing thread that
 * does not come back makes the whole server unhealthy, though sockets are still served. */
#include "server/engine.h"
#include "server/router.h"
#include "server/server_private.h"

/* {"id", "status", "step_age_seconds", "running", "waiting"} of one model. */
static json_t *model_state(const fal_server_model *model, bool *is_stuck, bool *is_full) {
    fal_engine_state s;
    fal_engine_state_get(model->engine, &s);
    *is_stuck = *is_stuck || s.is_stuck;
    *is_full = *is_full || s.n_waiting >= s.max_waiting;
    return json_pack("{s:s,s:s,s:f,s:I,s:I}", "id", model->id, "status",
                     s.is_stuck ? "stuck" : "ok", "step_age_seconds", s.step_age, "running",
                     (json_int_t)s.n_running, "waiting", (json_int_t)s.n_waiting);
}

static void answer(fal_exchange *x, bool is_good, const char *status, json_t *take_models) {
    fal_exchange_set_header(x, "Cache-Control", "no-store");
    if (!is_good) fal_exchange_set_header(x, "Retry-After", "5");
    fal_exchange_answer_json(x, is_good ? 200 : 503,
                             json_pack("{s:s,s:o}", "status", status, "models", take_models));
}

static json_t *all_states(const fal_server *server, bool *is_stuck, bool *is_full) {
    json_t *list = json_array();
    const fal_server_model *model;
    for (size_t i = 0; (model = fal_server_model_at(server, i)); i++)
        json_array_append_new(list, model_state(model, is_stuck, is_full));
    return list;
}

fal_status fal_route_health(fal_server *server, fal_exchange *x, fal_error *err) {
    bool is_stuck = false, is_full = false;
    json_t *states = all_states(server, &is_stuck, &is_full);
    (void)err;
    answer(x, !is_stuck, is_stuck ? "stuck" : "ok", states);
    return FAL_OK;
}

fal_status fal_route_ready(fal_server *server, fal_exchange *x, fal_error *err) {
    bool is_stuck = false, is_full = false;
    json_t *states = all_states(server, &is_stuck, &is_full);
    const char *status = "ready";
    (void)err;
    if (is_full) status = "full";
    if (is_stuck) status = "stuck";
    if (fal_server_is_draining(server)) status = "draining";
    answer(x, !is_full && !is_stuck && !fal_server_is_draining(server), status, states);
    return FAL_OK;
}
