/* The routes of what the page keeps: JSON of requests to the store, JSON of the store to answers. */
#include "server/router.h"
#include "server/server.h"
#include "server/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_LIMIT = 50,
    MAX_LIMIT = 500
};

static fal_status store_of(fal_server *server, fal_store **out, fal_error *err) {
    const char *why = NULL;
    *out = fal_server_store(server, &why);
    if (*out) return FAL_OK;
    return fal_fail(err, FAL_E_UNSUPPORTED, "this server keeps no conversations%s%s",
                    why ? ": " : "", why ? why : "");
}

/* Whole number in text; name stands for it in the message. */
static fal_status whole(const char *text, const char *name, int64_t max, int64_t *out,
                        fal_error *err) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < 0 || value > max)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a whole number from 0 to %lld", name,
                        (long long)max);
    *out = value;
    return FAL_OK;
}

static fal_status segment(const fal_exchange *x, const char *name, int64_t *out, fal_error *err) {
    return whole(fal_exchange_segment(x, name), name, INT64_MAX, out, err);
}

static fal_status query(const fal_exchange *x, const char *name, int64_t max, int64_t fallback,
                        int64_t *out, fal_error *err) {
    const char *text = fal_exchange_query(x, name);
    *out = fallback;
    return text ? whole(text, name, max, out, err) : FAL_OK;
}

/* Answers what a call gave; value is taken. NULL, where the call has nothing to tell, is 204. */
static fal_status answer(fal_exchange *x, int code, json_t *take_value, fal_status status) {
    if (status != FAL_OK) {
        json_decref(take_value);
        return status;
    }
    fal_exchange_set_header(x, "Cache-Control", "no-store");
    if (take_value)
        fal_exchange_answer_json(x, code, take_value);
    else
        fal_exchange_answer(x, 204, "application/json", "", 0);
    return FAL_OK;
}

/* ---- conversations ---- */

fal_status fal_route_conversations(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    fal_store_range range = {.words = fal_exchange_query(x, "words")};
    json_t *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(query(x, "skip", INT32_MAX, 0, &range.skip, err));
    FAL_TRY(query(x, "limit", MAX_LIMIT, DEFAULT_LIMIT, &range.limit, err));
    fal_status status = fal_store_list(s, &range, &out, err);
    return answer(x, 200, out, status);
}

fal_status fal_route_create_conversation(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    json_t *body, *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_create(s, body, &out, err);
    json_decref(body);
    return answer(x, 201, out, status);
}

fal_status fal_route_read_conversation(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id;
    json_t *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(segment(x, "conversation", &id, err));
    fal_status status = fal_store_read(s, id, &out, err);
    return answer(x, 200, out, status);
}

fal_status fal_route_change_conversation(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id;
    json_t *body;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(segment(x, "conversation", &id, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_change(s, id, body, err);
    json_decref(body);
    return answer(x, 200, NULL, status);
}

fal_status fal_route_delete_conversation(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(segment(x, "conversation", &id, err));
    return answer(x, 200, NULL, fal_store_delete(s, id, err));
}

fal_status fal_route_add_message(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id;
    json_t *body, *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(segment(x, "conversation", &id, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_add_message(s, id, body, &out, err);
    json_decref(body);
    return answer(x, 201, out, status);
}

fal_status fal_route_change_message(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id, message;
    json_t *body;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(segment(x, "conversation", &id, err));
    FAL_TRY(segment(x, "message", &message, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_change_message(s, id, message, body, err);
    json_decref(body);
    return answer(x, 200, NULL, status);
}

/* ---- documents ---- */

fal_status fal_route_export(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    int64_t id;
    json_t *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(query(x, "conversation", INT64_MAX, 0, &id, err));
    fal_status status = fal_store_export(s, id, &out, err);
    return answer(x, 200, out, status);
}

fal_status fal_route_import(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    json_t *body, *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_import(s, body, &out, err);
    json_decref(body);
    return answer(x, 201, out, status);
}

/* ---- votes ---- */

fal_status fal_route_votes(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    json_t *out = NULL;
    FAL_TRY(store_of(server, &s, err));
    fal_status status = fal_store_votes(s, &out, err);
    return answer(x, 200, out, status);
}

fal_status fal_route_add_vote(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_store *s;
    json_t *body;
    FAL_TRY(store_of(server, &s, err));
    FAL_TRY(fal_exchange_json(x, &body, err));
    fal_status status = fal_store_add_vote(s, body, err);
    json_decref(body);
    return answer(x, 200, NULL, status);
}
