/* train: fine-tunes, extends the context or trains from scratch. The work is train.h's; where it starts is train_start.h's,
 * the data train_data.h's, what is told train_report.h's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/folder_lock.h"
#include "cli/command.h"
#include "cli/config_file.h"
#include "cli/json_output.h"
#include "cli/train_report.h"
#include "convert/to_hf.h"
#include "model/adapter.h"
#include "train/training_checkpoint.h"

#include <stdio.h>

static const char FILE_NAME[] = "model.gguf", FOLDER_NAME[] = "hf", ADAPTER_NAME[] = "adapter";

static const fal_argument arguments[] = {
    {"CONFIG", FAL_OPTION_FILE, NULL, false, "a YAML file whose keys are options"},
    {NULL,     FAL_OPTION_TEXT, NULL, false, NULL                                }
};

static const fal_example examples[] = {
    {"falconer train config.yaml",                                       "As a file says:"  },
    {"falconer train config.yaml --plan",                                "What would it do?"},
    {"falconer train config.yaml --resume",                              "Go on:"           },
    {"falconer train config.yaml --resume --learning-rate 1e-5 --force",
     "Go on, with another learning rate:"                                                   },
    {"falconer train -m alfred.gguf -s talks.jsonl -n 1000000 -o tuned", "Without a file:"  },
    {NULL,                                                               NULL               }
};

/* Everything that a run holds. */
typedef struct job {
    const fal_train_choice *choice;
    fal_config_file *config;
    fal_folder_lock *lock; /* of the run's folder; NULL: nothing is written yet */
    fal_train_start start;
    fal_train_data data;
    fal_train_options options;
    fal_train_budget budget;
    fal_train_display display;
    fal_device *device;
    fal_trainable *model;
} job;

static void close_job(job *j) {
    fal_trainable_close(j->model);
    fal_device_close(j->device);
    fal_train_data_release(&j->data);
    fal_train_start_release(&j->start);
    fal_config_file_close(j->config);
    fal_folder_lock_close(j->lock);
}

/* ---- the folder ---- */

/* Nobody else works in the run's folder from here on, so what is half written there is of runs that were killed. */
static fal_status take_folder(job *j, fal_error *err) {
    static const char *const written[] = {
        FILE_NAME,   FOLDER_NAME,  ADAPTER_NAME, FAL_TRAIN_START_FILE,
        "log.jsonl", "curves.tsv", "curves.svg"};
    const char *folder = j->choice->out;
    FAL_TRY(fal_folder_make(folder, err));
    FAL_TRY(fal_add_context(err, fal_folder_lock_open(&j->lock, folder, err), "train"));
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
        FAL_TRY(fal_folder_remove_partial(folder, written[i], err));
    char *start = fal_path_join(folder, FAL_TRAIN_START_FILE);
    if (!start) return fal_fail_memory(err, 0);
    fal_file_remove(start);
    fal_free(start);
    return FAL_OK;
}

/* ---- planning ---- */

/* Before the data are read, and after that, when there is less of it. */
static fal_status check_memory(const job *j, fal_error *err) {
    int n_context = j->start.params.n_context, length = j->choice->sequence_length;
    if (j->choice->plan) return FAL_OK;
    if (length == 0 || length > n_context) length = n_context;
    return fal_train_check_memory(&j->start, length, &j->options, j->device, err);
}

static fal_status make_plan(job *j, fal_error *err) {
    const fal_train_choice *c = j->choice;
    FAL_TRY(fal_train_choice_options(c, &j->options, err));
    if (!c->plan && fal_file_is_directory(c->out)) FAL_TRY(take_folder(j, err));
    if (!c->plan)
        FAL_TRY(fal_add_context(err, fal_train_check_directory(&j->options, err), "train"));
    FAL_TRY(fal_train_start_open(&j->start, c, err));
    FAL_TRY(fal_device_open(&j->device, c->device, c->n_threads, err));
    FAL_TRY(check_memory(j, err));
    const fal_chat_format *format = c->chat_format
                                        ? fal_chat_format_by_name(c->chat_format)
                                        : fal_chat_format_detect(j->start.tokenizer, j->start.file);
    FAL_TRY(fal_train_data_open(&j->data, c, j->start.tokenizer, format, j->start.params.n_context,
                                err));
    FAL_TRY(check_memory(j, err));
    return fal_train_budget_make(&j->budget, &j->start, &j->data, &j->options, j->device, err);
}

