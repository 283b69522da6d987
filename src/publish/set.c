/* Body of set.h: what a set amounts to, and its numbers as JSON and TSV. */
#include "publish/set.h"

#include "base/alloc.h"
#include "formats/json_file.h"
#include "formats/json_value.h"

#include <math.h>
#include <string.h>

void fal_set_release(fal_set *set) {
    for (size_t i = 0; i < set->n_files; i++)
        fal_free(set->files[i].name);
    fal_free(set->files);
    fal_free(set->name);
    fal_free(set->calibration_name);
    fal_free(set->chat_example);
    fal_free(set->measuring.text_name);
    *set = (fal_set){0};
}

double fal_set_bits_per_weight(const fal_set_file *file) {
    return file->plan.n_parameters > 0
               ? 8 * (double)file->plan.bytes / (double)file->plan.n_parameters
               : 0;
}

uint64_t fal_set_memory(const fal_set *set, const fal_set_file *file, int n_context) {
    uint64_t most = set->n_context > n_context ? (uint64_t)set->n_context : (uint64_t)n_context;
    uint64_t spared = set->cache_bytes_per_token * (most - (uint64_t)n_context);
    uint64_t least = file->plan.bytes + set->cache_bytes_per_token * most;
    bool is_measured = n_context <= set->n_context && file->cost.peak_bytes >= least;
    return (is_measured ? file->cost.peak_bytes : least + set->working_bytes) - spared;
}

uint64_t fal_set_working_bytes(const fal_set *set) {
    uint64_t most = 0;
    for (size_t i = 0; i < set->n_files; i++) {
        uint64_t working = fal_set_memory(set, &set->files[i], 0) - set->files[i].plan.bytes;
        if (working > most) most = working;
    }
    return most;
}

static bool all_are_measured(const fal_set *set) {
    for (size_t i = 0; i < set->n_files; i++) {
        if (!set->files[i].measured.is_there) return false;
    }
    return set->n_files > 0;
}

const fal_set_file *fal_set_best_fit(const fal_set *set, uint64_t bytes, int n_context) {
    const fal_set_file *best = NULL;
    bool measured = all_are_measured(set);
    for (size_t i = 0; i < set->n_files; i++) {
        const fal_set_file *file = &set->files[i];
        if (fal_set_memory(set, file, n_context) > bytes) continue;
        bool better = !best
                      || (measured ? file->measured.divergence < best->measured.divergence
                                   : file->bytes > best->bytes);
        if (better) best = file;
    }
    return best;
}

bool fal_mix_is_k(const fal_mix *mix) {
    return fal_type_is_k(fal_type_by_name(mix->type));
}

/* ---- JSON ---- */

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, number(value));
}

static void set_whole(json_t *object, const char *key, int64_t value) {
    json_object_set_new(object, key, json_integer(value));
}

static json_t *measured_to_json(const fal_measured *m) {
    json_t *o = json_object();
    set_number(o, "perplexity", m->perplexity);
    set_number(o, "perplexity_error", m->perplexity_error);
    set_number(o, "kl_divergence", m->divergence);
    set_number(o, "kl_divergence_error", m->divergence_error);
    set_number(o, "kl_divergence_99", m->divergence_99);
    set_number(o, "kl_divergence_max", m->divergence_max);
    set_number(o, "top_agreement", m->agreement);
    set_number(o, "top_agreement_error", m->agreement_error);
    return o;
}

static json_t *cost_to_json(const fal_cost *c) {
    json_t *o = json_object();
    set_number(o, "prompt_tokens_per_second", c->prompt_speed);
    set_number(o, "answer_tokens_per_second", c->answer_speed);
    if (c->peak_bytes) set_whole(o, "peak_memory_bytes", (int64_t)c->peak_bytes);
    return o;
}

static json_t *file_to_json(const fal_set *set, const fal_set_file *file) {
    const fal_plan_summary *p = &file->plan;
    json_t *o = json_object();
    json_object_set_new(o, "file", json_string(file->name));
    json_object_set_new(o, "type", json_string(file->mix->name));
    set_whole(o, "bytes", (int64_t)file->bytes);
    json_object_set_new(o, "sha256", json_string(file->sha256));
    set_number(o, "bits_per_weight", fal_set_bits_per_weight(file));
    set_whole(o, "parameters", p->n_parameters);
    set_whole(o, "matrices", p->n_matrices);
    set_whole(o, "k_quant_matrices", p->n_k_tensors);
    set_whole(o, "fallback_matrices", p->n_fallback_tensors);
    set_whole(o, "memory_bytes", (int64_t)fal_set_memory(set, file, set->n_context));
    if (file->measured.is_there)
        json_object_set_new(o, "measured", measured_to_json(&file->measured));
    if (file->cost.is_there) json_object_set_new(o, "cost", cost_to_json(&file->cost));
    return o;
}

static json_t *measuring_to_json(const fal_measuring *m) {
    json_t *o = json_object();
    json_object_set_new(o, "text", json_string(m->text_name));
    json_object_set_new(o, "text_sha256", json_string(m->text_sha256));
    json_object_set_new(o, "reference_type", json_string(m->reference_type));
    json_object_set_new(o, "kernels", json_string(m->kernel_set));
    set_number(o, "reference_perplexity", m->reference_perplexity);
    set_number(o, "reference_perplexity_error", m->reference_perplexity_error);
    set_whole(o, "tokens_scored", m->n_scored);
    set_whole(o, "window", m->n_window);
    set_whole(o, "windows_at_most", m->n_windows);
    set_whole(o, "threads", m->n_threads);
    set_whole(o, "prompt_tokens", m->n_prompt);
    set_whole(o, "answer_tokens", m->n_answer);
    return o;
}

