/* Body of rope_settings.h. Other readers of GGUF know neither NTK-Margin nor NTK-YaRN by name, but a raised freq_base and
 * an attn_factor express both exactly; the method's own name, base and factor go into falconer.rope.* beside them. */
#include "model/rope_settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_HEAD_DIM = 65536,
    DEFAULT_CONTEXT = 2048
};

static const double DEFAULT_BASE = 10000;

static fal_rope_input input_of(const fal_rope_settings *settings, int head_dim, int context_now) {
    return (fal_rope_input){.n_dims = head_dim,
                            .base = settings->base,
                            .factor = settings->factor,
                            .trained_context = settings->trained_context,
                            .context_now = context_now,
                            .beta_fast = settings->beta_fast,
                            .beta_slow = settings->beta_slow,
                            .attention_factor = settings->attention_factor};
}

fal_status fal_rope_settings_compute(const fal_rope_settings *settings, int head_dim,
                                     int context_now, double *frequency, double *base, double *gain,
                                     fal_error *err) {
    fal_rope_input in = input_of(settings, head_dim, context_now);
    return fal_rope_compute(settings->method, &in, frequency, base, gain, err);
}

void fal_rope_settings_set_method(fal_rope_settings *settings, const fal_rope_method *method) {
    settings->method = method;
    settings->beta_fast = settings->beta_slow = 0;
    settings->attention_factor = 1;
}

static bool is_method(const fal_rope_settings *settings, const char *name) {
    return strcmp(settings->method->name, name) == 0;
}

static bool is_named(const fal_rope_settings *settings, const char *first, const char *second) {
    return is_method(settings, first) || is_method(settings, second);
}

fal_status fal_rope_settings_to_keys(const fal_rope_settings *settings, int head_dim,
                                     fal_rope_keys *out, fal_error *err) {
    if (head_dim < 4)
        return fal_fail(err, FAL_E_FORMAT, "head dimension %d, at least 4 is needed", head_dim);
    *out = (fal_rope_keys){.freq_base = settings->base,
                           .scaling_factor = settings->factor,
                           .attn_factor = settings->attention_factor,
                           .original_context = settings->trained_context,
                           .beta_fast = settings->beta_fast,
                           .beta_slow = settings->beta_slow};
    double exponent = (double)head_dim / (head_dim - 2), s = settings->factor;
    double gain = s > 1 ? 1 + 0.1 * log(s) : 1;
    out->is_extended = !is_method(settings, "none") || settings->attention_factor != 1;
    if (is_method(settings, "ntk")) out->freq_base *= pow(s, exponent);
    if (is_named(settings, "ntk-margin", "ntk-yarn")) out->freq_base *= pow(s + 1, exponent);
    if (is_method(settings, "ntk-yarn")) out->attn_factor *= gain;
    if (is_method(settings, "linear")) out->scaling_type = "linear";
    if (is_named(settings, "yarn", "ntk-by-parts")) out->scaling_type = "yarn";
    /* Readers multiply yarn's gain in by themselves; by-parts cancels it. */
    if (is_method(settings, "ntk-by-parts")) out->attn_factor /= gain;
    return FAL_OK;
}

typedef struct gguf_keys {
    const fal_gguf *file;
    const char *architecture;
} gguf_keys;

static bool find_f32(const gguf_keys *keys, const char *suffix, double *out) {
    char key[160];
    float value;
    snprintf(key, sizeof key, "%.64s.rope.%s", keys->architecture, suffix);
    if (!fal_gguf_find_f32(keys->file, key, &value)) return false;
    *out = (double)value;
    return true;
}

/* As find_f32 for a number that must be above `low` and at most `high`. Absence leaves *out as it is. */
static fal_status read_bounded(const gguf_keys *keys, const char *suffix, double low, double high,
                               double *out, fal_error *err) {
    double value;
    if (!find_f32(keys, suffix, &value)) return FAL_OK;
    if (!(value > low && value <= high))
        return fal_fail(err, FAL_E_FORMAT, "key '%.64s.rope.%s': %g, between %g and %g is possible",
                        keys->architecture, suffix, value, low, high);
    *out = value;
    return FAL_OK;
}

