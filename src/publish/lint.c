/* Body of lint.h: the card is read as anybody's, so that a card of another template is checked, too. Tables are known by
 * the words of their header; a row is about the file that it links to or names. */
#include "publish/lint.h"

#include <falconer/gguf.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"
#include "convert/type_plan.h"
#include "publish/checksum.h"
#include "publish/front_matter.h"
#include "publish/links.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_CARD_BYTES = 8 << 20,
    MAX_CELLS = 24
};

typedef enum column {
    COLUMN_TYPE,
    COLUMN_SIZE,
    COLUMN_BITS,
    N_COLUMNS
} column;

typedef struct linting {
    const char *directory;
    const fal_lint_options *options;
    fal_names *findings;
    fal_names files; /* the GGUF files that are there */
    bool *is_listed; /* [files.count]: a row of the card is about it */
    bool failed;     /* memory is short */
} linting;

__attribute__((format(printf, 2, 3))) static void find(linting *l, const char *format, ...) {
    fal_names *f = l->findings;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = fal_copy_string(text, strlen(text));
    if (!copy || !fal_grow((void **)&f->items, &f->capacity, f->count + 1, sizeof *f->items)) {
        fal_free(copy);
        l->failed = true;
        return;
    }
    f->items[f->count++] = copy;
}

/* ---- front matter ---- */

static void check_front_matter(linting *l, fal_slice card) {
    fal_slice yaml, body;
    fal_front_matter *front = NULL;
    fal_error problem = {0};
    fal_front_matter_place place = fal_front_matter_split(card, &yaml, &body);
    if (place == FAL_FRONT_MATTER_ABSENT) {
        find(l, "README.md: no front matter");
    } else if (place == FAL_FRONT_MATTER_UNCLOSED) {
        find(l, "README.md:1: front matter begins here and never ends");
    } else if (fal_front_matter_open(&front, yaml, "README.md", &problem) != FAL_OK) {
        find(l, "%s", problem.message);
    } else if (fal_front_matter_text(front, "license", 0).length == 0) {
        find(l, "README.md: front matter: no license");
    }
    fal_front_matter_close(front);
}

/* ---- links ---- */

static bool is_there(const linting *l, const char *name) {
    char *path = fal_path_join(l->directory, name);
    bool there = path && fal_file_exists(path);
    fal_free(path);
    return there;
}

static void check_link(linting *l, fal_slice target, bool is_image, int line) {
    char *path = NULL;
    const char *what = is_image ? "the image" : "the link";
    if (fal_link_path(&path, target, NULL) != FAL_OK) {
        l->failed = true;
        return;
    }
    int shown = (int)(target.length < 100 ? target.length : 100);
    if (path && !fal_path_stays_inside(path)) {
        find(l, "README.md:%d: %s '%.*s' leads out of the folder", line, what, shown, target.data);
    } else if (path && !is_there(l, path)) {
        find(l, "README.md:%d: %s '%.*s' leads to no file", line, what, shown, target.data);
    }
    fal_free(path);
}

static void check_links(linting *l, fal_slice card) {
    fal_slice yaml, body;
    fal_front_matter *front = NULL;
    fal_front_matter_place place = fal_front_matter_split(card, &yaml, &body);
    int first_line = 0;
    for (const char *c = card.data; c < body.data; c++)
        first_line += *c == '\n';
    fal_link_walk walk = {.text = body, .line = first_line};
    for (fal_link link; fal_link_next(&walk, &link);)
        check_link(l, link.target, link.is_image, link.line);
    if (place == FAL_FRONT_MATTER_WHOLE
        && fal_front_matter_open(&front, yaml, "README.md", NULL) == FAL_OK) {
        fal_slice thumbnail = fal_front_matter_text(front, "thumbnail", 0);
        if (thumbnail.length > 0) check_link(l, thumbnail, true, 1);
    }
    fal_front_matter_close(front);
}

/* ---- files ---- */

/* What a file really is. */
typedef struct file_facts {
    uint64_t bytes;
    double bits_per_weight;
    fal_gguf *gguf;
} file_facts;

