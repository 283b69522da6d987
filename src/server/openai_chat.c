/* /v1/chat/completions. */
#include "base/alloc.h"
#include "base/fail.h"
#include "formats/json_value.h"
#include "server/events.h"
#include "server/openai.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <string.h>

static const char chunk_object[] = "chat.completion.chunk";

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(fal_answers_read(a, FAL_BODY_CHAT, true, err));
    fal_request *r = &a->request;
    const fal_model *model = a->model->model;
    FAL_TRY(fal_job_request_read(&a->job, r, model, FAL_DRAWS,
                                 fal_chat_stop_words(fal_model_chat_format(model)), err));
    if (r->n_top.is_given && r->n_top.value && r->logprobs != FAL_YES)
        return fal_request_refuse(r, "top_logprobs", err, "only with logprobs");
    a->keeps_tokens = r->logprobs == FAL_YES;
    a->job.options.max_new_tokens = (int)r->max_tokens.value;
    a->job.options.wants_log_probabilities = a->keeps_tokens;
    a->job.options.n_top = a->keeps_tokens ? (int)r->n_top.value : 0;
    FAL_TRY(fal_answers_check_messages(a, true, err));
    fal_tokens tokens = {0};
    fal_status status = fal_request_render(r, model, true, &tokens, err);
    if (status == FAL_OK) return fal_answers_ask(a, "messages", &tokens, NULL, err);
    fal_tokens_release(&tokens);
    return status;
}

/* ---- log-probabilities ---- */

static json_t *bytes_of(const fal_tokenizer *t, int32_t id) {
    json_t *list = json_array();
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(t, id, &length);
    for (size_t i = 0; piece && i < length; i++)
        json_array_append_new(list, json_integer((unsigned char)piece[i]));
    return list;
}

static json_t *one_token(const fal_tokenizer *t, int32_t id, double log_probability) {
    char *name = fal_token_name(t, id);
    json_t *token = json_pack("{s:s, s:o, s:o}", "token", name ? name : "", "logprob",
                              fal_json_number(log_probability), "bytes", bytes_of(t, id));
    fal_free(name);
    return token;
}

static json_t *log_probabilities(const fal_answers *a, const fal_told *told) {
    json_t *list = json_array();
    for (size_t i = 0; i < told->count; i++) {
        if (fal_openai_is_end(a, told->ids[i])) continue;
        json_t *token = one_token(a->tokenizer, told->ids[i], told->log_probabilities[i]);
        json_t *tops = json_array();
        for (size_t k = i * told->n_top; k < (i + 1) * told->n_top; k++)
            json_array_append_new(tops,
                                  one_token(a->tokenizer, told->top_ids[k], told->top_values[k]));
        json_object_set_new(token, "top_logprobs", tops);
        json_array_append_new(list, token);
    }
    return json_pack("{s:o, s:n}", "content", list, "refusal");
}

/* ---- whole ---- */

static json_t *choice_of(const fal_answers *a, const fal_choice *c, int index) {
    json_t *message =
        json_pack("{s:s, s:o, s:n}", "role", "assistant", "content",
                  fal_json_text(c->text.text ? c->text.text : "", c->text.length), "refusal");
    return json_pack("{s:i, s:o, s:o, s:s}", "index", index, "message", message, "logprobs",
                     a->keeps_tokens ? log_probabilities(a, &c->told) : json_null(),
                     "finish_reason", fal_openai_finish(c->finish));
}

static json_t *whole(fal_answers *a) {
    json_t *choices = json_array();
    for (int i = 0; i < a->job.n_told; i++)
        json_array_append_new(choices, choice_of(a, &a->choices[i], i));
    json_t *answer = fal_openai_head(a, "chat.completion", choices);
    json_object_set_new(answer, "usage", fal_openai_usage(a));
    json_object_set_new(answer, "timings", fal_openai_timings(a));
    return answer;
}

/* ---- stream ---- */

/* delta and log_probabilities are taken; finish NULL: the answer goes on. */
static void write_chunk(fal_answers *a, int index, json_t *delta, json_t *take_log_probabilities,
                        const char *finish) {
    json_t *choice = json_pack("{s:i, s:o, s:o, s:s?}", "index", index, "delta", delta, "logprobs",
                               take_log_probabilities, "finish_reason", finish);
    json_t *event = fal_openai_head(a, chunk_object, json_pack("[o]", choice));
    if (a->tells_usage) json_object_set_new(event, "usage", json_null());
    fal_event_write(a->x, NULL, event);
}

static void begin(fal_answers *a, const fal_asked *asked) {
    (void)asked;
    for (int i = 0; i < a->job.n_told; i++)
        write_chunk(a, i, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), json_null(),
                    NULL);
}

static void piece(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    bool is_told = a->keeps_tokens && e->token >= 0 && !fal_openai_is_end(a, e->token);
    if (!e->length && !is_told) return;
    fal_told told = fal_told_of_event(e);
    json_t *delta = json_pack("{s:o}", "content", fal_json_text(e->text, e->length));
    write_chunk(a, c->index, delta, is_told ? log_probabilities(a, &told) : json_null(), NULL);
}

static void finish(fal_answers *a, fal_choice *c) {
    write_chunk(a, c->index, json_object(), json_null(), fal_openai_finish(c->finish));
}

static void end(fal_answers *a) {
    fal_openai_end_stream(a, chunk_object);
}

fal_status fal_route_openai_chat(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {
        "chatcmpl-",          prepare, begin, piece, finish, end, fal_openai_fail_stream, whole,
        FAL_OPENAI_CUT_ADVICE};
    return fal_answers_serve(&form, server, x, err);
}