/* The method that the common keys spell. */
static fal_status read_shared_keys(const gguf_keys *keys, int n_context, fal_rope_settings *out,
                                   fal_error *err) {
    char key[160];
    fal_gguf_string type = {"none", 4};
    uint32_t original = (uint32_t)n_context;
    *out = (fal_rope_settings){.base = DEFAULT_BASE, .factor = 1, .attention_factor = 1};
    FAL_TRY(read_bounded(keys, "freq_base", 1, 1e15, &out->base, err));
    FAL_TRY(read_bounded(keys, "scaling.attn_factor", 0, 999, &out->attention_factor, err));
    FAL_TRY(read_bounded(keys, "scaling.yarn_beta_fast", 0, 1e6, &out->beta_fast, err));
    FAL_TRY(read_bounded(keys, "scaling.yarn_beta_slow", 0, 1e6, &out->beta_slow, err));
    if (find_f32(keys, "scale_linear", &out->factor)) type = (fal_gguf_string){"linear", 6};
    find_f32(keys, "scaling.factor", &out->factor);
    snprintf(key, sizeof key, "%.64s.rope.scaling.original_context_length", keys->architecture);
    if (fal_gguf_find_u32(keys->file, key, &original) && (original == 0 || original > INT32_MAX))
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %u, between 1 and %d is possible", key,
                        original, INT32_MAX);
    out->trained_context = (int)original;
    snprintf(key, sizeof key, "%.64s.rope.scaling.type", keys->architecture);
    fal_gguf_find_string(keys->file, key, &type);
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(type.length < 31 ? type.length : 31), type.data);
    out->method = fal_rope_method_by_name(name);
    if (!out->method || !(is_named(out, "none", "linear") || is_method(out, "yarn")))
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "key '%s': '%s', only none, linear and yarn are known", key, name);
    if (is_method(out, "none") || out->factor == 0) out->factor = 1;
    if (!(out->factor <= 1e6))
        return fal_fail(err, FAL_E_FORMAT, "rope scaling factor %g, between 1 and 1e6 is possible",
                        out->factor);
    if (out->factor < 1) /* a stretch by less than one is no extension */
        return fal_fail(err, FAL_E_UNSUPPORTED, "rope scaling factor %g, at least 1 is possible",
                        out->factor);
    return FAL_OK;
}

/* Our own keys, if they are there and spell the same numbers as the common ones. */
static fal_status read_own_keys(const gguf_keys *keys, int head_dim, fal_rope_settings *settings,
                                fal_error *err) {
    fal_gguf_string name;
    float base, factor;
    if (!fal_gguf_find_string(keys->file, "falconer.rope.method", &name)
        || !fal_gguf_find_f32(keys->file, "falconer.rope.base", &base)
        || !fal_gguf_find_f32(keys->file, "falconer.rope.factor", &factor))
        return FAL_OK;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)(name.length < 31 ? name.length : 31), name.data);
    fal_rope_settings own = *settings;
    own.method = fal_rope_method_by_name(text);
    if (!own.method)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "key 'falconer.rope.method': '%s' is no known context method", text);
    if (!(base > 1 && base <= 1e15f) || !(factor >= 1 && factor <= 1e6f))
        return fal_fail(err, FAL_E_FORMAT,
                        "keys 'falconer.rope.base' %g and 'falconer.rope.factor' %g are impossible",
                        (double)base, (double)factor);
    own.base = (double)base;
    own.factor = (double)factor;
    own.attention_factor = 1;
    fal_rope_keys mine, shared;
    FAL_TRY(fal_rope_settings_to_keys(&own, head_dim, &mine, err));
    FAL_TRY(fal_rope_settings_to_keys(settings, head_dim, &shared, err));
    bool is_same_type =
        (mine.scaling_type == NULL) == (shared.scaling_type == NULL)
        && (!mine.scaling_type || strcmp(mine.scaling_type, shared.scaling_type) == 0);
    bool is_same =
        is_same_type && fabs(mine.freq_base - shared.freq_base) <= 1e-5 * mine.freq_base
        && fabs(mine.attn_factor - shared.attn_factor) <= 1e-5 * mine.attn_factor
        && (!mine.scaling_type || fabs(mine.scaling_factor - shared.scaling_factor) <= 1e-5);
    if (is_same) *settings = own;
    return FAL_OK;
}

