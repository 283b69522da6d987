/* Body of answers.h: reads, asks, starts jobs a few at a time, collects events. */
#include "server/answers.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MAX_JOBS =
        8, /* of one request at once; the rest of its prompts wait here and not in the queue */
    MAX_CHOICES = 2048,
    MAX_TOLD = 1 << 21 /* log-probabilities of prompts, alternatives included */
};

static void close_answers(fal_answers *a) {
    for (size_t i = 0; i < a->n_asked; i++) {
        fal_job_release(a->asked[i].job);
        fal_tokens_release(&a->asked[i].tokens);
        fal_string_release(&a->asked[i].text);
    }
    for (size_t i = 0; i < a->n_choices; i++) {
        fal_string_release(&a->choices[i].text);
        fal_string_release(&a->choices[i].held);
        fal_free(a->choices[i].ids);
        fal_free(a->choices[i].top_ids);
        fal_free(a->choices[i].log_probabilities);
        fal_free(a->choices[i].top_values);
    }
    fal_free(a->asked);
    fal_free(a->choices);
    fal_job_request_release(&a->job);
    fal_request_release(&a->request);
    fal_free(a);
}

/* ---- preparing ---- */

/* Programs that think of an endpoint as one model call it by its address, or "tgi". */
static bool means_first(const char *name) {
    return !name || !*name || strcmp(name, "tgi") == 0 || strncmp(name, "http://", 7) == 0
           || strncmp(name, "https://", 8) == 0;
}

/* As any other field that is refused, but for the status. */
static fal_status refuse_model(const fal_server *server, fal_request *r, fal_error *err) {
    fal_string_builder names = {0};
    const fal_server_model *model;
    for (size_t i = 0; (model = fal_server_model_at(server, i)); i++)
        fal_string_append_format(&names, "%s%s", i ? ", " : "", model->id);
    fal_status status = fal_request_refuse(r, "model", err, "there is no '%.100s'; there are: %s",
                                           r->model, names.text ? names.text : "");
    if (err && status == FAL_E_ARGUMENT) err->status = FAL_E_NOT_FOUND;
    fal_string_release(&names);
    return status == FAL_E_ARGUMENT ? FAL_E_NOT_FOUND : status;
}

fal_status fal_answers_model(fal_server *server, fal_request *r, bool is_strict,
                             const fal_server_model **out, fal_error *err) {
    const char *name = means_first(r->model) ? NULL : r->model;
    fal_status status = fal_server_model_get(server, name, out, NULL);
    if (status == FAL_OK) return FAL_OK;
    return is_strict ? refuse_model(server, r, err) : fal_server_model_get(server, NULL, out, err);
}

fal_status fal_answers_read(fal_answers *a, fal_body kind, bool is_strict, fal_error *err) {
    json_t *body = NULL;
    FAL_TRY(fal_exchange_json(a->x, &body, err));
    FAL_TRY(fal_request_read(&a->request, kind, body, err));
    FAL_TRY(fal_answers_model(a->server, &a->request, is_strict, &a->model, err));
    a->tokenizer = fal_model_tokenizer(a->model->model);
    a->is_stream = a->request.stream == FAL_YES;
    a->tells_usage = json_is_true(json_object_get(a->request.stream_options, "include_usage"));
    return FAL_OK;
}

/* Keeps the last `most` of the prompt's tokens, in memory of their own; its text is theirs then. */
static fal_status cut(fal_asked *asked, size_t most, fal_error *err) {
    fal_tokens rest = {0};
    if (asked->tokens.count <= most) return FAL_OK;
    size_t n_cut = asked->tokens.count - most;
    FAL_TRY(fal_tokens_append(&rest, asked->tokens.ids + n_cut, most, err));
    fal_tokens_release(&asked->tokens);
    fal_string_release(&asked->text);
    asked->tokens = rest;
    asked->n_cut += n_cut;
    return FAL_OK;
}

/* As the client said. A job cuts by itself, but needs no more of the prompt than shows that it is too long. */
static fal_status cut_prompt(const fal_answers *a, fal_asked *asked, fal_error *err) {
    const fal_whole *most = &a->request.truncate;
    if (most->is_given && most->value >= 0) FAL_TRY(cut(asked, (size_t)most->value, err));
    return a->job.options.truncate ? cut(asked, fal_engine_n_context(a->model->engine) + 1, err)
                                   : FAL_OK;
}

static const char *cut_advice(const fal_answers *a) {
    return a->form->cut_advice ? a->form->cut_advice : "";
}

