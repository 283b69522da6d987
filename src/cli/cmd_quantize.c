/* quantize: a GGUF file or a Hugging Face folder into files of one or several mixes. The work is quantize.h's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/string_builder.h"
#include "cli/command.h"
#include "cli/making.h"
#include "cli/quantize_report.h"
#include "formats/importance.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_OUTPUTS = 32
};

typedef struct quantize_options {
    const char *directory, *recipe, *output_type, *embedding_type, *split, *importance;
    fal_model_words words;
    fal_texts tensor_types;
    int n_threads;
    bool dry_run, no_fallback, allow_requantize, force, quiet, json;
} quantize_options;

#define AT(member) offsetof(quantize_options, member)

static const char *recipe_choice(int index) {
    static const char *const recipes[] = {"current", "2023", NULL};
    return recipes[index];
}

static const char *type_choice(int index) {
    int n = 0;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (type->in_files && type->encode && n++ == index) return type->name;
    }
    return NULL;
}

static const fal_option output_rows[] = {
    FAL_ROW(DIRECTORY, "out-dir", 'o', AT(directory), "DIR",
            "write NAME.TYPE.gguf there for each TYPE"),
    FAL_ROW(TEXT, "name", 0, AT(words.name), "NAME", "the model's name (the source's)"),
    FAL_ROW(TEXT, "author", 0, AT(words.author), "NAME", "who made it (as the source says)"),
    FAL_ROW(TEXT, "license", 0, AT(words.license), "ID", "such as apache-2.0 (the source's)"),
    FAL_ROW(TEXT, "description", 0, AT(words.description), "TEXT", "what it is (the source's)"),
    FAL_ROW(TEXT, "split-max-size", 0, AT(split), "SIZE",
            "cut into files of at most SIZE, such as 4G"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite and make again what is there"),
    FAL_ROW_FLAG("dry-run", 0, AT(dry_run), "write nothing; tell exact sizes"),
    {0}};

static const fal_option type_rows[] = {
    FAL_ROW_CHOICE("recipe", 0, AT(recipe), "NAME", recipe_choice,
                   "whose mixes: current or 2023 (current)"),
    FAL_ROW(FILE, "imatrix", 0, AT(importance), "FILE",
            "importance of columns, see falconer imatrix"),
    FAL_ROW(LIST, "tensor-type", 0, AT(tensor_types), "PATTERN=TYPE",
            "type of tensors so named; repeatable"),
    FAL_ROW_CHOICE("output-type", 0, AT(output_type), "TYPE", type_choice,
                   "type of the head (the recipe's)"),
    FAL_ROW_CHOICE("embedding-type", 0, AT(embedding_type), "TYPE", type_choice,
                   "type of the embedding"),
    FAL_ROW_FLAG("no-fallback", 0, AT(no_fallback), "refuse widths that TYPE does not divide"),
    FAL_ROW_FLAG("allow-requantize", 0, AT(allow_requantize), "take a quantized source"),
    {0}};

static const fal_option run_rows[] = {
    FAL_ROW_THREADS(AT(n_threads)),
    FAL_ROW_FLAG("json", 0, AT(json), "print the plan as one JSON object"),
    FAL_ROW_QUIET(AT(quiet)),
    {0}};

static const fal_option_group groups[] = {
    {"Output", output_rows, 0},
    {"Types",  type_rows,   0},
    {"Other",  run_rows,    0},
    {NULL,     NULL,        0}
};

static const fal_argument arguments[] = {
    {"IN",               FAL_OPTION_FILE, NULL, true,  "a GGUF file, a checkpoint folder, a config.json"},
    {"OUT.gguf|TYPE...", FAL_OPTION_TEXT, NULL, true,
     "the file and its TYPE; TYPEs with --out-dir"                                                      },
    {NULL,               FAL_OPTION_TEXT, NULL, false, NULL                                             }
};

static const fal_example examples[] = {
    {"falconer quantize alfred.gguf alfred.Q4_K_M.gguf Q4_K_M",          "One file:"             },
    {"falconer quantize alfred-40b-1023 --out-dir set Q4_0 Q4_K_M Q6_K",
     "Several in one pass over a checkpoint:"                                                    },
    {"falconer quantize config.json --out-dir . --dry-run Q4_K_M",       "How large would it be?"},
    {NULL,                                                               NULL                    }
};

typedef struct job {
    const quantize_options *o;
    fal_source *source;
    fal_quantize_output outputs[MAX_OUTPUTS];
    char *paths[MAX_OUTPUTS];
    bool is_done[MAX_OUTPUTS]; /* there already, and whole */
    size_t n_outputs;
    fal_quantize_output missing[MAX_OUTPUTS];
    size_t n_missing;
    char importance_digest[FAL_SHA256_HEX];
    fal_type_wish *wishes;
    char *wish_text; /* where the patterns of the wishes point */
    fal_importance importance;
    fal_making making;
} job;

