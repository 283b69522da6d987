/* The dialect of text-generation-inference: /generate, /generate_stream, /info; and POST /, the contract of Inference
 * Endpoints, which answers with a list and repeats the prompt unless told otherwise. */
#include <falconer/version.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "formats/json_value.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/openai.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_TOKENS = 1024
};

#define CUT_ADVICE "; truncate: N keeps the last N tokens"

/* ---- asking ---- */

static fal_status ask(fal_answers *a, fal_error *err) {
    fal_tokens tokens = {0};
    fal_string_builder text = {0};
    FAL_TRY(fal_answers_check_bytes(a, "inputs", strlen(a->request.inputs), err));
    fal_status status =
        fal_request_encode(&a->request, a->model->model, a->request.inputs, &tokens, err);
    if (status != FAL_OK) {
        fal_tokens_release(&tokens);
        return status;
    }
    fal_string_append_text(&text, a->request.inputs);
    return fal_answers_ask(a, "inputs", &tokens, &text, err);
}

static fal_status read_length(fal_answers *a, size_t n_prompt, fal_error *err) {
    fal_request *r = &a->request;
    int64_t most = r->max_tokens.is_given ? r->max_tokens.value : DEFAULT_TOKENS;
    if (r->max_length.is_given && !r->max_tokens.is_given) {
        if ((size_t)r->max_length.value <= n_prompt)
            return fal_request_refuse(r, "max_length", err, "%lld, the prompt alone has %zu tokens",
                                      (long long)r->max_length.value, n_prompt);
        most = r->max_length.value - (int64_t)n_prompt;
    }
    a->job.options.max_new_tokens = (int)most;
    return FAL_OK;
}

static fal_status check_together(fal_request *r, fal_error *err) {
    if (r->best_of.is_given && r->best_of.value > 1 && r->n.is_given)
        return fal_request_refuse(r, "best_of", err, "not with num_return_sequences");
    if (r->stream == FAL_YES && r->n.is_given && r->n.value > 1)
        return fal_request_refuse(r, "num_return_sequences", err, "not with stream");
    if (r->stream == FAL_YES && r->prefill == FAL_YES)
        return fal_request_refuse(r, "decoder_input_details", err, "not with stream");
    return FAL_OK;
}

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(fal_answers_read(a, FAL_BODY_GENERATE, false, err));
    fal_request *r = &a->request;
    if (r->parameters) FAL_TRY(fal_request_read_object(r, FAL_BODY_PARAMETERS, r->parameters, err));
    a->is_stream = r->stream == FAL_YES;
    FAL_TRY(check_together(r, err));
    FAL_TRY(fal_job_request_read(&a->job, r, a->model->model, FAL_DRAWS_IF_ASKED, NULL, err));
    fal_job_options *o = &a->job.options;
    a->keeps_tokens = r->details == FAL_YES || a->is_stream;
    o->wants_log_probabilities = o->wants_log_probabilities || a->keeps_tokens;
    o->wants_prompt_log_probabilities = r->details == FAL_YES && r->prefill == FAL_YES;
    o->n_top = a->keeps_tokens && r->n_top.is_given ? (int)r->n_top.value : 0;
    FAL_TRY(ask(a, err));
    return read_length(a, a->asked[0].tokens.count, err);
}

static fal_status prepare_generate(fal_answers *a, fal_error *err) {
    FAL_TRY(prepare(a, err));
    if (a->job.n_told > 1)
        return fal_request_refuse(&a->request, "num_return_sequences", err,
                                  "only with POST /, whose answer is a list");
    return FAL_OK;
}

static fal_status prepare_stream(fal_answers *a, fal_error *err) {
    FAL_TRY(prepare_generate(a, err));
    if (a->job.n_answers > 1)
        return fal_request_refuse(&a->request, "best_of", err, "not with a stream");
    if (a->request.prefill == FAL_YES)
        return fal_request_refuse(&a->request, "decoder_input_details", err, "not with a stream");
    a->is_stream = a->keeps_tokens = true;
    a->job.options.wants_log_probabilities = true;
    a->job.options.n_top = a->request.n_top.is_given ? (int)a->request.n_top.value : 0;
    return FAL_OK;
}

static fal_status prepare_endpoint(fal_answers *a, fal_error *err) {
    FAL_TRY(prepare(a, err));
    if (a->request.full_text == FAL_UNSAID) a->request.full_text = FAL_YES;
    return FAL_OK;
}

/* ---- telling ---- */

static const char *finish_reason(fal_finish finish) {
    if (finish == FAL_FINISH_END) return "eos_token";
    return finish == FAL_FINISH_STOP_WORD ? "stop_sequence" : "length";
}

static json_t *token_of(const fal_tokenizer *t, const fal_told *told, size_t i, bool is_prompt) {
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(t, told->ids[i], &length);
    bool is_known = told->log_probabilities && !(told->lacks_first && i == 0);
    json_t *token = json_pack("{s:I, s:o, s:o}", "id", (json_int_t)told->ids[i], "text",
                              fal_json_text(piece ? piece : "", length), "logprob",
                              is_known ? fal_json_number(told->log_probabilities[i]) : json_null());
    if (!is_prompt)
        json_object_set_new(token, "special",
                            json_boolean(fal_tokenizer_is_control(t, told->ids[i])));
    return token;
}

