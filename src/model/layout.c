/* Body of layout.h. */
#include "model/layout.h"

#include <string.h>

typedef enum kv_heads {
    KV_HEADS_ONE,
    KV_HEADS_GROUPED,
    KV_HEADS_ALL
} kv_heads;

struct fal_layout {
    const char *name, *architecture;
    unsigned features;
    kv_heads kv;
    const char *meaning;
};

enum {
    ROPE = FAL_FEATURE_ROPE,
    ALIBI = FAL_FEATURE_ALIBI,
    PARALLEL = FAL_FEATURE_PARALLEL,
    TWO_NORMS = FAL_FEATURE_TWO_NORMS,
    BIAS = FAL_FEATURE_BIAS
};

static const fal_layout layouts[] = {
#define FAL_LAYOUT(name, architecture, features, kv_heads, meaning) \
    {name, architecture, features, KV_HEADS_##kv_heads, meaning},
#include "model/layouts.def"
#undef FAL_LAYOUT
};

const fal_layout *fal_layout_at(int index) {
    bool is_there = index >= 0 && (size_t)index < sizeof layouts / sizeof layouts[0];
    return is_there ? &layouts[index] : NULL;
}

const fal_layout *fal_layout_by_name(const char *name) {
    const fal_layout *layout;
    for (int i = 0; (layout = fal_layout_at(i)); i++) {
        if (strcmp(layout->name, name) == 0) return layout;
    }
    return NULL;
}

const char *fal_layout_name(const fal_layout *layout) {
    return layout->name;
}

const char *fal_layout_meaning(const fal_layout *layout) {
    return layout->meaning;
}

const fal_arch *fal_layout_arch(const fal_layout *layout) {
    return fal_arch_by_name(layout->architecture);
}

static fal_status choose_kv_heads(const fal_layout *layout, const fal_layout_sizes *s, int *out,
                                  fal_error *err) {
    if (layout->kv == KV_HEADS_GROUPED) {
        *out = s->n_kv_heads;
        if (*out > 0) return FAL_OK;
        return fal_fail(err, FAL_E_ARGUMENT,
                        "layout %s needs a number of kv heads, one that divides its %d heads",
                        layout->name, s->n_heads);
    }
    *out = layout->kv == KV_HEADS_ONE ? 1 : s->n_heads;
    if (s->n_kv_heads == 0 || s->n_kv_heads == *out) return FAL_OK;
    return fal_fail(err, FAL_E_ARGUMENT, "%d kv heads, layout %s has %d", s->n_kv_heads,
                    layout->name, *out);
}

fal_status fal_layout_params(const fal_layout *layout, const fal_layout_sizes *s, fal_params *out,
                             fal_error *err) {
    *out = (fal_params){.n_layers = s->n_layers,
                        .n_heads = s->n_heads,
                        .head_dim = s->n_heads > 0 ? s->d_model / s->n_heads : 0,
                        .d_model = s->d_model,
                        .d_ff = s->d_ff > 0 ? s->d_ff : 4 * s->d_model,
                        .n_vocab = s->n_vocab,
                        .n_context = s->n_context,
                        .norm_epsilon = 1e-5f,
                        .features = layout->features,
                        .has_tied_head = !s->has_untied_head,
                        .bos = -1,
                        .eos = -1};
    out->rope = (fal_rope_settings){.method = fal_rope_method_by_name("none"),
                                    .base = s->rope_base > 0 ? s->rope_base : 10000,
                                    .factor = 1,
                                    .trained_context = s->n_context,
                                    .attention_factor = 1};
    FAL_TRY(choose_kv_heads(layout, s, &out->n_kv_heads, err));
    return fal_params_check(out, err);
}