fal_status fal_rope_settings_from_gguf(fal_rope_settings *out, const fal_gguf *f,
                                       const char *architecture, int n_context, fal_error *err) {
    gguf_keys keys = {f, architecture};
    FAL_TRY(read_shared_keys(&keys, n_context, out, err));
    char key[160];
    uint32_t d_model = 0, n_heads = 0;
    snprintf(key, sizeof key, "%.64s.embedding_length", architecture);
    fal_gguf_find_u32(f, key, &d_model);
    snprintf(key, sizeof key, "%.64s.attention.head_count", architecture);
    fal_gguf_find_u32(f, key, &n_heads);
    int head_dim = n_heads > 0 && d_model / n_heads <= MAX_HEAD_DIM ? (int)(d_model / n_heads) : 0;
    return head_dim >= 4 ? read_own_keys(&keys, head_dim, out, err) : FAL_OK;
}

/* A number in a JSON object; null and absence are the same. Fails: FORMAT for anything else. */
static fal_status read_number(const json_t *object, const char *key, double *value, bool *is_given,
                              fal_error *err) {
    const json_t *item = json_object_get(object, key);
    *is_given = item && !json_is_null(item);
    if (!*is_given) return FAL_OK;
    if (!json_is_number(item))
        return fal_fail(err, FAL_E_FORMAT, "config key '%s' is no number", key);
    *value = json_number_value(item);
    return FAL_OK;
}

static fal_status read_length(const json_t *object, const char *key, int *value, bool *is_given,
                              fal_error *err) {
    double number = 0;
    FAL_TRY(read_number(object, key, &number, is_given, err));
    if (!*is_given) return FAL_OK;
    if (!(number >= 1 && number <= INT32_MAX))
        return fal_fail(err, FAL_E_FORMAT, "config key '%s': %g, between 1 and %d is possible", key,
                        number, INT32_MAX);
    *value = (int)number;
    return FAL_OK;
}

/* Names that rope_scaling.type or rope_type has been given for our methods. */
static const struct {
    const char *type, *method;
} scaling_types[] = {
    {"default",      "none"        },
    {"linear",       "linear"      },
    {"dynamic",      "dynamic-ntk" },
    {"ntk",          "ntk"         },
    {"ntk_margin",   "ntk-margin"  },
    {"ntk_by_parts", "ntk-by-parts"},
    {"yarn",         "yarn"        },
    {"ntk_yarn",     "ntk-yarn"    },
    {"ntk-margin",   "ntk-margin"  },
    {"ntk-yarn",     "ntk-yarn"    },
    {"dynamic-ntk",  "dynamic-ntk" },
    {"ntk-by-parts", "ntk-by-parts"}
};

static double method_gain(const fal_rope_settings *settings) {
    bool has_gain = is_named(settings, "yarn", "ntk-yarn");
    return has_gain && settings->factor > 1 ? 1 + 0.1 * log(settings->factor) : 1;
}

static fal_status read_rope_scaling(const json_t *scaling, fal_rope_settings *out,
                                    bool *has_original, fal_error *err) {
    const json_t *type = json_object_get(scaling, "rope_type");
    if (!type || json_is_null(type)) type = json_object_get(scaling, "type");
    if (!json_is_string(type))
        return fal_fail(err, FAL_E_FORMAT,
                        "config key 'rope_scaling' or 'rope_parameters' has no type");
    for (size_t i = 0; i < sizeof scaling_types / sizeof scaling_types[0]; i++) {
        if (strcmp(scaling_types[i].type, json_string_value(type)) == 0)
            out->method = fal_rope_method_by_name(scaling_types[i].method);
    }
    if (!out->method)
        return fal_fail(err, FAL_E_UNSUPPORTED, "rope_scaling type '%.60s' is not known",
                        json_string_value(type));
    bool is_given;
    FAL_TRY(read_number(scaling, "factor", &out->factor, &is_given, err));
    FAL_TRY(read_number(scaling, "beta_fast", &out->beta_fast, &is_given, err));
    FAL_TRY(read_number(scaling, "beta_slow", &out->beta_slow, &is_given, err));
    double gain = 0;
    FAL_TRY(read_number(scaling, "attention_factor", &gain, &is_given, err));
    /* It stands for the method's own gain, ours comes on top of it. */
    if (is_given) out->attention_factor = gain / method_gain(out);
    FAL_TRY(read_length(scaling, "original_max_position_embeddings", &out->trained_context,
                        has_original, err));
    return FAL_OK;
}

