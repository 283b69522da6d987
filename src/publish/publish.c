/* Body of publish.h: the steps in their order. Each leaves whole files only, so that the next run goes on from there. */
#include "publish/publish.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "publish/card.h"
#include "publish/links.h"
#include "publish/publishing_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_AT_ONCE = 4,
    MAX_TEMPLATE_BYTES = 1 << 20
};

const fal_mix *fal_publish_default_mix(int index) {
    static const char *const names[] = {"Q2_K",   "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0",
                                        "Q4_1",   "Q4_K_S", "Q4_K_M", "Q5_0",   "Q5_1",
                                        "Q5_K_S", "Q5_K_M", "Q6_K",   "Q8_0"};
    if (index < 0 || (size_t)index >= sizeof names / sizeof names[0]) return NULL;
    return fal_mix_by_name(names[index]);
}

/* ---- saying ---- */

void fal_publishing_say(const publishing *p, fal_log_level level, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fal_log log = p->options->log;
    if (log.function) log.function(log.user, level, "publish", text);
}

bool fal_publishing_report(publishing *p, uint64_t n_done, uint64_t n_total) {
    const fal_publish_options *o = p->options;
    return !o->on_progress || o->on_progress(o->user, p->what, n_done, n_total);
}

static bool on_quantize(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    (void)tensor;
    return fal_publishing_report(user, (uint64_t)n_done, (uint64_t)n_total);
}

fal_quantize_options fal_publishing_quantize_options(publishing *p) {
    return (fal_quantize_options){.n_threads = p->options->n_threads,
                                  .words.name = p->options->name,
                                  .importance_digest = p->importance_digest,
                                  .on_progress = on_quantize,
                                  .user = p};
}

char *fal_publishing_clean_copy(const char *text) {
    fal_string_builder clean = {0};
    fal_append_clean(&clean, fal_slice_of(text));
    return fal_string_take(&clean);
}

/* ---- what is asked ---- */

/* What stands in links and in the front matter has no room for anything else. */
static bool is_word(const char *text, const char *marks) {
    for (const char *c = text; *c; c++) {
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')
                        || (*c >= '0' && *c <= '9') || strchr(marks, *c);
        if (!is_plain) return false;
    }
    return *text != '\0';
}

static fal_status check_options(const fal_publish_options *o, fal_error *err) {
    if (fal_file_is_same(o->source, o->directory))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: '%s' holds the model itself, whose README.md would be lost",
                        o->directory);
    if (o->n_mixes == 0) return fal_fail(err, FAL_E_ARGUMENT, "publish: no types are named");
    for (size_t i = 0; i < o->n_mixes; i++) {
        for (size_t k = 0; k < i; k++) {
            if (o->mixes[k] == o->mixes[i])
                return fal_fail(err, FAL_E_ARGUMENT, "publish: type %s is named twice",
                                o->mixes[i]->name);
        }
    }
    if (o->base_model && !is_word(o->base_model, "._-/"))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: base model '%.60s': a name at its hub is needed, owner/name",
                        o->base_model);
    if (o->license && !is_word(o->license, "._-+"))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: license '%.60s': an identifier is needed, such as apache-2.0",
                        o->license);
    const char *const files[] = {o->text, o->calibration, o->card, o->thumbnail};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!files[i]) continue;
        fal_mapping map;
        FAL_TRY(fal_mapping_open(&map, files[i], err));
        bool is_empty = map.length == 0;
        fal_mapping_release(&map);
        if (is_empty) return fal_fail(err, FAL_E_ARGUMENT, "publish: '%s' is empty", files[i]);
    }
    return FAL_OK;
}

static fal_status read_template(publishing *p, fal_error *err) {
    const char *path = p->options->template_file;
    if (!path) return FAL_OK;
    FAL_TRY(fal_file_read(&p->template_text, &p->template_length, path, MAX_TEMPLATE_BYTES, err));
    return fal_card_check_template((fal_slice){p->template_text, p->template_length}, path, err);
}

static fal_status read_original(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    if (o->card) return fal_original_read(&p->original, o->card, &o->log, err);
    if (!fal_file_is_directory(o->source)) return FAL_OK;
    char *path = fal_path_join(o->source, "README.md");
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_original_read(&p->original, path, &o->log, err);
    fal_free(path);
    return status;
}

/* Whether a name is one that every training run gives to what it writes. */
static bool says_nothing(const char *name) {
    return strcmp(name, "hf") == 0 || strcmp(name, "model") == 0;
}

/* By its path, or by what the model calls itself where that says nothing. NULL when memory is short. */
static char *name_of_source(const publishing *p) {
    char *by_path = fal_model_name_of(p->options->source);
    if (!by_path || !says_nothing(by_path) || !p->source->name) return by_path;
    fal_free(by_path);
    return fal_model_name_of(p->source->name);
}

static fal_status choose_name(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    p->set->name = o->name ? fal_model_name_of(o->name) : name_of_source(p);
    p->hub_name = fal_hub_name_of(o->source);
    p->base_model = o->base_model ? o->base_model : p->hub_name;
    if (!p->set->name) return fal_fail_memory(err, 0);
    if (strspn(p->set->name, "-._") == strlen(p->set->name))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: '%s' gives no name for the files; --name does", o->source);
    return FAL_OK;
}

/* ---- the plan ---- */