static bool read_facts(linting *l, const char *name, file_facts *out) {
    fal_error problem = {0};
    char *path = fal_path_join(l->directory, name);
    *out = (file_facts){0};
    if (!path) {
        l->failed = true;
        return false;
    }
    fal_status status = fal_gguf_open(&out->gguf, path, &problem);
    fal_free(path);
    if (status != FAL_OK) {
        find(l, "%s: %s", name, problem.message);
        return false;
    }
    double parameters = 0, bytes = 0;
    for (int i = 0; i < fal_gguf_tensor_count(out->gguf); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(out->gguf, i);
        parameters +=
            (double)t->shape[0] * (double)t->shape[1] * (double)t->shape[2] * (double)t->shape[3];
        bytes += (double)((t->bytes + 31) / 32 * 32);
    }
    out->bytes = fal_gguf_file_bytes(out->gguf);
    out->bits_per_weight = parameters > 0 ? 8 * bytes / parameters : 0;
    return true;
}

/* How many matrices of the file have another type than the plan gives them; the first one in *example. */
static int count_strangers(const fal_gguf *f, const fal_plan_tensor *tensors, size_t n,
                           const fal_type_plan_options *plan, fal_plan_entry *entries,
                           int *example) {
    if (fal_type_plan_make(entries, tensors, n, plan, NULL) != FAL_OK) return 0;
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, (int)i);
        if (t->type_id == entries[i].used->gguf_id) continue;
        if (found++ == 0) *example = (int)i;
    }
    return found;
}

static void compare_plans(linting *l, const fal_gguf *f, const char *name, const fal_mix *mix,
                          fal_type_plan_options plan, fal_plan_tensor *tensors,
                          fal_plan_entry *entries) {
    int n = fal_gguf_tensor_count(f), least = n + 1, example = 0;
    char wanted[16] = "";
    for (int i = 0; i < n; i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        tensors[i] = (fal_plan_tensor){
            .name = t->name, .source = fal_type_by_name("f32"), .n_dims = t->n_dims};
        memcpy(tensors[i].shape, t->shape, sizeof t->shape);
    }
    /* Which of the ways to make this mix it was is not known: the nearest one counts. */
    for (int way = 0; way < 4 && least > 0; way++) {
        int at = 0;
        plan.recipe = way & 1 ? FAL_RECIPE_2023 : FAL_RECIPE_CURRENT;
        plan.has_importance = (way & 2) != 0;
        int found = count_strangers(f, tensors, (size_t)n, &plan, entries, &at);
        if (found >= least) continue;
        least = found;
        example = at;
        if (found > 0) snprintf(wanted, sizeof wanted, "%s", entries[at].used->name);
    }
    if (least > 0)
        find(l, "%s: %d tensors are not what %s means: '%s' is %s, not %s", name, least, mix->name,
             fal_gguf_tensor_at(f, example)->name, fal_gguf_tensor_at(f, example)->type_name,
             wanted);
}

static void check_types(linting *l, const fal_gguf *f, const char *name, const fal_mix *mix) {
    fal_gguf_string architecture = {"", 0};
    uint32_t n_layers = 0;
    char key[96], arch[64];
    (void)fal_gguf_find_string(f, "general.architecture", &architecture);
    snprintf(arch, sizeof arch, "%.*s",
             (int)(architecture.length < sizeof arch ? architecture.length : sizeof arch - 1),
             architecture.data);
    snprintf(key, sizeof key, "%s.block_count", arch);
    (void)fal_gguf_find_u32(f, key, &n_layers);
    size_t n = (size_t)fal_gguf_tensor_count(f);
    fal_plan_tensor *tensors = fal_alloc(n + 1, sizeof *tensors);
    fal_plan_entry *entries = fal_alloc(n + 1, sizeof *entries);
    const fal_type_plan_options plan = {
        .mix = mix, .architecture = arch, .n_layers = (int)n_layers};
    if (tensors && entries && n_layers <= INT32_MAX)
        compare_plans(l, f, name, mix, plan, tensors, entries);
    l->failed |= !tensors || !entries;
    fal_free(tensors);
    fal_free(entries);
}