/* The fields of the first Alfred config: ntk_scaling_factor s+1 raises the base, embedding_scaling_factor s gives m. */
static fal_status read_lighton_fields(const json_t *config, fal_rope_settings *out,
                                      fal_error *err) {
    double ntk = 0, embedding = 0, vanilla = 0;
    bool has_ntk, has_embedding, has_vanilla;
    FAL_TRY(read_number(config, "ntk_scaling_factor", &ntk, &has_ntk, err));
    FAL_TRY(read_number(config, "embedding_scaling_factor", &embedding, &has_embedding, err));
    FAL_TRY(read_number(config, "vanilla_scaling_factor", &vanilla, &has_vanilla, err));
    if (!has_ntk && !has_embedding && !has_vanilla) return FAL_OK;
    if (has_vanilla && !has_ntk && !has_embedding) {
        out->method = fal_rope_method_by_name("linear");
        out->factor = vanilla;
    } else if (has_ntk && !has_vanilla && (!has_embedding || fabs(ntk - embedding - 1) < 1e-6)) {
        out->method = fal_rope_method_by_name(has_embedding ? "ntk-yarn" : "ntk-margin");
        out->factor = ntk - 1;
    } else {
        return fal_fail(
            err, FAL_E_UNSUPPORTED,
            "config has ntk_scaling_factor %g, embedding_scaling_factor %g, vanilla_scaling_factor %g: "
            "only s+1 with s, s+1 alone, or vanilla alone are known",
            ntk, embedding, vanilla);
    }
    return FAL_OK;
}

fal_status fal_rope_settings_from_hf(fal_rope_settings *out, const json_t *config, int *n_context,
                                     fal_error *err) {
    *out = (fal_rope_settings){.base = DEFAULT_BASE, .factor = 1, .attention_factor = 1};
    bool is_given, has_context, has_original = false;
    int context = DEFAULT_CONTEXT;
    /* Configs of transformers 5 hold base and scaling in one object. */
    const json_t *scaling = json_object_get(config, "rope_parameters");
    bool is_joined = json_is_object(scaling);
    if (!is_joined) scaling = json_object_get(config, "rope_scaling");
    FAL_TRY(read_number(config, "rope_theta", &out->base, &is_given, err));
    if (is_joined) FAL_TRY(read_number(scaling, "rope_theta", &out->base, &is_given, err));
    if (!(out->base > 1 && out->base <= 1e15))
        return fal_fail(err, FAL_E_FORMAT,
                        "config key 'rope_theta': %g, between 1 and 1e15 is possible", out->base);
    FAL_TRY(read_length(config, "max_position_embeddings", &context, &has_context, err));
    out->trained_context = context;
    if (scaling && !json_is_null(scaling)) {
        FAL_TRY(read_rope_scaling(scaling, out, &has_original, err));
    } else {
        FAL_TRY(read_lighton_fields(config, out, err));
    }
    if (!out->method) out->method = fal_rope_method_by_name("none");
    if (is_method(out, "none")) out->factor = 1;
    if (!(out->factor >= 1 && out->factor <= 1e6))
        return fal_fail(err, FAL_E_FORMAT, "rope scaling factor %g, between 1 and 1e6 is possible",
                        out->factor);
    double extended = out->trained_context * out->factor;
    if (extended > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "context of %g tokens, at most %d is possible", extended,
                        INT32_MAX);
    *n_context = has_original && has_context ? context : (int)extended;
    return FAL_OK;
}

/* rope_scaling under construction; type under both names that it has had. */
static fal_config_writer open_scaling(const char *type, double factor) {
    fal_config_writer w = {.object = json_object()};
    w.has_failed = !w.object;
    fal_config_set_text(&w, "rope_type", type);
    fal_config_set_text(&w, "type", type);
    fal_config_set_number(&w, "factor", factor);
    return w;
}

static void close_scaling(fal_config_writer *scaling, fal_config_writer *w) {
    w->has_failed = w->has_failed || scaling->has_failed;
    fal_config_set_value(w, "rope_scaling", scaling->object);
}

static void set_ramp(fal_config_writer *scaling, const fal_rope_settings *settings) {
    if (settings->beta_fast != 0) fal_config_set_number(scaling, "beta_fast", settings->beta_fast);
    if (settings->beta_slow != 0) fal_config_set_number(scaling, "beta_slow", settings->beta_slow);
}

