/* /v1/messages and its count of tokens, in the dialect of Anthropic. */
#include "base/fail.h"
#include "formats/json_value.h"
#include "server/events.h"
#include "server/openai.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <string.h>

/* The messages may end with the assistant's: then the answer goes on in there. */
static fal_status render(fal_request *r, const fal_model *model, fal_tokens *out, fal_error *err) {
    const json_t *last = json_array_get(r->messages, json_array_size(r->messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    if (strcmp(role, "assistant") == 0) r->continues = FAL_YES;
    return fal_request_render(r, model, false, out, err);
}

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(fal_answers_read(a, FAL_BODY_MESSAGES, true, err));
    fal_request *r = &a->request;
    const fal_model *model = a->model->model;
    FAL_TRY(fal_job_request_read(&a->job, r, model, FAL_DRAWS,
                                 fal_chat_stop_words(fal_model_chat_format(model)), err));
    a->job.options.max_new_tokens = (int)r->max_tokens.value;
    FAL_TRY(fal_answers_check_messages(a, false, err));
    fal_tokens tokens = {0};
    fal_status status = render(r, model, &tokens, err);
    if (status == FAL_OK) return fal_answers_ask(a, "messages", &tokens, NULL, err);
    fal_tokens_release(&tokens);
    return status;
}

/* ---- telling ---- */

/* What was computed before is told beside what was not. */
static json_t *usage_of(const fal_answers *a, size_t n_drawn) {
    size_t n_cached = fal_answers_n_cached(a);
    json_t *usage = json_pack("{s:I, s:i, s:I, s:I}", "input_tokens",
                              (json_int_t)(fal_answers_n_prompt(a) - n_cached),
                              "cache_creation_input_tokens", 0, "cache_read_input_tokens",
                              (json_int_t)n_cached, "output_tokens", (json_int_t)n_drawn);
    return usage;
}

/* A word of the chat format is the end of the turn; only the client's own are stop sequences. */
static const char *stop_sequence(const fal_answers *a, const fal_choice *c) {
    if (c->finish != FAL_FINISH_STOP_WORD || !c->stop_word) return NULL;
    for (size_t i = 0; i < a->request.stop.count; i++)
        if (strcmp(a->request.stop.items[i], c->stop_word) == 0) return c->stop_word;
    return NULL;
}

static const char *stop_reason(const fal_answers *a, const fal_choice *c) {
    if (stop_sequence(a, c)) return "stop_sequence";
    if (c->finish == FAL_FINISH_LENGTH) return "max_tokens";
    return c->finish == FAL_FINISH_CONTEXT ? "model_context_window_exceeded" : "end_turn";
}

static json_t *message(const fal_answers *a, json_t *take_content, const char *reason,
                       const char *sequence, size_t n_drawn) {
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:o}", "id", a->id, "type", "message",
                     "role", "assistant", "model", a->model->id, "content", take_content,
                     "stop_reason", reason, "stop_sequence", sequence, "usage",
                     usage_of(a, n_drawn));
}

static json_t *whole(fal_answers *a) {
    const fal_choice *c = &a->choices[0];
    json_t *block = json_pack("{s:s, s:o}", "type", "text", "text",
                              fal_json_text(c->text.text ? c->text.text : "", c->text.length));
    return message(a, json_pack("[o]", block), stop_reason(a, c), stop_sequence(a, c), c->n_tokens);
}

/* ---- stream ---- */

static void begin(fal_answers *a, const fal_asked *asked) {
    (void)asked;
    fal_event_write(a->x, "message_start",
                    json_pack("{s:s, s:o}", "type", "message_start", "message",
                              message(a, json_array(), NULL, NULL, 0)));
    fal_event_write(a->x, "content_block_start",
                    json_pack("{s:s, s:i, s:{s:s, s:s}}", "type", "content_block_start", "index", 0,
                              "content_block", "type", "text", "text", ""));
    fal_event_write(a->x, "ping", json_pack("{s:s}", "type", "ping"));
}

static void piece(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    (void)c;
    if (!e->length) return;
    fal_event_write(a->x, "content_block_delta",
                    json_pack("{s:s, s:i, s:{s:s, s:o}}", "type", "content_block_delta", "index", 0,
                              "delta", "type", "text_delta", "text",
                              fal_json_text(e->text, e->length)));
}

static void finish(fal_answers *a, fal_choice *c) {
    fal_event_write(a->x, "content_block_stop",
                    json_pack("{s:s, s:i}", "type", "content_block_stop", "index", 0));
    json_t *delta = json_pack("{s:s, s:s?}", "stop_reason", stop_reason(a, c), "stop_sequence",
                              stop_sequence(a, c));
    fal_event_write(a->x, "message_delta",
                    json_pack("{s:s, s:o, s:o}", "type", "message_delta", "delta", delta, "usage",
                              usage_of(a, c->n_tokens)));
}

static void end(fal_answers *a) {
    fal_event_write(a->x, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

static void fail(fal_answers *a, const fal_error *why) {
    int code = fal_answer_code(why->status);
    fal_event_write(a->x, "error", fal_error_in_anthropic(&code, why->status, why->message));
}

fal_status fal_route_anthropic_messages(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {"msg_", prepare, begin, piece, finish,
                                         end,    fail,    whole, NULL};
    return fal_answers_serve(&form, server, x, err);
}

/* ---- counting ---- */

static fal_status count(fal_request *r, fal_server *server, fal_exchange *x, size_t *out,
                        fal_error *err) {
    json_t *body = NULL;
    const fal_server_model *model = NULL;
    fal_tokens tokens = {0};
    FAL_TRY(fal_exchange_json(x, &body, err));
    FAL_TRY(fal_request_read(r, FAL_BODY_COUNT, body, err));
    FAL_TRY(fal_answers_model(server, r, true, &model, err));
    fal_status status = render(r, model->model, &tokens, err);
    *out = tokens.count;
    fal_tokens_release(&tokens);
    return status;
}

fal_status fal_route_anthropic_count(fal_server *server, fal_exchange *x, fal_error *err) {
    fal_request r = {0};
    fal_error why = {0};
    size_t n = 0;
    (void)err;
    why.status = count(&r, server, x, &n, &why);
    if (why.status == FAL_OK)
        fal_exchange_answer_json(x, 200, json_pack("{s:I}", "input_tokens", (json_int_t)n));
    else
        fal_answer_error(x, &r, &why);
    fal_request_release(&r);
    return FAL_OK;
}
