/* publish: a model becomes a folder of quantized files, measured, with a card. The work is publish/publish.h's. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "cli/child.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/terminal.h"
#include "publish/lint.h"
#include "publish/publish.h"

#include <string.h>

enum {
    MAX_MIXES = 32
};

typedef struct publish_command {
    const char *types, *text, *calibration, *recipe, *template_file, *card, *name, *base_model,
        *license, *thumbnail;
    int n_threads, n_window, n_windows, n_at_once;
    bool no_measure, json, quiet;
} publish_command;

#define AT(member) offsetof(publish_command, member)

static const char *recipe_choice(int index) {
    static const char *const recipes[] = {"current", "2023", NULL};
    return recipes[index];
}

static const fal_option making_rows[] = {
    FAL_ROW(TEXT, "types", 't', AT(types), "LIST", "types, as Q4_0,Q4_K_M (fourteen usual ones)"),
    FAL_ROW_CHOICE("recipe", 0, AT(recipe), "RECIPE", recipe_choice,
                   "rules of types: current or 2023 (current)"),
    FAL_ROW(FILE, "calibration", 0, AT(calibration), "FILE", "text for an importance matrix"),
    FAL_ROW(TEXT, "name", 0, AT(name), "NAME", "the files' name (the source's)"),
    FAL_ROW_COUNT("at-once", 0, AT(n_at_once), "N", 1, 32, "files made in one pass (4)"),
    FAL_ROW_COUNT("threads", 0, AT(n_threads), "N", 0, 1024, "threads; 0: all cores (0)"),
    {0}};

static const fal_option measuring_rows[] = {
    FAL_ROW(FILE, "text", 'f', AT(text), "FILE", "text to measure quality on"),
    FAL_ROW_COUNT("window", 0, AT(n_window), "N", 2, 1 << 20, "tokens of a window (512)"),
    FAL_ROW_COUNT("windows", 0, AT(n_windows), "N", 0, 1 << 30, "most windows; 0: all (0)"),
    FAL_ROW_FLAG("no-measure", 0, AT(no_measure), "a card without measurements"),
    {0}};

static const fal_option card_rows[] = {
    FAL_ROW(FILE, "template", 0, AT(template_file), "FILE", "a card template of your own"),
    FAL_ROW(FILE, "card", 0, AT(card), "FILE", "the original card (HF_DIR/README.md)"),
    FAL_ROW(TEXT, "base-model", 0, AT(base_model), "ID", "the original at its hub, owner/name"),
    FAL_ROW(TEXT, "license", 0, AT(license), "ID", "the license (the original card's)"),
    FAL_ROW(FILE, "thumbnail", 0, AT(thumbnail), "FILE", "a picture for the card"),
    {0}};

static const fal_option output_rows[] = {FAL_ROW_JSON(AT(json)), FAL_ROW_QUIET(AT(quiet)), {0}};

static const fal_option_group groups[] = {
    {"Files",   making_rows,    0},
    {"Quality", measuring_rows, 0},
    {"Card",    card_rows,      0},
    {"Output",  output_rows,    0},
    {NULL,      NULL,           0}
};

static const fal_argument arguments[] = {
    {"MODEL",   FAL_OPTION_FILE,      NULL, true,  "a Hugging Face folder, or a GGUF file"},
    {"OUT_DIR", FAL_OPTION_DIRECTORY, NULL, true,  "where the set goes"                   },
    {NULL,      FAL_OPTION_TEXT,      NULL, false, NULL                                   }
};

static const fal_example examples[] = {
    {"falconer publish alfred-40b-1023 set --text wiki.test.raw",      "A whole set with a card:"},
    {"falconer publish model.gguf set --types Q4_0,Q8_0 --no-measure", "Two files, unmeasured:"  },
    {NULL,                                                             NULL                      }
};

/* What the callbacks share. */
typedef struct state {
    fal_progress progress;
    char what[64];
    bool quiet;
} state;

/* NULL: bytes. */
static const char *unit_of(const char *what) {
    static const struct {
        const char *step, *unit;
    } units[] = {
        {"computing",   NULL    },
        {"timing",      "files" },
        {"measuring",   "tokens"},
        {"calibrating", "tokens"},
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strncmp(what, units[i].step, strlen(units[i].step)) == 0) return units[i].unit;
    return "weights";
}

static bool on_progress(void *user, const char *what, uint64_t n_done, uint64_t n_total) {
    state *s = user;
    if (!s->quiet && strcmp(what, s->what) != 0) {
        fal_progress_clear(&s->progress);
        snprintf(s->what, sizeof s->what, "%s", what);
        s->progress = fal_progress_open(s->what, unit_of(what));
        s->progress.n_before = n_done; /* nobody told when the step began */
    }
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

/* "Q4_0,Q4_K_M" into mixes. */
static fal_status read_types(const char *list, const fal_mix **mixes, size_t *n, fal_error *err) {
    for (const char *at = list;; at++) {
        char word[16];
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < 15 ? length : 15), at);
        const fal_mix *mix = length < sizeof word ? fal_mix_by_name(word) : NULL;
        if (!mix)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "publish: '%.*s' is no type; falconer list mixes names them",
                            (int)(length < 40 ? length : 40), at);
        if (*n == MAX_MIXES)
            return fal_fail(err, FAL_E_ARGUMENT, "publish: more than %d types", MAX_MIXES);
        mixes[(*n)++] = mix;
        at += length;
        if (!*at) return FAL_OK;
    }
}

