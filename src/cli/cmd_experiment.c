/* experiment: claims about methods, asked of models small enough to be trained here. The work is eval's and publish's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "formats/json_file.h"
#include "publish/extension_claims.h"
#include "publish/extension_report.h"

#include <stdio.h>
#include <string.h>

typedef struct experiment_options {
    const char *preset, *folder, *device;
    int n_seeds, only, n_threads;
    bool quiet, json;
} experiment_options;

#define AT(member) offsetof(experiment_options, member)

static const char *experiment_choice(int index) {
    return index == 0 ? "context-extension" : NULL;
}

static const char *preset_choice(int index) {
    const fal_extension_preset *preset = fal_extension_preset_at(index);
    return preset ? preset->name : NULL;
}

static const fal_option rows[] = {
    FAL_ROW_CHOICE("preset", 'p', AT(preset), "NAME", preset_choice,
                   "smoke, quick, full, large (quick)"),
    FAL_ROW(DIRECTORY, "out", 'o', AT(folder), "DIR", "results and report (context-extension)"),
    FAL_ROW_COUNT("seeds", 0, AT(n_seeds), "N", 1, FAL_MAX_SEEDS, "models trained (the preset's)"),
    FAL_ROW_COUNT("only", 0, AT(only), "SEED", 1, FAL_MAX_SEEDS, "compute this seed, no report"),
    FAL_ROW_CHOICE("device", 0, AT(device), "NAME", fal_device_choice,
                   "what computes (cpu); see falconer list devices"),
    FAL_ROW_THREADS(AT(n_threads)),
    FAL_ROW_FLAG("quiet", 'q', AT(quiet), "say nothing of the work"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Experiment", rows, 0},
    {NULL,         NULL, 0}
};

static const fal_argument arguments[] = {
    {"EXPERIMENT", FAL_OPTION_CHOICE, experiment_choice, true,  "context-extension"},
    {NULL,         FAL_OPTION_TEXT,   NULL,              false, NULL               }
};

static const fal_example examples[] = {
    {"falconer experiment context-extension",                          "In minutes:"},
    {"falconer experiment context-extension -p full -o full",          "In an hour:"},
    {"falconer experiment context-extension -p full -o full --only 2",
     "One seed of it, beside other processes that compute the others:"              },
    {NULL,                                                             NULL         }
};

/* ---- seeds ---- */

typedef struct bar {
    fal_progress progress;
    char what[96];
    int seed;
    bool quiet;
} bar;

static bool on_progress(void *user, const char *stage, int64_t n_done, int64_t n_total,
                        double loss) {
    bar *b = user;
    snprintf(b->what, sizeof b->what, "seed %d, %s, loss %.3f", b->seed, stage, loss);
    if (!b->quiet) fal_progress_show(&b->progress, (uint64_t)n_done, (uint64_t)n_total);
    return !fal_interrupt_is_raised();
}

/* What an earlier run has left of this seed, or NULL. */
static fal_status load_seed(const char *path, const fal_extension_preset *preset, json_t **out,
                            fal_error *err) {
    *out = NULL;
    if (!fal_file_exists(path)) return FAL_OK;
    FAL_TRY(fal_json_read_file(out, path, err));
    fal_status status = fal_extension_results_check(preset, *out, err);
    if (status == FAL_OK) return FAL_OK;
    json_decref(*out);
    *out = NULL;
    return fal_add_context(err, status, "experiment: '%s' cannot be taken up", path);
}

static fal_status save_seed(const char *path, const json_t *results, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_json_append(&text, results, err);
    if (status == FAL_OK) status = fal_file_write(path, text.text, text.length, err);
    fal_string_release(&text);
    return status;
}

/* Told before hours are spent. */
static void say_cost(const fal_extension_preset *preset, int seed) {
    fal_extension_cost cost = fal_extension_cost_of(preset, (uint64_t)seed);
    char n_parameters[32], n_trained[32], n_evaluated[32];
    fal_format_count(n_parameters, sizeof n_parameters, (double)cost.n_parameters);
    fal_format_count(n_trained, sizeof n_trained, (double)cost.n_trained);
    fal_format_count(n_evaluated, sizeof n_evaluated, (double)cost.n_evaluated);
    fal_terminal_notice("seed %d: %s parameters, %lld steps on %s tokens, %s more to measure, %.1e "
                        "operations",
                        seed, n_parameters, (long long)cost.n_steps, n_trained, n_evaluated,
                        cost.flops);
}

static fal_status compute_seed(const fal_extension_preset *preset, const experiment_options *o,
                               int seed, json_t **out, fal_error *err) {
    bar b = {.seed = seed, .quiet = o->quiet};
    const fal_extension_options how = {
        .device = o->device, .n_threads = o->n_threads, .on_progress = on_progress, .user = &b};
    double begun = fal_seconds();
    if (!o->quiet) say_cost(preset, seed);
    b.progress = fal_progress_open(b.what, "tokens");
    fal_status status = fal_extension_run(preset, (uint64_t)seed, &how, out, err);
    fal_progress_clear(&b.progress);
    if (status != FAL_OK) return fal_add_context(err, status, "experiment: seed %d", seed);
    json_object_set_new(*out, "seconds", json_real(fal_seconds() - begun));
    return FAL_OK;
}

