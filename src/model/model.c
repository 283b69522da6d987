/* Body of <falconer/model.h>: parameters, restored settings, weights bound, shapes proved by a planned step. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "model/forward.h"
#include "model/model_private.h"
#include "model/restore.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    PLANNED_TOKENS = 8
};

static const double DEFAULT_FACTOR = 4;

__attribute__((format(printf, 3, 4))) static void log_line(const fal_log *log, fal_log_level level,
                                                           const char *format, ...) {
    if (!log->function) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log->function(log->user, level, "model", text);
}

static void copy_text(char *out, size_t size, fal_gguf_string text) {
    size_t n = text.length < size ? text.length : size - 1;
    if (n) memcpy(out, text.data, n);
    out[n] = '\0';
}

static fal_status find_arch(fal_model *m, fal_error *err) {
    fal_gguf_string text;
    char name[64];
    FAL_TRY(fal_gguf_get_string(m->file, "general.architecture", &text, err));
    copy_text(name, sizeof name, text);
    m->arch = fal_arch_by_name(name);
    if (!m->arch) return fal_fail(err, FAL_E_UNSUPPORTED, "architecture '%s' is not known", name);
    return FAL_OK;
}

/* What the caller asks for instead of what the file says. */
static fal_status override_context(fal_params *p, const fal_model_options *o, fal_error *err) {
    if (!o->context_method && o->context_scale == 0 && o->context_original == 0) return FAL_OK;
    if (!fal_params_has(p, FAL_FEATURE_ROPE))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "context method: the model has no rotary positions to extend");
    if (o->context_scale != 0 && !(o->context_scale >= 1 && o->context_scale <= 1e6))
        return fal_fail(err, FAL_E_ARGUMENT, "context scale %g, between 1 and 1e6 is possible",
                        o->context_scale);
    fal_rope_settings *rope = &p->rope;
    bool was_extended = rope->factor > 1;
    if (o->context_method) {
        const fal_rope_method *method = fal_rope_method_by_name(o->context_method);
        if (!method)
            return fal_fail(err, FAL_E_NOT_FOUND, "context method '%.60s' is not known",
                            o->context_method);
        fal_rope_settings_set_method(rope, method);
        if (!was_extended) rope->factor = DEFAULT_FACTOR;
    }
    bool is_none = strcmp(rope->method->name, "none") == 0;
    if (is_none && o->context_scale > 1)
        return fal_fail(err, FAL_E_ARGUMENT, "context scale %g: a context method is needed with it",
                        o->context_scale);
    if (o->context_scale != 0) rope->factor = o->context_scale;
    if (is_none) rope->factor = 1;
    if (o->context_original < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "original context %d, at least 1 is needed",
                        o->context_original);
    if (o->context_original > 0) rope->trained_context = o->context_original;
    double extended = rope->trained_context * rope->factor;
    if (extended > INT32_MAX)
        return fal_fail(err, FAL_E_ARGUMENT, "context of %g tokens, at most %d is possible",
                        extended, INT32_MAX);
    p->n_context = (int)extended;
    return FAL_OK;
}

static fal_status prepare_positions(fal_model *m, fal_error *err) {
    const fal_params *p = &m->params;
    m->info.rope_gain = m->rope_gain = 1;
    m->info.trained_context = p->n_context;
    m->info.rope_factor = 1;
    if (fal_params_has(p, FAL_FEATURE_ALIBI)) {
        m->info.rope_method = "alibi";
        m->alibi_slopes = fal_alloc((size_t)p->n_heads, sizeof *m->alibi_slopes);
        if (!m->alibi_slopes) return fal_fail_memory(err, 0);
        fal_params_alibi_slopes(p, m->alibi_slopes);
        return FAL_OK;
    }
    if (!fal_params_has(p, FAL_FEATURE_ROPE)) {
        m->info.rope_method = "learned";
        return FAL_OK;
    }
    m->frequency = fal_alloc((size_t)p->head_dim / 2, sizeof *m->frequency);
    if (!m->frequency) return fal_fail_memory(err, 0);
    m->info.rope_method = p->rope.method->name;
    m->info.rope_factor = p->rope.factor;
    m->info.trained_context = p->rope.trained_context;
    FAL_TRY(fal_rope_settings_compute(&p->rope, p->head_dim, 0, m->frequency, &m->info.rope_base,
                                      &m->rope_gain, err));
    m->info.rope_gain = m->rope_gain;
    return FAL_OK;
}

