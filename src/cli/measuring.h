/* What the commands that measure a model over a text have in common: their options, the text as tokens, the bar. */
#ifndef FAL_CLI_MEASURING_H
#define FAL_CLI_MEASURING_H

#include "cli/model_options.h"
#include "cli/terminal.h"
#include "eval/eval.h"

typedef struct fal_text_choice {
    const char *file;
    int n_context, stride, n_windows;
    bool special;
} fal_text_choice;

/* Rows that store into a fal_text_choice; fal_text_window_rows has no --stride. */
extern const fal_option fal_text_option_rows[];
extern const fal_option fal_text_window_rows[];

/* Opens the model, for windows of the text's --context. hint and out as in fal_model_choice_open. */
fal_status fal_measured_model_open(fal_model **out, const fal_text_choice *text,
                                   const fal_model_choice *model, const char *hint, fal_error *err);

/* Appends the text's tokens. hint: the message when no file is named. Fails: as fal_prompt_read; ARGUMENT. */
fal_status fal_text_tokens(const fal_text_choice *text, const char *hint, const fal_model *model,
                           fal_tokens *out, fal_error *err);

/* The options of a measurement, with the bar as its progress; Ctrl-C cancels it. */
fal_eval_options fal_measuring_options(const fal_text_choice *text, const fal_model_choice *model,
                                       fal_progress *bar);

/* "12.3456 +- 0.0012": as many digits as the error allows; without an error the value alone; writes at most size bytes. */
void fal_format_estimate(char *out, size_t size, double value, double error);

#endif