static const fal_type *encodable(const char *name) {
    const fal_type *type = fal_type_by_name(name);
    return type && type->in_files && type->encode ? type : NULL;
}

static fal_status read_wishes(job *j, fal_error *err) {
    const fal_texts *texts = &j->o->tensor_types;
    size_t bytes = 0;
    for (size_t i = 0; i < texts->count; i++)
        bytes += strlen(texts->items[i]) + 1;
    j->wishes = fal_alloc(texts->count, sizeof *j->wishes);
    j->wish_text = fal_alloc(bytes, 1);
    if (!j->wishes || !j->wish_text) return fal_fail_memory(err, bytes);
    char *to = j->wish_text;
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i], *equals = strrchr(text, '=');
        const fal_type *type = equals ? encodable(equals + 1) : NULL;
        if (!equals || equals == text || !type)
            return fal_fail(
                err, FAL_E_ARGUMENT,
                "quantize: --tensor-type '%s': PATTERN=TYPE with a type of falconer list types is needed",
                text);
        memcpy(to, text, (size_t)(equals - text));
        j->wishes[i] = (fal_type_wish){.pattern = to, .type = type};
        to += equals - text + 1;
    }
    return FAL_OK;
}

/* NAME.TYPE.gguf in the folder, as published sets are named. NULL: memory is short. */
static char *path_in_directory(const job *j, const char *source, const fal_mix *mix) {
    char stem[256];
    fal_string_builder file = {0};
    fal_quantize_stem(source, stem, sizeof stem);
    fal_string_append_format(&file, "%s.%s.gguf", j->o->words.name ? j->o->words.name : stem,
                             mix->name);
    char *path = file.text && !file.failed ? fal_path_join(j->o->directory, file.text) : NULL;
    fal_string_release(&file);
    return path;
}

static fal_status check_path(const job *j, const char *path, const fal_mix *mix, fal_error *err) {
    for (size_t i = 0; i < j->n_outputs; i++) {
        if (strcmp(j->paths[i], path) == 0)
            return fal_fail(err, FAL_E_ARGUMENT, "quantize: type %s is named twice", mix->name);
    }
    if (fal_file_is_directory(path))
        return fal_fail(err, FAL_E_ARGUMENT, "quantize: '%s' is a folder; --out-dir writes into it",
                        path);
    return FAL_OK;
}

static fal_status add_output(job *j, const char *source, const char *path, const char *type,
                             fal_error *err) {
    const quantize_options *o = j->o;
    const fal_mix *mix = fal_mix_by_name(type);
    if (!mix)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "quantize: type '%s' is not known; falconer list mixes shows them", type);
    if (j->n_outputs == MAX_OUTPUTS)
        return fal_fail(err, FAL_E_ARGUMENT, "quantize: more than %d types in one run",
                        MAX_OUTPUTS);
    fal_quantize_output *out = &j->outputs[j->n_outputs];
    char *name = path ? fal_copy_string(path, strlen(path)) : path_in_directory(j, source, mix);
    if (!name) return fal_fail_memory(err, 0);
    fal_status status = check_path(j, name, mix, err);
    if (status != FAL_OK) {
        fal_free(name);
        return status;
    }
    j->paths[j->n_outputs++] = name;
    *out = (fal_quantize_output){
        .path = name,
        .plan = {.mix = mix,
                 .recipe = o->recipe && strcmp(o->recipe, "2023") == 0 ? FAL_RECIPE_2023
                                                                       : FAL_RECIPE_CURRENT,
                 .output_type = o->output_type ? fal_type_by_name(o->output_type) : NULL,
                 .embedding_type = o->embedding_type ? fal_type_by_name(o->embedding_type) : NULL,
                 .wishes = j->wishes,
                 .n_wishes = o->tensor_types.count,
                 .has_importance = o->importance != NULL}
    };
    return o->split ? fal_size_read("quantize: --split-max-size", o->split, &out->split_bytes, err)
                    : FAL_OK;
}

