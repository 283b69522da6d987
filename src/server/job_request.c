/* Body of job_request.h. */
#include "server/job_request.h"

#include "base/alloc.h"
#include "base/fail.h"
#include "base/random.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static double number_or(fal_number n, double otherwise) {
    return n.is_given ? n.value : otherwise;
}

static int64_t whole_or(fal_whole n, int64_t otherwise) {
    return n.is_given ? n.value : otherwise;
}

static void read_sampling(fal_sampling *out, const fal_request *r, fal_draw_default draws) {
    bool is_asked = r->do_sample == FAL_YES || r->temperature.is_given || r->top_k.is_given
                    || r->top_p.is_given || r->typical_p.is_given || r->min_p.is_given;
    bool samples = r->do_sample != FAL_NO && (draws == FAL_DRAWS || is_asked);
    out->temperature = samples ? number_or(r->temperature, 1) : 0;
    out->top_k = (int)whole_or(r->top_k, 0);
    /* For a sampler 0 is off; for a client it is the narrow end: the most probable token alone. */
    out->top_p = r->top_p.is_given && r->top_p.value <= 0 ? DBL_MIN : number_or(r->top_p, 0);
    out->min_p = number_or(r->min_p, 0);
    out->typical_p = number_or(r->typical_p, 0);
    out->repetition_penalty = number_or(r->repetition_penalty, 0);
    out->presence_penalty = number_or(r->presence_penalty, 0);
    out->frequency_penalty = number_or(r->frequency_penalty, 0);
    out->seed = r->seed.is_given ? (uint64_t)r->seed.value : fal_random_seed();
}

/* {"50256": -100}: the keys are ids. */
static fal_status read_biases(fal_job_request *j, fal_request *r, int n_vocab, fal_error *err) {
    size_t n = json_object_size(r->biases);
    if (!n) return FAL_OK;
    j->biases = fal_alloc(n, sizeof *j->biases);
    if (!j->biases) return fal_fail_memory(err, 0);
    const char *key;
    json_t *value;
    json_object_foreach(r->biases, key, value) {
        char *end = NULL;
        long id = strtol(key, &end, 10);
        double bias = json_number_value(value);
        if (end == key || *end || id < 0 || id >= n_vocab)
            return fal_request_refuse(r, "logit_bias", err, "'%.40s' is no id from 0 to %d", key,
                                      n_vocab - 1);
        if (!json_is_number(value) || bias < -100 || bias > 100)
            return fal_request_refuse(r, "logit_bias", err,
                                      "the bias of %ld is no number from -100 to 100", id);
        j->biases[j->options.sampling.n_biases++] = (fal_token_bias){(int32_t)id, bias};
    }
    j->options.sampling.biases = j->biases;
    return FAL_OK;
}

static fal_status read_stop(fal_job_request *j, const fal_request *r, const char *const *own,
                            fal_error *err) {
    size_t n_own = 0, n = 0;
    while (own && own[n_own])
        n_own++;
    j->stop = fal_alloc(n_own + r->stop.count + 1, sizeof *j->stop);
    if (!j->stop) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < n_own; i++)
        j->stop[n++] = own[i];
    for (size_t i = 0; i < r->stop.count; i++)
        j->stop[n++] = r->stop.items[i];
    j->options.stop = n ? j->stop : NULL;
    return FAL_OK;
}

/* ---- forms of answers ---- */

static fal_status open_schema(fal_job_request *j, fal_request *r, const char *field,
                              const json_t *schema, fal_error *err) {
    if (!json_is_object(schema) && !json_is_boolean(schema) && !json_is_string(schema))
        return fal_request_refuse(r, field, err, "there is no JSON schema in it");
    /* A schema in a string stands for itself. */
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT;
    size_t length =
        json_is_string(schema) ? json_string_length(schema) : json_dumpb(schema, NULL, 0, flags);
    char *text = fal_alloc(length + 1, 1);
    if (!text) return fal_fail_memory(err, length);
    if (json_is_string(schema))
        memcpy(text, json_string_value(schema), length);
    else
        json_dumpb(schema, text, length, flags);
    fal_error why = {0};
    fal_status status = fal_grammar_open_schema(&j->grammar, text, length, &why);
    fal_free(text);
    if (status == FAL_OK) return FAL_OK;
    if (status == FAL_E_MEMORY) return fal_fail(err, status, "%s", why.message);
    return fal_request_refuse(r, field, err, "%s", why.message);
}

static fal_status open_gbnf(fal_job_request *j, fal_request *r, const char *field, const char *gbnf,
                            fal_error *err) {
    static const char own[] = "grammar";
    fal_error why = {0};
    if (!gbnf) return fal_request_refuse(r, field, err, "there is no grammar in it");
    fal_status status = fal_grammar_open(&j->grammar, gbnf, strlen(gbnf), &why);
    if (status == FAL_OK) return FAL_OK;
    if (status == FAL_E_MEMORY) return fal_fail(err, status, "%s", why.message);
    /* Its words begin with what the field is called, too: "grammar, line 2". */
    bool is_said = strcmp(field, own) == 0 && strncmp(why.message, own, sizeof own - 1) == 0;
    const char *words = why.message + (is_said ? sizeof own - 1 : 0);
    return fal_request_refuse(r, field, err, "%s", words + (is_said ? strspn(words, ",: ") : 0));
}

