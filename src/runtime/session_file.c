/* Timelines that move: into another session, into a file and back. The form of the file is saved_timeline.c's. */
#include "runtime/session_file.h"

#include "base/alloc.h"
#include "runtime/session_private.h"

#include <stdio.h>
#include <string.h>

/* Bytes of one token's keys in one layer. */
static size_t cell_bytes(const fal_session *s) {
    return s->cache_bytes / (size_t)fal_model_params(s->model)->n_layers
           / (size_t)s->cache.n_context;
}

/* Where a layer's cells begin; base is cache.keys or cache.values. */
static char *layer_of(const fal_session *s, char *base, int layer) {
    return base + (size_t)layer * (size_t)s->cache.n_context * cell_bytes(s);
}

static fal_status check_room(const fal_session *s, uint64_t n, fal_error *err) {
    if (n > (uint64_t)s->cache.n_context)
        return fal_fail(err, FAL_E_LIMIT, "%llu tokens, but the session's context holds %lld",
                        (unsigned long long)n, (long long)s->cache.n_context);
    return FAL_OK;
}

fal_status fal_session_copy(fal_session *to, const fal_session *from, size_t n, fal_error *err) {
    if (n > from->count)
        return fal_fail(err, FAL_E_ARGUMENT, "%zu tokens to copy, the timeline has %zu", n,
                        from->count);
    if (to->model != from->model)
        return fal_fail(err, FAL_E_ARGUMENT, "the sessions belong to different models");
    if (to->cache.type != from->cache.type)
        return fal_fail(err, FAL_E_ARGUMENT, "cells of %s, into a session with cells of %s",
                        from->cache.type->name, to->cache.type->name);
    if (fal_model_has_dynamic_rope(from->model) && n > 0 && n < from->count)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "%zu of %zu tokens: with a dynamic context method keys depend on the whole "
                        "feed, so only whole timelines can be copied",
                        n, from->count);
    FAL_TRY(check_room(to, n, err));
    bool has_logits = from->has_logits && n == from->count;
    if (to != from) {
        const fal_params *p = fal_model_params(from->model);
        size_t bytes = n * cell_bytes(from);
        for (int layer = 0; layer < p->n_layers && bytes > 0; layer++) {
            memcpy(layer_of(to, to->cache.keys, layer), layer_of(from, from->cache.keys, layer),
                   bytes);
            memcpy(layer_of(to, to->cache.values, layer), layer_of(from, from->cache.values, layer),
                   bytes);
        }
        memcpy(to->tokens, from->tokens, n * sizeof *to->tokens);
        if (has_logits) memcpy(to->logits, from->logits, (size_t)p->n_vocab * sizeof *to->logits);
    }
    to->count = n;
    to->has_logits = has_logits;
    return FAL_OK;
}

static const fal_timeline_facts *facts_of(fal_session *s) {
    fal_timeline_facts *facts = &s->facts;
    if (s->has_facts) return facts;
    const fal_params *p = fal_model_params(s->model);
    *facts = (fal_timeline_facts){.n_layers = (uint32_t)p->n_layers,
                                  .n_vocab = (uint32_t)p->n_vocab,
                                  .cell_bytes = cell_bytes(s)};
    snprintf(facts->kv_type, sizeof facts->kv_type, "%s", s->cache.type->name);
    fal_model_identity(s->model, facts->model);
    fal_model_context_words(s->model, facts->context);
    s->has_facts = true;
    return facts;
}

static fal_status write_timeline(fal_session *s, fal_output *output, fal_error *err) {
    const fal_timeline_facts *facts = facts_of(s);
    fal_saved_timeline t = {.n_tokens = s->count,
                            .tokens = (const char *)s->tokens,
                            .logits = s->has_logits ? (const char *)s->logits : NULL};
    fal_timeline_writer w = {.output = output};
    FAL_TRY(fal_timeline_write_head(&w, facts, &t, err));
    size_t bytes = s->count * (size_t)facts->cell_bytes;
    for (int layer = 0; layer < (int)facts->n_layers && bytes > 0; layer++) {
        FAL_TRY(fal_timeline_write_cells(&w, layer_of(s, s->cache.keys, layer), bytes, err));
        FAL_TRY(fal_timeline_write_cells(&w, layer_of(s, s->cache.values, layer), bytes, err));
    }
    return fal_timeline_write_end(&w, err);
}

fal_status fal_session_save(fal_session *s, const char *path, fal_error *err) {
    fal_output *output;
    FAL_TRY(fal_output_open(&output, path, err));
    /* It tells what somebody has said. */
    fal_status status = fal_output_hide(output, err);
    if (status == FAL_OK) status = write_timeline(s, output, err);
    if (status != FAL_OK) {
        fal_output_discard(output);
        return status;
    }
    return fal_output_commit(output, err);
}

static void take(fal_session *s, const fal_saved_timeline *t) {
    const fal_params *p = fal_model_params(s->model);
    size_t n = (size_t)t->n_tokens, bytes = n * cell_bytes(s);
    const char *cells = t->cells;
    for (int layer = 0; layer < p->n_layers && bytes > 0; layer++) {
        memcpy(layer_of(s, s->cache.keys, layer), cells, bytes);
        memcpy(layer_of(s, s->cache.values, layer), cells + bytes, bytes);
        cells += 2 * bytes;
    }
    if (n > 0) memcpy(s->tokens, t->tokens, n * sizeof *s->tokens);
    s->count = n;
    s->has_logits = t->logits != NULL;
    if (t->logits) memcpy(s->logits, t->logits, (size_t)p->n_vocab * sizeof *s->logits);
}

fal_status fal_session_load(fal_session *s, const char *path, fal_error *err) {
    fal_mapping file;
    fal_saved_timeline t;
    FAL_TRY(fal_mapping_open(&file, path, err));
    fal_status status = fal_saved_timeline_read(&t, file.data, file.length, facts_of(s), err);
    if (status == FAL_OK) status = check_room(s, t.n_tokens, err);
    if (status == FAL_OK) take(s, &t);
    fal_mapping_release(&file);
    return status == FAL_OK ? FAL_OK : fal_add_context(err, status, "saved timeline '%s'", path);
}

fal_status fal_session_file_tokens(int32_t **out, size_t *count, const char *path, fal_session *s,
                                   fal_error *err) {
    fal_mapping file;
    fal_saved_timeline t;
    *out = NULL;
    FAL_TRY(fal_mapping_open(&file, path, err));
    fal_status status = fal_saved_timeline_read_head(&t, file.data, file.length, facts_of(s), err);
    if (status == FAL_OK) status = check_room(s, t.n_tokens, err);
    if (status == FAL_OK) {
        size_t n = (size_t)t.n_tokens;
        *out = fal_alloc(n, sizeof **out);
        if (*out && n > 0) memcpy(*out, t.tokens, n * sizeof **out);
        *count = n;
        if (!*out) status = fal_fail_memory(err, n * sizeof **out);
    }
    fal_mapping_release(&file);
    return status == FAL_OK ? FAL_OK : fal_add_context(err, status, "saved timeline '%s'", path);
}
