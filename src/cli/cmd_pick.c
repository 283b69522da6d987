/* pick: which file of a set fits this machine. The arithmetic is pick.h's. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "publish/pick.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

typedef struct pick_options {
    const char *set, *sizes, *memory, *kv_type;
    int n_context;
    bool json;
} pick_options;

#define AT(member) offsetof(pick_options, member)

static const fal_option rows[] = {
    FAL_ROW(DIRECTORY, "model", 'm', AT(set), "DIR", "a folder of GGUF files, or one file"),
    FAL_ROW(TEXT, "sizes", 0, AT(sizes), "LIST", "compare sizes alone: 17.4GB,25.5GB"),
    FAL_ROW_COUNT("context", 'c', AT(n_context), "N", 1, INT_MAX,
                  "tokens of context (the model's own)"),
    FAL_ROW_CHOICE("kv-type", 0, AT(kv_type), "TYPE", fal_kv_type_choice,
                   "number type of the cache: f16, q8_0, f32"),
    FAL_ROW(TEXT, "memory", 0, AT(memory), "SIZE", "memory to fit into (what is free now)"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_argument arguments[] = {
    {"FILE...", FAL_OPTION_FILE, NULL, false, "GGUF files to choose from"},
    {NULL,      FAL_OPTION_TEXT, NULL, false, NULL                       }
};

static const fal_example examples[] = {
    {"falconer pick -m alfred-40b-1023-GGUF",                       "Which file of a folder fits:"  },
    {"falconer pick -m alfred-40b-1023-GGUF -c 2048 --memory 24GB",
     "Which would fit another machine, with a shorter context:"                                     },
    {"falconer pick --sizes 17.4GB,25.5GB,34.5GB",                  "Before anything is downloaded:"},
    {NULL,                                                          NULL                            }
};

static uint64_t machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : 0;
}

static fal_status add_sizes(fal_pick *p, const char *list, fal_error *err) {
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        char text[80];
        uint64_t bytes;
        snprintf(text, sizeof text, "%.*s", n < sizeof text ? (int)n : (int)sizeof text - 1, at);
        fal_status status = fal_parse_bytes(text, &bytes, err);
        FAL_TRY(fal_add_context(err, status, "pick: --sizes"));
        FAL_TRY(fal_pick_add_size(p, bytes, err));
        at += n + (at[n] == ',');
    }
    return FAL_OK;
}

static fal_status gather(fal_pick *p, const fal_parsed *parsed, fal_error *err) {
    const pick_options *o = parsed->values;
    if (o->sizes && (o->set || parsed->n_arguments))
        return fal_fail(err, FAL_E_ARGUMENT, "pick: either --sizes or files");
    if (o->sizes && o->n_context)
        return fal_fail(err, FAL_E_ARGUMENT, "pick: --context does nothing with --sizes");
    if (o->sizes && o->kv_type)
        return fal_fail(err, FAL_E_ARGUMENT, "pick: --kv-type does nothing with --sizes");
    p->kv_type = o->kv_type;
    if (o->sizes) FAL_TRY(add_sizes(p, o->sizes, err));
    if (o->set && fal_file_is_directory(o->set))
        FAL_TRY(fal_pick_add_folder(p, o->set, err));
    else if (o->set)
        FAL_TRY(fal_pick_add_file(p, o->set, err));
    for (int i = 0; i < parsed->n_arguments; i++) {
        const char *path = parsed->arguments[i];
        FAL_TRY(fal_file_is_directory(path) ? fal_pick_add_folder(p, path, err)
                                            : fal_pick_add_file(p, path, err));
    }
    if (p->count) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT,
                    "pick: nothing to choose from; name files, a folder with -m, or --sizes");
}

/* ---- for people ---- */

static const char *row_name(const fal_pick_row *row, char *space, size_t size) {
    if (row->path) return fal_path_base(row->path);
    snprintf(space, size, "%.1f GB", (double)row->bytes / 1e9);
    return space;
}

static void print_row(const fal_pick *p, size_t i, int width) {
    const fal_pick_row *row = &p->rows[i];
    bool is_best = (int)i == p->best;
    char space[32], size[32], needed[32], spare[32], longest[32] = "", bits[16] = "";
    fal_format_bytes(size, sizeof size, (double)row->bytes);
    fal_format_bytes(needed, sizeof needed, (double)row->needed);
    fal_format_bytes(spare, sizeof spare,
                     row->spare < 0 ? -(double)row->spare : (double)row->spare);
    const char *name = row_name(row, space, sizeof space);
    printf("%s%s ", is_best ? fal_style_of(stdout, FAL_STYLE_BOLD) : "", is_best ? "*" : " ");
    fal_terminal_write(stdout, name, strlen(name));
    printf("%*s", width > (int)strlen(name) ? width - (int)strlen(name) : 0, "");
    if (row->trouble) {
        fputs("  ", stdout);
        fal_terminal_write(stdout, row->trouble, strlen(row->trouble));
        putchar('\n');
        return;
    }
    if (row->bits_per_weight > 0) snprintf(bits, sizeof bits, "%.2f", row->bits_per_weight);
    if (row->longest > 0) snprintf(longest, sizeof longest, "%" PRId64, row->longest);
    if (row->longest == 0) snprintf(longest, sizeof longest, "none");
    printf(" %10s %6s %10s %10s %s", size, bits, needed, spare, row->spare < 0 ? "short" : "spare");
    if (longest[0]) printf("%9s", longest);
    puts(is_best ? fal_style_of(stdout, FAL_STYLE_PLAIN) : "");
}

