/* Bodies of openai.h, and the routes about models. */
#include "server/openai.h"

#include <falconer/version.h>

#include "base/fail.h"
#include "formats/json_value.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/router.h"

#include <string.h>
#include <time.h>

const char *fal_openai_finish(fal_finish finish) {
    return finish == FAL_FINISH_LENGTH || finish == FAL_FINISH_CONTEXT ? "length" : "stop";
}

json_t *fal_openai_head(const fal_answers *a, const char *object, json_t *take_choices) {
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", a->id, "object", object, "created",
                     (json_int_t)a->created, "model", a->model->id, "system_fingerprint",
                     "falconer-" FAL_VERSION, "choices", take_choices);
}

json_t *fal_openai_usage(const fal_answers *a) {
    json_int_t n_prompt = (json_int_t)fal_answers_n_prompt(a),
               n_drawn = (json_int_t)fal_answers_n_drawn(a);
    json_t *details = json_pack("{s:I}", "cached_tokens", (json_int_t)fal_answers_n_cached(a));
    size_t n_dropped = fal_answers_n_dropped(a);
    if (n_dropped)
        json_object_set_new(details, "truncated_tokens", json_integer((json_int_t)n_dropped));
    return json_pack("{s:I, s:I, s:I, s:o}", "prompt_tokens", n_prompt, "completion_tokens",
                     n_drawn, "total_tokens", n_prompt + n_drawn, "prompt_tokens_details", details);
}

static json_t *rate(double count, double seconds) {
    return fal_json_number(seconds > 0 ? count / seconds : 0);
}

json_t *fal_openai_timings(const fal_answers *a) {
    double computed = (double)(fal_answers_n_prompt(a) - fal_answers_n_cached(a)),
           drawn = (double)fal_answers_n_drawn(a);
    double prompt = a->prompts_ready > 0 ? a->prompts_ready - a->started : 0;
    double answer = a->drawing > 0 ? a->ended - a->drawing : 0;
    return json_pack("{s:I, s:I, s:f, s:o, s:I, s:f, s:o}", "cache_n",
                     (json_int_t)fal_answers_n_cached(a), "prompt_n", (json_int_t)computed,
                     "prompt_ms", prompt * 1e3, "prompt_per_second", rate(computed, prompt),
                     "predicted_n", (json_int_t)drawn, "predicted_ms", answer * 1e3,
                     "predicted_per_second", rate(drawn, answer));
}

void fal_openai_end_stream(fal_answers *a, const char *object) {
    if (a->tells_usage) {
        json_t *event = fal_openai_head(a, object, json_array());
        json_object_set_new(event, "usage", fal_openai_usage(a));
        json_object_set_new(event, "timings", fal_openai_timings(a));
        fal_event_write(a->x, NULL, event);
    }
    fal_event_write_text(a->x, NULL, "[DONE]");
}

void fal_openai_fail_stream(fal_answers *a, const fal_error *why) {
    int code = fal_answer_code(why->status);
    fal_event_write(a->x, NULL, fal_error_in_openai(&code, why->status, why->message));
}

bool fal_openai_is_end(const fal_answers *a, int32_t token) {
    return token >= 0 && fal_tokenizer_is_end(a->tokenizer, token) && !a->job.options.ignore_end;
}

/* ---- models ---- */

/* Also what the Anthropic dialect calls a model: whoever lists models finds the names that it knows. */
static json_t *describe(const fal_server *server, const fal_server_model *model) {
    char created[40];
    time_t started = (time_t)fal_server_started(server);
    struct tm date;
    if (!gmtime_r(&started, &date)
        || !strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &date))
        created[0] = '\0';
    const fal_model_info *info = fal_model_info_get(model->model);
    const char *name = info->name[0] ? info->name : model->id;
    json_t *meta = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "n_vocab", (json_int_t)info->n_vocab,
                             "n_ctx_train", (json_int_t)info->trained_context, "n_embd",
                             (json_int_t)info->d_model, "n_params", (json_int_t)info->n_parameters,
                             "size", (json_int_t)info->weight_bytes, "chat_format",
                             fal_chat_format_name(fal_model_chat_format(model->model)));
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:I, s:o}", "id", model->id, "object",
                     "model", "type", "model", "created", (json_int_t)started, "created_at",
                     created, "owned_by", "falconer", "display_name",
                     fal_json_text(name, strlen(name)), "max_model_len",
                     (json_int_t)fal_engine_n_context(model->engine), "meta", meta);
}

fal_status fal_route_openai_models(fal_server *server, fal_exchange *x, fal_error *err) {
    (void)err;
    json_t *list = json_array();
    size_t n = 0;
    while (fal_server_model_at(server, n))
        json_array_append_new(list, describe(server, fal_server_model_at(server, n++)));
    fal_exchange_answer_json(x, 200,
                             json_pack("{s:s, s:o, s:b, s:s, s:s}", "object", "list", "data", list,
                                       "has_more", 0, "first_id",
                                       fal_server_model_at(server, 0)->id, "last_id",
                                       fal_server_model_at(server, n - 1)->id));
    return FAL_OK;
}

fal_status fal_route_openai_model(fal_server *server, fal_exchange *x, fal_error *err) {
    const fal_server_model *model = NULL;
    FAL_TRY(fal_server_model_get(server, fal_exchange_segment(x, "id"), &model, err));
    fal_exchange_answer_json(x, 200, describe(server, model));
    return FAL_OK;
}