static fal_status fill(fal_publish_options *out, const publish_command *o, const fal_mix **mixes,
                       fal_error *err) {
    if (o->types) FAL_TRY(read_types(o->types, mixes, &out->n_mixes, err));
    for (int i = 0; !o->types && fal_publish_default_mix(i); i++)
        mixes[out->n_mixes++] = fal_publish_default_mix(i);
    out->mixes = mixes;
    out->recipe =
        o->recipe && strcmp(o->recipe, "2023") == 0 ? FAL_RECIPE_2023 : FAL_RECIPE_CURRENT;
    out->text = o->text;
    out->calibration = o->calibration;
    out->template_file = o->template_file;
    out->card = o->card;
    out->name = o->name;
    out->base_model = o->base_model;
    out->license = o->license;
    out->thumbnail = o->thumbnail;
    out->n_threads = o->n_threads;
    out->n_window = o->n_window;
    out->n_windows = o->n_windows;
    out->n_at_once = o->n_at_once;
    return FAL_OK;
}

static fal_status check(const publish_command *o, const char *source, const char *directory,
                        fal_error *err) {
    if (!fal_file_exists(source))
        return fal_fail(err, FAL_E_NOT_FOUND, "publish: '%s': no such file or folder", source);
    if (fal_file_exists(directory) && !fal_file_is_directory(directory))
        return fal_fail(err, FAL_E_ARGUMENT, "publish: '%s' is a file, not a folder", directory);
    if (!o->text && !o->no_measure)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: no text to measure on; --text FILE, or --no-measure");
    if (o->no_measure && (o->text || o->n_window || o->n_windows))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: --text, --window and --windows are for measuring, not for "
                        "--no-measure");
    return FAL_OK;
}

/* What a person should still see to, said on stderr. */
static fal_status say_findings(const char *directory, fal_error *err) {
    fal_names findings = {0};
    const fal_lint_options how = {.skip_digests = true};
    fal_status status = fal_lint_folder(&findings, directory, &how, err);
    for (size_t i = 0; i < findings.count; i++)
        fal_terminal_notice("to see to: %s", findings.items[i]);
    fal_names_release(&findings);
    return status;
}

static fal_status print_json(const fal_set *set, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_set_to_json(&text, set, err);
    if (status == FAL_OK) fal_terminal_write(stdout, text.text, text.length);
    fal_string_release(&text);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const publish_command *o = parsed->values;
    const char *source = parsed->arguments[0], *directory = parsed->arguments[1];
    const fal_mix *mixes[MAX_MIXES];
    state s = {.progress = fal_progress_open("", ""), .quiet = o->quiet};
    fal_publish_options options = {
        .source = source,
        .directory = directory,
        .run_apart = fal_child_run,
        .log = {on_event, &s},
        .on_progress = on_progress,
        .user = &s
    };
    FAL_TRY(check(o, source, directory, err));
    FAL_TRY(fill(&options, o, mixes, err));
    fal_set set = {0};
    double started = fal_seconds();
    fal_interrupt_watch(2);
    fal_status status = fal_publish(&set, &options, err);
    fal_progress_clear(&s.progress);
    if (status == FAL_OK && !o->quiet) {
        fal_terminal_notice("wrote %zu file%s and README.md into %s in %.1f s", set.n_files,
                            set.n_files == 1 ? "" : "s", directory, fal_seconds() - started);
        status = say_findings(directory, err);
    }
    if (status == FAL_OK && o->json) status = print_json(&set, err);
    if (status == FAL_E_CANCELLED && !o->quiet)
        fal_terminal_notice("the same command goes on with what is finished");
    fal_set_release(&set);
    return status;
}

const fal_command fal_command_publish = {
    .description =
        "Makes a set of quantized GGUF files as one would upload it: all the types that are asked for, named "
        "NAME.TYPE.gguf, with their quality, speed and memory as measured, SHA256SUMS, and a model card (README.md) with "
        "the license, languages, data sets and tags of the original card, which it ends with.\n\n"
        "Quality is perplexity, Kullback-Leibler divergence and agreement of the most probable token, against the model "
        "in full precision, on the text given by --text. Speed and memory are those of a process of its own for each file: "
        "memory is the most that it held with all weights touched and the whole context in use. The numbers also go to "
        "measurements.json, the plot to quality.svg if gnuplot is installed.\n\n"
        "An interrupted set goes on with what is finished: files that are whole and made of the same source in the same "
        "way are kept, and so are measurements of the same files on the same text.\n\n"
        "Without --types the set is Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_0 Q4_1 Q4_K_S Q4_K_M Q5_0 Q5_1 Q5_K_S Q5_K_M Q6_K Q8_0. "
        "A template of one's own is text with {{placeholders}}; an unknown one is refused in a message that names them all. `falconer lint` "
        "checks a folder again before it is uploaded.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(publish_command),
    .run = run};
