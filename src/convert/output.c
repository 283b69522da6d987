/* Bodies of output.h and of the planning half of quantize.h. */
#include "convert/output.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum {
    QUANTIZATION_VERSION = 2,
    MAX_PARTS = 65535,
    DATA_ALIGNMENT = 32
};

/* What the file is made of, in its own words. */
static void write_report(fal_gguf_writer *w, const fal_type_plan_options *plan,
                         const fal_plan_summary *s, const char *importance_digest,
                         uint64_t fingerprint) {
    const char *recipe = plan->recipe == FAL_RECIPE_2023 ? "2023" : "current";
    fal_gguf_set_u32(w, "general.file_type", plan->mix->file_type);
    if (!fal_type_by_name(plan->mix->type)->is_quantized) return;
    fal_gguf_set_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    fal_gguf_set_string(w, "falconer.quantize.mix", plan->mix->name, strlen(plan->mix->name));
    fal_gguf_set_string(w, "falconer.quantize.recipe", recipe, strlen(recipe));
    fal_gguf_set_bool(w, "falconer.quantize.importance", plan->has_importance);
    if (plan->has_importance && importance_digest)
        fal_gguf_set_string(w, "falconer.quantize.importance_digest", importance_digest,
                            strlen(importance_digest));
    fal_gguf_set_u64(w, "falconer.quantize.source", fingerprint);
    fal_gguf_set_u32(w, "falconer.quantize.matrices", (uint32_t)s->n_matrices);
    fal_gguf_set_u32(w, "falconer.quantize.k_matrices", (uint32_t)s->n_k_tensors);
    fal_gguf_set_u32(w, "falconer.quantize.fallback_matrices", (uint32_t)s->n_fallback_tensors);
    fal_gguf_set_f32(w, "falconer.quantize.k_share",
                     (float)((double)s->n_k_parameters / (double)s->n_matrix_parameters));
    fal_gguf_set_f32(w, "falconer.quantize.bits_per_weight",
                     (float)(8 * (double)s->bytes / (double)s->n_parameters));
    fal_gguf_set_f32(w, "falconer.quantize.bits_per_weight_wanted",
                     (float)(8 * (double)s->wanted_bytes / (double)s->n_parameters));
}

static fal_status check_plan(const fal_source *s, const fal_plan_entry *entries,
                             const fal_quantize_options *o, fal_error *err) {
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_plan_tensor *t = &s->tensors[i];
        const fal_plan_entry *e = &entries[i];
        if (t->source->is_quantized && !o->allow_requantize && e->used != t->source)
            return fal_fail(err, FAL_E_ARGUMENT,
                            "tensor '%s' is %s already: quantizing it again loses quality twice",
                            t->name, t->source->name);
        if (o->no_fallback && e->used != e->wanted)
            return fal_fail(
                err, FAL_E_ARGUMENT,
                "tensor '%s': %lld columns are no multiple of %d, %s would stand in for %s",
                t->name, (long long)fal_plan_tensor_columns(t), e->wanted->weights_per_block,
                e->used->name, e->wanted->name);
    }
    return FAL_OK;
}

