/* Body of publish.h: the steps in their order. Each leaves whole files only, so that the next run goes on from there. */
#include "publish/publish.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/thread.h"
#include "convert/quantize.h"
#include "publish/card.h"
#include "publish/checksum.h"
#include "publish/links.h"
#include "publish/needs.h"
#include "publish/original.h"
#include "publish/plot.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_AT_ONCE = 4,
    DEFAULT_WINDOW = 512,
    PROMPT_TOKENS = 512,
    ANSWER_TOKENS = 32,
    MAX_TEXT_BYTES = 1 << 30,
    MAX_TEMPLATE_BYTES = 1 << 20
};

static const char reference_file[] = ".reference.gguf";

typedef struct publishing {
    const fal_publish_options *options;
    fal_set *set;
    fal_source *source;
    fal_quantize_output *outputs; /* [n_files] */
    char **paths;                 /* [n_files] */
    fal_original original;
    char *template_text, *hub_name, *thumbnail;
    const char *base_model;
    size_t template_length;
    char *reference_path; /* NULL: not needed so far */
    fal_importance importance;
    char importance_digest[FAL_SHA256_HEX]; /* of the text it is computed from */
    char what[64];                          /* the step */
    atomic_ullong bytes_done;
    atomic_flag is_reporting; /* digests come from several threads */
    uint64_t bytes_total;
} publishing;

const fal_mix *fal_publish_default_mix(int index) {
    static const char *const names[] = {"Q2_K",   "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0",
                                        "Q4_1",   "Q4_K_S", "Q4_K_M", "Q5_0",   "Q5_1",
                                        "Q5_K_S", "Q5_K_M", "Q6_K",   "Q8_0"};
    if (index < 0 || (size_t)index >= sizeof names / sizeof names[0]) return NULL;
    return fal_mix_by_name(names[index]);
}

/* ---- saying ---- */

__attribute__((format(printf, 3, 4))) static void say(const publishing *p, fal_log_level level,
                                                      const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fal_log log = p->options->log;
    if (log.function) log.function(log.user, level, "publish", text);
}

static bool report(publishing *p, uint64_t n_done, uint64_t n_total) {
    const fal_publish_options *o = p->options;
    return !o->on_progress || o->on_progress(o->user, p->what, n_done, n_total);
}

static bool on_quantize(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    (void)tensor;
    return report(user, (uint64_t)n_done, (uint64_t)n_total);
}

static bool on_evaluate(void *user, size_t n_done, size_t n_total) {
    return report(user, n_done, n_total);
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

static char *clean_copy(const char *text) {
    fal_string_builder clean = {0};
    fal_append_clean(&clean, fal_slice_of(text));
    return fal_string_take(&clean);
}

static fal_status choose_name(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    p->set->name = fal_model_name_of(o->name ? o->name : o->source);
    p->hub_name = fal_hub_name_of(o->source);
    p->base_model = o->base_model ? o->base_model : p->hub_name;
    if (!p->set->name) return fal_fail_memory(err, 0);
    if (strspn(p->set->name, "-._") == strlen(p->set->name))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "publish: '%s' gives no name for the files; --name does", o->source);
    return FAL_OK;
}

/* ---- the plan ---- */

static fal_quantize_options quantize_options(publishing *p) {
    return (fal_quantize_options){.n_threads = p->options->n_threads,
                                  .name = p->options->name,
                                  .importance_digest = p->importance_digest,
                                  .on_progress = on_quantize,
                                  .user = p};
}

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
    if (strcmp(p->paths[i], o->source) == 0)
        return fal_fail(err, FAL_E_ARGUMENT, "publish: '%s' would be written over itself",
                        o->source);
    fal_quantize_options options = quantize_options(p);
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
    FAL_TRY(fal_source_open(&p->source, p->options->source, false, &p->options->log, err));
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

/* ---- texts ---- */

