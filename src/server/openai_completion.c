/* /v1/completions: several prompts at once, as text or ids; with echo the prompt's own log-probabilities. */
#include "base/alloc.h"
#include "base/fail.h"
#include "formats/json_value.h"
#include "server/events.h"
#include "server/openai.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <string.h>

enum {
    DEFAULT_TOKENS = 16 /* as OpenAI has it */
};

static const char completion_object[] = "text_completion";

/* ---- asking ---- */

static fal_status ask_text(fal_answers *a, const char *text, fal_error *err) {
    fal_tokens tokens = {0};
    fal_string_builder shown = {0};
    FAL_TRY(fal_answers_check_bytes(a, "prompt", strlen(text), err));
    fal_status status = fal_request_encode(&a->request, a->model->model, text, &tokens, err);
    if (status == FAL_OK) {
        fal_string_append_text(&shown, text);
        return fal_answers_ask(a, "prompt", &tokens, &shown, err);
    }
    fal_tokens_release(&tokens);
    return status;
}

static fal_status ask_ids(fal_answers *a, const json_t *ids, fal_error *err) {
    fal_tokens tokens = {0};
    fal_string_builder shown = {0};
    fal_status status = fal_request_ids(&a->request, a->model->model, "prompt", ids, &tokens, err);
    if (status == FAL_OK) {
        fal_tokens_text(a->tokenizer, tokens.ids, tokens.count, &shown);
        return fal_answers_ask(a, "prompt", &tokens, &shown, err);
    }
    fal_tokens_release(&tokens);
    return status;
}

static fal_status ask(fal_answers *a, const json_t *prompt, fal_error *err) {
    if (!prompt) return ask_text(a, "", err);
    if (json_is_string(prompt)) return ask_text(a, json_string_value(prompt), err);
    return ask_ids(a, prompt, err);
}

static fal_status ask_all(fal_answers *a, fal_error *err) {
    json_t *prompt = a->request.prompt;
    if (!json_is_array(prompt) || json_is_integer(json_array_get(prompt, 0)))
        return ask(a, prompt, err);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        json_t *one = json_array_get(prompt, i);
        if (!json_is_string(one) && !json_is_array(one))
            return fal_request_refuse(&a->request, "prompt", err,
                                      "item %zu is neither a text nor a list of ids", i);
        FAL_TRY(ask(a, one, err));
    }
    return FAL_OK;
}

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(fal_answers_read(a, FAL_BODY_COMPLETION, true, err));
    fal_request *r = &a->request;
    FAL_TRY(fal_job_request_read(&a->job, r, a->model->model, FAL_DRAWS, NULL, err));
    fal_job_options *o = &a->job.options;
    a->keeps_tokens = r->n_top.is_given;
    o->max_new_tokens = r->max_tokens.is_given ? (int)r->max_tokens.value : DEFAULT_TOKENS;
    /* A job draws at least one. */
    a->tells_nothing_drawn = r->max_tokens.is_given && r->max_tokens.value == 0;
    if (a->tells_nothing_drawn) o->max_new_tokens = 1;
    o->wants_log_probabilities = o->wants_log_probabilities || a->keeps_tokens;
    o->wants_prompt_log_probabilities = a->keeps_tokens && r->echo == FAL_YES;
    o->n_top = a->keeps_tokens ? (int)r->n_top.value : 0;
    return ask_all(a, err);
}

/* ---- log-probabilities ---- */

/* The lists of one choice while they grow. */
typedef struct lists {
    json_t *tokens, *values, *tops, *offsets;
} lists;

static lists make_lists(void) {
    return (lists){json_array(), json_array(), json_array(), json_array()};
}

static json_t *take_lists(lists l) {
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", l.tokens, "token_logprobs", l.values,
                     "top_logprobs", l.tops, "text_offset", l.offsets);
}

/* Characters that begin in a piece. */
static size_t count_characters(const char *text, size_t length) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static void set_named(json_t *object, const fal_tokenizer *t, int32_t id, double value) {
    char *name = fal_token_name(t, id);
    if (name) json_object_set_new(object, name, fal_json_number(value));
    fal_free(name);
}

/* The drawn token is told beside the most probable ones even if it is none of them. */
static json_t *tops_of(const fal_tokenizer *t, const fal_told *told, size_t i) {
    if (!told->log_probabilities || (told->lacks_first && i == 0)) return json_null();
    json_t *tops = json_object();
    for (size_t k = i * told->n_top; k < (i + 1) * told->n_top; k++)
        set_named(tops, t, told->top_ids[k], told->top_values[k]);
    set_named(tops, t, told->ids[i], told->log_probabilities[i]);
    return tops;
}

/* offset: characters in front; moves on. */
static void add_told(lists *l, const fal_tokenizer *t, const fal_told *told, size_t *offset) {
    for (size_t i = 0; i < told->count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, told->ids[i], &length);
        char *name = fal_token_name(t, told->ids[i]);
        bool is_unknown = !told->log_probabilities || (told->lacks_first && i == 0);
        json_array_append_new(l->tokens, json_string(name ? name : ""));
        json_array_append_new(l->values, is_unknown ? json_null()
                                                    : fal_json_number(told->log_probabilities[i]));
        json_array_append_new(l->tops, tops_of(t, told, i));
        json_array_append_new(l->offsets, json_integer((json_int_t)*offset));
        *offset += count_characters(piece ? piece : "", length);
        fal_free(name);
    }
}