static fal_status tell_plan(const job *j, fal_error *err) {
    const fal_train_choice *c = j->choice;
    if (c->plan && c->json)
        return fal_json_print(fal_train_plan_json(&j->start, &j->data, &j->budget), 9, err);
    if (!c->quiet) fal_train_print_plan(c->plan ? stdout : stderr, &j->start, &j->data, &j->budget);
    return FAL_OK;
}

/* What is trained must not end under the name of what it starts from. A run that is resumed has that in its checkpoint. */
static fal_status check_outputs(const job *j, fal_error *err) {
    static const char *const names[] = {FILE_NAME, FOLDER_NAME};
    const fal_train_choice *c = j->choice;
    for (size_t i = 0; c->model && !c->resume && i < sizeof names / sizeof names[0]; i++) {
        char *path = fal_path_join(c->out, names[i]);
        if (!path) return fal_fail_memory(err, 0);
        bool is_start = fal_file_is_same(path, j->start.path);
        fal_free(path);
        if (is_start)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "train: --out '%s': its %s is the model to start from, and would be "
                            "replaced: choose another folder",
                            c->out, names[i]);
    }
    return FAL_OK;
}

/* Where a run that resumes begins: a mistyped folder has no checkpoint, and would be begun without a word. */
static fal_status tell_beginning(const job *j, fal_error *err) {
    const fal_train_choice *c = j->choice;
    int64_t step;
    if (!c->resume || c->quiet) return FAL_OK;
    FAL_TRY(fal_training_checkpoint_find(c->out, &step, err));
    if (step < 0) {
        fal_terminal_notice("'%s' has no checkpoint: from the beginning", c->out);
    } else {
        fal_terminal_notice("goes on from %s/step-%lld", c->out, (long long)step);
    }
    return FAL_OK;
}

/* ---- training ---- */

static bool on_step(void *user, const fal_train_step *step) {
    job *j = user;
    fal_train_display_step(&j->display, step);
    return !fal_interrupt_is_raised();
}

static fal_status train(job *j, fal_train_result *result, fal_error *err) {
    const fal_train_data *d = &j->data;
    const fal_train_subject subject = {.model = j->model,
                                       .device = j->device,
                                       .plan = d->plan,
                                       .batch_sequences = d->n_sequences,
                                       .sequence_length = d->sequence_length,
                                       .documents = &d->documents,
                                       .validation = d->validation,
                                       .validation_documents = &d->validation_documents,
                                       .sources = d->names};
    j->display.is_quiet = j->choice->quiet;
    j->options.on_step = on_step;
    j->options.user = j;
    fal_interrupt_watch(2);
    fal_status status = fal_train(&subject, &j->options, result, err);
    fal_progress_clear(&j->display.bar);
    if (status == FAL_E_CANCELLED)
        return fal_fail(err, status,
                        "train: stopped after step %lld, which is saved; --resume goes on",
                        (long long)result->n_steps);
    return fal_add_context(err, status, "train");
}

static fal_status write_gguf(const job *j, const char *path, fal_error *err) {
    const char *type = j->choice->type;
    return fal_trainable_write_gguf(j->model, j->start.file, fal_type_by_name(type ? type : "f32"),
                                    path, err);
}

static fal_status write_adapter(const job *j, const char *path, fal_error *err) {
    return fal_trainable_write_adapter(j->model, j->choice->model, path, true, err);
}

/* From the file: the model is closed by then, so that memory stays as planned. */
static fal_status write_folder(const job *j, const char *path, fal_error *err) {
    static const fal_log silent;
    const fal_to_hf_options how = {.n_threads = j->choice->n_threads, .replaces = true};
    fal_source *source = NULL;
    char *file = fal_path_join(j->choice->out, FILE_NAME);
    fal_status status = file ? FAL_OK : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_source_open(&source, file, false, &silent, err);
    if (status == FAL_OK) status = fal_write_hf_folder(source, path, &how, err);
    fal_source_close(source);
    fal_free(file);
    return status;
}

typedef fal_status output_writer(const job *j, const char *path, fal_error *err);

static fal_status write_output(const job *j, const char *name, output_writer *write,
                               fal_error *err) {
    char *path = fal_path_join(j->choice->out, name);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = write(j, path, err);
    if (status == FAL_OK && !j->choice->quiet) fal_terminal_notice("wrote %s", path);
    fal_free(path);
    return status;
}

