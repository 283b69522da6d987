/* Opens the model that the options name. */
#include "cli/model_options.h"

#include "base/cpu.h"
#include "cli/built_in.h"
#include "cli/terminal.h"
#include "compute/cells.h"
#include "compute/device.h"
#include "model/rope.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *fal_method_choice(int index) {
    return index < fal_rope_method_count() ? fal_rope_method_at(index)->name : NULL;
}

const char *fal_device_choice(int index) {
    return index < fal_backend_count() ? fal_backend_at(index)->name : NULL;
}

const char *fal_kv_type_choice(int index) {
    const fal_type *type = fal_cell_type_at(index);
    return type ? type->name : NULL;
}

const char *fal_chat_format_choice(int index) {
    static const char *const formats[] = {
#define FAL_CHAT_FORMAT(name, ...) name,
#include "text/chat_formats.def"
#undef FAL_CHAT_FORMAT
        NULL};
    return formats[index];
}

#define AT(member) offsetof(fal_model_choice, member)

const fal_option fal_model_option_rows[] = {
    FAL_ROW(FILE, "model", 'm', AT(file), "FILE", "a GGUF file (the built-in fledgling)"),
    FAL_ROW_COUNT("context", 'c', AT(n_context), "N", 1, INT_MAX,
                  "tokens of context (the model's own)"),
    FAL_ROW_CHOICE("context-method", 0, AT(context_method), "NAME", fal_method_choice,
                   "context extension, see falconer rope"),
    FAL_ROW_NUMBER("context-scale", 0, AT(context_scale), "S", 1, 1024,
                   "its factor (the file's, or 4)"),
    FAL_ROW_COUNT("context-original", 0, AT(context_original), "N", 1, INT_MAX,
                  "tokens the model was trained for (the file's)"),
    FAL_ROW_FLAG("as-stored", 0, AT(as_stored), "do not restore settings the file lost"),
    FAL_ROW_CHOICE("kv-type", 0, AT(kv_type), "TYPE", fal_kv_type_choice,
                   "number type of the cache: f16, q8_0, f32"),
    FAL_ROW_THREADS(AT(n_threads)),
    FAL_ROW_COUNT("batch", 0, AT(n_batch), "N", 1, 8192,
                  "tokens computed at once (64; serve: 512)"),
    FAL_ROW_CHOICE("device", 0, AT(device), "NAME", fal_device_choice,
                   "what computes (cpu); see falconer list devices"),
    FAL_ROW_FLAG("verbose", 0, AT(verbose), "tell on stderr what happens and how fast"),
    {0}};

/* The level up to which events are shown; user of the sink. */
static fal_log_level level_of(const fal_model_choice *choice) {
    const char *wanted = getenv("FALCONER_LOG");
    if (wanted && strcmp(wanted, "debug") == 0) return FAL_LOG_DEBUG;
    if (choice->verbose || (wanted && strcmp(wanted, "info") == 0)) return FAL_LOG_INFO;
    return FAL_LOG_WARNING;
}

static void show_event(void *user, fal_log_level level, const char *area, const char *text) {
    const fal_model_choice *choice = user;
    if (level > level_of(choice)) return;
    fal_terminal_notice("%s: %s", area, text);
}

static void show_facts(const fal_model_choice *choice, const fal_model *model,
                       const fal_session *session, double seconds) {
    const fal_model_info *info = fal_model_info_get(model);
    size_t n_context = session ? fal_session_n_context(session) : (size_t)choice->n_context;
    bool has_methods =
        strcmp(info->rope_method, "alibi") != 0 && strcmp(info->rope_method, "learned") != 0;
    if (n_context > (size_t)info->n_context)
        fal_terminal_notice(
            "context: %zu tokens asked for, the settings in force are good for %d%s", n_context,
            info->n_context, has_methods ? "; see --context-method" : "");
    if (!choice->verbose) return;
    char weights[32], cache[32], count[32];
    fal_format_count(count, sizeof count, (double)info->n_parameters);
    fal_format_bytes(weights, sizeof weights, (double)info->weight_bytes);
    fal_format_bytes(cache, sizeof cache,
                     (double)fal_model_kv_bytes(model, (int)n_context, choice->kv_type));
    fal_terminal_notice(
        "opened %s in %.2f s: %s, %s parameters, weights %s, cache %s for %zu tokens, %s, "
        "%d threads on %s (%s)",
        fal_gguf_path(fal_model_gguf(model)), seconds, info->architecture, count, weights, cache,
        n_context, info->rope_method, info->n_threads, info->device, info->kernel_set);
}

fal_status fal_model_choice_open(const fal_model_choice *choice, const char *hint,
                                 fal_model **model, fal_session **session, fal_error *err) {
    /* The sink's user is only read, but its type is shared with sinks that write. */
    fal_model_choice copy = *choice;
    const fal_model_options options = {
        .n_threads = choice->n_threads,
        .device = choice->device,
        .context_method = choice->context_method,
        .context_scale = choice->context_scale,
        .context_original = choice->context_original,
        .as_stored = choice->as_stored,
        .log = {show_event, &copy}
    };
    double started = fal_seconds();
    FAL_TRY(fal_named_model_open(model, choice->file, &options, hint, err));
    if (!session) {
        show_facts(choice, *model, NULL, fal_seconds() - started);
        return FAL_OK;
    }
    const fal_session_options wanted = {.n_context = choice->n_context,
                                        .n_batch =
                                            choice->n_batch ? choice->n_batch : FAL_MODEL_BATCH,
                                        .kv_type = choice->kv_type};
    FAL_TRY(fal_session_open(session, *model, &wanted, err));
    show_facts(choice, *model, *session, fal_seconds() - started);
    return FAL_OK;
}

fal_status fal_vocabulary_open(const char *file, const char *hint, fal_gguf **gguf,
                               fal_tokenizer **tokenizer, fal_error *err) {
    FAL_TRY(fal_named_gguf_open(gguf, file, hint, err));
    return fal_tokenizer_open(tokenizer, *gguf, err);
}