static json_t *tops_of(const fal_tokenizer *t, const fal_told *told, size_t i) {
    json_t *list = json_array();
    fal_told tops = {.count = told->n_top,
                     .ids = told->top_ids + i * told->n_top,
                     .log_probabilities = told->top_values + i * told->n_top};
    for (size_t k = 0; k < tops.count; k++)
        json_array_append_new(list, token_of(t, &tops, k, false));
    return list;
}

/* Here, unlike elsewhere, a stop word is part of the answer. */
static json_t *text_of(const fal_answers *a, const fal_choice *c) {
    const fal_asked *asked = &a->asked[c->asked];
    fal_string_builder text = {0};
    bool is_whole = !asked->n_cut && !asked->n_dropped;
    if (a->request.full_text == FAL_YES && is_whole)
        fal_string_append(&text, asked->text.text ? asked->text.text : "", asked->text.length);
    if (a->request.full_text == FAL_YES && !is_whole)
        fal_tokens_text(a->tokenizer, asked->told.ids, asked->told.count, &text);
    fal_string_append(&text, c->text.text ? c->text.text : "", c->text.length);
    if (c->stop_word) fal_string_append_text(&text, c->stop_word);
    json_t *value = fal_json_text(text.text ? text.text : "", text.length);
    fal_string_release(&text);
    return value;
}

static bool is_greedy(const fal_answers *a) {
    return a->job.options.sampling.temperature <= 0;
}

static json_t *seed_of(const fal_answers *a) {
    return is_greedy(a) ? json_null() : json_integer((json_int_t)a->job.options.sampling.seed);
}

static json_t *details_of(const fal_answers *a, const fal_choice *c) {
    const fal_asked *asked = &a->asked[c->asked];
    json_t *tokens = json_array(), *tops = json_array(), *prefill = json_array();
    for (size_t i = 0; i < c->told.count; i++) {
        json_array_append_new(tokens, token_of(a->tokenizer, &c->told, i, false));
        if (c->told.n_top) json_array_append_new(tops, tops_of(a->tokenizer, &c->told, i));
    }
    for (size_t i = 0; a->request.prefill == FAL_YES && i < asked->told.count; i++)
        json_array_append_new(prefill, token_of(a->tokenizer, &asked->told, i, true));
    json_t *details =
        json_pack("{s:s, s:I, s:o, s:I, s:o, s:o}", "finish_reason", finish_reason(c->finish),
                  "generated_tokens", (json_int_t)c->n_tokens, "seed", seed_of(a), "input_length",
                  (json_int_t)asked->told.count, "prefill", prefill, "tokens", tokens);
    if (json_array_size(tops)) json_object_set(details, "top_tokens", tops);
    json_decref(tops);
    if (asked->n_cut || asked->n_dropped)
        json_object_set_new(details, "truncated_tokens",
                            json_integer((json_int_t)(asked->n_cut + asked->n_dropped)));
    return details;
}

static json_t *answer_of(const fal_answers *a, const fal_choice *c) {
    json_t *answer = json_pack("{s:o}", "generated_text", text_of(a, c));
    if (a->request.details == FAL_YES) json_object_set_new(answer, "details", details_of(a, c));
    return answer;
}

/* The others of best_of, flat as text-generation-inference tells them. */
static void add_others(const fal_answers *a, json_t *answer, fal_choice **best) {
    json_t *details = json_object_get(answer, "details");
    if (!details || a->job.n_answers == a->job.n_told) return;
    json_t *list = json_array();
    for (int i = 1; i < a->job.n_answers; i++) {
        json_t *other = details_of(a, best[i]);
        json_object_set_new(other, "generated_text", text_of(a, best[i]));
        json_array_append_new(list, other);
    }
    json_object_set_new(details, "best_of_sequences", list);
}

static void set_header(const fal_answers *a, const char *name, double value, int digits) {
    char text[40];
    snprintf(text, sizeof text, "%.*f", digits, value);
    fal_exchange_set_header(a->x, name, text);
}

/* Times in milliseconds but for x-compute-time, which is in seconds: so it is there. */
static void set_headers(const fal_answers *a) {
    double total = a->ended - a->started, n = (double)fal_answers_n_drawn(a);
    double drawing = a->drawing > 0 ? a->ended - a->drawing : 0;
    fal_exchange_set_header(a->x, "x-compute-type", "cpu");
    set_header(a, "x-compute-time", total, 6);
    set_header(a, "x-compute-characters", (double)a->asked[0].n_bytes, 0);
    set_header(a, "x-total-time", total * 1e3, 0);
    set_header(a, "x-validation-time", (a->jobs_started - a->started) * 1e3, 0);
    set_header(a, "x-queue-time", a->queue_seconds * 1e3, 0);
    set_header(a, "x-inference-time", (a->ended - a->jobs_started - a->queue_seconds) * 1e3, 0);
    set_header(a, "x-time-per-token", n > 0 ? drawing * 1e3 / n : 0, 3);
    set_header(a, "x-prompt-tokens", (double)fal_answers_n_prompt(a), 0);
    set_header(a, "x-generated-tokens", n, 0);
    if (fal_answers_n_dropped(a))
        set_header(a, "x-truncated-tokens", (double)fal_answers_n_dropped(a), 0);
}

