/* /v1/embeddings: the mean of the final norm's output over the tokens of each text, of length 1. */
#include "base/alloc.h"
#include "base/fail.h"
#include "formats/json_value.h"
#include "server/openai.h"
#include "server/request_prompt.h"
#include "server/router.h"

#include <math.h>
#include <string.h>

static fal_status ask(fal_answers *a, const json_t *input, fal_error *err) {
    fal_tokens tokens = {0};
    fal_request *r = &a->request;
    FAL_TRY(fal_answers_check_bytes(a, "input", json_string_length(input), err));
    fal_status status =
        json_is_string(input)
            ? fal_request_encode(r, a->model->model, json_string_value(input), &tokens, err)
            : fal_request_ids(r, a->model->model, "input", input, &tokens, err);
    if (status == FAL_OK) return fal_answers_ask(a, "input", &tokens, NULL, err);
    fal_tokens_release(&tokens);
    return status;
}

static fal_status ask_all(fal_answers *a, fal_error *err) {
    json_t *input = a->request.prompt;
    if (!json_is_array(input) || json_is_integer(json_array_get(input, 0)))
        return ask(a, input, err);
    for (size_t i = 0; i < json_array_size(input); i++) {
        json_t *one = json_array_get(input, i);
        if (!json_is_string(one) && !json_is_array(one))
            return fal_request_refuse(&a->request, "input", err,
                                      "item %zu is neither a text nor a list of ids", i);
        FAL_TRY(ask(a, one, err));
    }
    return FAL_OK;
}

static fal_status prepare(fal_answers *a, fal_error *err) {
    FAL_TRY(fal_answers_read(a, FAL_BODY_EMBEDDINGS, true, err));
    fal_request *r = &a->request;
    int d_model = fal_model_info_get(a->model->model)->d_model;
    a->tells_base64 = r->encoding && strcmp(r->encoding, "base64") == 0;
    if (r->encoding && !a->tells_base64 && strcmp(r->encoding, "float") != 0)
        return fal_request_refuse(r, "encoding_format", err, "'%s' is neither float nor base64",
                                  r->encoding);
    if (r->dimensions.is_given && r->dimensions.value != d_model)
        return fal_request_refuse(r, "dimensions", err, "%lld, the model has %d",
                                  (long long)r->dimensions.value, d_model);
    a->job.n_answers = a->job.n_told = 1;
    a->job.options.wants_embedding = true;
    return ask_all(a, err);
}

/* ---- telling ---- */

static json_t *base64(const unsigned char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = (n + 2) / 3 * 4, used = 0;
    char *text = fal_alloc(length + 1, 1);
    if (!text) return NULL;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < n) three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < n) three |= bytes[i + 2];
        text[used++] = digits[three >> 18];
        text[used++] = digits[three >> 12 & 63];
        text[used++] = i + 1 < n ? digits[three >> 6 & 63] : '=';
        text[used++] = i + 2 < n ? digits[three & 63] : '=';
    }
    json_t *value = json_stringn(text, length);
    fal_free(text);
    return value;
}

/* 32-bit numbers, the lowest byte first whatever this machine does. */
static json_t *in_base64(const float *numbers, size_t n) {
    unsigned char *bytes = fal_alloc(n, 4);
    if (!bytes) return NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        for (int k = 0; k < 4; k++)
            bytes[4 * i + (size_t)k] = (unsigned char)(bits >> 8 * k);
    }
    json_t *value = base64(bytes, 4 * n);
    fal_free(bytes);
    return value;
}

static json_t *as_list(const float *numbers, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, fal_json_number((double)numbers[i]));
    return list;
}

static json_t *vector_of(const fal_answers *a, const fal_asked *asked) {
    double square = 0;
    for (size_t i = 0; i < asked->d_model; i++)
        square += (double)asked->embedding[i] * (double)asked->embedding[i];
    float *unit = fal_alloc(asked->d_model, sizeof *unit);
    if (!unit) return NULL;
    for (size_t i = 0; i < asked->d_model && square > 0; i++)
        unit[i] = (float)((double)asked->embedding[i] / sqrt(square));
    json_t *value =
        a->tells_base64 ? in_base64(unit, asked->d_model) : as_list(unit, asked->d_model);
    fal_free(unit);
    return value;
}

static json_t *whole(fal_answers *a) {
    json_t *data = json_array();
    json_int_t n_prompt = (json_int_t)fal_answers_n_prompt(a);
    for (size_t i = 0; i < a->n_asked; i++)
        json_array_append_new(data,
                              json_pack("{s:s, s:I, s:o}", "object", "embedding", "index",
                                        (json_int_t)i, "embedding", vector_of(a, &a->asked[i])));
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model",
                     a->model->id, "usage", "prompt_tokens", n_prompt, "total_tokens", n_prompt);
}

fal_status fal_route_openai_embedding(fal_server *server, fal_exchange *x, fal_error *err) {
    static const fal_answer_form form = {.id_prefix = "embd-", .prepare = prepare, .whole = whole};
    return fal_answers_serve(&form, server, x, err);
}
