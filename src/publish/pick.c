/* Body of pick.h. Files are opened as models, so that what they need is what a session would allocate. */
#include "publish/pick.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "publish/needs.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART_SUFFIX_BYTES = 20 /* "-00001-of-00009.gguf" */
};

static fal_status add_row(fal_pick *p, const char *path, fal_pick_row **out, fal_error *err) {
    void *rows = p->rows;
    bool has_room = fal_grow(&rows, &p->capacity, p->count + 1, sizeof *p->rows);
    p->rows = rows;
    if (!has_room) return fal_fail_memory(err, 0);
    fal_pick_row row = {.path = path ? fal_copy_string(path, strlen(path)) : NULL};
    if (path && !row.path) return fal_fail_memory(err, 0);
    p->rows[p->count] = row;
    *out = &p->rows[p->count++];
    return FAL_OK;
}

static fal_status measure(fal_pick_row *row, const fal_model *model, const char *kv_type,
                          fal_error *err) {
    const fal_model_info *info = fal_model_info_get(model);
    fal_needs needs;
    FAL_TRY(fal_needs_of(&needs, model, kv_type, err));
    row->bytes = needs.weight_bytes;
    row->n_context = info->n_context;
    row->cache_bytes_per_token = needs.cache_bytes_per_token;
    row->working_bytes = needs.working_bytes;
    if (info->n_parameters > 0)
        row->bits_per_weight = 8 * (double)info->weight_bytes / (double)info->n_parameters;
    return FAL_OK;
}

fal_status fal_pick_add_file(fal_pick *p, const char *path, fal_error *err) {
    fal_pick_row *row = NULL;
    fal_model *model = NULL;
    fal_error failure = {0};
    const fal_model_options options = {.n_threads = 1};
    fal_status status = fal_model_open(&model, path, &options, &failure);
    if (status == FAL_E_NOT_FOUND || status == FAL_E_IO || status == FAL_E_MEMORY
        || status == FAL_E_ARGUMENT)
        return fal_fail(err, status, "%s", failure.message);
    fal_status added = add_row(p, path, &row, err);
    if (added == FAL_OK && status == FAL_OK) status = measure(row, model, p->kv_type, &failure);
    fal_model_close(model);
    FAL_TRY(added);
    if (status == FAL_OK) return FAL_OK;
    row->trouble = fal_copy_string(failure.message, strlen(failure.message));
    return row->trouble ? FAL_OK : fal_fail_memory(err, 0);
}

/* Of "name-00002-of-00009.gguf" and the like only the first part stands for the set. */
static bool is_later_part(const char *name) {
    size_t length = strlen(name);
    if (length < PART_SUFFIX_BYTES) return false;
    const char *suffix = name + length - PART_SUFFIX_BYTES;
    if (suffix[0] != '-' || memcmp(suffix + 6, "-of-", 4) != 0) return false;
    for (int i = 1; i <= 5; i++)
        if (!isdigit((unsigned char)suffix[i]) || !isdigit((unsigned char)suffix[i + 9]))
            return false;
    return memcmp(suffix + 1, "00001", 5) != 0;
}

fal_status fal_pick_add_folder(fal_pick *p, const char *directory, fal_error *err) {
    fal_names names = {0};
    fal_status status = fal_folder_list(&names, directory, ".gguf", err);
    if (status == FAL_OK && names.count == 0)
        status = fal_fail(err, FAL_E_NOT_FOUND, "'%s' holds no .gguf files", directory);
    for (size_t i = 0; i < names.count && status == FAL_OK; i++) {
        if (is_later_part(names.items[i])) continue;
        char *path = fal_path_join(directory, names.items[i]);
        status = path ? fal_pick_add_file(p, path, err) : fal_fail_memory(err, 0);
        fal_free(path);
    }
    fal_names_release(&names);
    return status;
}

fal_status fal_pick_add_size(fal_pick *p, uint64_t bytes, fal_error *err) {
    fal_pick_row *row = NULL;
    FAL_TRY(add_row(p, NULL, &row, err));
    row->bytes = bytes;
    return FAL_OK;
}

/* ---- choosing ---- */

static void compute(fal_pick_row *row, uint64_t memory, int n_context) {
    int context = n_context ? n_context : row->n_context;
    uint64_t fixed = row->bytes + row->working_bytes;
    row->needed = fixed + row->cache_bytes_per_token * (uint64_t)context;
    row->spare = (int64_t)memory - (int64_t)row->needed;
    row->fits = !row->trouble && row->spare >= 0;
    row->longest = -1;
    if (row->trouble || row->cache_bytes_per_token == 0) return;
    uint64_t left = memory > fixed ? memory - fixed : 0;
    uint64_t tokens = left / row->cache_bytes_per_token;
    row->longest = tokens < (uint64_t)row->n_context ? (int64_t)tokens : row->n_context;
}

static int compare_rows(const void *a, const void *b) {
    const fal_pick_row *s = a, *t = b;
    if (!s->trouble != !t->trouble) return s->trouble ? 1 : -1;
    if (s->bytes != t->bytes) return s->bytes < t->bytes ? -1 : 1;
    return s->path && t->path ? strcmp(s->path, t->path) : 0;
}

void fal_pick_choose(fal_pick *p, uint64_t memory, int n_context) {
    p->memory = memory;
    p->n_context = n_context;
    p->best = -1;
    if (p->count) qsort(p->rows, p->count, sizeof *p->rows, compare_rows);
    for (size_t i = 0; i < p->count; i++) {
        fal_pick_row *row = &p->rows[i];
        compute(row, memory, n_context);
        if (!row->fits) continue;
        const fal_pick_row *best = p->best >= 0 ? &p->rows[p->best] : NULL;
        if (!best || row->bits_per_weight > best->bits_per_weight
            || (!(row->bits_per_weight < best->bits_per_weight) && row->bytes >= best->bytes))
            p->best = (int)i;
    }
}

void fal_pick_release(fal_pick *p) {
    for (size_t i = 0; i < p->count; i++) {
        fal_free(p->rows[i].path);
        fal_free(p->rows[i].trouble);
    }
    fal_free(p->rows);
    *p = (fal_pick){0};
}

/* ---- sizes as text ---- */

fal_status fal_parse_bytes(const char *text, uint64_t *out, fal_error *err) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {
        {"b",   1     },
        {"k",   1e3   },
        {"m",   1e6   },
        {"g",   1e9   },
        {"t",   1e12  },
        {"kb",  1e3   },
        {"mb",  1e6   },
        {"gb",  1e9   },
        {"tb",  1e12  },
        {"kib", 0x1p10},
        {"mib", 0x1p20},
        {"gib", 0x1p30},
        {"tib", 0x1p40},
    };

    char *end;
    double number = strtod(text, &end);
    bool is_number = end != text && isdigit((unsigned char)text[0]) && isfinite(number);
    while (*end == ' ')
        end++;
    char unit[8] = "";
    for (size_t i = 0; i < sizeof unit - 1 && end[i]; i++)
        unit[i] = (char)tolower((unsigned char)end[i]);
    for (size_t i = 0; is_number && i < sizeof units / sizeof units[0]; i++) {
        double bytes = number * units[i].bytes;
        if (strcmp(unit, units[i].name) != 0 || strlen(end) != strlen(unit)) continue;
        if (!(bytes >= 1 && bytes <= 0x1p60)) break;
        *out = (uint64_t)(bytes + 0.5);
        return FAL_OK;
    }
    return fal_fail(err, FAL_E_ARGUMENT, "'%.60s' is no size with a unit, such as 17.4GB or 24GiB",
                    text);
}