/* ---- the table ---- */

static fal_slice trimmed(fal_slice s) {
    while (s.length > 0 && (*s.data == ' ' || *s.data == '\t')) {
        s.data++;
        s.length--;
    }
    while (s.length > 0 && (s.data[s.length - 1] == ' ' || s.data[s.length - 1] == '\t'))
        s.length--;
    return s;
}

/* The cells of a row "| a | b |"; 0: the line is none. */
static int split_row(fal_slice line, fal_slice cells[MAX_CELLS]) {
    line = trimmed(line);
    if (line.length < 2 || line.data[0] != '|') return 0;
    int n = 0;
    size_t begin = 1;
    for (size_t i = 1; i <= line.length && n < MAX_CELLS; i++) {
        bool ends = i == line.length || (line.data[i] == '|' && line.data[i - 1] != '\\');
        if (!ends) continue;
        if (i > begin || i < line.length)
            cells[n++] = trimmed((fal_slice){line.data + begin, i - begin});
        begin = i + 1;
    }
    return n;
}

static bool is_delimiter(const fal_slice *cells, int n) {
    for (int i = 0; i < n; i++) {
        if (cells[i].length == 0) return false;
        for (size_t k = 0; k < cells[i].length; k++)
            if (cells[i].data[k] != '-' && cells[i].data[k] != ':') return false;
    }
    return n > 0;
}

static bool is_word(fal_slice cell, const char *word) {
    return cell.length == strlen(word) && strncasecmp(cell.data, word, cell.length) == 0;
}

static void find_columns(const fal_slice *cells, int n, int columns[N_COLUMNS]) {
    static const char *const words[N_COLUMNS][3] = {
        {"type",            "quant method", NULL},
        {"size",            "file size",    NULL},
        {"bits per weight", "bpw",          NULL}
    };
    for (int c = 0; c < N_COLUMNS; c++) {
        columns[c] = -1;
        for (int i = 0; i < n; i++) {
            for (int w = 0; words[c][w]; w++)
                if (is_word(cells[i], words[c][w])) columns[c] = i;
        }
    }
}

/* Reads "25.45 GB" or "4.55" with what its last digit leaves open; false: it is no number. */
static bool read_number(fal_slice cell, double *value, double *slack) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {
        {"",    1     },
        {"B",   1     },
        {"kB",  1e3   },
        {"MB",  1e6   },
        {"GB",  1e9   },
        {"TB",  1e12  },
        {"KiB", 0x1p10},
        {"MiB", 0x1p20},
        {"GiB", 0x1p30},
        {"TiB", 0x1p40}
    };

    char text[40], *end = text;
    if (cell.length == 0 || cell.length >= sizeof text) return false;
    memcpy(text, cell.data, cell.length);
    text[cell.length] = '\0';
    if (*text < '0' || *text > '9') return false;
    *value = strtod(text, &end);
    const char *point = memchr(text, '.', (size_t)(end - text));
    double last = point ? pow(10, -(double)(end - point - 1)) : 1;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(end, units[i].name) != 0) continue;
        *value *= units[i].bytes;
        *slack = 0.5001 * last * units[i].bytes;
        return true;
    }
    return false;
}

/* The GGUF file that a row is about, in name; false: none. */
static bool find_file(const fal_slice *cells, int n, char *name, size_t size) {
    for (int i = 0; i < n; i++) {
        fal_link_walk walk = {.text = cells[i]};
        fal_link link;
        fal_slice found = cells[i];
        if (fal_link_next(&walk, &link)) found = link.target;
        if (found.length < 6 || found.length >= size) continue;
        if (memcmp(found.data + found.length - 5, ".gguf", 5) != 0) continue;
        char *path = NULL;
        if (fal_link_path(&path, found, NULL) != FAL_OK || !path) continue;
        snprintf(name, size, "%s", path);
        fal_free(path);
        return true;
    }
    return false;
}