static fal_status add_outputs(job *j, const fal_parsed *parsed, fal_error *err) {
    const char *source = parsed->arguments[0];
    if (!j->o->directory) {
        if (parsed->n_arguments != 3)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "quantize: IN OUT.gguf TYPE, or IN --out-dir DIR TYPE... is needed");
        return add_output(j, source, parsed->arguments[1], parsed->arguments[2], err);
    }
    if (j->o->words.name && strchr(j->o->words.name, '/'))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "quantize: --name '%.100s': the files are named by it, '/' cannot be in it",
                        j->o->words.name);
    for (int i = 1; i < parsed->n_arguments; i++)
        FAL_TRY(add_output(j, source, NULL, parsed->arguments[i], err));
    return FAL_OK;
}

static const float *find_importance(void *user, const char *tensor, int64_t n_cols) {
    return fal_importance_find(user, tensor, n_cols);
}

static void advise(const job *j) {
    for (size_t i = 0; i < j->n_outputs && !j->o->importance && !j->o->quiet; i++) {
        if (strcmp(j->outputs[i].plan.mix->name, "Q2_K_S") == 0)
            fal_terminal_notice("Q2_K_S without --imatrix loses much: see falconer imatrix");
    }
}

/* The first file under the output's name or those of its parts, to be freed; *out is NULL where there is none. */
static fal_status find_existing(char **out, job *j, size_t i, const fal_quantize_options *how,
                                fal_error *err) {
    fal_quantize_report report;
    *out = NULL;
    FAL_TRY(fal_quantize_plan(&report, j->source, &j->outputs[i], how, err));
    fal_status status = FAL_OK;
    for (int part = 0; part < report.n_parts && status == FAL_OK && !*out; part++) {
        char *path = fal_quantize_part_path(j->paths[i], part, report.n_parts);
        if (!path) status = fal_fail_memory(err, 0);
        if (path && fal_file_exists(path)) {
            *out = path;
        } else {
            fal_free(path);
        }
    }
    fal_quantize_report_release(&report);
    return status;
}

/* Leaves out what is there already and whole; refuses to overwrite anything else unless told to. */
static fal_status skip_finished(job *j, const fal_quantize_options *how, fal_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < j->n_outputs; i++) {
        bool is_done = !j->o->force && fal_quantize_is_finished(j->source, &j->outputs[i], how);
        if (is_done) {
            if (!j->o->quiet) fal_terminal_notice("%s is finished already", j->paths[i]);
            j->is_done[i] = true;
            continue;
        }
        char *there = NULL;
        fal_status status = j->o->force ? FAL_OK : find_existing(&there, j, i, how, err);
        if (there)
            status = fal_fail(err, FAL_E_ARGUMENT,
                              "quantize: '%s' is there already; --force overwrites it", there);
        fal_free(there);
        if (status != FAL_OK) return status;
        j->missing[kept++] = j->outputs[i];
    }
    j->n_missing = kept;
    return FAL_OK;
}

static void say_written(const job *j, double seconds) {
    for (size_t i = 0; i < j->n_outputs; i++) {
        if (j->is_done[i]) continue;
        if (j->o->split) {
            fal_terminal_notice("wrote %s in parts of at most %s", j->paths[i], j->o->split);
        } else {
            fal_terminal_notice("wrote %s", j->paths[i]);
        }
    }
    fal_terminal_notice("in %.1f s", seconds);
}