static void fill_info(fal_model *m) {
    const fal_params *p = &m->params;
    fal_gguf_string name;
    if (fal_gguf_find_string(m->file, "general.name", &name))
        copy_text(m->name, sizeof m->name, name);
    fal_model_info *i = &m->info;
    i->architecture = m->arch->name;
    i->name = m->name;
    i->n_layers = p->n_layers;
    i->n_heads = p->n_heads;
    i->n_kv_heads = p->n_kv_heads;
    i->head_dim = p->head_dim;
    i->d_model = p->d_model;
    i->d_ff = p->d_ff;
    i->n_vocab = p->n_vocab;
    i->n_context = p->n_context;
    i->restored = m->restored;
    i->n_threads = m->device->n_threads;
    i->device = m->device->backend->name;
    i->kernel_set = m->device->backend->kernel_set(m->device);
}

static fal_status check_vocabulary(const fal_model *m, fal_error *err) {
    int32_t n_tokens = fal_tokenizer_n_vocab(m->tokenizer);
    if (n_tokens > m->params.n_vocab)
        return fal_fail(err, FAL_E_FORMAT,
                        "vocabulary of %d tokens, but the embedding has only %d rows", n_tokens,
                        m->params.n_vocab);
    return FAL_OK;
}

/* The rest of opening, once m has its file. */
static fal_status open_model(fal_model *m, const fal_model_options *o, fal_error *err) {
    double began = fal_seconds();
    FAL_TRY(find_arch(m, err));
    FAL_TRY(fal_metadata_check_kinds(m->file, err));
    if (fal_gguf_tensor_count(m->file) == 0)
        return fal_fail(err, FAL_E_FORMAT,
                        "the file holds a vocabulary or metadata, but no weights");
    FAL_TRY(m->arch->params_from_gguf(&m->params, m->file, err));
    FAL_TRY(fal_params_check(&m->params, err));
    FAL_TRY(fal_tokenizer_open(&m->tokenizer, m->file, err));
    FAL_TRY(check_vocabulary(m, err));
    if (!o->as_stored)
        fal_restore_settings(&m->params, m->file, m->tokenizer, fal_gguf_path(m->file), m->restored,
                             sizeof m->restored);
    if (m->restored[0]) log_line(&o->log, FAL_LOG_WARNING, "%s", m->restored);
    FAL_TRY(override_context(&m->params, o, err));
    m->chat_format = fal_chat_format_detect(m->tokenizer, m->file);
    FAL_TRY(fal_device_open(&m->device, o->device, o->n_threads, err));
    FAL_TRY(fal_model_bind_weights(m, err));
    FAL_TRY(prepare_positions(m, err));
    size_t scratch_bytes;
    FAL_TRY(
        fal_model_plan(m, PLANNED_TOKENS, 1, fal_model_default_kv_type(m), &scratch_bytes, err));
    fill_info(m);
    uint64_t available = fal_available_memory();
    if (m->info.weight_bytes > available)
        log_line(&o->log, FAL_LOG_WARNING,
                 "weights of %.1f GiB, but %.1f GiB of memory are free: expect it to be slow",
                 (double)m->info.weight_bytes / 0x1p30, (double)available / 0x1p30);
    log_line(&o->log, FAL_LOG_DEBUG, "opened %d layers, %.1f MiB, in %.3f s", m->params.n_layers,
             (double)m->info.weight_bytes / 0x1p20, fal_seconds() - began);
    return FAL_OK;
}

/* Takes file, also on failure. */
static fal_status open_file(fal_model **out, fal_gguf *take_file, const fal_model_options *options,
                            fal_error *err) {
    static const fal_model_options defaults;
    fal_model *m = fal_alloc(1, sizeof *m);
    if (!m) {
        fal_gguf_close(take_file);
        return fal_fail_memory(err, sizeof *m);
    }
    m->file = take_file;
    fal_status status = open_model(m, options ? options : &defaults, err);
    if (status != FAL_OK) {
        /* The reader of the file names it already. */
        const char *path = fal_gguf_path(m->file);
        if (err && !strstr(err->message, path)) fal_add_context(err, status, "%s", path);
        fal_model_close(m);
        return status;
    }
    *out = m;
    return FAL_OK;
}

fal_status fal_model_open(fal_model **out, const char *path, const fal_model_options *options,
                          fal_error *err) {
    *out = NULL;
    fal_gguf *file = NULL;
    FAL_TRY(fal_gguf_open(&file, path, err));
    return open_file(out, file, options, err);
}

fal_status fal_model_open_memory(fal_model **out, const void *data, size_t length, const char *name,
                                 const fal_model_options *options, fal_error *err) {
    *out = NULL;
    fal_gguf *file = NULL;
    FAL_TRY(fal_gguf_open_memory(&file, data, length, name, err));
    return open_file(out, file, options, err);
}

void fal_model_close(fal_model *m) {
    if (!m) return;
    fal_device_close(m->device);
    fal_tokenizer_close(m->tokenizer);
    fal_gguf_close(m->file);
    fal_free(m->frequency);
    fal_free(m->alibi_slopes);
    fal_free(m->vectors);
    fal_free(m->weights);
    fal_free(m);
}

