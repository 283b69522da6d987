/* merge: a model and an adapter into one model. The folding is source.h's, the writing quantize.h's or to_hf.h's. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/folder_options.h"
#include "convert/quantize.h"

#include <string.h>

typedef struct merge_options {
    const char *model, *adapter, *type, *name;
    int n_threads;
    bool force, quiet;
    fal_folder_choice folder;
} merge_options;

#define AT(member) offsetof(merge_options, member)

static const fal_option rows[] = {
    FAL_ROW(FILE, "model", 'm', AT(model), "BASE", "the model: a GGUF file or a folder"),
    FAL_ROW(DIRECTORY, "adapter", 'a', AT(adapter), "DIR", "the adapter's folder, as PEFT has it"),
    FAL_ROW(TEXT, "type", 't', AT(type), "TYPE", "f16, Q4_K_M: see falconer list mixes (BASE's)"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "the model's name in the file (BASE's)"),
    FAL_ROW_THREADS(AT(n_threads)),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite what is there"),
    FAL_ROW_QUIET(AT(quiet)),
    {0}};

static const fal_option_group groups[] = {
    {"Options",             rows,                   0         },
    {"For a folder as OUT", fal_folder_option_rows, AT(folder)},
    {NULL,                  NULL,                   0         }
};

static const fal_argument arguments[] = {
    {"OUT", FAL_OPTION_FILE, NULL, true,
     "the GGUF file to write; a folder without .gguf at its end"},
    {NULL,  FAL_OPTION_TEXT, NULL, false, NULL                  }
};

static const fal_example examples[] = {
    {"falconer merge -m alfred.gguf -a adapter merged.gguf",                   "One file again:"},
    {"falconer merge -m alfred-40b-1023 -a adapter merged.gguf --type Q4_K_M",
     "Merged from the checkpoint, and quantized once:"                                          },
    {NULL,                                                                     NULL             }
};

typedef struct job {
    const merge_options *o;
    fal_source *source;
    fal_making making;
} job;

static fal_status write_file(job *j, const char *path, const char *type, fal_error *err) {
    fal_quantize_output output = {.path = path, .plan = {.mix = fal_mix_by_name(type)}};
    const fal_quantize_options how = {.n_threads = j->o->n_threads,
                                      .words.name = j->o->name,
                                      .allow_requantize = true,
                                      .on_progress = fal_making_on_weights,
                                      .user = &j->making};
    fal_status status = fal_quantize_write(j->source, &output, 1, &how, err);
    fal_progress_clear(&j->making.progress);
    return status;
}

static fal_status write_folder(job *j, const char *directory, const char *type, fal_error *err) {
    const fal_mix *mix = fal_mix_by_name(type);
    if (fal_type_by_name(mix->type)->is_quantized)
        return fal_fail(err, FAL_E_ARGUMENT, "merge: --type %s: a folder holds f32, f16 or bf16",
                        mix->name);
    if (j->o->name)
        return fal_fail(err, FAL_E_ARGUMENT, "merge: --name: a folder has no place for it");
    const fal_folder_job how = {.type = mix->type,
                                .n_threads = j->o->n_threads,
                                .replaces = j->o->force,
                                .making = &j->making};
    return fal_folder_choice_write(&j->o->folder, &how, j->source, directory, err);
}

static fal_status check_options(const merge_options *o, const char *out, fal_error *err) {
    if (o->type && !fal_mix_by_name(o->type))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "merge: type '%s' is not known; falconer list mixes shows them", o->type);
    if (!o->model || !o->adapter)
        return fal_fail(err, FAL_E_ARGUMENT, "merge: -m BASE and -a DIR are needed");
    if (!fal_file_is_directory(o->adapter))
        return fal_fail(err, FAL_E_NOT_FOUND, "merge: '%s' is no folder with an adapter",
                        o->adapter);
    if (fal_is_file_name(out) && fal_file_is_directory(out))
        return fal_fail(err, FAL_E_ARGUMENT, "merge: '%s' is a folder", out);
    if (fal_file_exists(out) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT, "merge: '%s' is there already; --force overwrites it",
                        out);
    return FAL_OK;
}

static fal_status run_job(job *j, const char *out, fal_error *err) {
    const merge_options *o = j->o;
    const fal_log log = fal_making_log(&j->making);
    fal_source *base;
    FAL_TRY(fal_source_open(&base, o->model, false, &log, err));
    const fal_type *own = fal_source_float_type(base);
    FAL_TRY(fal_source_open_merged(&j->source, base, o->adapter, err));
    if (!o->type && !own)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "merge: '%s' is quantized: --type must say what the merged model is",
                        o->model);
    const char *type = o->type ? o->type : own->name;
    return fal_is_file_name(out) ? write_file(j, out, type, err) : write_folder(j, out, type, err);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const merge_options *o = parsed->values;
    const char *out = parsed->arguments[0];
    FAL_TRY(check_options(o, out, err));
    job j = {
        .o = o, .making = {fal_progress_open("merging", NULL), o->quiet}
    };
    double started = fal_seconds();
    fal_interrupt_watch(2);
    fal_status status = run_job(&j, out, err);
    fal_source_close(j.source);
    if (status == FAL_OK && !o->quiet)
        fal_terminal_notice("wrote %s in %.1f s", out, fal_seconds() - started);
    return status;
}

const fal_command fal_command_merge = {
    .description =
        "Folds a low-rank adapter (LoRA) into the model that it was trained for. The adapter is a folder in the form of PEFT: "
        "adapter_config.json with adapter_model.safetensors (or .bin), written by falconer train or elsewhere. Kinds of "
        "adapters that are more than two matrices beside a weight, such as DoRA, are refused by name, and so are shapes that "
        "do not fit.\n\n"
        "Sums are made in double and rounded to TYPE once. Take the checkpoint or a file of full precision as BASE where there "
        "is one: what quantizing has lost does not come back. If the adapter was trained with an extended context, the merged "
        "model has it.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(merge_options),
    .run = run};
