/* Options, text and progress of measurements. */
#include "cli/measuring.h"

#include "base/alloc.h"
#include "cli/prompt.h"

#include <limits.h>
#include <math.h>

#define AT(member) offsetof(fal_text_choice, member)

#define FILE_ROW \
    FAL_ROW(FILE, "file", 'f', AT(file), "TEXT", "a file that holds the text; -: stdin")
#define CONTEXT_ROW \
    FAL_ROW_COUNT("context", 'c', AT(n_context), "N", 2, INT_MAX, "tokens of a window (512)")
#define WINDOWS_ROW \
    FAL_ROW_COUNT("windows", 0, AT(n_windows), "N", 1, INT_MAX, "at most so many windows (all)")
#define SPECIAL_ROW FAL_ROW_FLAG("special", 0, AT(special), "recognise control tokens in the text")

const fal_option fal_text_option_rows[] = {
    FILE_ROW,
    CONTEXT_ROW,
    FAL_ROW_COUNT("stride", 0, AT(stride), "N", 1, INT_MAX, "a window every N tokens, all scored"),
    WINDOWS_ROW,
    SPECIAL_ROW,
    {0}};

const fal_option fal_text_window_rows[] = {FILE_ROW, CONTEXT_ROW, WINDOWS_ROW, SPECIAL_ROW, {0}};

fal_status fal_measured_model_open(fal_model **out, const fal_text_choice *text,
                                   const fal_model_choice *model, const char *hint,
                                   fal_error *err) {
    fal_model_choice choice = *model;
    choice.n_context = text->n_context;
    return fal_model_choice_open(&choice, hint, out, NULL, err);
}

fal_status fal_text_tokens(const fal_text_choice *text, const char *hint, const fal_model *model,
                           fal_tokens *out, fal_error *err) {
    if (!text->file) return fal_fail(err, FAL_E_ARGUMENT, "%s", hint);
    char *bytes = NULL;
    size_t length = 0;
    FAL_TRY(fal_prompt_read(&bytes, &length, NULL, text->file, err));
    fal_status status =
        fal_prompt_encode(fal_model_tokenizer(model), bytes, length,
                          text->special ? FAL_SPECIALS_RECOGNISED : FAL_SPECIALS_AS_TEXT, out, err);
    fal_free(bytes);
    return status;
}

static bool on_progress(void *user, size_t n_done, size_t n_total) {
    fal_progress_show(user, n_done, n_total);
    return !fal_interrupt_is_raised();
}

fal_eval_options fal_measuring_options(const fal_text_choice *text, const fal_model_choice *model,
                                       fal_progress *bar) {
    fal_interrupt_watch(2);
    return (fal_eval_options){.n_context = text->n_context,
                              .stride = text->stride,
                              .n_windows = text->n_windows,
                              .n_batch = model->n_batch ? model->n_batch : FAL_MODEL_BATCH,
                              .kv_type = model->kv_type,
                              .on_progress = on_progress,
                              .user = bar};
}

void fal_format_estimate(char *out, size_t size, double value, double error) {
    /* Two digits of the error are told, and the value as far as they reach. */
    double digits = error > 0 ? 1 - floor(log10(error)) : -1;
    if (isfinite(value) && isfinite(error) && digits <= 9 && error > 0)
        snprintf(out, size, "%.*f +- %.*f", digits > 0 ? (int)digits : 0, value,
                 digits > 0 ? (int)digits : 0, error);
    else if (isfinite(error))
        snprintf(out, size, "%.6g +- %.2g", value, error);
    else
        snprintf(out, size, "%.6g", value);
}