/* The tokens of the file at path, as the evaluation wants them. */
static fal_status read_tokens(fal_tokens *out, const fal_tokenizer *t, const char *path,
                              fal_error *err) {
    char *text = NULL;
    size_t length = 0;
    FAL_TRY(fal_file_read(&text, &length, path, MAX_TEXT_BYTES, err));
    fal_status status = FAL_OK;
    int32_t bos = fal_tokenizer_bos(t);
    if (fal_tokenizer_adds_bos(t) && bos >= 0) status = fal_tokens_append(out, &bos, 1, err);
    if (status == FAL_OK)
        status = fal_tokenizer_encode(t, text, length, FAL_SPECIALS_AS_TEXT, out, NULL, err);
    fal_free(text);
    return status;
}

static fal_status check_text(const publishing *p, const char *path, int n_window, fal_error *err) {
    const fal_source *s = p->source;
    fal_tokens tokens = {0};
    if (!path) return FAL_OK;
    if (!s->tokenizer)
        return fal_fail(err, FAL_E_ARGUMENT, "publish: '%s' has no tokenizer to read '%s' with",
                        p->options->source, path);
    FAL_TRY(read_tokens(&tokens, s->tokenizer, path, err));
    if (n_window == 0) n_window = s->n_context < DEFAULT_WINDOW ? s->n_context : DEFAULT_WINDOW;
    size_t n_tokens = tokens.count;
    fal_tokens_release(&tokens);
    if (n_tokens >= (size_t)n_window) return FAL_OK;
    return fal_fail(err, FAL_E_LIMIT, "publish: '%s' has %zu tokens, a window needs %d", path,
                    n_tokens, n_window);
}

/* Before hours of work, not behind them. */
static fal_status check_texts(const publishing *p, fal_error *err) {
    FAL_TRY(check_text(p, p->options->calibration, 0, err));
    return check_text(p, p->options->text, p->options->n_window, err);
}

/* ---- the reference ---- */

/* The least exact type of full precision that loses nothing of the source's matrices. */
static const fal_mix *reference_mix(const fal_source *source) {
    const char *found = NULL;
    for (int i = 0; i < source->n_tensors; i++) {
        const fal_plan_tensor *t = &source->tensors[i];
        if (t->n_dims < 2) continue;
        bool known = strcmp(t->source->name, "f16") == 0 || strcmp(t->source->name, "bf16") == 0;
        if (!known || (found && strcmp(found, t->source->name) != 0)) return fal_mix_by_name("F32");
        found = t->source->name;
    }
    return fal_mix_by_name(found ? found : "F32");
}

/* A model of full precision: the source itself if it is a file, else one made for the time being. */
static fal_status make_reference(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    if (p->reference_path) return FAL_OK;
    if (!fal_file_is_directory(o->source)) {
        p->reference_path = fal_copy_string(o->source, strlen(o->source));
        return p->reference_path ? FAL_OK : fal_fail_memory(err, 0);
    }
    p->reference_path = fal_path_join(o->directory, reference_file);
    if (!p->reference_path) return fal_fail_memory(err, 0);
    fal_quantize_output output = {.path = p->reference_path,
                                  .plan = {.mix = reference_mix(p->source)}};
    fal_quantize_options options = quantize_options(p);
    snprintf(p->what, sizeof p->what, "converting to %s", output.plan.mix->name);
    return fal_quantize_write(p->source, &output, 1, &options, err);
}

static fal_status open_reference(publishing *p, fal_model **out, fal_error *err) {
    fal_model_options options = {.n_threads = p->options->n_threads};
    *out = NULL;
    FAL_TRY(make_reference(p, err));
    return fal_model_open(out, p->reference_path, &options, err);
}

/* ---- calibrating ---- */

static const float *find_importance(void *user, const char *tensor, int64_t n_cols) {
    return fal_importance_find(user, tensor, n_cols);
}