const fal_model_info *fal_model_info_get(const fal_model *m) {
    return &m->info;
}

const fal_tokenizer *fal_model_tokenizer(const fal_model *m) {
    return m->tokenizer;
}

const fal_gguf *fal_model_gguf(const fal_model *m) {
    return m->file;
}

const fal_chat_format *fal_model_chat_format(const fal_model *m) {
    return m->chat_format;
}

const fal_params *fal_model_params(const fal_model *m) {
    return &m->params;
}

fal_device *fal_model_device(const fal_model *m) {
    return m->device;
}

bool fal_model_weight_name(const fal_model *m, const void *data, char out[FAL_WEIGHT_NAME_SIZE]) {
    for (int i = 0; i < (m->params.n_layers + 1) * FAL_WEIGHT_COUNT; i++) {
        if (!fal_tensor_is_given(m->weights[i]) || m->weights[i].data != data) continue;
        fal_weight_gguf_name((fal_weight_id)(i % FAL_WEIGHT_COUNT), i / FAL_WEIGHT_COUNT, out);
        return true;
    }
    return false;
}

const fal_type *fal_model_default_kv_type(const fal_model *m) {
    const fal_type *f32 = fal_type_by_id(FAL_TYPE_F32);
    for (int i = 0; i < (m->params.n_layers + 1) * FAL_WEIGHT_COUNT; i++) {
        if (fal_tensor_is_given(m->weights[i]) && m->weights[i].type != f32)
            return fal_type_by_id(FAL_TYPE_F16);
    }
    return f32;
}

uint64_t fal_model_kv_bytes(const fal_model *m, int n_context, const char *kv_type) {
    const fal_type *type = kv_type ? fal_type_by_name(kv_type) : fal_model_default_kv_type(m);
    if (!type || n_context < 0) return 0;
    const fal_params *p = &m->params;
    return 2 * (uint64_t)p->n_layers * (uint64_t)n_context * (uint64_t)p->n_kv_heads
           * (uint64_t)p->head_dim * (uint64_t)type->bytes_per_block
           / (uint64_t)type->weights_per_block;
}

bool fal_model_has_dynamic_rope(const fal_model *m) {
    return fal_params_has(&m->params, FAL_FEATURE_ROPE)
           && fal_rope_method_is_dynamic(m->params.rope.method);
}

fal_status fal_model_frequencies(const fal_model *m, int length, double *frequency, double *gain,
                                 fal_error *err) {
    if (!m->frequency) return FAL_OK;
    if (fal_model_has_dynamic_rope(m))
        return fal_rope_settings_compute(&m->params.rope, m->params.head_dim, length, frequency,
                                         NULL, gain, err);
    memcpy(frequency, m->frequency, (size_t)m->params.head_dim / 2 * sizeof *frequency);
    *gain = m->rope_gain;
    return FAL_OK;
}

fal_status fal_model_plan(const fal_model *m, int64_t n_tokens, int64_t n_wanted,
                          const fal_type *kv_type, size_t *scratch_bytes, fal_error *err) {
    fal_queue *queue;
    FAL_TRY(fal_queue_open_plan(&queue, m->device, err));
    fal_cache cache = {.type = kv_type, .n_context = n_tokens};
    fal_step_part part = {.cache = &cache,
                          .n_tokens = n_tokens,
                          .n_wanted = n_wanted,
                          .frequency = m->frequency,
                          .gain = m->rope_gain};
    fal_segment segment;
    fal_step s = {
        .queue = queue,
        .n_tokens = n_tokens,
        .n_wanted = n_wanted,
        .parts = &part,
        .n_parts = 1,
        .segments = &segment,
    };
    fal_model_forward(m, &s);
    fal_tensor logits = {.type = fal_type_by_id(FAL_TYPE_F32),
                         .n_rows = n_wanted,
                         .n_cols = m->params.n_vocab,
                         .row_bytes = (size_t)m->params.n_vocab * sizeof(float)};
    fal_model_head(m, queue, logits, s.hidden);
    fal_status status = fal_queue_wait(queue, err);
    *scratch_bytes = s.scratch_used;
    fal_queue_close(queue);
    return status;
}

void fal_model_forward(const fal_model *m, fal_step *s) {
    s->scratch_used = 0;
    m->arch->forward(m, s);
}

void fal_model_head(const fal_model *m, fal_queue *queue, fal_tensor logits, fal_tensor hidden) {
    if (hidden.n_rows == 0) return;
    fal_tensor head = fal_weight(m, FAL_WEIGHT_OUTPUT, 0);
    if (!fal_tensor_is_given(head)) head = fal_weight(m, FAL_WEIGHT_TOKEN_EMBD, 0);
    queue->ops->linear(queue, logits, hidden, head, FAL_NONE);
}
