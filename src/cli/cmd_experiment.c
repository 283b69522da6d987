/* experiment: claims about methods, asked of models small enough to be trained here. The work is eval's and publish's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/folder.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/terminal.h"
#include "formats/json_file.h"
#include "publish/extension_report.h"

#include <stdio.h>
#include <string.h>

typedef struct experiment_options {
    const char *preset, *out;
    int n_seeds, n_threads;
    bool quiet;
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
                   "how large: smoke, quick, full (quick)"),
    FAL_ROW(DIRECTORY, "out", 'o', AT(out), "DIR", "where results and report go (the preset)"),
    FAL_ROW_COUNT("seeds", 0, AT(n_seeds), "N", 1, 32, "models trained (the preset's)"),
    FAL_ROW_COUNT("threads", 0, AT(n_threads), "N", 0, 1024, "threads; 0: all cores (0)"),
    FAL_ROW_FLAG("quiet", 'q', AT(quiet), "say nothing but errors"),
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
    {"falconer experiment context-extension",                       "In minutes:"  },
    {"falconer experiment context-extension -p full -o experiment", "In two hours:"},
    {NULL,                                                          NULL           }
};

typedef struct state {
    fal_progress progress;
    char what[96], stage[64];
    uint64_t seed;
    bool quiet;
} state;

static bool on_progress(void *user, const char *stage, int64_t n_done, int64_t n_total,
                        double loss) {
    state *s = user;
    if (!s->quiet && strcmp(stage, s->stage) != 0) {
        fal_progress_clear(&s->progress);
        snprintf(s->stage, sizeof s->stage, "%s", stage);
        s->progress = fal_progress_open(s->what, "steps");
    }
    snprintf(s->what, sizeof s->what, "seed %llu, %s, loss %.3f", (unsigned long long)s->seed,
             stage, loss);
    if (!s->quiet) fal_progress_show(&s->progress, (uint64_t)n_done, (uint64_t)n_total);
    return !fal_interrupt_is_raised();
}

/* What an earlier run has left of this seed, or NULL. Results of another preset are a failure. */
static fal_status load_seed(const char *path, const fal_extension_preset *preset, json_t **out,
                            fal_error *err) {
    *out = NULL;
    if (!fal_file_exists(path)) return FAL_OK;
    FAL_TRY(fal_json_read_file(out, path, err));
    const char *name = json_string_value(json_object_get(*out, "preset"));
    if (name && strcmp(name, preset->name) == 0) return FAL_OK;
    json_decref(*out);
    *out = NULL;
    return fal_fail(err, FAL_E_ARGUMENT, "experiment: '%s' has results of preset %s, not %s", path,
                    name ? name : "?", preset->name);
}

static fal_status save_seed(const char *path, const json_t *results, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_json_append(&text, results, err);
    if (status == FAL_OK) status = fal_file_write(path, text.text, text.length, err);
    fal_string_release(&text);
    return status;
}

/* One seed's results, from its file or computed and saved. *seconds grows by what they took. */
static fal_status run_seed(const fal_extension_preset *preset, const experiment_options *o,
                           const char *folder, state *s, json_t **out, double *seconds,
                           fal_error *err) {
    char name[32];
    snprintf(name, sizeof name, "seed-%llu.json", (unsigned long long)s->seed);
    char *path = fal_path_join(folder, name);
    if (!path) return fal_fail(err, FAL_E_MEMORY, "out of memory");
    const fal_extension_options how = {
        .n_threads = o->n_threads, .on_progress = on_progress, .user = s};
    fal_status status = load_seed(path, preset, out, err);
    if (status == FAL_OK && !*out) {
        double begun = fal_seconds();
        status = fal_extension_run(preset, s->seed, &how, out, err);
        fal_progress_clear(&s->progress);
        if (status == FAL_OK) {
            json_object_set_new(*out, "seconds", json_real(fal_seconds() - begun));
            status = save_seed(path, *out, err);
        }
    }
    *seconds += json_number_value(json_object_get(*out, "seconds"));
    fal_free(path);
    return status;
}

static void say_claims(const json_t *seeds, const char *folder, bool has_figures) {
    static const char *const words[] = {"undecided", "confirmed", "refuted"};
    fal_claim_result claims[FAL_MAX_CLAIMS];
    int n = fal_extension_judge(seeds, claims);
    for (int i = 0; i < n; i++)
        printf("%-10s %s\n", words[claims[i].verdict], claims[i].claim);
    printf("report     %s/README.md%s\n", folder,
           has_figures ? "" : " (no figures: gnuplot is missing)");
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const experiment_options *o = parsed->values;
    const fal_extension_preset *preset =
        fal_extension_preset_by_name(o->preset ? o->preset : "quick");
    const char *folder = o->out ? o->out : preset->name;
    int n_seeds = o->n_seeds ? o->n_seeds : preset->n_seeds;
    char command[128];
    bool has_figures;
    double seconds = 0;
    fal_status status = FAL_OK;
    state s = {.progress = fal_progress_open("", ""), .quiet = o->quiet};
    json_t *seeds = json_array();
    fal_interrupt_watch(2);
    FAL_TRY_OUT(fal_folder_make(folder, err));
    for (int i = 1; i <= n_seeds; i++) {
        json_t *results = NULL;
        s.seed = (uint64_t)i;
        FAL_TRY_OUT(run_seed(preset, o, folder, &s, &results, &seconds, err));
        json_array_append_new(seeds, results);
    }
    snprintf(command, sizeof command,
             "falconer experiment context-extension --preset %s --seeds %d", preset->name, n_seeds);
    FAL_TRY_OUT(
        fal_extension_write_report(preset, seeds, folder, command, seconds, &has_figures, err));
    say_claims(seeds, folder, has_figures);
out:
    fal_progress_clear(&s.progress);
    json_decref(seeds);
    return status;
}

const fal_command fal_command_experiment = {
    .description =
        "Trains small Falcons on a generated world at a short context, extends them fourfold by each method with the same "
        "data, and writes a report: training loss curves, the score on four generated long tasks at three lengths, the norm "
        "of the first gradient, the loss with no fine-tuning, and for each claim of Alfred's model card whether it is "
        "confirmed, refuted or undecided at this scale.\n\n"
        "Results of each seed are kept in DIR/seed-N.json; a run that was interrupted goes on with the first seed that is "
        "missing. The report is DIR/README.md with its figures and their tables.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(experiment_options),
    .run = run};