/* Notes for the answer what is too long. */
static void note_too_long(fal_answers *a, const char *field, size_t n_tokens) {
    snprintf(a->request.offender, sizeof a->request.offender, "%s", field);
    a->request.n_too_long = n_tokens;
    a->request.n_context = fal_engine_n_context(a->model->engine);
}

fal_status fal_answers_check_bytes(fal_answers *a, const char *field, size_t n_bytes,
                                   fal_error *err) {
    size_t longest = fal_engine_longest_token(a->model->engine);
    size_t n_context = fal_engine_n_context(a->model->engine);
    size_t fewest = n_bytes / longest + (n_bytes % longest > 0);
    if (fewest <= n_context || a->job.options.truncate || a->request.truncate.is_given)
        return FAL_OK;
    note_too_long(a, field, fewest);
    return fal_fail(err, FAL_E_LIMIT,
                    "%s: the prompt has %zu bytes, at least %zu tokens; the context holds %zu%s",
                    field, n_bytes, fewest, n_context, cut_advice(a));
}

fal_status fal_answers_check_messages(fal_answers *a, bool knows_roles, fal_error *err) {
    size_t n_bytes;
    FAL_TRY(fal_request_content_bytes(&n_bytes, &a->request, a->model->model, knows_roles, err));
    return fal_answers_check_bytes(a, "messages", n_bytes, err);
}

static fal_status check_prompt(fal_answers *a, const char *field, fal_asked *asked,
                               fal_error *err) {
    int32_t bos = fal_tokenizer_bos(a->tokenizer);
    if (bos < 0) bos = fal_tokenizer_eos(a->tokenizer);
    if (!asked->tokens.count && bos < 0)
        return fal_request_refuse(&a->request, field, err,
                                  "the prompt is empty, and the vocabulary has no bos token");
    if (!asked->tokens.count) FAL_TRY(fal_tokens_append(&asked->tokens, &bos, 1, err));
    size_t n_context = fal_engine_n_context(a->model->engine);
    if (asked->tokens.count <= n_context || a->job.options.truncate) return FAL_OK;
    note_too_long(a, field, asked->tokens.count);
    return fal_fail(err, FAL_E_LIMIT, "%s: the prompt has %zu tokens, the context holds %zu%s",
                    field, asked->tokens.count, n_context, cut_advice(a));
}

fal_status fal_answers_ask(fal_answers *a, const char *field, fal_tokens *take_tokens,
                           fal_string_builder *take_text, fal_error *err) {
    fal_asked asked = {.tokens = *take_tokens};
    if (take_text) asked.text = *take_text;
    *take_tokens = (fal_tokens){0};
    if (take_text) *take_text = (fal_string_builder){0};
    void *memory = a->asked;
    if (!fal_grow(&memory, &a->room_asked, a->n_asked + 1, sizeof asked)) {
        fal_tokens_release(&asked.tokens);
        fal_string_release(&asked.text);
        return fal_fail_memory(err, 0);
    }
    a->asked = memory;
    a->asked[a->n_asked++] = asked;
    FAL_TRY(fal_string_status(&asked.text, err));
    a->asked[a->n_asked - 1].n_bytes = asked.text.length;
    FAL_TRY(cut_prompt(a, &a->asked[a->n_asked - 1], err));
    return check_prompt(a, field, &a->asked[a->n_asked - 1], err);
}

/* What one request may make the server keep and tell. */
static fal_status check_size(fal_answers *a, fal_error *err) {
    size_t n = (size_t)a->job.n_answers, n_told = 0;
    if (a->n_asked * n > MAX_CHOICES)
        return fal_request_refuse(&a->request, "n", err,
                                  "%zu answers to each of %zu prompts, %d in all are possible", n,
                                  a->n_asked, MAX_CHOICES);
    for (size_t i = 0; i < a->n_asked; i++)
        n_told += a->asked[i].tokens.count * n * (1 + (size_t)a->job.options.n_top);
    if (!a->job.options.wants_prompt_log_probabilities || n_told <= MAX_TOLD) return FAL_OK;
    return fal_request_refuse(&a->request, "logprobs", err,
                              "%zu numbers about the prompts are asked for, %d are possible",
                              n_told, MAX_TOLD);
}