fal_status fal_set_to_json(fal_string_builder *out, const fal_set *set, fal_error *err) {
    json_t *all = json_object(), *files = json_array();
    json_object_set_new(all, "name", json_string(set->name));
    json_object_set_new(all, "architecture", json_string(set->architecture));
    set_whole(all, "parameters", set->n_parameters);
    set_whole(all, "context", set->n_context);
    if (set->measuring.text_name)
        json_object_set_new(all, "measuring", measuring_to_json(&set->measuring));
    for (size_t i = 0; i < set->n_files; i++)
        json_array_append_new(files, file_to_json(set, &set->files[i]));
    json_object_set_new(all, "files", files);
    fal_json_write_text(out, all, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(all);
    fal_string_append_text(out, "\n");
    return fal_string_status(out, err);
}

static bool says(const json_t *object, const char *key, const char *text) {
    const char *found = json_string_value(json_object_get(object, key));
    return found && strcmp(found, text) == 0;
}

static bool counts(const json_t *object, const char *key, int64_t n) {
    const json_t *found = json_object_get(object, key);
    return json_is_integer(found) && json_integer_value(found) == n;
}

/* NaN where there is no number. */
static double number_of(const json_t *object, const char *key) {
    const json_t *found = json_object_get(object, key);
    return json_is_number(found) ? json_number_value(found) : (double)NAN;
}

static bool is_same_way(const json_t *o, const fal_measuring *m) {
    return says(o, "text_sha256", m->text_sha256) && says(o, "reference_type", m->reference_type)
           && says(o, "kernels", m->kernel_set) && counts(o, "window", m->n_window)
           && counts(o, "windows_at_most", m->n_windows) && counts(o, "threads", m->n_threads)
           && counts(o, "prompt_tokens", m->n_prompt) && counts(o, "answer_tokens", m->n_answer);
}

static void take_quality(fal_measured *out, const json_t *from) {
    fal_measured m = {.is_there = true,
                      .perplexity = number_of(from, "perplexity"),
                      .perplexity_error = number_of(from, "perplexity_error"),
                      .divergence = number_of(from, "kl_divergence"),
                      .divergence_error = number_of(from, "kl_divergence_error"),
                      .divergence_99 = number_of(from, "kl_divergence_99"),
                      .divergence_max = number_of(from, "kl_divergence_max"),
                      .agreement = number_of(from, "top_agreement"),
                      .agreement_error = number_of(from, "top_agreement_error")};
    if (!isnan(m.perplexity) && !isnan(m.divergence) && !isnan(m.agreement)) *out = m;
}

static void take_cost(fal_cost *out, const json_t *from) {
    fal_cost c = {.is_there = true,
                  .prompt_speed = number_of(from, "prompt_tokens_per_second"),
                  .answer_speed = number_of(from, "answer_tokens_per_second")};
    json_int_t peak = json_integer_value(json_object_get(from, "peak_memory_bytes"));
    if (peak > 0) c.peak_bytes = (uint64_t)peak;
    if (!isnan(c.prompt_speed) && !isnan(c.answer_speed)) *out = c;
}

static void take_one(fal_set_file *file, const json_t *o) {
    if (!file->sha256[0] || !says(o, "sha256", file->sha256)) return;
    take_quality(&file->measured, json_object_get(o, "measured"));
    take_cost(&file->cost, json_object_get(o, "cost"));
}

int fal_set_take_measured(fal_set *set, const char *path) {
    json_t *all = NULL;
    int n_taken = 0;
    if (fal_json_read_file(&all, path, NULL) != FAL_OK) return 0;
    const json_t *how = json_object_get(all, "measuring"), *files = json_object_get(all, "files");
    bool usable = is_same_way(how, &set->measuring) && counts(all, "context", set->n_context);
    for (size_t i = 0; usable && i < json_array_size(files); i++) {
        for (size_t k = 0; k < set->n_files; k++)
            take_one(&set->files[k], json_array_get(files, i));
    }
    for (size_t k = 0; k < set->n_files; k++)
        n_taken += set->files[k].measured.is_there && set->files[k].cost.is_there;
    if (usable) {
        set->measuring.reference_perplexity = number_of(how, "reference_perplexity");
        set->measuring.n_scored = json_integer_value(json_object_get(how, "tokens_scored"));
        set->measuring.reference_perplexity_error = number_of(how, "reference_perplexity_error");
    }
    json_decref(all);
    return n_taken;
}

/* ---- TSV ---- */

void fal_set_to_tsv(fal_string_builder *out, const fal_set *set) {
    fal_string_append_text(
        out, "type\tsize_gb\tbits_per_weight\tperplexity\tkl_divergence\ttop_agreement\n");
    for (size_t i = 0; i < set->n_files; i++) {
        const fal_set_file *f = &set->files[i];
        if (!f->measured.is_there) continue;
        fal_string_append_format(out, "%s\t%.9g\t%.6g\t%.9g\t%.9g\t%.9g\n", f->mix->name,
                                 (double)f->bytes / 1e9, fal_set_bits_per_weight(f),
                                 f->measured.perplexity, f->measured.divergence,
                                 f->measured.agreement);
    }
}
