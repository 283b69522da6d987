/* Writers of the metadata that all architectures share (arch.h): what params.c and rope_settings.c read back. */
#include "model/arch.h"

#include <stdio.h>
#include <string.h>

enum {
    KEY_SIZE = 160
};

static void set_text(fal_gguf_writer *w, const char *key, const char *text) {
    fal_gguf_set_string(w, key, text, strlen(text));
}

static void set_length(fal_gguf_writer *w, const char *architecture, const char *suffix,
                       int value) {
    char key[KEY_SIZE];
    snprintf(key, sizeof key, "%s.%s", architecture, suffix);
    fal_gguf_set_u32(w, key, (uint32_t)value);
}

void fal_metadata_write(fal_gguf_writer *w, const fal_arch *arch, const fal_params *p,
                        const char *name) {
    char key[KEY_SIZE];
    set_text(w, "general.architecture", arch->name);
    set_text(w, "general.name", name);
    set_length(w, arch->name, "context_length", p->n_context);
    set_length(w, arch->name, "embedding_length", p->d_model);
    set_length(w, arch->name, "feed_forward_length", p->d_ff);
    set_length(w, arch->name, "block_count", p->n_layers);
    set_length(w, arch->name, "attention.head_count", p->n_heads);
    set_length(w, arch->name, "attention.head_count_kv", p->n_kv_heads);
    snprintf(key, sizeof key, "%s.attention.layer_norm_epsilon", arch->name);
    fal_gguf_set_f32(w, key, p->norm_epsilon);
    arch->params_to_gguf(p, w);
}

static void write_beta(fal_gguf_writer *w, const char *architecture, const char *suffix,
                       double beta) {
    char key[KEY_SIZE];
    snprintf(key, sizeof key, "%s.%s", architecture, suffix);
    if (beta != 0) fal_gguf_set_f32(w, key, (float)beta);
}

fal_status fal_metadata_write_rope(fal_gguf_writer *w, const fal_arch *arch, const fal_params *p,
                                   fal_error *err) {
    if (!fal_params_has(p, FAL_FEATURE_ROPE)) return FAL_OK;
    fal_rope_keys keys;
    FAL_TRY(fal_rope_settings_to_keys(&p->rope, p->head_dim, &keys, err));
    char key[KEY_SIZE];
    set_length(w, arch->name, "rope.dimension_count", p->head_dim);
    snprintf(key, sizeof key, "%s.rope.freq_base", arch->name);
    fal_gguf_set_f32(w, key, (float)keys.freq_base);
    if (!keys.is_extended) return FAL_OK;
    if (keys.scaling_type) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", arch->name);
        set_text(w, key, keys.scaling_type);
        snprintf(key, sizeof key, "%s.rope.scaling.factor", arch->name);
        fal_gguf_set_f32(w, key, (float)keys.scaling_factor);
    }
    write_beta(w, arch->name, "rope.scaling.yarn_beta_fast", keys.beta_fast);
    write_beta(w, arch->name, "rope.scaling.yarn_beta_slow", keys.beta_slow);
    if (keys.attn_factor != 1) {
        snprintf(key, sizeof key, "%s.rope.scaling.attn_factor", arch->name);
        fal_gguf_set_f32(w, key, (float)keys.attn_factor);
    }
    set_length(w, arch->name, "rope.scaling.original_context_length", keys.original_context);
    snprintf(key, sizeof key, "%s.rope.scaling.finetuned", arch->name);
    fal_gguf_set_bool(w, key, true);
    set_text(w, "falconer.rope.method", p->rope.method->name);
    fal_gguf_set_f32(w, "falconer.rope.base", (float)p->rope.base);
    fal_gguf_set_f32(w, "falconer.rope.factor", (float)p->rope.factor);
    return FAL_OK;
}