/* What is kept until the answer is over, besides the answer: each prompt here and in its job, and what is told of it. */
static size_t kept_bytes(const fal_answers *a) {
    size_t bytes = a->n_choices * sizeof *a->choices, each = 2 * sizeof(int32_t);
    if (a->job.options.wants_prompt_log_probabilities)
        each += (1 + (size_t)a->job.options.n_top) * (sizeof(double) + sizeof(int32_t));
    for (size_t i = 0; i < a->n_asked; i++)
        bytes += sizeof *a->asked + a->asked[i].tokens.count * each + a->asked[i].text.length;
    for (size_t i = 0; i < a->request.stop.count; i++)
        bytes += 2 * strlen(a->request.stop.items[i]);
    return bytes;
}

static fal_status count_kept(fal_answers *a, fal_error *err) {
    size_t bytes = kept_bytes(a);
    if (fal_exchange_count(a->x, bytes)) return FAL_OK;
    return fal_fail(err, FAL_E_MEMORY,
                    "there is no memory to keep %zu bytes of this request beside those of others",
                    bytes);
}

static fal_status make_choices(fal_answers *a, fal_error *err) {
    size_t n = (size_t)a->job.n_answers;
    FAL_TRY(check_size(a, err));
    a->choices = fal_alloc(a->n_asked * n, sizeof *a->choices);
    if (!a->choices) return fal_fail_memory(err, 0);
    a->n_choices = a->n_asked * n;
    for (size_t i = 0; i < a->n_choices; i++) {
        a->choices[i].asked = i / n;
        a->choices[i].index = (int)i;
    }
    return FAL_OK;
}

/* ---- collecting ---- */

static void run_out_of_memory(fal_answers *a) {
    if (a->failure.status == FAL_E_OK) a->failure.status = fal_fail_memory(&a->failure, 0);
}

static bool append(void **items, size_t *room, size_t count, const void *added, size_t n,
                   size_t size) {
    if (!n) return true;
    if (!fal_grow(items, room, count + n, size)) return false;
    memcpy((char *)*items + count * size, added, n * size);
    return true;
}

static void keep_token(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    size_t n = c->told.count;
    void *ids = c->ids, *values = c->log_probabilities, *top_ids = c->top_ids,
         *top_values = c->top_values;
    bool has_room =
        append(&ids, &c->room_ids, n, &e->token, 1, sizeof e->token)
        && append(&values, &c->room_log_probabilities, n, &e->log_probability, 1, sizeof(double))
        && append(&top_ids, &c->room_top_ids, n * e->n_top, e->top_ids, e->n_top, sizeof(int32_t))
        && append(&top_values, &c->room_top_values, n * e->n_top, e->top_values, e->n_top,
                  sizeof(double));
    c->ids = ids;
    c->log_probabilities = values;
    c->top_ids = top_ids;
    c->top_values = top_values;
    if (!has_room) {
        run_out_of_memory(a);
        return;
    }
    c->told = (fal_told){n + 1, ids, values, false, e->n_top, top_ids, top_values};
}

static void take_piece(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    if (e->token >= 0 && (a->drawing <= 0 || e->since < a->drawing)) a->drawing = e->since;
    fal_string_append(&c->text, e->text, e->length);
    if (c->text.failed) run_out_of_memory(a);
    if (e->token >= 0) c->sum += e->log_probability;
    if (e->token >= 0 && a->keeps_tokens) keep_token(a, c, e);
    if (a->is_stream) a->form->piece(a, c, e);
}

static void take_prompt(fal_answers *a, fal_asked *asked, const fal_job_event *e) {
    if (e->at > a->prompts_ready) a->prompts_ready = e->at;
    if (e->queue_seconds > a->queue_seconds) a->queue_seconds = e->queue_seconds;
    asked->n_cached = e->n_cached;
    asked->n_dropped = e->n_dropped;
    asked->told = (fal_told){e->n_prompt, e->prompt,    e->prompt_log_probabilities, true, e->n_top,
                             e->top_ids,  e->top_values};
    if (a->is_stream && a->form->begin) a->form->begin(a, asked);
}

static void take_finish(fal_answers *a, fal_choice *c, const fal_job_event *e) {
    c->is_finished = true;
    c->finish = e->finish;
    c->stop_word = e->stop_word;
    c->n_tokens = e->n_tokens;
    if (a->is_stream) a->form->finish(a, c);
}

static void take_embedding(fal_asked *asked, const fal_job_event *e) {
    asked->embedding = e->embedding;
    asked->d_model = e->d_model;
}

