/* imatrix: the importance of columns, for quantizing. The work is eval.h's. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/measuring.h"

#include <string.h>

typedef struct imatrix_options {
    fal_text_choice text;
    fal_model_choice model;
    const char *out;
    bool process_output, force, json;
} imatrix_options;

#define AT(member) offsetof(imatrix_options, member)

static const fal_option imatrix_rows[] = {
    FAL_ROW(FILE, "model", 'm', AT(model.file), "FILE", "a GGUF file (the built-in fledgling)"),
    FAL_ROW(FILE, "output", 'o', AT(out), "OUT", "the file to write; GGUF if it ends in .gguf"),
    FAL_ROW_FLAG("process-output", 0, AT(process_output), "also for the head, output.weight"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite a file that is there"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Measure", imatrix_rows,                                 0        },
    {"Text",    fal_text_window_rows,                         AT(text) },
    {"Model",   fal_model_option_rows + FAL_MODEL_OTHER_ROWS, AT(model)},
    {NULL,      NULL,                                         0        }
};

static const fal_example examples[] = {
    {"falconer imatrix -m falcon-bf16.gguf -f text -o falcon.imatrix",
     "For falconer quantize --imatrix:"                                    },
    {NULL,                                                             NULL}
};

static fal_status print_result(const imatrix_options *o, const fal_importance *made, double seconds,
                               fal_error *err) {
    int64_t n_tokens = made->n_chunks * made->chunk_size;
    if (!o->json) {
        fal_terminal_notice("wrote %s: %zu matrices, %lld tokens in %lld windows, %.1f s", o->out,
                            made->count, (long long)n_tokens, (long long)made->n_chunks, seconds);
        return FAL_OK;
    }
    json_t *all = json_object();
    json_object_set_new(all, "path", fal_json_text(o->out, strlen(o->out)));
    json_object_set_new(all, "matrices", json_integer((json_int_t)made->count));
    json_object_set_new(all, "context", json_integer(made->chunk_size));
    json_object_set_new(all, "windows", json_integer(made->n_chunks));
    json_object_set_new(all, "tokens", json_integer(n_tokens));
    return fal_json_print(all, 9, err);
}

/* Before anything is computed. */
static fal_status check_output(const imatrix_options *o, fal_error *err) {
    if (!o->out)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "imatrix: no output is named; falconer imatrix -m FILE -f TEXT -o OUT");
    if (fal_file_is_directory(o->out))
        return fal_fail(err, FAL_E_ARGUMENT, "imatrix: '%s' is a folder", o->out);
    if (fal_file_exists(o->out) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "imatrix: '%s' is there already; --force overwrites it", o->out);
    /* What takes hours to compute should find its place at the end. */
    fal_output *probe = NULL;
    FAL_TRY(fal_output_open(&probe, o->out, err));
    fal_output_discard(probe);
    return FAL_OK;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const imatrix_options *o = parsed->values;
    fal_model *model = NULL;
    fal_tokens tokens = {0};
    fal_importance made = {0};
    double started = fal_seconds();
    fal_status status = FAL_OK;
    FAL_TRY(check_output(o, err));
    FAL_TRY_OUT(fal_measured_model_open(
        &model, &o->text, &o->model,
        "imatrix: no model is named; falconer imatrix -m FILE -f TEXT -o OUT", err));
    FAL_TRY_OUT(fal_text_tokens(
        &o->text, "imatrix: no text is named; falconer imatrix -m FILE -f TEXT -o OUT", model,
        &tokens, err));
    fal_progress bar = fal_progress_open("gathering", "tokens");
    fal_eval_options how = fal_measuring_options(&o->text, &o->model, &bar);
    how.with_head = o->process_output;
    status = fal_eval_importance(model, tokens.ids, tokens.count, &how, &made, err);
    fal_progress_clear(&bar);
    if (status != FAL_OK) {
        fal_add_context(err, status, "imatrix");
        goto out;
    }
    FAL_TRY_OUT(fal_importance_set_dataset(&made, o->text.file, strlen(o->text.file), err));
    FAL_TRY_OUT(fal_importance_write(&made, o->out, err));
    status = print_result(o, &made, fal_seconds() - started, err);
out:
    fal_importance_release(&made);
    fal_tokens_release(&tokens);
    fal_model_close(model);
    return status;
}

const fal_command fal_command_imatrix = {
    .description =
        "Reads a calibration text with the model and writes, for each matrix of its layers, the mean square of each column "
        "of what the matrix is multiplied with. A quantizer spends its precision on the columns where these are large; "
        "falconer quantize --imatrix and llama.cpp's llama-quantize read the file.\n\n"
        "The text is cut into windows of --context tokens (512, or the model's context where that is less) that lie end to "
        "end, each read on its own; all their tokens count, and a rest that fills no window is left out. Where the "
        "vocabulary asks for a bos token it takes the place of each window's first one. A hundred windows of text like "
        "what the model will be used for are a good start.\n\n"
        "The file has the classic form of llama.cpp, or is a GGUF file if its name ends in .gguf. --process-output adds "
        "the matrix of the head: output.weight, or token_embd.weight where the head shares it. The sums do not depend on "
        "--threads or --batch.\n\n"
        "With --json the result is {\"path\", \"matrices\", \"context\", \"windows\", \"tokens\"}.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(imatrix_options),
    .run = run};
