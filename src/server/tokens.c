/* /tokenize, whose key tells the dialect; /detokenize; /tokenizer_info. */
#include "base/alloc.h"
#include "base/fail.h"
#include "base/string_builder.h"
#include "formats/json_value.h"
#include "server/answers.h"
#include "server/engine.h"
#include "server/request_prompt.h"
#include "server/router.h"
#include "text/chat.h"

#include <string.h>

/* What one exchange asks. */
typedef struct asking {
    fal_request request;
    const fal_server_model *model;
    const fal_tokenizer *tokenizer;
    fal_tokens tokens;
} asking;

typedef fal_status answerer(asking *a, json_t **out, fal_error *err);

static fal_status read(asking *a, fal_body kind, fal_server *server, const fal_exchange *x,
                       fal_error *err) {
    json_t *body = NULL;
    FAL_TRY(fal_exchange_json(x, &body, err));
    FAL_TRY(fal_request_read(&a->request, kind, body, err));
    FAL_TRY(fal_answers_model(server, &a->request, false, &a->model, err));
    a->tokenizer = fal_model_tokenizer(a->model->model);
    return FAL_OK;
}

static fal_status serve(fal_body kind, answerer *answer, fal_server *server, fal_exchange *x) {
    asking a = {0};
    fal_error why = {0};
    json_t *body = NULL;
    why.status = read(&a, kind, server, x, &why);
    if (why.status == FAL_OK) why.status = answer(&a, &body, &why);
    if (why.status == FAL_OK)
        fal_exchange_answer_json(x, 200, body);
    else
        fal_answer_error(x, &a.request, &why);
    fal_tokens_release(&a.tokens);
    fal_request_release(&a.request);
    return FAL_OK;
}

/* ---- text to ids ---- */

static json_t *name_of(const fal_tokenizer *t, int32_t id) {
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(t, id, &length);
    return fal_json_text(piece ? piece : "", length);
}

/* Characters of a text and where they begin: places[i] is the byte of character i, places[n] its end. */
typedef struct characters {
    size_t *places;
    size_t n;
} characters;

static bool find_characters(characters *out, const char *text, size_t length) {
    out->places = fal_alloc(length + 1, sizeof *out->places);
    if (!out->places) return false;
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80) out->places[out->n++] = i;
    out->places[out->n] = length;
    return true;
}

/* id, text, and the characters from start to stop that it is made of: whole ones, so that tokens which share a character
 * overlap, as in the original. *at: the byte behind the token before; *next: the character that it stands in. */
static json_t *with_place(const asking *a, const characters *c, int32_t id, const char *text,
                          size_t *at, size_t *next) {
    size_t length = 0;
    bool is_text =
        !fal_tokenizer_is_control(a->tokenizer, id) || a->request.parse_special == FAL_YES;
    fal_tokenizer_piece(a->tokenizer, id, &length);
    if (!is_text) length = 0;
    while (*next + 1 <= c->n && c->places[*next + 1] <= *at && *next < c->n)
        (*next)++;
    size_t start = *next, stop = start;
    *at += length;
    while (stop < c->n && c->places[stop] < *at)
        stop++;
    size_t begin = c->places[start], end = c->places[stop];
    json_t *shown = length ? fal_json_text(text + begin, end - begin) : name_of(a->tokenizer, id);
    return json_pack("{s:I, s:o, s:I, s:I}", "id", (json_int_t)id, "text", shown, "start",
                     (json_int_t)start, "stop", (json_int_t)stop);
}

static fal_status tokens_with_places(asking *a, json_t **out, fal_error *err) {
    characters c = {0};
    const char *text = a->request.inputs;
    size_t at = 0, next = 0;
    FAL_TRY(fal_request_encode(&a->request, a->model->model, text, &a->tokens, err));
    if (!find_characters(&c, text, strlen(text))) return fal_fail_memory(err, 0);
    *out = json_array();
    for (size_t i = 0; i < a->tokens.count; i++)
        json_array_append_new(*out, with_place(a, &c, a->tokens.ids[i], text, &at, &next));
    fal_free(c.places);
    return FAL_OK;
}

/* As vLLM, and harnesses that know it. */
static json_t *tokens_with_count(const asking *a) {
    json_t *body =
        json_pack("{s:o, s:I, s:I}", "tokens", fal_json_ids(a->tokens.ids, a->tokens.count),
                  "count", (json_int_t)a->tokens.count, "max_model_len",
                  (json_int_t)fal_engine_n_context(a->model->engine));
    if (a->request.with_pieces != FAL_YES) return body;
    json_t *names = json_array();
    for (size_t i = 0; i < a->tokens.count; i++)
        json_array_append_new(names, name_of(a->tokenizer, a->tokens.ids[i]));
    json_object_set_new(body, "token_strs", names);
    return body;
}