static fal_status plan_file(publishing *p, size_t i, fal_error *err) {
    const fal_publish_options *o = p->options;
    fal_set_file *file = &p->set->files[i];
    fal_string_builder name = {0};
    fal_string_append_format(&name, "%s.%s.gguf", p->set->name, o->mixes[i]->name);
    file->mix = o->mixes[i];
    file->name = fal_string_take(&name);
    p->paths[i] = file->name ? fal_path_join(o->directory, file->name) : NULL;
    if (!p->paths[i]) return fal_fail_memory(err, 0);
    p->outputs[i] = (fal_quantize_output){
        .path = p->paths[i],
        .plan = {.mix = file->mix, .recipe = o->recipe, .has_importance = o->calibration != NULL}
    };
    if (fal_file_is_same(p->paths[i], o->source))
        return fal_fail(err, FAL_E_ARGUMENT, "publish: '%s' would be written over itself",
                        o->source);
    fal_quantize_options options = fal_publishing_quantize_options(p);
    fal_quantize_report planned = {0};
    FAL_TRY(fal_quantize_plan(&planned, p->source, &p->outputs[i], &options, err));
    file->plan = planned.summary;
    fal_quantize_report_release(&planned);
    p->set->n_parameters = file->plan.n_parameters;
    return FAL_OK;
}

static fal_status plan_set(publishing *p, fal_error *err) {
    fal_set *set = p->set;
    size_t n = p->options->n_mixes;
    snprintf(set->architecture, sizeof set->architecture, "%s", p->source->architecture);
    set->recipe = p->options->recipe;
    set->files = fal_alloc(n, sizeof *set->files);
    p->outputs = fal_alloc(n, sizeof *p->outputs);
    p->paths = fal_alloc(n, sizeof *p->paths);
    if (!set->files || !p->outputs || !p->paths) return fal_fail_memory(err, 0);
    set->n_files = n;
    for (size_t i = 0; i < n; i++)
        FAL_TRY(plan_file(p, i, err));
    return FAL_OK;
}

/* ---- making files ---- */

static const float *find_importance(void *user, const char *tensor, int64_t n_cols) {
    return fal_importance_find(user, tensor, n_cols);
}

/* Marks what is there already; returns how many files are missing. */
static size_t find_finished(publishing *p) {
    fal_quantize_options options = fal_publishing_quantize_options(p);
    fal_string_builder kept = {0};
    size_t n_missing = 0;
    for (size_t i = 0; i < p->set->n_files; i++) {
        fal_set_file *file = &p->set->files[i];
        file->was_kept = fal_file_exists(p->paths[i])
                         && fal_quantize_is_finished(p->source, &p->outputs[i], &options);
        n_missing += !file->was_kept;
        if (file->was_kept)
            fal_string_append_format(&kept, "%s%s", kept.length ? ", " : "", file->mix->name);
    }
    if (kept.length > 0)
        fal_publishing_say(p, FAL_LOG_INFO, "kept, since they are finished: %s",
                           kept.text ? kept.text : "");
    fal_string_release(&kept);
    return n_missing;
}

static fal_status make_files(publishing *p, fal_error *err) {
    size_t n_missing = find_finished(p), n_done = 0;
    size_t at_once = (size_t)(p->options->n_at_once ? p->options->n_at_once : DEFAULT_AT_ONCE);
    if (n_missing == 0) return FAL_OK;
    if (p->options->calibration) FAL_TRY(fal_publishing_calibrate(p, err));
    fal_quantize_options options = fal_publishing_quantize_options(p);
    if (p->options->calibration) {
        options.find_importance = find_importance;
        options.importance = &p->importance;
    }
    fal_quantize_output *group = fal_alloc(at_once, sizeof *group);
    if (!group) return fal_fail_memory(err, 0);
    fal_status status = FAL_OK;
    for (size_t i = 0; i < p->set->n_files && status == FAL_OK;) {
        size_t n = 0;
        for (; i < p->set->n_files && n < at_once; i++)
            if (!p->set->files[i].was_kept) group[n++] = p->outputs[i];
        snprintf(p->what, sizeof p->what, "quantizing %zu-%zu of %zu", n_done + 1, n_done + n,
                 n_missing);
        if (n > 0) status = fal_quantize_write(p->source, group, n, &options, err);
        n_done += n;
    }
    fal_free(group);
    fal_importance_release(&p->importance);
    return status;
}

/* ---- the whole ---- */

static fal_status publish(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    FAL_TRY(check_options(o, err));
    FAL_TRY(read_template(p, err));
    FAL_TRY(fal_source_open(&p->source, o->source, false, &o->log, err));
    FAL_TRY(choose_name(p, err));
    FAL_TRY(read_original(p, err));
    if (o->calibration) {
        FAL_TRY(fal_sha256_file(p->importance_digest, o->calibration, NULL, NULL, err));
        p->set->calibration_name = fal_publishing_clean_copy(fal_path_base(o->calibration));
        if (!p->set->calibration_name) return fal_fail_memory(err, 0);
    }
    FAL_TRY(plan_set(p, err));
    FAL_TRY(fal_publishing_check_texts(p, err));
    FAL_TRY(fal_folder_make(o->directory, err));
    FAL_TRY(make_files(p, err));
    FAL_TRY(fal_publishing_read_facts(p, err));
    FAL_TRY(fal_publishing_digest(p, err));
    FAL_TRY(fal_publishing_measure(p, err));
    return fal_publishing_write_papers(p, err);
}

fal_status fal_publish(fal_set *out, const fal_publish_options *options, fal_error *err) {
    *out = (fal_set){0};
    publishing p = {.options = options, .set = out};
    fal_status status = publish(&p, err);
    fal_publishing_remove_reference(&p);
    for (size_t i = 0; p.paths && i < options->n_mixes; i++)
        fal_free(p.paths[i]);
    fal_free(p.paths);
    fal_free(p.outputs);
    fal_source_close(p.source);
    fal_original_release(&p.original);
    fal_importance_release(&p.importance);
    fal_free(p.template_text);
    fal_free(p.hub_name);
    fal_free(p.thumbnail);
    fal_free(p.reference_path);
    return status;
}