/* One seed's results, from its file or computed and saved. out is owned by the caller in any case. */
static fal_status run_seed(const fal_extension_preset *preset, const experiment_options *o,
                           const char *folder, int seed, json_t **out, fal_error *err) {
    char name[32];
    snprintf(name, sizeof name, "seed-%d.json", seed);
    char *path = fal_path_join(folder, name);
    fal_status status = path ? load_seed(path, preset, out, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK && !*out) {
        status = compute_seed(preset, o, seed, out, err);
        if (status == FAL_OK) status = save_seed(path, *out, err);
    }
    fal_free(path);
    return status;
}

/* ---- the report ---- */

static fal_status print_json(const json_t *seeds, const char *folder, bool has_figures,
                             fal_error *err) {
    json_t *all = json_object(), *claims = json_array();
    json_object_set_new(all, "folder", fal_json_text(folder, strlen(folder)));
    json_object_set_new(all, "seeds", json_integer((json_int_t)json_array_size(seeds)));
    json_object_set_new(all, "is_valid", json_boolean(fal_extension_gate_of(seeds).is_passed));
    json_object_set_new(all, "has_figures", json_boolean(has_figures));
    json_object_set_new(all, "claims", claims);
    for (int i = 0; i < FAL_CLAIM_COUNT; i++) {
        fal_claim_result r = fal_extension_judge(seeds, i);
        json_array_append_new(claims, json_pack("{s:s, s:s, s:s, s:s}", "source", r.source, "claim",
                                                r.claim, "verdict", fal_verdict_name(r.verdict),
                                                "evidence", r.evidence));
    }
    return fal_json_print(all, 9, err);
}

static void print_verdicts(const json_t *seeds, const char *folder, bool has_figures) {
    for (int i = 0; i < FAL_CLAIM_COUNT; i++) {
        fal_claim_result r = fal_extension_judge(seeds, i);
        printf("%-10s %s\n", fal_verdict_name(r.verdict), r.claim);
    }
    if (!fal_extension_gate_of(seeds).is_passed)
        fal_terminal_notice("void: the text asks too little of a long context");
    fal_terminal_notice("wrote %s/README.md%s", folder,
                        has_figures ? "" : " without figures: gnuplot is missing");
}

static fal_status report(const fal_extension_preset *preset, const json_t *seeds,
                         const experiment_options *o, const char *folder, fal_error *err) {
    char command[128];
    bool has_figures;
    snprintf(command, sizeof command,
             "falconer experiment context-extension --preset %s --seeds %zu", preset->name,
             json_array_size(seeds));
    FAL_TRY(fal_extension_write_report(preset, seeds, folder, command, &has_figures, err));
    if (o->json) return print_json(seeds, folder, has_figures, err);
    print_verdicts(seeds, folder, has_figures);
    return FAL_OK;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const experiment_options *o = parsed->values;
    const fal_extension_preset *preset =
        fal_extension_preset_by_name(o->preset ? o->preset : "quick");
    const char *folder = o->folder ? o->folder : "context-extension";
    int n_seeds = o->n_seeds ? o->n_seeds : preset->n_seeds;
    fal_status status = FAL_OK;
    if (o->only && o->n_seeds)
        return fal_fail(err, FAL_E_ARGUMENT, "experiment: --only and --seeds exclude each other");
    FAL_TRY(fal_folder_make(folder, err));
    fal_interrupt_watch(2);
    json_t *seeds = json_array();
    for (int i = o->only ? o->only : 1; i <= (o->only ? o->only : n_seeds); i++) {
        json_t *results = NULL;
        FAL_TRY_OUT(run_seed(preset, o, folder, i, &results, err));
        json_array_append_new(seeds, results);
    }
    if (!o->only) status = report(preset, seeds, o, folder, err);
out:
    json_decref(seeds);
    return status;
}

const fal_command fal_command_experiment = {
    .description =
        "Trains small Falcons on a generated world at a short context, extends them fourfold by each method with the same "
        "data, and writes a report: training loss curves, the score on four generated long tasks at three lengths, the norm "
        "of the first gradient, the loss with no fine-tuning, and for each claim of Alfred's model card whether it is "
        "confirmed, refuted or undecided at this scale. The preset smoke takes seconds and only shows that all works: it "
        "decides nothing.\n\n"
        "What each seed gave is kept in DIR/seed-N.json. A run that was interrupted goes on with the first seed that is "
        "missing, and several processes may share the work: with --only each computes one seed into the same folder, and a "
        "last call without it writes the report. Seeds do not depend on --threads.\n\n"
        "The report is DIR/README.md, with its figures (if there is gnuplot) and tables beside it. With --json the result "
        "is {\"folder\", \"seeds\", \"is_valid\", \"has_figures\", \"claims\": [{\"source\", \"claim\", \"verdict\", "
        "\"evidence\"}]}; with --only nothing is printed.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(experiment_options),
    .run = run};
