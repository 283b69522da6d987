/* convert: a Hugging Face folder into a GGUF file. The work is convert.h's. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "convert/convert.h"

typedef struct convert_options {
    const char *type, *name;
    bool force, quiet;
} convert_options;

#define AT(member) offsetof(convert_options, member)

static const char *type_choice(int index) {
    static const char *const types[] = {"f32", "f16", "bf16", NULL};
    return types[index];
}

static const fal_option rows[] = {
    FAL_ROW_CHOICE("type", 't', AT(type), "TYPE", type_choice,
                   "number type: f32, f16 or bf16 (the checkpoint's)"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "the model's name in the file (the folder's)"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite a file that is there"),
    FAL_ROW_FLAG("quiet", 'q', AT(quiet), "say nothing but errors"),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"HF_DIR",   FAL_OPTION_DIRECTORY, NULL, true,
     "a folder with config.json, tokenizer.json, weights"              },
    {"OUT.gguf", FAL_OPTION_FILE,      NULL, true,  "the file to write"},
    {NULL,       FAL_OPTION_TEXT,      NULL, false, NULL               }
};

static const fal_example examples[] = {
    {"falconer convert alfred-40b-1023 alfred.gguf --type bf16", "A checkpoint becomes one file:"},
    {NULL,                                                       NULL                            }
};

/* What the callbacks share. */
typedef struct state {
    fal_progress progress;
    bool quiet;
} state;

static bool on_progress(void *user, const char *tensor, uint64_t n_done, uint64_t n_total) {
    state *s = user;
    (void)tensor;
    if (!s->quiet) fal_progress_show(&s->progress, n_done, n_total);
    return !fal_interrupt_is_raised();
}

static void on_event(void *user, fal_log_level level, const char *area, const char *text) {
    state *s = user;
    (void)area;
    if (s->quiet || level > FAL_LOG_INFO) return;
    fal_progress_clear(&s->progress);
    fal_terminal_notice("%s", text);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const convert_options *o = parsed->values;
    const char *directory = parsed->arguments[0], *path = parsed->arguments[1];
    if (!fal_file_exists(directory))
        return fal_fail(err, FAL_E_NOT_FOUND, "convert: '%s': no such folder", directory);
    if (!fal_file_is_directory(directory))
        return fal_fail(err, FAL_E_ARGUMENT, "convert: '%s' is a file, not a folder", directory);
    if (fal_file_is_directory(path))
        return fal_fail(err, FAL_E_ARGUMENT, "convert: '%s' is a folder", path);
    if (fal_file_exists(path) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "convert: '%s' is there already; --force overwrites it", path);
    state s = {.progress = fal_progress_open("converting", NULL), .quiet = o->quiet};
    const fal_convert_options options = {
        .type = o->type,
        .name = o->name,
        .on_progress = on_progress,
        .user = &s,
        .log = {on_event, &s}
    };
    double started = fal_seconds();
    fal_interrupt_watch(2);
    fal_status status = fal_convert_folder(directory, path, &options, err);
    fal_progress_clear(&s.progress);
    if (status == FAL_OK && !o->quiet)
        fal_terminal_notice("wrote %s in %.1f s", path, fal_seconds() - started);
    return status;
}

const fal_command fal_command_convert = {
    .description =
        "Reads a Hugging Face folder of a Falcon or StarCoder model (config.json, tokenizer.json, weights as safetensors "
        "or PyTorch .bin files) and writes one GGUF file, which also runs in llama.cpp. Nothing in the folder is ever "
        "executed. The file appears under its name only when it is complete.\n\n"
        "Matrices take the type that --type says; vectors stay f32.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(convert_options),
    .run = run};