static void check_cell(linting *l, const char *name, int line, const char *what, fal_slice cell,
                       double actual, const char *actual_text) {
    double value = 0, slack = 0;
    if (!read_number(cell, &value, &slack)) {
        find(l, "README.md:%d: %s '%.*s' of %s is no number", line, what,
             (int)(cell.length < 40 ? cell.length : 40), cell.data, name);
    } else if (!(fabs(value - actual) <= slack)) {
        find(l, "README.md:%d: %s of %s is given as %.*s, it is %s", line, what, name,
             (int)(cell.length < 40 ? cell.length : 40), cell.data, actual_text);
    }
}

static void check_type_cell(linting *l, const char *name, int line, fal_slice cell,
                            const fal_gguf *f) {
    char word[24];
    snprintf(word, sizeof word, "%.*s", (int)(cell.length < 23 ? cell.length : 23), cell.data);
    const fal_mix *mix = fal_mix_by_name(word);
    if (!mix) {
        find(l, "README.md:%d: '%s' of %s is no type", line, word, name);
        return;
    }
    check_types(l, f, name, mix);
}

static void check_file_row(linting *l, const fal_slice *cells, int n, const int columns[N_COLUMNS],
                           const char *name, int line) {
    file_facts facts;
    char text[64];
    for (size_t i = 0; i < l->files.count; i++)
        if (strcmp(l->files.items[i], name) == 0) l->is_listed[i] = true;
    /* The link's own check has said that it leads nowhere. */
    if (!fal_path_stays_inside(name) || !is_there(l, name) || !read_facts(l, name, &facts)) return;
    if (columns[COLUMN_SIZE] >= 0 && columns[COLUMN_SIZE] < n) {
        snprintf(text, sizeof text, "%llu bytes", (unsigned long long)facts.bytes);
        check_cell(l, name, line, "the size", cells[columns[COLUMN_SIZE]], (double)facts.bytes,
                   text);
    }
    if (columns[COLUMN_BITS] >= 0 && columns[COLUMN_BITS] < n) {
        snprintf(text, sizeof text, "%.4f", facts.bits_per_weight);
        check_cell(l, name, line, "bits per weight", cells[columns[COLUMN_BITS]],
                   facts.bits_per_weight, text);
    }
    if (columns[COLUMN_TYPE] >= 0 && columns[COLUMN_TYPE] < n)
        check_type_cell(l, name, line, cells[columns[COLUMN_TYPE]], facts.gguf);
    fal_gguf_close(facts.gguf);
}

static void check_table(linting *l, fal_slice card) {
    fal_slice before[MAX_CELLS], cells[MAX_CELLS];
    int n_before = 0, columns[N_COLUMNS] = {-1, -1, -1}, line = 1;
    bool in_table = false;
    for (size_t at = 0; at < card.length; line++) {
        const char *newline = memchr(card.data + at, '\n', card.length - at);
        size_t end = newline ? (size_t)(newline - card.data) : card.length;
        char name[256];
        int n = split_row((fal_slice){card.data + at, end - at}, cells);
        if (n == 0) {
            in_table = false;
        } else if (!in_table && is_delimiter(cells, n)) {
            in_table = n_before > 0;
            find_columns(before, n_before, columns);
        } else if (in_table && columns[COLUMN_SIZE] >= 0
                   && find_file(cells, n, name, sizeof name)) {
            check_file_row(l, cells, n, columns, name, line);
        }
        memcpy(before, cells, sizeof before);
        n_before = n;
        at = end + 1;
    }
}

/* ---- sums and leftovers ---- */