static fal_status calibrate(publishing *p, fal_error *err) {
    fal_model *model = NULL;
    fal_tokens tokens = {0};
    fal_status status = open_reference(p, &model, err);
    if (status == FAL_OK)
        status = read_tokens(&tokens, fal_model_tokenizer(model), p->options->calibration, err);
    fal_eval_options how = {.on_progress = on_evaluate, .user = p};
    snprintf(p->what, sizeof p->what, "calibrating");
    if (status == FAL_OK)
        status = fal_eval_importance(model, tokens.ids, tokens.count, &how, &p->importance, err);
    fal_tokens_release(&tokens);
    fal_model_close(model);
    return status;
}

/* ---- making files ---- */

/* Marks what is there already; returns how many files are missing. */
static size_t find_finished(publishing *p) {
    fal_quantize_options options = quantize_options(p);
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
        say(p, FAL_LOG_INFO, "kept, since they are finished: %s", kept.text ? kept.text : "");
    fal_string_release(&kept);
    return n_missing;
}

static fal_status make_files(publishing *p, fal_error *err) {
    size_t n_missing = find_finished(p), n_done = 0;
    size_t at_once = (size_t)(p->options->n_at_once ? p->options->n_at_once : DEFAULT_AT_ONCE);
    if (n_missing == 0) return FAL_OK;
    if (p->options->calibration) FAL_TRY(calibrate(p, err));
    fal_quantize_options options = quantize_options(p);
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

/* ---- facts ---- */

/* A prompt in the model's format, with words in braces where texts go. */
static fal_status render_example(publishing *p, const fal_model *model, fal_error *err) {
    const fal_chat_format *format = fal_model_chat_format(model);
    const fal_tokenizer *t = fal_model_tokenizer(model);
    const fal_message messages[] = {
        {"system", "{system prompt}"},
        {"user",   "{question}"     }
    };
    fal_tokens tokens = {0};
    fal_string_builder text = {0}, clean = {0};
    snprintf(p->set->chat_format, sizeof p->set->chat_format, "%s", fal_chat_format_name(format));
    if (strcmp(p->set->chat_format, "plain") == 0) return FAL_OK;
    fal_status status = fal_chat_render(format, t, messages, 2, true, &tokens, err);
    for (size_t i = 0; i < tokens.count && status == FAL_OK; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, tokens.ids[i], &length);
        fal_string_append(&text, piece ? piece : "", length);
    }
    fal_append_clean(&clean, (fal_slice){text.text ? text.text : "", text.length});
    if (status == FAL_OK) status = fal_string_status(&clean, err);
    if (status == FAL_OK) p->set->chat_example = fal_string_take(&clean);
    fal_string_release(&clean);
    fal_string_release(&text);
    fal_tokens_release(&tokens);
    return status;
}

static fal_status read_facts(publishing *p, fal_error *err) {
    fal_set *set = p->set;
    fal_model *model = NULL;
    fal_model_options options = {.n_threads = p->options->n_threads};
    FAL_TRY(fal_model_open(&model, p->paths[0], &options, err));
    const fal_model_info *info = fal_model_info_get(model);
    fal_needs needs = {0};
    set->n_context = info->n_context;
    set->measuring.n_threads = info->n_threads;
    snprintf(set->measuring.kernel_set, sizeof set->measuring.kernel_set, "%s", info->kernel_set);
    fal_status status = fal_needs_of(&needs, model, err);
    set->cache_bytes_per_token = needs.cache_bytes_per_token;
    set->working_bytes = needs.working_bytes;
    if (status == FAL_OK) status = render_example(p, model, err);
    fal_model_close(model);
    return status;
}

/* ---- digests ---- */

static bool on_digest(void *user, uint64_t n_bytes) {
    publishing *p = user;
    uint64_t done = atomic_fetch_add(&p->bytes_done, n_bytes) + n_bytes;
    if (atomic_flag_test_and_set(&p->is_reporting)) return true;
    bool goes_on = report(p, done, p->bytes_total);
    atomic_flag_clear(&p->is_reporting);
    return goes_on;
}

