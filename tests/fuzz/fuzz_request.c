/* Any bytes as the body of a request, in every dialect: the first byte chooses which. What is not refused becomes tokens and
 * the options of a job, as it would on the way to the engine; control tokens come from nowhere but the chat format and ids. */
#include "fuzz.h"
#include "server/job_request.h"
#include "server/json_body.h"
#include "server/request.h"
#include "server/request_prompt.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

static fal_model *model;

static void open_model(void) {
    const fal_model_options one_thread = {.n_threads = 1};
    if (!model
        && fal_model_open(&model, FAL_SOURCE_DIR "/models/fledgling-Q8_0.gguf", &one_thread, NULL)
               != FAL_OK)
        abort();
}

/* Refusals are one line of words. */
static bool is_good(fal_status status, const fal_error *err) {
    if (status != FAL_OK && (!err->message[0] || strchr(err->message, '\n'))) abort();
    return status == FAL_OK;
}

/* A text of a user is text: no control token but the bos in front comes of it. */
static void encode(const fal_request *r, const char *text) {
    fal_tokens tokens = {0};
    fal_error err = {0};
    const fal_tokenizer *t = fal_model_tokenizer(model);
    if (is_good(fal_request_encode(r, model, text, &tokens, &err), &err)
        && r->parse_special != FAL_YES)
        for (size_t i = 0; i < tokens.count; i++)
            if (fal_tokenizer_is_control(t, tokens.ids[i])
                && !(i == 0 && tokens.ids[i] == fal_tokenizer_bos(t)))
                abort();
    fal_tokens_release(&tokens);
}

static void walk(fal_request *r, bool knows_roles) {
    fal_tokens tokens = {0};
    fal_error err = {0};
    if (r->messages) is_good(fal_request_render(r, model, knows_roles, &tokens, &err), &err);
    if (r->tokens) is_good(fal_request_ids(r, model, "tokens", r->tokens, &tokens, &err), &err);
    fal_fuzz_sum += touch(tokens.ids, tokens.count * sizeof *tokens.ids);
    fal_tokens_release(&tokens);
    if (r->inputs) encode(r, r->inputs);
    if (r->content) encode(r, r->content);
    if (json_is_string(r->prompt)) encode(r, json_string_value(r->prompt));
    for (int draws = 0; draws < 2; draws++) {
        fal_job_request job = {0};
        if (is_good(fal_job_request_read(&job, r, model, (fal_draw_default)draws, NULL, &err),
                    &err))
            fal_fuzz_sum += (unsigned)job.options.max_new_tokens;
        fal_job_request_release(&job);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_error err = {0};
    json_t *body;
    if (length < 1) return 0;
    open_model();
    int kind = data[0] % FAL_BODY_COUNT_OF_KINDS;
    if (!is_good(fal_json_body_read(&body, (const char *)data + 1, length - 1, &err), &err))
        return 0;
    fal_request r = {0};
    if (is_good(fal_request_read(&r, (fal_body)(1 << kind), body, &err), &err)) {
        walk(&r, kind & 1);
        if (r.parameters) {
            fal_request inner = {0};
            if (is_good(
                    fal_request_read(&inner, FAL_BODY_PARAMETERS, json_incref(r.parameters), &err),
                    &err))
                walk(&inner, true);
            fal_request_release(&inner);
        }
    }
    fal_request_release(&r);
    return 0;
}
