/* The chat page: its files out of the program, and what it asks first. Nothing is loaded from elsewhere, no script stands in
 * a document, and what answers contain cannot become one: the policy below has the browser enforce that. */
#include <falconer/version.h>

#include "server/engine.h"
#include "server/page_files.h"
#include "server/router.h"
#include "server/server.h"

#include <string.h>

static const char POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify";

/* Whether a list of tags, as If-None-Match has it, names tag. */
static bool names_tag(const char *list, const char *tag) {
    return list && (strcmp(list, "*") == 0 || strstr(list, tag) != NULL);
}

static fal_status answer_file(fal_exchange *x, const char *name, fal_error *err) {
    const fal_page_file *file = fal_page_files;
    while (file->name && strcmp(file->name, name) != 0)
        file++;
    if (!file->name) return fal_fail(err, FAL_E_NOT_FOUND, "the page has no such file");
    fal_exchange_set_header(x, "Content-Security-Policy", POLICY);
    fal_exchange_set_header(x, "X-Content-Type-Options", "nosniff");
    fal_exchange_set_header(x, "Referrer-Policy", "no-referrer");
    fal_exchange_set_header(x, "Cross-Origin-Opener-Policy", "same-origin");
    fal_exchange_set_header(x, "Cross-Origin-Resource-Policy", "same-origin");
    /* The browser keeps a file and asks each time whether it is still the same. */
    fal_exchange_set_header(x, "Cache-Control", "no-cache");
    fal_exchange_set_header(x, "ETag", file->tag);
    if (names_tag(fal_exchange_header(x, "If-None-Match"), file->tag))
        fal_exchange_answer(x, 304, file->type, "", 0);
    else
        fal_exchange_answer_static(x, 200, file->type, file->data,
                                   (size_t)(file->end - file->data));
    return FAL_OK;
}

fal_status fal_route_page(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)server;
    return answer_file(x, "index.html", err);
}

fal_status fal_route_page_file(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)server;
    return answer_file(x, fal_exchange_segment(x, "file"), err);
}

fal_status fal_route_licenses(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)server;
    return answer_file(x, "licenses.txt", err);
}

fal_status fal_route_page_facts(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)err;
    const char *why = NULL;
    bool keeps = fal_server_store(server, &why) != NULL;
    json_t *models = json_array();
    const fal_server_model *model;
    for (size_t i = 0; (model = fal_server_model_at(server, i)); i++)
        json_array_append_new(
            models,
            json_pack("{s:s, s:I}", "id", model->id, "context",
                      (json_int_t)(model->engine ? fal_engine_n_context(model->engine) : 0)));
    fal_exchange_set_header(x, "Cache-Control", "no-store");
    fal_exchange_answer_json(x, 200,
                             json_pack("{s:s, s:o, s:{s:b, s:s?}}", "version", FAL_VERSION,
                                       "models", models, "store", "keeps", keeps, "why", why));
    return FAL_OK;
}