typedef struct digesting {
    publishing *p;
    fal_status *statuses; /* [n_files] */
    fal_error *errors;    /* [n_files] */
} digesting;

static void digest_files(void *argument, int64_t begin, int64_t end) {
    digesting *d = argument;
    for (int64_t i = begin; i < end; i++)
        d->statuses[i] = fal_sha256_file(d->p->set->files[i].sha256, d->p->paths[i], on_digest,
                                         d->p, &d->errors[i]);
}

static fal_status measure_sizes(publishing *p, fal_error *err) {
    p->bytes_total = 0;
    atomic_store(&p->bytes_done, 0);
    atomic_flag_clear(&p->is_reporting);
    for (size_t i = 0; i < p->set->n_files; i++) {
        fal_mapping map;
        FAL_TRY(fal_mapping_open(&map, p->paths[i], err));
        p->set->files[i].bytes = map.length;
        p->bytes_total += map.length;
        fal_mapping_release(&map);
    }
    return FAL_OK;
}

static fal_status digest_set(publishing *p, fal_error *err) {
    FAL_TRY(measure_sizes(p, err));
    snprintf(p->what, sizeof p->what, "computing SHA-256");
    size_t n = p->set->n_files;
    digesting d = {p, fal_alloc(n, sizeof *d.statuses), fal_alloc(n, sizeof *d.errors)};
    fal_pool *pool = NULL;
    fal_status status = d.statuses && d.errors ? fal_pool_open(&pool, p->options->n_threads, err)
                                               : fal_fail_memory(err, 0);
    if (status == FAL_OK) fal_pool_for(pool, (int64_t)n, 1, digest_files, &d);
    for (size_t i = 0; status == FAL_OK && i < n; i++) {
        status = d.statuses[i];
        if (status != FAL_OK && err) *err = d.errors[i];
    }
    fal_pool_close(pool);
    fal_free(d.statuses);
    fal_free(d.errors);
    return status;
}

/* ---- measuring ---- */

static fal_status write_text(const publishing *p, const char *name, const fal_string_builder *text,
                             fal_error *err) {
    FAL_TRY(fal_string_status(text, err));
    char *path = fal_path_join(p->options->directory, name);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_file_write(path, text->text, text->length, err);
    fal_free(path);
    return status;
}

static fal_status save_measurements(const publishing *p, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_set_to_json(&text, p->set, err);
    if (status == FAL_OK) status = write_text(p, "measurements.json", &text, err);
    fal_string_release(&text);
    return status;
}

static bool on_wait(void *user) {
    return report(user, 0, 1);
}

/* Before anything large is in memory, since the other process begins as a copy of this one. */
static fal_status measure_costs(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    const fal_measuring *m = &p->set->measuring;
    for (size_t i = 0; i < p->set->n_files; i++) {
        fal_set_file *file = &p->set->files[i];
        if (file->cost.is_there) continue;
        const fal_cost_question question = {.path = p->paths[i],
                                            .text = o->text,
                                            .n_threads = o->n_threads,
                                            .n_prompt = m->n_prompt,
                                            .n_answer = m->n_answer,
                                            .n_context = p->set->n_context,
                                            .run_apart = o->run_apart,
                                            .on_wait = on_wait,
                                            .user = p};
        snprintf(p->what, sizeof p->what, "timing %s", file->mix->name);
        if (!report(p, 0, 1)) return fal_fail(err, FAL_E_CANCELLED, "cancelled");
        FAL_TRY(fal_measure_cost(&file->cost, &question, err));
        if (o->run_apart && file->cost.peak_bytes == 0)
            say(p, FAL_LOG_WARNING,
                "%s: too little memory is free for a context of %d tokens; what it takes is added "
                "up instead of measured",
                file->mix->name, p->set->n_context);
        FAL_TRY(save_measurements(p, err));
    }
    return FAL_OK;
}