static json_t *whole(fal_answers *a) {
    fal_choice *best[FAL_JOB_MAX_ANSWERS];
    set_headers(a);
    fal_answers_rank(a, 0, best);
    json_t *answer = answer_of(a, best[0]);
    add_others(a, answer, best);
    return answer;
}

static json_t *whole_list(fal_answers *a) {
    fal_choice *best[FAL_JOB_MAX_ANSWERS];
    json_t *list = json_pack("[o]", whole(a));
    fal_answers_rank(a, 0, best);
    for (int i = 1; i < a->job.n_told; i++)
        json_array_append_new(list, answer_of(a, best[i]));
    return list;
}

/* ---- stream ---- */

/* Writes the newest token but `back`, with the text that it made visible. take_text and take_details: null but in the last
 * event. */
static void write_token(fal_answers *a, fal_choice *c, size_t back, json_t *take_text,
                        json_t *take_details) {
    size_t i = c->told.count - 1 - back;
    json_t *token = token_of(a->tokenizer, &c->told, i, false);
    if (c->held.length || !json_is_true(json_object_get(token, "special"))) {
        json_object_set_new(token, "text",
                            fal_json_text(c->held.text ? c->held.text : "", c->held.length));
        json_object_set_new(token, "special", json_false());
    }
    fal_string_clear(&c->held);
    json_t *event = json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)i + 1, "token", token,
                              "generated_text", take_text, "details", take_details);
    if (c->told.n_top) json_object_set_new(event, "top_tokens", tops_of(a->tokenizer, &c->told, i));
    fal_event_write(a->x, NULL, event);
}

/* A token waits for the next one: the last is told together with the whole answer. */
static void piece(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    if (e->token >= 0 && c->told.count > 1) write_token(a, c, 1, json_null(), json_null());
    fal_string_append(&c->held, e->text, e->length);
}

static json_t *stream_details(const fal_answers *a, const fal_choice *c) {
    return json_pack("{s:s, s:I, s:o, s:I}", "finish_reason", finish_reason(c->finish),
                     "generated_tokens", (json_int_t)c->n_tokens, "seed", seed_of(a),
                     "input_length", (json_int_t)a->asked[c->asked].told.count);
}

static void finish(fal_answers *a, fal_choice *c) {
    if (c->stop_word) fal_string_append_text(&c->held, c->stop_word);
    if (c->told.count) {
        write_token(a, c, 0, text_of(a, c), stream_details(a, c));
        return;
    }
    /* Nothing was drawn: the prompt fills the context. */
    fal_event_write(a->x, NULL,
                    json_pack("{s:i, s:{s:i, s:s, s:n, s:b}, s:o, s:o}", "index", 0, "token", "id",
                              0, "text", "", "logprob", "special", 1, "generated_text",
                              text_of(a, c), "details", stream_details(a, c)));
}

static void fail(fal_answers *a, const fal_error *why) {
    int code = fal_answer_code(why->status);
    fal_event_write(a->x, NULL, fal_error_in_tgi(&code, why->status, why->message));
}

fal_status fal_route_tgi_generate(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {"",    prepare_generate, NULL, piece, finish, NULL, fail,
                                         whole, CUT_ADVICE};
    return fal_answers_serve(&form, server, x, err);
}

fal_status fal_route_tgi_stream(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {"",   prepare_stream, NULL,  piece,     finish,
                                         NULL, fail,           whole, CUT_ADVICE};
    return fal_answers_serve(&form, server, x, err);
}

fal_status fal_route_tgi_endpoint(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {"",   prepare_endpoint, NULL,      piece, finish, NULL,
                                         fail, whole_list,       CUT_ADVICE};
    return fal_answers_serve(&form, server, x, err);
}

/* ---- what is served ---- */

fal_status fal_route_tgi_info(fal_server *server, fal_exchange *x, fal_error *err) {
    const fal_server_model *model = fal_server_model_at(server, 0);
    fal_engine_state state;
    (void)err;
    fal_engine_state_get(model->engine, &state);
    json_int_t n_context = (json_int_t)fal_engine_n_context(model->engine);
    fal_exchange_answer_json(
        x, 200,
        json_pack("{s:s, s:n, s:s, s:s, s:I, s:i, s:i, s:I, s:I, s:i, s:s, s:s}", "model_id",
                  model->id, "model_sha", "model_pipeline_tag", "text-generation",
                  "model_device_type", "cpu", "max_concurrent_requests",
                  (json_int_t)(state.n_parallel + state.max_waiting), "max_best_of",
                  FAL_JOB_MAX_ANSWERS, "max_stop_sequences", 64, "max_input_tokens", n_context,
                  "max_total_tokens", n_context, "max_client_batch_size", 1, "router", "falconer",
                  "version", FAL_VERSION));
    return FAL_OK;
}
