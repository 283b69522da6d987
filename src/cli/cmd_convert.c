/* convert: a Hugging Face folder into a GGUF file, or a GGUF file into a folder. The work is convert.h's and to_hf.h's. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/folder_options.h"
#include "convert/convert.h"

#include <string.h>

typedef struct convert_options {
    const char *type, *name;
    bool force, quiet;
    fal_folder_choice folder;
} convert_options;

#define AT(member) offsetof(convert_options, member)

static const char *type_choice(int index) {
    static const char *const types[] = {"f32", "f16", "bf16", NULL};
    return types[index];
}

static const fal_option rows[] = {
    FAL_ROW_CHOICE("type", 't', AT(type), "TYPE", type_choice,
                   "number type: f32, f16 or bf16 (that of IN)"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "the model's name in the file (the folder's)"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite what is there"),
    FAL_ROW_QUIET(AT(quiet)),
    {0}};

static const fal_option_group groups[] = {
    {"Options",             rows,                   0         },
    {"For a folder as OUT", fal_folder_option_rows, AT(folder)},
    {NULL,                  NULL,                   0         }
};

static const fal_argument arguments[] = {
    {"IN",  FAL_OPTION_FILE, NULL, true,
     "a folder with config.json, tokenizer.json, weights; or a GGUF file"        },
    {"OUT", FAL_OPTION_FILE, NULL, true,  "the GGUF file to write; or the folder"},
    {NULL,  FAL_OPTION_TEXT, NULL, false, NULL                                   }
};

static const fal_example examples[] = {
    {"falconer convert alfred-40b-1023 alfred.gguf --type bf16", "A checkpoint becomes one file:"},
    {"falconer convert trained.gguf trained-hf",
     "A file becomes a checkpoint, for other programs:"                                          },
    {NULL,                                                       NULL                            }
};

static fal_status write_file(const convert_options *o, fal_making *making, const char *directory,
                             const char *path, fal_error *err) {
    if (fal_file_is_directory(path))
        return fal_fail(err, FAL_E_ARGUMENT, "convert: '%s' is a folder", path);
    if (fal_file_exists(path) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "convert: '%s' is there already; --force overwrites it", path);
    const fal_convert_options options = {
        .type = o->type,
        .name = o->name,
        .on_progress = fal_making_on_bytes,
        .user = making,
        .log = fal_making_log(making),
    };
    fal_status status = fal_convert_folder(directory, path, &options, err);
    fal_progress_clear(&making->progress);
    return status;
}

static fal_status write_folder(const convert_options *o, fal_making *making, const char *path,
                               const char *directory, fal_error *err) {
    if (fal_is_file_name(directory))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "convert: '%s' is a file: OUT is a folder then; falconer quantize makes "
                        "files of other types",
                        path);
    if (o->name)
        return fal_fail(err, FAL_E_ARGUMENT, "convert: --name: a folder has no place for it");
    if (fal_file_exists(directory) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "convert: '%s' is there already; --force overwrites it", directory);
    const fal_log log = fal_making_log(making);
    fal_source *source;
    FAL_TRY(fal_source_open(&source, path, false, &log, err));
    const fal_folder_job job = {.type = o->type, .replaces = o->force, .making = making};
    fal_status status = fal_folder_choice_write(&o->folder, &job, source, directory, err);
    fal_source_close(source);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const convert_options *o = parsed->values;
    const char *in = parsed->arguments[0], *out = parsed->arguments[1];
    if (!fal_file_exists(in))
        return fal_fail(err, FAL_E_NOT_FOUND, "convert: '%s': no such folder or file", in);
    fal_making making = {.progress = fal_progress_open("converting", NULL), .is_quiet = o->quiet};
    double started = fal_seconds();
    fal_interrupt_watch(2);
    fal_status status = fal_file_is_directory(in) ? write_file(o, &making, in, out, err)
                                                  : write_folder(o, &making, in, out, err);
    if (status == FAL_OK && !o->quiet)
        fal_terminal_notice("wrote %s in %.1f s", out, fal_seconds() - started);
    return status;
}

const fal_command fal_command_convert = {
    .description =
        "Reads a Hugging Face folder of a Falcon or StarCoder model (config.json, tokenizer.json, weights as safetensors "
        "or PyTorch .bin files) and writes one GGUF file, which also runs in llama.cpp. Nothing in the folder is ever "
        "executed. Matrices take the type that --type says; vectors stay f32.\n\n"
        "Where IN is a GGUF file, OUT is a folder, for programs that read checkpoints: config.json, generation_config.json, "
        "the tokenizer's files, and the weights as safetensors, all of one type. A quantized file is decoded if --type says "
        "to what. --context-as numbers spells a context method that transformers does not know, such as ntk-yarn, by a "
        "rotary base and a gain that it does know.\n\n"
        "What is written appears under its name only when it is complete. A folder that is there is replaced only with "
        "--force, and only if it holds nothing but a checkpoint.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(convert_options),
    .run = run};