/* Fills the parts one after the other, none beyond the bound unless a single tensor is. */
static fal_status assign_parts(fal_output_set *set, const fal_source *s, uint64_t split_bytes,
                               fal_error *err) {
    uint64_t in_part = 0;
    int part = 0;
    for (int i = 0; i < s->n_tensors; i++) {
        uint64_t bytes =
            (set->report.entries[i].bytes + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
        if (split_bytes > 0 && in_part > 0 && in_part + bytes > split_bytes) {
            part++;
            in_part = 0;
        }
        in_part += bytes;
        set->part_of[i] = part;
    }
    if (part >= MAX_PARTS)
        return fal_fail(err, FAL_E_LIMIT, "%d parts, at most %d are possible: choose larger ones",
                        part + 1, MAX_PARTS);
    set->report.n_parts = part + 1;
    return FAL_OK;
}

static fal_status announce(fal_output_set *set, fal_source *s, const fal_quantize_output *output,
                           const fal_quantize_options *o, uint64_t fingerprint, fal_error *err) {
    int n_parts = set->report.n_parts;
    set->writers = fal_alloc((size_t)n_parts, sizeof(fal_gguf_writer *));
    if (!set->writers) return fal_fail_memory(err, 0);
    for (int part = 0; part < n_parts; part++) {
        FAL_TRY(fal_gguf_writer_open(&set->writers[part], err));
        fal_gguf_writer *w = set->writers[part];
        if (part == 0) {
            FAL_TRY(s->kind->write_metadata(s->state, w, &o->words, err));
            write_report(w, &output->plan, &set->report.summary, o->importance_digest, fingerprint);
        }
        if (n_parts == 1) continue;
        fal_gguf_set_u16(w, "split.no", (uint16_t)part);
        fal_gguf_set_u16(w, "split.count", (uint16_t)n_parts);
        fal_gguf_set_i32(w, "split.tensors.count", s->n_tensors);
    }
    for (int i = 0; i < s->n_tensors; i++) {
        const fal_plan_tensor *t = &s->tensors[i];
        FAL_TRY(fal_gguf_add_tensor(set->writers[set->part_of[i]], t->name,
                                    set->report.entries[i].used, t->n_dims, t->shape, err));
    }
    for (int part = 0; part < n_parts; part++) {
        uint64_t bytes;
        FAL_TRY(fal_gguf_writer_file_bytes(set->writers[part], &bytes, err));
        set->report.file_bytes += bytes;
    }
    return FAL_OK;
}

fal_status fal_output_set_open(fal_output_set *set, fal_source *s, fal_quantize_output *output,
                               const fal_quantize_options *o, fal_error *err) {
    *set = (fal_output_set){0};
    fal_type_plan_options *plan = &output->plan;
    plan->architecture = s->architecture;
    plan->n_layers = s->n_layers;
    set->report.entries = fal_alloc((size_t)s->n_tensors, sizeof *set->report.entries);
    set->part_of = fal_alloc((size_t)s->n_tensors, sizeof *set->part_of);
    if (!set->report.entries || !set->part_of) return fal_fail_memory(err, 0);
    FAL_TRY(fal_type_plan_make(set->report.entries, s->tensors, (size_t)s->n_tensors, plan, err));
    FAL_TRY(check_plan(s, set->report.entries, o, err));
    fal_type_plan_summarise(&set->report.summary, set->report.entries, s->tensors,
                            (size_t)s->n_tensors);
    FAL_TRY(assign_parts(set, s, output->split_bytes, err));
    uint64_t fingerprint = 0;
    fal_status status = fal_source_fingerprint(s, &fingerprint, err);
    /* A source of shapes alone can be planned, and its report has the size of a real one's. */
    if (status != FAL_OK && status != FAL_E_NOT_FOUND) return status;
    return announce(set, s, output, o, fingerprint, err);
}

void fal_output_set_release(fal_output_set *set) {
    for (int part = 0; set->writers && part < set->report.n_parts; part++)
        fal_gguf_writer_close(set->writers[part]);
    fal_free(set->writers);
    fal_free(set->part_of);
    fal_quantize_report_release(&set->report);
    *set = (fal_output_set){0};
}

char *fal_quantize_part_path(const char *path, int part, int n_parts) {
    static const char end[] = ".gguf";
    size_t length = strlen(path), stem = length;
    if (n_parts == 1) return fal_copy_string(path, length);
    if (length >= sizeof end - 1 && strcmp(path + length - (sizeof end - 1), end) == 0)
        stem -= sizeof end - 1;
    size_t bytes = length + 32;
    char *text = fal_alloc(bytes, 1);
    if (text) snprintf(text, bytes, "%.*s-%05d-of-%05d%s", (int)stem, path, part + 1, n_parts, end);
    return text;
}

fal_status fal_output_set_begin(fal_output_set *set, const char *path, fal_error *err) {
    for (int part = 0; part < set->report.n_parts; part++) {
        char *name = fal_quantize_part_path(path, part, set->report.n_parts);
        if (!name) return fal_fail_memory(err, 0);
        fal_status status = fal_gguf_writer_begin(set->writers[part], name, err);
        fal_free(name);
        if (status != FAL_OK) return status;
    }
    return FAL_OK;
}

fal_status fal_output_set_commit(fal_output_set *set, fal_error *err) {
    for (int part = set->report.n_parts; part-- > 0;)
        FAL_TRY(fal_gguf_writer_commit(set->writers[part], err));
    return FAL_OK;
}

fal_status fal_quantize_plan(fal_quantize_report *out, fal_source *source,
                             fal_quantize_output *output, const fal_quantize_options *options,
                             fal_error *err) {
    static const fal_quantize_options defaults;
    fal_output_set set;
    *out = (fal_quantize_report){0};
    fal_status status =
        fal_output_set_open(&set, source, output, options ? options : &defaults, err);
    if (status == FAL_OK) {
        *out = set.report;
        set.report.entries = NULL;
    }
    fal_output_set_release(&set);
    return status;
}

void fal_quantize_report_release(fal_quantize_report *report) {
    fal_free(report->entries);
    report->entries = NULL;
}

/* ---- what is there already ---- */

static bool begins_with_header(const char *path, const fal_gguf_writer *w) {
    fal_string_builder header = {0};
    fal_mapping map = {0};
    uint64_t bytes = 0;
    bool same = fal_gguf_writer_header(w, &header, NULL) == FAL_OK
                && fal_gguf_writer_file_bytes(w, &bytes, NULL) == FAL_OK
                && fal_mapping_open(&map, path, NULL) == FAL_OK && map.length == bytes
                && memcmp(map.data, header.text, header.length) == 0;
    fal_mapping_release(&map);
    fal_string_release(&header);
    return same;
}

static bool has_first_row(const fal_gguf *f, const fal_source *s, int tensor,
                          const fal_type *type) {
    const fal_plan_tensor *t = &s->tensors[tensor];
    const fal_gguf_tensor *found = fal_gguf_tensor_find(f, t->name);
    int64_t n_cols = fal_plan_tensor_columns(t);
    size_t row_bytes;
    if (!found || fal_type_row_bytes(type, n_cols, &row_bytes, NULL) != FAL_OK) return false;
    float *row = fal_alloc_aligned((size_t)n_cols, sizeof *row);
    char *encoded = fal_alloc_aligned(row_bytes, 1);
    bool same = row && encoded && s->kind->read_rows(s->state, tensor, 0, 1, row, NULL) == FAL_OK;
    if (same) {
        type->encode(row, NULL, encoded, n_cols / type->weights_per_block);
        same = found->bytes >= row_bytes && memcmp(found->data, encoded, row_bytes) == 0;
    }
    fal_free(row);
    fal_free(encoded);
    return same;
}

/* Headers of quantized files name their source; of others the first row of each tensor tells. */
static bool has_source(const char *path, const fal_source *s, const fal_quantize_report *r) {
    fal_gguf *f = NULL;
    bool same = fal_gguf_open(&f, path, NULL) == FAL_OK;
    for (int i = 0; same && i < s->n_tensors; i++)
        same = r->entries[i].used->is_quantized || has_first_row(f, s, i, r->entries[i].used);
    fal_gguf_close(f);
    return same;
}

bool fal_quantize_is_finished(fal_source *source, fal_quantize_output *output,
                              const fal_quantize_options *options) {
    static const fal_quantize_options defaults;
    fal_output_set set;
    bool finished =
        fal_output_set_open(&set, source, output, options ? options : &defaults, NULL) == FAL_OK;
    for (int part = set.report.n_parts; finished && part-- > 0;) {
        char *path = fal_quantize_part_path(output->path, part, set.report.n_parts);
        finished = path && begins_with_header(path, set.writers[part])
                   && (part > 0 || has_source(path, source, &set.report));
        fal_free(path);
    }
    fal_output_set_release(&set);
    return finished;
}