/* Types that take the trained context for max_position_embeddings have no other place for it. */
static void set_context(fal_config_writer *w, fal_config_writer *scaling,
                        const fal_rope_settings *settings, int n_context) {
    bool by_factor = is_named(settings, "linear", "dynamic-ntk")
                     && settings->trained_context * settings->factor == n_context;
    fal_config_set_integer(w, "max_position_embeddings",
                           by_factor ? settings->trained_context : n_context);
    if (!by_factor)
        fal_config_set_integer(scaling, "original_max_position_embeddings",
                               settings->trained_context);
}

/* What read_lighton_fields reads. That code's base is 10000, and there is no other gain. */
static void set_lighton_fields(fal_config_writer *w, const fal_rope_settings *settings) {
    bool is_margin = is_named(settings, "ntk-margin", "ntk-yarn"),
         is_linear = is_method(settings, "linear");
    if (!is_margin && !is_linear) return;
    if (settings->base != DEFAULT_BASE || settings->attention_factor != 1) return;
    fal_config_set_null(w, "ntk_scaling_factor");
    fal_config_set_null(w, "embedding_scaling_factor");
    fal_config_set_null(w, "vanilla_scaling_factor");
    if (is_margin) fal_config_set_shortest(w, "ntk_scaling_factor", settings->factor + 1);
    if (is_method(settings, "ntk-yarn"))
        fal_config_set_shortest(w, "embedding_scaling_factor", settings->factor);
    if (is_linear) fal_config_set_shortest(w, "vanilla_scaling_factor", settings->factor);
}

static const char *type_of_method(const fal_rope_settings *settings) {
    for (size_t i = 0; i < sizeof scaling_types / sizeof scaling_types[0]; i++) {
        if (is_method(settings, scaling_types[i].method)) return scaling_types[i].type;
    }
    return settings->method->name;
}

static void write_by_name(fal_config_writer *w, const fal_rope_settings *settings, int n_context) {
    fal_config_writer scaling = open_scaling(type_of_method(settings), settings->factor);
    fal_config_set_number(w, "rope_theta", settings->base);
    set_context(w, &scaling, settings, n_context);
    set_ramp(&scaling, settings);
    if (settings->attention_factor != 1)
        fal_config_set_number(&scaling, "attention_factor",
                              settings->attention_factor * method_gain(settings));
    close_scaling(&scaling, w);
    set_lighton_fields(w, settings);
}

/* A base stands for what changes the base only. By yarn with factor 1, whose frequencies are the plain ones, a gain is
 * added; then no trained context is named, or readers would derive another factor from it. */
static void write_by_numbers(fal_config_writer *w, const fal_rope_settings *settings,
                             const fal_rope_keys *keys, int n_context) {
    fal_config_set_number(w, "rope_theta", keys->freq_base);
    if (!keys->scaling_type) {
        fal_config_set_integer(w, "max_position_embeddings", n_context);
        fal_config_set_null(w, "rope_scaling");
        if (keys->attn_factor == 1) return;
        fal_config_writer scaling = open_scaling("yarn", 1);
        fal_config_set_number(&scaling, "attention_factor", keys->attn_factor);
        close_scaling(&scaling, w);
        return;
    }
    fal_config_writer scaling = open_scaling("yarn", keys->scaling_factor);
    set_context(w, &scaling, settings, n_context);
    set_ramp(&scaling, settings);
    double gain = 1 + 0.1 * log(settings->factor);
    fal_config_set_number(&scaling, "attention_factor", keys->attn_factor * gain);
    close_scaling(&scaling, w);
}

fal_status fal_rope_settings_to_hf(const fal_rope_settings *settings, int head_dim, int n_context,
                                   fal_rope_form form, fal_config_writer *w, fal_error *err) {
    fal_rope_keys keys;
    FAL_TRY(fal_rope_settings_to_keys(settings, head_dim, &keys, err));
    bool is_scaled = is_named(settings, "linear", "dynamic-ntk");
    if (form == FAL_ROPE_BY_NUMBERS && is_scaled && settings->attention_factor != 1)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "context method %s with a gain of %g: transformers has no such thing",
                        settings->method->name, settings->attention_factor);
    bool has_same_name = is_scaled || is_method(settings, "yarn");
    if (is_method(settings, "none") || (form == FAL_ROPE_BY_NUMBERS && !has_same_name)) {
        write_by_numbers(w, settings, &keys, n_context);
    } else {
        write_by_name(w, settings, n_context);
    }
    return FAL_OK;
}
