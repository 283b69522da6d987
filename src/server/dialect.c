/* Body of dialect.h. What a status is called in a dialect is a table per dialect; the first row that fits holds. */
#include "server/dialect.h"

#include "formats/json_value.h"

#include <stdio.h>
#include <string.h>

#define FAL_DIALECT(name, meaning) \
    const fal_dialect fal_dialect_##name = {#name, meaning, fal_error_in_##name};
#include "server/dialects.def"
#undef FAL_DIALECT

static json_t *text_of(const char *text) {
    return fal_json_text(text, strlen(text));
}

/* What a code is called, and the code that a dialect answers instead. */
typedef struct naming {
    int code;                        /* 0 ends a table; its row holds for all others */
    int answered;                    /* 0: the same */
    const char *type, *machine_code; /* NULL: none */
} naming;

static const naming *naming_of(const naming *table, int code) {
    while (table->code && table->code != code)
        table++;
    return table;
}

/* The table's word for *code, or the general one for requests or the server; *code becomes what is answered. */
static const char *type_of(const naming *table, int *code, const char *of_requests,
                           const char *of_server) {
    const naming *n = naming_of(table, *code);
    const char *type = n->type ? n->type : *code < 500 ? of_requests : of_server;
    if (n->answered) *code = n->answered;
    return type;
}

json_t *fal_error_in_openai(int *code, fal_status status, const char *message) {
    static const naming table[] = {
        {401, 0, "invalid_request_error", "invalid_api_key"    },
        {403, 0, "invalid_request_error", "forbidden"          },
        {404, 0, "invalid_request_error", "not_found"          },
        {405, 0, "invalid_request_error", "method_not_allowed" },
        {429, 0, "requests",              "rate_limit_exceeded"},
        {503, 0, "server_error",          "overloaded"         },
        {0,   0, NULL,                    NULL                 }
    };
    const char *machine_code = naming_of(table, *code)->machine_code;
    const char *type = type_of(table, code, "invalid_request_error", "server_error");
    /* A body that is too long is no LIMIT: that is a prompt beyond the context, which the OpenAI answers with 400. */
    if (status == FAL_E_LIMIT) {
        *code = 400;
        machine_code = "context_length_exceeded";
    } else if (*code == 422) {
        *code = 400;
    }
    return json_pack("{s:{s:o?,s:s,s:n,s:s?}}", "error", "message", text_of(message), "type", type,
                     "param", "code", machine_code);
}

json_t *fal_error_in_anthropic(int *code, fal_status status, const char *message) {
    static const naming table[] = {
        {401, 0,   "authentication_error",  NULL},
        {403, 0,   "permission_error",      NULL},
        {404, 0,   "not_found_error",       NULL},
        {413, 0,   "request_too_large",     NULL},
        {422, 400, "invalid_request_error", NULL},
        {429, 0,   "rate_limit_error",      NULL},
        {503, 529, "overloaded_error",      NULL},
        {0,   0,   NULL,                    NULL}
    };
    if (status == FAL_E_LIMIT) *code = 400;
    const char *type = type_of(table, code, "invalid_request_error", "api_error");
    return json_pack("{s:s,s:{s:s,s:o?}}", "type", "error", "error", "type", type, "message",
                     text_of(message));
}

static json_t *error_with_type(const char *type, const char *message) {
    return json_pack("{s:o?,s:s}", "error", text_of(message), "error_type", type);
}

json_t *fal_error_in_tgi(int *code, fal_status status, const char *message) {
    static const naming table[] = {
        {400, 422, "validation", NULL},
        {413, 422, "validation", NULL},
        {422, 0,   "validation", NULL},
        {429, 0,   "overloaded", NULL},
        {503, 0,   "overloaded", NULL},
        {500, 424, "generation", NULL},
        {0,   0,   NULL,         NULL}
    };
    /* Only what the request says is validated; a body that is too long is refused before. */
    if (*code == 413 && status != FAL_E_LIMIT) return error_with_type("validation", message);
    const char *type = type_of(table, code, "request", "generation");
    if (*code != 422) return error_with_type(type, message);
    /* Its clients look for these words. */
    char words[sizeof(fal_error) + 40];
    snprintf(words, sizeof words, "Input validation error: %s", message);
    return error_with_type(type, words);
}

json_t *fal_error_in_plain(int *code, fal_status status, const char *message) {
    (void)code;
    return error_with_type(fal_status_words(status), message);
}