/* The model in the forms that others read. For some models a checkpoint folder has no words; they have their file. */
static fal_status write_outputs(job *j, fal_error *err) {
    const fal_train_choice *c = j->choice;
    fal_error why = {0};
    FAL_TRY(write_output(j, FILE_NAME, write_gguf, err));
    if (c->lora_rank > 0) FAL_TRY(write_output(j, ADAPTER_NAME, write_adapter, err));
    if (c->no_hf) return FAL_OK;
    fal_trainable_close(j->model);
    j->model = NULL;
    fal_status status = write_output(j, FOLDER_NAME, write_folder, &why);
    if (status == FAL_E_UNSUPPORTED) {
        if (!c->quiet) fal_terminal_notice("no folder hf: %s", why.message);
        return FAL_OK;
    }
    if (status != FAL_OK && err) *err = why;
    return status;
}

static fal_status tell_result(const job *j, const fal_train_result *r, double seconds,
                              fal_error *err) {
    const fal_train_choice *c = j->choice;
    char time[32], peak[32], planned[32], loss[32] = "none left to do", of_device[64] = "";
    if (c->json) return fal_json_print(fal_train_result_json(r, &j->budget, seconds), 9, err);
    if (c->quiet) return FAL_OK;
    fal_format_duration(time, sizeof time, seconds);
    fal_format_bytes(peak, sizeof peak, (double)fal_peak_memory());
    fal_format_bytes(planned, sizeof planned, (double)j->budget.total);
    if (j->budget.device > 0) {
        char bytes[32];
        fal_format_bytes(bytes, sizeof bytes, (double)j->budget.device);
        snprintf(of_device, sizeof of_device, ", and %s of the device", bytes);
    }
    if (r->first_step <= r->n_steps) snprintf(loss, sizeof loss, "loss %.4f", r->loss);
    fal_terminal_notice("%lld steps, %s, in %s; memory %s, planned %s%s%s", (long long)r->n_steps,
                        loss, time, peak, planned, of_device,
                        r->has_curves ? "" : "; no curves: gnuplot is missing");
    return FAL_OK;
}

static fal_status run_job(job *j, fal_error *err) {
    const fal_train_choice *c = j->choice;
    double started = fal_seconds();
    fal_train_result result;
    FAL_TRY(make_plan(j, err));
    FAL_TRY(tell_plan(j, err));
    if (c->plan) return FAL_OK;
    if (!j->lock) FAL_TRY(take_folder(j, err));
    FAL_TRY(check_outputs(j, err));
    FAL_TRY(tell_beginning(j, err));
    FAL_TRY(fal_train_start_model(&j->start, j->device, &j->model, err));
    FAL_TRY(train(j, &result, err));
    FAL_TRY(write_outputs(j, err));
    return tell_result(j, &result, fal_seconds() - started, err);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    job j = {.choice = parsed->values};
    fal_status status = FAL_OK;
    if (parsed->n_arguments > 0)
        status = fal_config_file_open(&j.config, parsed->arguments[0], parsed, err);
    if (status == FAL_OK) status = run_job(&j, err);
    close_job(&j);
    return status;
}

const fal_command fal_command_train = {
    .description =
        "Trains a Falcon on one machine: from scratch, or from a GGUF file, a Hugging Face folder or the folder of a run "
        "before; all weights or low-rank adapters; with the context extended by any method. CONFIG is a YAML file in which "
        "every option below is a key by its long name; options on the command line win. Keys of options that may be "
        "repeated (sources, groups, validation) take a list.\n\n"
        "A source is PATH[,KEY=VALUE...], in the file also a mapping with the key path. Keys: reader (see falconer list "
        "readers; recognised from the first record otherwise), group, weight (within its group), overlong (cut, drop, "
        "middle, left), min-tokens, language, top-answers. Groups are mixed by tokens: short-chat 50, long-context 45, "
        "web-text 5, unless --group says otherwise; groups without data are left out.\n\n"
        "DIR holds log.jsonl with a line for each step, curves.svg, checkpoints step-N, and at the end model.gguf and the "
        "checkpoint folder hf, with LoRA also adapter, which falconer merge folds into a model. Ctrl-C saves and ends; "
        "--resume goes on, with the same result to the last bit, whatever the number of threads.",
    .arguments = arguments,
    .groups = fal_train_option_groups,
    .examples = examples,
    .values_bytes = sizeof(fal_train_choice),
    .set_defaults = fal_train_choice_defaults,
    .run = run};