/* The file with most bits of those that fit with some context; NULL: none. */
static const fal_pick_row *best_with_less(const fal_pick *p) {
    const fal_pick_row *best = NULL;
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].longest > 0 && (!best || p->rows[i].longest >= best->longest))
            best = &p->rows[i];
    return best;
}

static void print_table(const fal_pick *p, bool is_free_memory) {
    char memory[32], all[32];
    fal_format_bytes(memory, sizeof memory, (double)p->memory);
    fal_format_bytes(all, sizeof all, (double)machine_memory());
    if (is_free_memory)
        printf("%s of memory are free, of %s in this machine", memory, all);
    else
        printf("%s of memory", memory);
    if (p->n_context) printf("; %d tokens of context", p->n_context);
    int width = 8;
    for (size_t i = 0; i < p->count; i++) {
        char space[32];
        int n = (int)strlen(row_name(&p->rows[i], space, sizeof space));
        if (n > width) width = n;
    }
    if (width > 48) width = 48;
    printf("\n\n  %-*s %10s %6s %10s %10s%s\n", width, "file", "weights", "bits", "needed", "left",
           p->rows[0].path ? "        longest" : "");
    for (size_t i = 0; i < p->count; i++)
        print_row(p, i, width);
    putchar('\n');
    if (p->best >= 0) {
        puts("* the best that fits");
        return;
    }
    char space[32];
    const fal_pick_row *shorter = best_with_less(p);
    fputs("none fits", stdout);
    if (shorter) {
        const char *name = row_name(shorter, space, sizeof space);
        fputs("; with a shorter context ", stdout);
        fal_terminal_write(stdout, name, strlen(name));
        printf(" does: -c %" PRId64, shorter->longest);
    }
    putchar('\n');
}

/* ---- for programs ---- */

static json_t *to_json(const fal_pick *p) {
    json_t *all = json_object(), *files = json_array();
    for (size_t i = 0; i < p->count; i++) {
        const fal_pick_row *row = &p->rows[i];
        json_t *o = json_object();
        json_object_set_new(o, "path",
                            row->path ? fal_json_text(row->path, strlen(row->path)) : json_null());
        json_object_set_new(o, "weight_bytes", json_integer((json_int_t)row->bytes));
        if (row->trouble) {
            json_object_set_new(o, "trouble", fal_json_text(row->trouble, strlen(row->trouble)));
        } else {
            json_object_set_new(o, "bits_per_weight", fal_json_number(row->bits_per_weight));
            json_object_set_new(o, "cache_bytes_per_token",
                                json_integer((json_int_t)row->cache_bytes_per_token));
            json_object_set_new(o, "working_bytes", json_integer((json_int_t)row->working_bytes));
            json_object_set_new(o, "needed_bytes", json_integer((json_int_t)row->needed));
            json_object_set_new(o, "spare_bytes", json_integer((json_int_t)row->spare));
            json_object_set_new(o, "longest_context",
                                row->longest < 0 ? json_null() : json_integer(row->longest));
        }
        json_object_set_new(o, "fits", json_boolean(row->fits));
        json_array_append_new(files, o);
    }
    json_object_set_new(all, "memory_bytes", json_integer((json_int_t)p->memory));
    json_object_set_new(all, "context", p->n_context ? json_integer(p->n_context) : json_null());
    const char *best = p->best >= 0 ? p->rows[p->best].path : NULL;
    json_object_set_new(all, "best", p->best >= 0 ? json_integer(p->best) : json_null());
    json_object_set_new(all, "best_path", best ? fal_json_text(best, strlen(best)) : json_null());
    json_object_set_new(all, "files", files);
    return all;
}

static fal_status pick(fal_pick *p, const fal_parsed *parsed, fal_error *err) {
    const pick_options *o = parsed->values;
    uint64_t memory = 0;
    if (o->memory)
        FAL_TRY(fal_add_context(err, fal_parse_bytes(o->memory, &memory, err), "pick: --memory"));
    FAL_TRY(gather(p, parsed, err));
    fal_pick_choose(p, o->memory ? memory : fal_available_memory(), o->n_context);
    if (o->json)
        FAL_TRY(fal_json_print(to_json(p), 12, err));
    else
        print_table(p, !o->memory);
    if (p->best >= 0) return FAL_OK;
    if (p->count == 1) return fal_fail(err, FAL_E_LIMIT, "pick: it does not fit");
    return fal_fail(err, FAL_E_LIMIT, "pick: none of %zu fits", p->count);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    fal_pick p = {0};
    fal_status status = pick(&p, parsed, err);
    fal_pick_release(&p);
    return status;
}

const fal_command fal_command_pick = {
    .description =
        "Tells which file of a set fits into memory: its weights, the cache of a conversation that fills the context, and "
        "working memory. For each file it shows the bits per weight, what is needed, what is left or missing, and the "
        "longest context that fits, which is at most what the model is good for. The best file that fits is marked: of "
        "one model's files more bits per weight are better.\n\n"
        "Memory is what is free now, bounded by the limits of the control group, unless --memory says otherwise. Sizes "
        "are numbers with a unit: KB, MB, GB, TB (thousands), KiB, MiB, GiB, TiB (1024s). With --sizes nothing is known of "
        "a model, and only sizes are compared. The exit code is 8 if nothing fits.",
    .arguments = arguments,
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(pick_options),
    .run = run};