/* A piece that is no whole text is told as the list of its bytes, as llama.cpp does. */
static json_t *piece_of(const fal_tokenizer *t, int32_t id) {
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(t, id, &length);
    json_t *whole = json_stringn(piece ? piece : "", length);
    if (whole) return whole;
    json_t *bytes = json_array();
    for (size_t i = 0; i < length; i++)
        json_array_append_new(bytes, json_integer((unsigned char)piece[i]));
    return bytes;
}

static json_t *tokens_alone(const asking *a) {
    if (a->request.with_pieces != FAL_YES)
        return json_pack("{s:o}", "tokens", fal_json_ids(a->tokens.ids, a->tokens.count));
    json_t *list = json_array();
    for (size_t i = 0; i < a->tokens.count; i++)
        json_array_append_new(list, json_pack("{s:I, s:o}", "id", (json_int_t)a->tokens.ids[i],
                                              "piece", piece_of(a->tokenizer, a->tokens.ids[i])));
    return json_pack("{s:o}", "tokens", list);
}

static fal_status tokenize(asking *a, json_t **out, fal_error *err) {
    fal_request *r = &a->request;
    const fal_model *model = a->model->model;
    int n = (r->inputs != NULL) + (r->text != NULL) + (r->content != NULL) + (r->messages != NULL);
    if (n != 1)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "one of inputs, prompt, messages and content is wanted, %d are there", n);
    if (r->inputs) return tokens_with_places(a, out, err);
    if (r->messages)
        FAL_TRY(fal_request_render(r, model, true, &a->tokens, err));
    else
        FAL_TRY(fal_request_encode(r, model, r->text ? r->text : r->content, &a->tokens, err));
    *out = r->content ? tokens_alone(a) : tokens_with_count(a);
    return FAL_OK;
}

fal_status fal_route_tokens_tokenize(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)err;
    return serve(FAL_BODY_TOKENIZE, tokenize, server, x);
}

/* ---- ids to text ---- */

/* Under both names that clients look for. */
static fal_status detokenize(asking *a, json_t **out, fal_error *err) {
    fal_string_builder text = {0};
    FAL_TRY(fal_request_ids(&a->request, a->model->model, "tokens", a->request.tokens, &a->tokens,
                            err));
    fal_tokens_text(a->tokenizer, a->tokens.ids, a->tokens.count, &text);
    json_t *value = fal_json_text(text.text ? text.text : "", text.length);
    *out = json_pack("{s:O, s:o}", "prompt", value, "content", value);
    fal_status status = fal_string_status(&text, err);
    fal_string_release(&text);
    return status;
}

fal_status fal_route_tokens_detokenize(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)err;
    return serve(FAL_BODY_DETOKENIZE, detokenize, server, x);
}

/* ---- the tokenizer ---- */

static json_t *control_name(const fal_tokenizer *t, int32_t id) {
    return id < 0 ? json_null() : name_of(t, id);
}

static json_t *chat_template(const fal_server_model *model) {
    fal_gguf_string found = {"", 0};
    if (fal_gguf_find_string(fal_model_gguf(model->model), "tokenizer.chat_template", &found)
        && found.length)
        return fal_json_text(found.data, found.length);
    const char *own = fal_chat_template(fal_model_chat_format(model->model));
    return own ? json_string(own) : json_null();
}

fal_status fal_route_tokens_info(fal_server *server, fal_exchange *x, fal_error *err) {
    const fal_server_model *model = NULL;
    FAL_TRY(fal_server_model_get(server, fal_exchange_query(x, "model"), &model, err));
    const fal_tokenizer *t = fal_model_tokenizer(model->model);
    int32_t eos = fal_tokenizer_eos(t), bos = fal_tokenizer_bos(t);
    fal_exchange_answer_json(
        x, 200,
        json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:I, s:i, s:s, s:o}", "tokenizer_class",
                  "PreTrainedTokenizerFast", "eos_token", control_name(t, eos), "bos_token",
                  control_name(t, bos), "pad_token", control_name(t, eos), "eos_token_id", (int)eos,
                  "bos_token_id", (int)bos, "add_bos_token", fal_tokenizer_adds_bos(t),
                  "model_max_length", (json_int_t)fal_engine_n_context(model->engine), "vocab_size",
                  (int)fal_tokenizer_n_vocab(t), "pretokenizer", fal_tokenizer_pretokenizer(t),
                  "chat_template", chat_template(model)));
    return FAL_OK;
}
