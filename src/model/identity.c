/* Body of identity.h. */
#include "model/identity.h"

#include "model/model_private.h"

#include <stdio.h>
#include <string.h>

enum {
    PIECE_BYTES = 4096
};

static void add_number(fal_sha256 *sum, int64_t number) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * i);
    fal_sha256_add(sum, bytes, sizeof bytes);
}

/* The last row may end anywhere in the file: only what belongs to it is read. */
static size_t bytes_of(fal_tensor t) {
    size_t row = (size_t)(t.n_cols / t.type->weights_per_block) * (size_t)t.type->bytes_per_block;
    return (size_t)(t.n_rows - 1) * t.row_bytes + row;
}

static void add_weight(fal_sha256 *sum, fal_tensor t) {
    add_number(sum, t.type->gguf_id);
    add_number(sum, t.n_rows);
    add_number(sum, t.n_cols);
    size_t bytes = bytes_of(t);
    const char *data = t.data;
    if (bytes <= (size_t)3 * PIECE_BYTES) {
        fal_sha256_add(sum, data, bytes);
        return;
    }
    fal_sha256_add(sum, data, PIECE_BYTES);
    fal_sha256_add(sum, data + bytes / 2, PIECE_BYTES);
    fal_sha256_add(sum, data + bytes - PIECE_BYTES, PIECE_BYTES);
}

void fal_model_identity(const fal_model *m, char *hex) {
    const fal_params *p = &m->params;
    uint32_t epsilon;
    memcpy(&epsilon, &p->norm_epsilon, sizeof epsilon);
    const int64_t numbers[] = {p->n_layers, p->n_heads, p->n_kv_heads, p->head_dim, p->d_model,
                               p->d_ff,     p->n_vocab, p->features,   epsilon};
    fal_sha256 sum = fal_sha256_begin();
    fal_sha256_add(&sum, m->arch->name, strlen(m->arch->name) + 1);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        add_number(&sum, numbers[i]);
    for (int i = 0; i < (p->n_layers + 1) * FAL_WEIGHT_COUNT; i++) {
        if (!fal_tensor_is_given(m->weights[i])) continue;
        add_number(&sum, i);
        add_weight(&sum, m->weights[i]);
    }
    fal_sha256_end(&sum, hex);
}

void fal_model_context_words(const fal_model *m, char out[FAL_CONTEXT_WORDS_SIZE]) {
    const fal_rope_settings *r = &m->params.rope;
    const char *other = fal_params_has(&m->params, FAL_FEATURE_ALIBI) ? "alibi" : "learned";
    if (!fal_params_has(&m->params, FAL_FEATURE_ROPE))
        snprintf(out, FAL_CONTEXT_WORDS_SIZE, "%s", other);
    else
        snprintf(out, FAL_CONTEXT_WORDS_SIZE,
                 "%s, base %.9g, factor %.9g, trained context %d, beta %.6g and %.6g, gain %.9g",
                 r->method->name, r->base, r->factor, r->trained_context, r->beta_fast,
                 r->beta_slow, r->attention_factor);
}