static size_t characters_of_prompt(const fal_answers *a, const fal_asked *asked) {
    size_t n = 0;
    for (size_t i = 0; i < asked->told.count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(a->tokenizer, asked->told.ids[i], &length);
        n += count_characters(piece ? piece : "", length);
    }
    return n;
}

static bool repeats_prompt(const fal_answers *a) {
    return a->request.echo == FAL_YES || a->request.full_text == FAL_YES;
}

/* What stands of the prompt. */
static void append_prompt(const fal_answers *a, const fal_asked *asked, fal_string_builder *out) {
    if (asked->n_cut || asked->n_dropped)
        fal_tokens_text(a->tokenizer, asked->told.ids, asked->told.count, out);
    else
        fal_string_append(out, asked->text.text ? asked->text.text : "", asked->text.length);
}

/* ---- whole ---- */

static json_t *choice_of(const fal_answers *a, const fal_choice *c, int index) {
    const fal_asked *asked = &a->asked[c->asked];
    fal_string_builder text = {0};
    if (repeats_prompt(a)) append_prompt(a, asked, &text);
    if (!a->tells_nothing_drawn)
        fal_string_append(&text, c->text.text ? c->text.text : "", c->text.length);
    json_t *told = json_null();
    if (a->keeps_tokens) {
        lists l = make_lists();
        bool echoes = a->request.echo == FAL_YES;
        size_t offset = echoes ? 0 : characters_of_prompt(a, asked);
        if (echoes) add_told(&l, a->tokenizer, &asked->told, &offset);
        if (!a->tells_nothing_drawn) add_told(&l, a->tokenizer, &c->told, &offset);
        told = take_lists(l);
    }
    const char *finish = a->tells_nothing_drawn ? "length" : fal_openai_finish(c->finish);
    json_t *choice = json_pack("{s:i, s:o, s:o, s:s}", "index", index, "text",
                               fal_json_text(text.text ? text.text : "", text.length), "logprobs",
                               told, "finish_reason", finish);
    fal_string_release(&text);
    return choice;
}

static json_t *whole(fal_answers *a) {
    json_t *choices = json_array();
    fal_choice *best[FAL_JOB_MAX_ANSWERS];
    for (size_t i = 0; i < a->n_asked; i++) {
        fal_answers_rank(a, i, best);
        for (int k = 0; k < a->job.n_told; k++)
            json_array_append_new(choices, choice_of(a, best[k], (int)i * a->job.n_told + k));
    }
    json_t *answer = fal_openai_head(a, completion_object, choices);
    json_object_set_new(answer, "usage", fal_openai_usage(a));
    json_object_set_new(answer, "timings", fal_openai_timings(a));
    return answer;
}

/* ---- stream ---- */

static void write_chunk(fal_answers *a, int index, json_t *take_text, json_t *take_told,
                        const char *finish) {
    json_t *choice = json_pack("{s:i, s:o, s:o, s:s?}", "index", index, "text", take_text,
                               "logprobs", take_told, "finish_reason", finish);
    json_t *event = fal_openai_head(a, completion_object, json_pack("[o]", choice));
    if (a->tells_usage) json_object_set_new(event, "usage", json_null());
    fal_event_write(a->x, NULL, event);
}

static void begin(fal_answers *a, const fal_asked *asked) {
    size_t n = (size_t)a->job.n_answers, first = (size_t)(asked - a->asked) * n;
    for (size_t i = first; i < first + n; i++) {
        fal_choice *c = &a->choices[i];
        if (a->request.echo != FAL_YES) c->n_characters = characters_of_prompt(a, asked);
        if (!repeats_prompt(a)) continue;
        json_t *told = json_null();
        if (a->keeps_tokens && a->request.echo == FAL_YES) {
            lists l = make_lists();
            add_told(&l, a->tokenizer, &asked->told, &c->n_characters);
            told = take_lists(l);
        }
        fal_string_builder text = {0};
        append_prompt(a, asked, &text);
        write_chunk(a, c->index, fal_json_text(text.text ? text.text : "", text.length), told,
                    NULL);
        fal_string_release(&text);
    }
}

static void piece(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    bool is_told = a->keeps_tokens && e->token >= 0;
    if (a->tells_nothing_drawn || (!e->length && !is_told)) return;
    json_t *told = json_null();
    if (is_told) {
        lists l = make_lists();
        fal_told one = fal_told_of_event(e);
        add_told(&l, a->tokenizer, &one, &c->n_characters);
        told = take_lists(l);
    }
    write_chunk(a, c->index, fal_json_text(e->text, e->length), told, NULL);
}

static void finish(fal_answers *a, fal_choice *c) {
    write_chunk(a, c->index, json_string(""), json_null(),
                a->tells_nothing_drawn ? "length" : fal_openai_finish(c->finish));
}

static void end(fal_answers *a) {
    fal_openai_end_stream(a, completion_object);
}

fal_status fal_route_openai_completion(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {"cmpl-",
                                         prepare,
                                         begin,
                                         piece,
                                         finish,
                                         end,
                                         fal_openai_fail_stream,
                                         whole,
                                         FAL_OPENAI_CUT_ADVICE};
    return fal_answers_serve(&form, server, x, err);
}