/* An importance matrix of another model does nothing, or worse. */
static fal_status check_importance(const job *j, fal_error *err) {
    int n_known = 0, n_matrices = 0;
    for (int i = 0; i < j->source->n_tensors; i++) {
        const fal_plan_tensor *t = &j->source->tensors[i];
        const fal_importance_entry *e = fal_importance_entry_find(&j->importance, t->name);
        n_matrices += t->n_dims >= 2;
        n_known += e != NULL;
        if (e && e->n_values != fal_plan_tensor_columns(t))
            return fal_fail(err, FAL_E_ARGUMENT,
                            "quantize: '%s' is of another model: %lld values for '%s', which has "
                            "%lld columns",
                            j->o->importance, (long long)e->n_values, t->name,
                            (long long)fal_plan_tensor_columns(t));
    }
    if (n_known == 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "quantize: '%s' is of another model: it knows none of its tensors",
                        j->o->importance);
    if (!j->o->quiet)
        fal_terminal_notice("importance is known for %d of %d matrices", n_known, n_matrices);
    return FAL_OK;
}

static fal_status run_job(job *j, const fal_parsed *parsed, fal_error *err) {
    const quantize_options *o = j->o;
    const fal_log log = fal_making_log(&j->making);
    FAL_TRY(read_wishes(j, err));
    if (o->importance) {
        FAL_TRY(fal_importance_read(&j->importance, o->importance, err));
        FAL_TRY(fal_sha256_file(j->importance_digest, o->importance, NULL, NULL, err));
    }
    FAL_TRY(add_outputs(j, parsed, err));
    FAL_TRY(fal_source_open(&j->source, parsed->arguments[0], o->dry_run, &log, err));
    const fal_quantize_options how = {.n_threads = o->n_threads,
                                      .words = o->words,
                                      .allow_requantize = o->allow_requantize,
                                      .no_fallback = o->no_fallback,
                                      .find_importance = o->importance ? find_importance : NULL,
                                      .importance = &j->importance,
                                      .importance_digest = j->importance_digest,
                                      .on_progress = fal_making_on_weights,
                                      .user = &j->making};
    if (o->importance) FAL_TRY(check_importance(j, err));
    FAL_TRY(fal_quantize_print(j->source, j->outputs, j->n_outputs, &how, o->json, o->quiet, err));
    advise(j);
    if (o->dry_run) return FAL_OK;
    FAL_TRY(skip_finished(j, &how, err));
    if (j->n_missing == 0) return FAL_OK;
    if (o->directory) FAL_TRY(fal_add_context(err, fal_folder_make(o->directory, err), "quantize"));
    double started = fal_seconds();
    j->making.progress = fal_progress_open("quantizing", "weights");
    fal_interrupt_watch(2);
    fal_status status = fal_quantize_write(j->source, j->missing, j->n_missing, &how, err);
    fal_progress_clear(&j->making.progress);
    if (status == FAL_OK && !o->quiet) say_written(j, fal_seconds() - started);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    job *j = fal_alloc(1, sizeof *j);
    if (!j) return fal_fail_memory(err, sizeof *j);
    j->o = parsed->values;
    j->making.is_quiet = j->o->quiet;
    fal_status status = run_job(j, parsed, err);
    for (size_t i = 0; i < j->n_outputs; i++)
        fal_free(j->paths[i]);
    fal_source_close(j->source);
    fal_importance_release(&j->importance);
    fal_free(j->wish_text);
    fal_free(j->wishes);
    fal_free(j);
    return status;
}

const fal_command fal_command_quantize = {
    .description =
        "Makes smaller files of a model: legacy types, K-quants and their mixes. Several TYPEs are made in one pass, in "
        "which each tensor is read and decoded once. Files appear under their names only when they are complete; a set "
        "that was interrupted goes on with what is finished.\n\n"
        "Where a matrix's width is no multiple of the type's blocks (Falcon-7B's 4544 is no multiple of 256), another type "
        "stands in; the plan that is printed says where, and how much of the file is what its name promises.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(quantize_options),
    .run = run};