static fal_status check_sum(linting *l, const fal_checksum *sum, fal_error *err) {
    char hex[FAL_SHA256_HEX];
    fal_error problem = {0};
    if (!fal_path_stays_inside(sum->name)) {
        find(l, "SHA256SUMS:%d: '%s' leads out of the folder", sum->line, sum->name);
        return FAL_OK;
    }
    if (!is_there(l, sum->name)) {
        find(l, "SHA256SUMS:%d: '%s' is not there", sum->line, sum->name);
        return FAL_OK;
    }
    if (l->options->skip_digests) return FAL_OK;
    char *path = fal_path_join(l->directory, sum->name);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status =
        fal_sha256_file(hex, path, l->options->on_bytes, l->options->user, &problem);
    fal_free(path);
    if (status == FAL_E_CANCELLED) return fal_fail(err, status, "%s", problem.message);
    if (status != FAL_OK) {
        find(l, "%s", problem.message);
    } else if (strcmp(hex, sum->sha256) != 0) {
        find(l, "SHA256SUMS:%d: '%s' has another SHA-256", sum->line, sum->name);
    }
    return FAL_OK;
}

static fal_status check_sums(linting *l, fal_error *err) {
    fal_checksums sums = {0};
    fal_error problem = {0};
    char *path = fal_path_join(l->directory, "SHA256SUMS");
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = FAL_OK;
    if (!fal_file_exists(path)) {
        find(l, "SHA256SUMS: not there");
    } else if (fal_checksums_read(&sums, path, &problem) != FAL_OK) {
        find(l, "%s", problem.message);
    } else {
        for (size_t i = 0; i < sums.count && status == FAL_OK; i++)
            status = check_sum(l, &sums.items[i], err);
        for (size_t i = 0; i < l->files.count; i++) {
            bool found = false;
            for (size_t k = 0; k < sums.count && !found; k++)
                found = strcmp(sums.items[k].name, l->files.items[i]) == 0;
            if (!found) find(l, "SHA256SUMS: '%s' is missing", l->files.items[i]);
        }
    }
    fal_checksums_release(&sums);
    fal_free(path);
    return status;
}

static fal_status check_leftovers(linting *l, fal_error *err) {
    fal_names all = {0};
    fal_status status = fal_folder_list(&all, l->directory, "", err);
    for (size_t i = 0; i < all.count; i++)
        if (strstr(all.items[i], ".partial-"))
            find(l, "%s: what an interrupted run left", all.items[i]);
    fal_names_release(&all);
    return status;
}

/* ---- the whole ---- */

static fal_status check_card(linting *l, fal_error *err) {
    char *path = fal_path_join(l->directory, "README.md"), *text = NULL;
    size_t length = 0;
    if (!path) return fal_fail_memory(err, 0);
    if (!fal_file_exists(path)) {
        fal_free(path);
        find(l, "README.md: not there");
        return FAL_OK;
    }
    fal_status status = fal_file_read(&text, &length, path, MAX_CARD_BYTES, err);
    fal_free(path);
    if (status != FAL_OK) return status;
    fal_slice card = {text, length};
    if (!fal_utf8_is_valid(text, length)) find(l, "README.md: not UTF-8");
    check_front_matter(l, card);
    check_links(l, card);
    check_table(l, card);
    for (size_t i = 0; i < l->files.count; i++)
        if (!l->is_listed[i])
            find(l, "README.md: no row of a table is about '%s'", l->files.items[i]);
    fal_free(text);
    return FAL_OK;
}

fal_status fal_lint_folder(fal_names *findings, const char *directory,
                           const fal_lint_options *options, fal_error *err) {
    static const fal_lint_options defaults;
    linting l = {
        .directory = directory, .options = options ? options : &defaults, .findings = findings};
    if (fal_file_exists(directory) && !fal_file_is_directory(directory))
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a folder", directory);
    fal_status status = fal_folder_list(&l.files, directory, ".gguf", err);
    if (status == FAL_OK) {
        l.is_listed = fal_alloc(l.files.count + 1, sizeof *l.is_listed);
        status = l.is_listed ? FAL_OK : fal_fail_memory(err, 0);
    }
    if (status == FAL_OK && l.files.count == 0) find(&l, "there is no GGUF file");
    if (status == FAL_OK) status = check_card(&l, err);
    if (status == FAL_OK) status = check_sums(&l, err);
    if (status == FAL_OK) status = check_leftovers(&l, err);
    if (status == FAL_OK && l.failed) status = fal_fail_memory(err, 0);
    fal_names_release(&l.files);
    fal_free(l.is_listed);
    return status;
}
