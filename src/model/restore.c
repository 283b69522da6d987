/* Body of restore.h: one row per published model whose GGUF files lost something. A row applies only to files that carry
 * no rope settings of their own. */
#include "model/restore.h"

#include "base/bytes.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

typedef struct lost_settings {
    bool (*recognise)(const fal_params *p, const fal_gguf *f, const fal_tokenizer *t,
                      const char *path);
    const char *method;
    double base, factor;
    int trained_context, n_context;
    const char *note;
} lost_settings;

static bool is_named(const fal_gguf *f, const char *path, const char *word) {
    fal_gguf_string name;
    return fal_slice_contains(fal_slice_of(fal_path_base(path)), word, true)
           || (fal_gguf_find_string(f, "general.name", &name)
               && fal_slice_contains((fal_slice){name.data, name.length}, word, true));
}

/* Alfred-40B-0723 has no chat tokens, other models that have them have another name. */
static bool is_alfred(const fal_params *p, const fal_gguf *f, const fal_tokenizer *t,
                      const char *path) {
    if (!t) return false;
    static const char *const tokens[] = {"<start_system>", "<start_user>", "<start_assistant>",
                                         "<end_message>"};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        if (fal_tokenizer_control_id(t, tokens[i]) < 0) return false;
    }
    return fal_params_has(p, FAL_FEATURE_ROPE) && p->n_context == 2048
           && is_named(f, path, "alfred");
}

/* No other published Falcon has this shape. */
static bool is_falcon2_11b(const fal_params *p, const fal_gguf *f, const fal_tokenizer *t,
                           const char *path) {
    (void)f, (void)t, (void)path;
    return fal_params_has(p, FAL_FEATURE_ROPE) && p->n_layers == 60 && p->d_model == 4096
           && p->n_heads == 32 && p->n_kv_heads == 8;
}

static const lost_settings lost[] = {
    {is_alfred,      "ntk-yarn", 10000,  4, 2048, 8192,
     "Alfred whose file lost its context settings: NTK-YaRN x4 restored, 8192 tokens"},
    {is_falcon2_11b, "none",     500042, 1, 8192, 8192,
     "Falcon2-11B whose file lost its rope base: 500042 restored, 8192 tokens"       },
};

static bool has_rope_keys(const fal_gguf *f) {
    for (int i = 0; i < fal_gguf_value_count(f); i++) {
        const char *key = fal_gguf_value_at(f, i)->key;
        if (strstr(key, ".rope.") && !strstr(key, ".rope.dimension_count")) return true;
    }
    return false;
}

void fal_restore_settings(fal_params *p, const fal_gguf *f, const fal_tokenizer *t,
                          const char *path, char *note, size_t note_size) {
    note[0] = '\0';
    if (has_rope_keys(f)) return;
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        const lost_settings *row = &lost[i];
        if (!row->recognise(p, f, t, path)) continue;
        p->rope.method = fal_rope_method_by_name(row->method);
        p->rope.base = row->base;
        p->rope.factor = row->factor;
        p->rope.trained_context = row->trained_context;
        p->n_context = row->n_context;
        snprintf(note, note_size, "%s", row->note);
        return;
    }
}