/* {"type": ...} as OpenAI has it, and as text-generation-inference does: {"type": "json", "value": SCHEMA}. */
static fal_status read_format(fal_job_request *j, fal_request *r, const char *field,
                              fal_error *err) {
    const json_t *value = json_object_get(r->response_format, "value");
    const char *type = json_string_value(json_object_get(r->response_format, "type"));
    if (!type) return fal_request_refuse(r, field, err, "its type is missing");
    if (strcmp(type, "text") == 0) return FAL_OK;
    if (strcmp(type, "json_schema") == 0) {
        const json_t *outer = json_object_get(r->response_format, "json_schema");
        const json_t *inner = json_object_get(outer, "schema");
        return open_schema(j, r, field, inner ? inner : value, err);
    }
    if (strcmp(type, "json_object") == 0 || strcmp(type, "json") == 0) {
        const json_t *schema = json_object_get(r->response_format, "schema");
        if (value || schema) return open_schema(j, r, field, value ? value : schema, err);
        json_t *any = json_pack("{s:s}", "type", "object");
        fal_status status = open_schema(j, r, field, any, err);
        json_decref(any);
        return status;
    }
    if (strcmp(type, "gbnf") == 0) return open_gbnf(j, r, field, json_string_value(value), err);
    return fal_request_refuse(r, field, err, "unknown type '%.40s'", type);
}

static fal_status read_form(fal_job_request *j, fal_request *r, fal_error *err) {
    int n = (r->response_format != NULL) + (r->grammar != NULL) + (r->schema != NULL);
    if (n > 1)
        return fal_request_refuse(
            r, r->grammar ? "grammar" : "json_schema", err,
            "only one of response_format, json_schema and grammar is possible");
    if (r->response_format)
        FAL_TRY(read_format(j, r, r->parameters ? "grammar" : "response_format", err));
    if (r->grammar) FAL_TRY(open_gbnf(j, r, "grammar", r->grammar, err));
    if (r->schema) FAL_TRY(open_schema(j, r, "json_schema", r->schema, err));
    j->options.grammar = j->grammar;
    return FAL_OK;
}

/* ---- lengths and numbers of answers ---- */

static fal_status read_counts(fal_job_request *j, fal_request *r, fal_error *err) {
    j->n_told = (int)whole_or(r->n, 1);
    j->n_answers = (int)whole_or(r->best_of, j->n_told);
    if (j->n_answers < j->n_told)
        return fal_request_refuse(r, "best_of", err, "%d, at least n, which is %d", j->n_answers,
                                  j->n_told);
    if (j->n_answers > j->n_told && r->stream == FAL_YES)
        return fal_request_refuse(r, "best_of", err,
                                  "the best of several is known at the end only: not with stream");
    return FAL_OK;
}

static fal_status read_truncation(fal_job_request *j, fal_request *r, fal_error *err) {
    bool is_auto = r->truncation && strcmp(r->truncation, "auto") == 0;
    if (r->truncation && !is_auto && strcmp(r->truncation, "disabled") != 0)
        return fal_request_refuse(r, "truncation", err, "'%.20s' is neither auto nor disabled",
                                  r->truncation);
    if (r->truncate.is_given && r->truncate.value == 0)
        return fal_request_refuse(r, "truncate_prompt_tokens", err, "0, allowed are -1 and from 1");
    j->options.truncate = is_auto || (r->truncate.is_given && r->truncate.value < 0);
    return FAL_OK;
}

fal_status fal_job_request_read(fal_job_request *out, fal_request *r, const fal_model *model,
                                fal_draw_default draws, const char *const *own_stop,
                                fal_error *err) {
    read_sampling(&out->options.sampling, r, draws);
    FAL_TRY(fal_sampling_check(&out->options.sampling, err));
    FAL_TRY(read_biases(out, r, fal_tokenizer_n_vocab(fal_model_tokenizer(model)), err));
    FAL_TRY(read_stop(out, r, own_stop, err));
    FAL_TRY(read_form(out, r, err));
    FAL_TRY(read_counts(out, r, err));
    FAL_TRY(read_truncation(out, r, err));
    out->options.n_answers = out->n_answers;
    out->options.ignore_end = r->ignores_end == FAL_YES;
    out->options.penalise_prompt = true;
    out->options.wants_log_probabilities = out->n_answers > out->n_told;
    return FAL_OK;
}

void fal_job_request_release(fal_job_request *j) {
    fal_grammar_close(j->grammar);
    fal_free(j->stop);
    fal_free(j->biases);
    *j = (fal_job_request){0};
}