static fal_status measure_quality(publishing *p, fal_error *err) {
    fal_model *reference = NULL;
    fal_tokens tokens = {0};
    fal_status status = open_reference(p, &reference, err);
    if (status == FAL_OK)
        status = read_tokens(&tokens, fal_model_tokenizer(reference), p->options->text, err);
    for (size_t i = 0; i < p->set->n_files && status == FAL_OK; i++) {
        fal_set_file *file = &p->set->files[i];
        if (file->measured.is_there) continue;
        snprintf(p->what, sizeof p->what, "measuring %s", file->mix->name);
        status = fal_measure_quality(&file->measured, &p->set->measuring, reference, p->paths[i],
                                     &tokens, on_evaluate, p, err);
        if (status == FAL_OK) status = save_measurements(p, err);
    }
    fal_tokens_release(&tokens);
    fal_model_close(reference);
    return status;
}

static fal_status prepare_measuring(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    fal_measuring *m = &p->set->measuring;
    FAL_TRY(fal_sha256_file(m->text_sha256, o->text, NULL, NULL, err));
    m->text_name = clean_copy(fal_path_base(o->text));
    if (!m->text_name) return fal_fail_memory(err, 0);
    snprintf(m->reference_type, sizeof m->reference_type, "%s", reference_mix(p->source)->name);
    int n_context = p->set->n_context;
    m->n_window = o->n_window                  ? o->n_window
                  : n_context < DEFAULT_WINDOW ? n_context
                                               : DEFAULT_WINDOW;
    m->n_windows = o->n_windows;
    m->n_prompt = n_context / 2 < PROMPT_TOKENS ? n_context / 2 : PROMPT_TOKENS;
    m->n_answer = n_context / 4 < ANSWER_TOKENS ? n_context / 4 : ANSWER_TOKENS;
    return FAL_OK;
}

static fal_status measure_set(publishing *p, fal_error *err) {
    if (!p->options->text) return FAL_OK;
    FAL_TRY(prepare_measuring(p, err));
    char *path = fal_path_join(p->options->directory, "measurements.json");
    if (!path) return fal_fail_memory(err, 0);
    int n_taken = fal_set_take_measured(p->set, path);
    fal_free(path);
    if (n_taken > 0)
        say(p, FAL_LOG_INFO, "measured before, and taken over: %d of %zu", n_taken,
            p->set->n_files);
    if ((size_t)n_taken == p->set->n_files) return save_measurements(p, err);
    FAL_TRY(measure_costs(p, err));
    return measure_quality(p, err);
}

/* ---- what stands beside the files ---- */

static bool all_diverge(const fal_set *set) {
    for (size_t i = 0; i < set->n_files; i++) {
        if (!(set->files[i].measured.divergence > 0)) return false;
    }
    return true;
}

/* Says so and goes on where there is no gnuplot. One point is no plot. */
static fal_status write_plot(publishing *p, bool *has_plot, fal_error *err) {
    fal_string_builder table = {0};
    fal_error problem = {0};
    *has_plot = false;
    if (!p->options->text || p->set->n_files < 2) return FAL_OK;
    fal_set_to_tsv(&table, p->set);
    fal_status status = write_text(p, "quality.tsv", &table, err);
    fal_string_release(&table);
    char *tsv = fal_path_join(p->options->directory, "quality.tsv"),
         *svg = fal_path_join(p->options->directory, "quality.svg");
    if (status == FAL_OK && (!tsv || !svg)) status = fal_fail_memory(err, 0);
    if (status == FAL_OK) {
        status = fal_plot_quality(tsv, svg, all_diverge(p->set), &problem);
        *has_plot = status == FAL_OK;
        if (status == FAL_E_UNSUPPORTED) {
            say(p, FAL_LOG_WARNING, "%s", problem.message);
            fal_file_remove(svg);
            status = FAL_OK;
        } else if (status != FAL_OK && err) {
            *err = problem;
        }
    }
    fal_free(tsv);
    fal_free(svg);
    return status;
}

