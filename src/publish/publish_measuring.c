/* What the numbers of a set are: texts, the reference, importance, digests, quality and cost. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/thread.h"
#include "publish/links.h"
#include "publish/needs.h"
#include "publish/publishing_private.h"

#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_WINDOW = 512,
    PROMPT_TOKENS = 512,
    ANSWER_TOKENS = 32,
    MAX_TEXT_BYTES = 1 << 30
};

static const char reference_file[] = ".reference.gguf";

static bool on_evaluate(void *user, size_t n_done, size_t n_total) {
    return fal_publishing_report(user, n_done, n_total);
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

fal_status fal_publishing_check_texts(const publishing *p, fal_error *err) {
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
    fal_quantize_options options = fal_publishing_quantize_options(p);
    snprintf(p->what, sizeof p->what, "converting to %s", output.plan.mix->name);
    return fal_quantize_write(p->source, &output, 1, &options, err);
}

static fal_status open_reference(publishing *p, fal_model **out, fal_error *err) {
    fal_model_options options = {.n_threads = p->options->n_threads};
    *out = NULL;
    FAL_TRY(make_reference(p, err));
    return fal_model_open(out, p->reference_path, &options, err);
}

void fal_publishing_remove_reference(const publishing *p) {
    if (!fal_file_is_directory(p->options->source)) return;
    char *path = fal_path_join(p->options->directory, reference_file);
    if (path) fal_file_remove(path);
    fal_free(path);
}

/* ---- calibrating ---- */

fal_status fal_publishing_calibrate(publishing *p, fal_error *err) {
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

fal_status fal_publishing_read_facts(publishing *p, fal_error *err) {
    fal_set *set = p->set;
    fal_model *model = NULL;
    fal_model_options options = {.n_threads = p->options->n_threads};
    FAL_TRY(fal_model_open(&model, p->paths[0], &options, err));
    const fal_model_info *info = fal_model_info_get(model);
    fal_needs needs = {0};
    set->n_context = info->n_context;
    set->measuring.n_threads = info->n_threads;
    snprintf(set->measuring.kernel_set, sizeof set->measuring.kernel_set, "%s", info->kernel_set);
    fal_status status = fal_needs_of(&needs, model, NULL, err);
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
    bool goes_on = fal_publishing_report(p, done, p->bytes_total);
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

fal_status fal_publishing_digest(publishing *p, fal_error *err) {
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

static fal_status save_measurements(const publishing *p, fal_error *err) {
    fal_string_builder text = {0};
    fal_status status = fal_set_to_json(&text, p->set, err);
    if (status == FAL_OK) status = fal_publishing_write_text(p, "measurements.json", &text, err);
    fal_string_release(&text);
    return status;
}

static bool on_wait(void *user) {
    publishing *p = user;
    size_t n_timed = 0;
    for (size_t i = 0; i < p->set->n_files; i++)
        n_timed += p->set->files[i].cost.is_there;
    return fal_publishing_report(p, n_timed, p->set->n_files);
}

static fal_status measure_cost(publishing *p, size_t i, fal_error *err) {
    const fal_publish_options *o = p->options;
    const fal_measuring *m = &p->set->measuring;
    fal_set_file *file = &p->set->files[i];
    const fal_cost_question question = {.path = p->paths[i],
                                        .text = o->text,
                                        .n_threads = o->n_threads,
                                        .n_prompt = m->n_prompt,
                                        .n_answer = m->n_answer,
                                        .n_context = p->set->n_context,
                                        .run_apart = o->run_apart,
                                        .on_wait = on_wait,
                                        .user = p};
    FAL_TRY(fal_measure_cost(&file->cost, &question, err));
    if (o->run_apart && file->cost.peak_bytes == 0)
        fal_publishing_say(p, FAL_LOG_WARNING,
                           "%s: too little memory is free for a context of %d tokens; what it "
                           "takes is added up instead of measured",
                           file->mix->name, p->set->n_context);
    return save_measurements(p, err);
}

/* Before anything large is in memory, since the other process begins as a copy of this one. */
static fal_status measure_costs(publishing *p, fal_error *err) {
    snprintf(p->what, sizeof p->what, "timing");
    for (size_t i = 0; i < p->set->n_files; i++) {
        if (!on_wait(p)) return fal_fail(err, FAL_E_CANCELLED, "cancelled while timing files");
        if (!p->set->files[i].cost.is_there) FAL_TRY(measure_cost(p, i, err));
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
    m->text_name = fal_publishing_clean_copy(fal_path_base(o->text));
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

fal_status fal_publishing_measure(publishing *p, fal_error *err) {
    if (!p->options->text) return FAL_OK;
    FAL_TRY(prepare_measuring(p, err));
    char *path = fal_path_join(p->options->directory, "measurements.json");
    if (!path) return fal_fail_memory(err, 0);
    int n_taken = fal_set_take_measured(p->set, path);
    fal_free(path);
    if (n_taken > 0)
        fal_publishing_say(p, FAL_LOG_INFO, "measured before, and taken over: %d of %zu", n_taken,
                           p->set->n_files);
    if ((size_t)n_taken == p->set->n_files) return save_measurements(p, err);
    FAL_TRY(measure_costs(p, err));
    return measure_quality(p, err);
}