static void take(fal_answers *a, size_t index, const fal_job_event *e) {
    fal_asked *asked = &a->asked[index];
    fal_choice *c = &a->choices[index * (size_t)a->job.n_answers + (size_t)e->answer];
    if (e->at > a->ended) a->ended = e->at;
    if (e->kind == FAL_JOB_PROMPT) take_prompt(a, asked, e);
    if (e->kind == FAL_JOB_PIECE) take_piece(a, c, e);
    if (e->kind == FAL_JOB_FINISH) take_finish(a, c, e);
    if (e->kind == FAL_JOB_EMBEDDING) take_embedding(asked, e);
    if (e->kind == FAL_JOB_FAILED) a->failure = *e->failure;
    if (e->kind == FAL_JOB_DONE) {
        asked->is_done = true;
        a->n_done++;
    }
}

/* ---- running ---- */

static void on_event(void *user, bool more) {
    fal_exchange_wake(((fal_answers *)user)->x, more);
}

/* A full queue is no reason to give up while answers of the same request are on their way. */
static void start_jobs(fal_answers *a) {
    while (a->failure.status == FAL_E_OK && a->n_started < a->n_asked
           && a->n_started - a->n_done < MAX_JOBS) {
        fal_asked *asked = &a->asked[a->n_started];
        fal_job_options options = a->job.options;
        fal_error why = {0};
        options.prompt = asked->tokens.ids;
        options.n_prompt = asked->tokens.count;
        options.on_event = on_event;
        options.user = a;
        options.keyholder = fal_exchange_keyholder(a->x);
        options.max_seconds = fal_server_max_seconds(a->server);
        fal_status status = fal_job_start(&asked->job, a->model->engine, &options, &why);
        if (status == FAL_E_BUSY && a->n_started > a->n_done) return;
        a->failure = why;
        a->failure.status = status;
        if (status == FAL_OK) a->n_started++;
    }
}

static void end_failed(fal_answers *a, bool has_begun) {
    a->is_over = true;
    if (!has_begun) {
        fal_answer_error(a->x, &a->request, &a->failure);
        return;
    }
    a->form->fail(a, &a->failure);
    fal_exchange_end_stream(a->x);
}

static void end_well(fal_answers *a) {
    a->is_over = true;
    if (!a->is_stream) {
        fal_exchange_answer_json(a->x, 200, a->form->whole(a));
        return;
    }
    if (a->form->end) a->form->end(a);
    fal_exchange_end_stream(a->x);
}

static void proceed(void *user, fal_exchange *x) {
    fal_answers *a = user;
    fal_job_event e;
    bool took = true;
    while (took && !a->is_over && a->failure.status == FAL_E_OK
           && fal_exchange_backlog(x) <= FAL_EXCHANGE_BACKLOG) {
        took = false;
        for (size_t i = 0; i < a->n_started && a->failure.status == FAL_E_OK; i++) {
            if (a->asked[i].is_done || !fal_job_take(a->asked[i].job, &e)) continue;
            take(a, i, &e);
            took = true;
        }
        start_jobs(a);
    }
    if (a->is_over) return;
    if (a->failure.status != FAL_E_OK)
        end_failed(a, a->is_stream);
    else if (a->n_done == a->n_asked)
        end_well(a);
}

static void release(void *user) {
    close_answers(user);
}

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(a->form->prepare(a, err));
    fal_request_drop_body(&a->request);
    FAL_TRY(make_choices(a, err));
    return count_kept(a, err);
}

fal_status fal_answers_serve(const fal_answer_form *form, fal_server *server, fal_exchange *x,
                             fal_error *err) {
    static const fal_later later = {proceed, release};
    fal_answers *a = fal_alloc(1, sizeof *a);
    if (!a) return fal_fail_memory(err, 0);
    a->form = form;
    a->server = server;
    a->x = x;
    a->created = (int64_t)time(NULL);
    a->started = fal_seconds();
    snprintf(a->id, sizeof a->id, "%s%s", form->id_prefix, fal_exchange_id(x));
    fal_error why = {0};
    fal_status status = prepare(a, &why);
    if (status != FAL_OK) {
        why.status = status;
        fal_answer_error(x, &a->request, &why);
        close_answers(a);
        return FAL_OK;
    }
    /* From here on the exchange owns it: jobs may wake it before they have started. */
    a->jobs_started = fal_seconds();
    fal_exchange_wait(x, &later, a);
    start_jobs(a);
    if (a->failure.status != FAL_E_OK)
        end_failed(a, false);
    else if (a->is_stream)
        fal_events_begin(x);
    return FAL_OK;
}
