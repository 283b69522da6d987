/* doctor: what is wrong with GGUF files, and its repair. The checks are doctor.h's, the repairs repair.h's. */
#include "base/file.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/terminal.h"
#include "publish/doctor.h"
#include "publish/repair.h"

#include <string.h>

typedef struct doctor_options {
    const char *out_path;
    int n_threads;
    bool quick, repair, force, json, quiet;
} doctor_options;

#define AT(member) offsetof(doctor_options, member)

static const fal_option rows[] = {
    FAL_ROW_FLAG("quick", 0, AT(quick), "do not look at the weights"),
    FAL_ROW_FLAG("repair", 0, AT(repair), "mend the metadata, in place if it fits"),
    FAL_ROW(FILE, "out", 'o', AT(out_path), "FILE", "write the repaired file there instead"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite what --out names"),
    FAL_ROW_COUNT("threads", 0, AT(n_threads), "N", 1, 1024, "threads to look with (usable cores)"),
    FAL_ROW_JSON(AT(json)),
    FAL_ROW_FLAG("quiet", 'q', AT(quiet), "no progress, no healthy files"),
    {0}};

static const fal_option_group groups[] = {
    {"Options (exit code 5: something is wrong)", rows, 0},
    {NULL,                                        NULL, 0}
};

static const fal_argument arguments[] = {
    {"FILE...", FAL_OPTION_FILE, NULL, true,  "GGUF files, of split ones any part"},
    {NULL,      FAL_OPTION_TEXT, NULL, false, NULL                                }
};

static const fal_example examples[] = {
    {"falconer doctor alfred-40b-1023.Q4_K_M.gguf",          "What is wrong with a file:"},
    {"falconer doctor alfred-40b-1023.Q4_K_M.gguf --repair",
     "Give it back its context of 8192 tokens and its chat template:"                    },
    {"falconer doctor --quick *.gguf",                       "Look at metadata alone:"   },
    {NULL,                                                   NULL                        }
};

/* One file's treatment. */
typedef struct visit {
    const doctor_options *options;
    const char *path;
    fal_diagnosis before, after; /* before: with --repair only */
    fal_repaired repaired;
    fal_progress progress;
} visit;

static bool on_progress(void *user, uint64_t n_done, uint64_t n_total) {
    visit *v = user;
    if (!v->options->quiet) fal_progress_show(&v->progress, n_done, n_total);
    return !fal_interrupt_is_raised();
}

static const char *way_words(fal_copy_way way) {
    static const char *const words[] = {"its data cloned", "its data copied by the system",
                                        "its data copied"};
    return words[way];
}

static fal_status examine(visit *v, fal_diagnosis *out, const char *path, bool quick,
                          fal_error *err) {
    const fal_doctor_options how = {
        .quick = quick, .n_threads = v->options->n_threads, .progress = {on_progress, v}
    };
    v->progress = fal_progress_open("looking", NULL);
    fal_status status = fal_doctor_examine(out, path, &how, err);
    fal_progress_clear(&v->progress);
    return status;
}

static fal_status treat(visit *v, fal_error *err) {
    const doctor_options *o = v->options;
    const char *result = v->path;
    if (o->repair) {
        const fal_copy_progress progress = {on_progress, v};
        FAL_TRY(examine(v, &v->before, v->path, true, err));
        v->progress = fal_progress_open("copying", NULL);
        fal_status status = fal_doctor_repair(v->path, o->out_path, &progress, &v->repaired, err);
        fal_progress_clear(&v->progress);
        FAL_TRY(status);
        if (o->out_path && v->repaired.n_edits) result = o->out_path;
    }
    return examine(v, &v->after, result, o->quick, err);
}

/* ---- for people ---- */

static void print_finding(const fal_finding *f, const char *word, fal_style style,
                          bool with_meaning) {
    printf("  %s%-8s%s %-19s", fal_style_of(stdout, style), word,
           fal_style_of(stdout, FAL_STYLE_PLAIN), f->check->name);
    fal_terminal_write(stdout, f->text, strlen(f->text));
    putchar('\n');
    if (with_meaning)
        printf("%*s%s%s%s%s\n", 30, "", fal_style_of(stdout, FAL_STYLE_DIM), f->check->meaning,
               f->is_repairable ? "; --repair mends it" : "",
               fal_style_of(stdout, FAL_STYLE_PLAIN));
}

static bool is_left(const visit *v, const fal_finding *f) {
    for (size_t i = 0; i < v->after.count; i++)
        if (v->after.findings[i].check == f->check) return true;
    return false;
}

static void print_repaired(const visit *v) {
    for (size_t i = 0; i < v->before.count; i++) {
        const fal_finding *f = &v->before.findings[i];
        if (f->is_repairable && !is_left(v, f)) print_finding(f, "repaired", FAL_STYLE_BOLD, false);
    }
    if (v->repaired.n_edits == 0) return;
    const char *where = v->options->out_path ? v->options->out_path : v->path;
    fputs("  ", stdout);
    fal_terminal_write(stdout, where, strlen(where));
    if (v->repaired.is_beside)
        printf(" has a new header, %s\n", way_words(v->repaired.way));
    else
        puts(" is changed in place");
}

static void print_visit(const visit *v) {
    bool is_healthy = fal_diagnosis_is_healthy(&v->after);
    if (is_healthy && v->options->quiet && v->repaired.n_edits == 0) return;
    char size[32];
    fal_format_bytes(size, sizeof size, (double)v->after.scanned_bytes);
    fal_terminal_write(stdout, v->path, strlen(v->path));
    putchar('\n');
    print_repaired(v);
    for (size_t i = 0; i < v->after.count; i++) {
        const fal_finding *f = &v->after.findings[i];
        print_finding(f, fal_severity_name(f->severity),
                      f->severity == FAL_SEVERITY_NOTE ? FAL_STYLE_DIM : FAL_STYLE_WARNING, true);
    }
    if (is_healthy && v->after.scanned_bytes)
        printf("  healthy; all %s of weights are finite\n", size);
    else if (is_healthy)
        puts("  healthy, as far as metadata goes");
}

/* ---- for programs ---- */

static json_t *findings_to_json(const fal_diagnosis *d) {
    json_t *list = json_array();
    for (size_t i = 0; i < d->count; i++) {
        const fal_finding *f = &d->findings[i];
        json_t *item = json_object();
        json_object_set_new(item, "check", json_string(f->check->name));
        json_object_set_new(item, "severity", json_string(fal_severity_name(f->severity)));
        json_object_set_new(item, "repairable", json_boolean(f->is_repairable));
        json_object_set_new(item, "text", fal_json_text(f->text, strlen(f->text)));
        json_object_set_new(item, "meaning", json_string(f->check->meaning));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *visit_to_json(const visit *v) {
    static const char *const ways[] = {"cloned", "copied by the system", "copied"};
    json_t *o = json_object();
    json_object_set_new(o, "path", fal_json_text(v->path, strlen(v->path)));
    json_object_set_new(o, "healthy", json_boolean(fal_diagnosis_is_healthy(&v->after)));
    json_object_set_new(o, "findings", findings_to_json(&v->after));
    json_object_set_new(o, "scanned_bytes", json_integer((json_int_t)v->after.scanned_bytes));
    if (!v->options->repair) return o;
    json_object_set_new(o, "findings_before", findings_to_json(&v->before));
    json_object_set_new(o, "edits", json_integer(v->repaired.n_edits));
    if (v->repaired.n_edits)
        json_object_set_new(
            o, "data", json_string(v->repaired.is_beside ? ways[v->repaired.way] : "in place"));
    return o;
}

/* ---- the command ---- */

static fal_status check_options(const fal_parsed *parsed, fal_error *err) {
    const doctor_options *o = parsed->values;
    if (o->out_path && !o->repair)
        return fal_fail(err, FAL_E_ARGUMENT, "doctor: --out does nothing without --repair");
    if (o->force && !o->out_path)
        return fal_fail(err, FAL_E_ARGUMENT, "doctor: --force does nothing without --out");
    if (o->out_path && parsed->n_arguments > 1)
        return fal_fail(err, FAL_E_ARGUMENT, "doctor: --out is for one file, %d are given",
                        parsed->n_arguments);
    if (o->out_path && fal_file_is_directory(o->out_path))
        return fal_fail(err, FAL_E_ARGUMENT, "doctor: --out: '%s' is a folder", o->out_path);
    if (o->out_path && fal_file_exists(o->out_path) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT, "doctor: '%s' is there already; --force overwrites it",
                        o->out_path);
    return FAL_OK;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const doctor_options *o = parsed->values;
    FAL_TRY(check_options(parsed, err));
    fal_interrupt_watch(2);
    json_t *files = json_array();
    int n_ill = 0;
    fal_status status = FAL_OK;
    for (int i = 0; i < parsed->n_arguments && status == FAL_OK; i++) {
        visit v = {.options = o, .path = parsed->arguments[i]};
        status = treat(&v, err);
        if (status == FAL_OK) {
            n_ill += !fal_diagnosis_is_healthy(&v.after);
            if (o->json)
                json_array_append_new(files, visit_to_json(&v));
            else
                print_visit(&v);
        }
        fal_diagnosis_release(&v.before);
        fal_diagnosis_release(&v.after);
    }
    json_t *all = json_object();
    json_object_set_new(all, "files", files);
    if (o->json && status == FAL_OK)
        status = fal_json_print(all, 12, err);
    else
        json_decref(all);
    FAL_TRY(status);
    if (n_ill == 0) return FAL_OK;
    if (parsed->n_arguments == 1)
        return fal_fail(err, FAL_E_FORMAT, "doctor: something is wrong with '%s'",
                        parsed->arguments[0]);
    return fal_fail(err, FAL_E_FORMAT, "doctor: something is wrong with %d of %d files", n_ill,
                    parsed->n_arguments);
}

const fal_command fal_command_doctor = {
    .description =
        "Looks for what is wrong with GGUF files of the family: context and rope settings that were lost (all published "
        "Alfred-40B-1023 and Falcon2-11B files), a missing chat template, end token, control tokens or splitting rule, token ids "
        "beyond the vocabulary, a name that promises a type that most parameters don't have, scales and weights that are "
        "not finite, files that are damaged or not whole. Each finding tells what it is and why it matters. The exit "
        "code is 0 for healthy files and 5 if something is wrong; notes count as healthy.\n\n"
        "--repair mends the metadata: lost settings, chat template, end tokens, token types, splitting rule. The header "
        "is replaced where it is if it fits; old and new header lie in FILE.header-backup meanwhile, and if that is "
        "cut short, the next --repair puts the file back first. Else a new file takes the name, with the data cloned "
        "where the file system can, otherwise copied. Weights are never changed.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(doctor_options),
    .run = run};