static fal_status write_checksums(const publishing *p, fal_error *err) {
    fal_checksums list = {0};
    fal_status status = FAL_OK;
    char *path = fal_path_join(p->options->directory, "SHA256SUMS");
    if (!path) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < p->set->n_files && status == FAL_OK; i++)
        status = fal_checksums_add(&list, p->set->files[i].sha256, p->set->files[i].name, err);
    if (status == FAL_OK) status = fal_checksums_write(&list, path, err);
    fal_checksums_release(&list);
    fal_free(path);
    return status;
}

static fal_status bring_thumbnail(publishing *p, fal_error *err) {
    const char *from = p->options->thumbnail;
    if (!from) return FAL_OK;
    p->thumbnail = fal_file_name_of(from);
    char *to = p->thumbnail ? fal_path_join(p->options->directory, p->thumbnail) : NULL;
    fal_status status = to ? fal_copy_file(from, to, err) : fal_fail_memory(err, 0);
    fal_free(to);
    return status;
}

static fal_status write_card(publishing *p, bool has_plot, fal_error *err) {
    const fal_publish_options *o = p->options;
    FAL_TRY(bring_thumbnail(p, err));
    if (fal_file_is_directory(o->source))
        FAL_TRY(
            fal_original_bring_files(&p->original, o->source, o->directory, p->base_model, err));
    const fal_card card = {.set = p->set,
                           .front = p->original.front,
                           .original = fal_slice_of(p->original.body ? p->original.body : ""),
                           .base_model = p->base_model,
                           .license = o->license,
                           .thumbnail = p->thumbnail,
                           .plot = has_plot ? "quality.svg" : NULL};
    fal_slice text =
        o->template_file ? (fal_slice){p->template_text, p->template_length} : fal_card_template();
    const char *template_name = o->template_file ? o->template_file : "card_template.md";
    fal_string_builder readme = {0};
    fal_status status = fal_card_write(&readme, &card, text, template_name, err);
    if (status == FAL_OK) status = write_text(p, "README.md", &readme, err);
    fal_string_release(&readme);
    return status;
}

/* ---- the whole ---- */

static fal_status publish(publishing *p, fal_error *err) {
    const fal_publish_options *o = p->options;
    bool has_plot = false;
    FAL_TRY(check_options(o, err));
    FAL_TRY(choose_name(p, err));
    FAL_TRY(read_template(p, err));
    FAL_TRY(read_original(p, err));
    if (o->calibration) {
        FAL_TRY(fal_sha256_file(p->importance_digest, o->calibration, NULL, NULL, err));
        p->set->calibration_name = clean_copy(fal_path_base(o->calibration));
        if (!p->set->calibration_name) return fal_fail_memory(err, 0);
    }
    FAL_TRY(plan_set(p, err));
    FAL_TRY(check_texts(p, err));
    FAL_TRY(fal_folder_make(o->directory, err));
    FAL_TRY(make_files(p, err));
    FAL_TRY(read_facts(p, err));
    FAL_TRY(digest_set(p, err));
    FAL_TRY(measure_set(p, err));
    FAL_TRY(write_plot(p, &has_plot, err));
    FAL_TRY(write_checksums(p, err));
    return write_card(p, has_plot, err);
}

/* Also one that a run left which was killed. */
static void remove_reference(const publishing *p) {
    if (!fal_file_is_directory(p->options->source)) return;
    char *path = fal_path_join(p->options->directory, reference_file);
    if (path) fal_file_remove(path);
    fal_free(path);
}

fal_status fal_publish(fal_set *out, const fal_publish_options *options, fal_error *err) {
    *out = (fal_set){0};
    publishing p = {.options = options, .set = out};
    fal_status status = publish(&p, err);
    remove_reference(&p);
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
