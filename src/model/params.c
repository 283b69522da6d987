/* Bodies of params.h and of the readers that all architectures share (arch.h). */
#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_LAYERS = 4096,
    MAX_HEADS = 65536,
    MAX_WIDTH = 1 << 24,
    MAX_VOCAB = 1 << 24
};

static const fal_arch *const archs[] = {
#define FAL_ARCH(name, meaning) &fal_arch_##name,
#include "model/archs.def"
#undef FAL_ARCH
};

int fal_arch_count(void) {
    return (int)(sizeof archs / sizeof archs[0]);
}

const fal_arch *fal_arch_at(int index) {
    return archs[index];
}

const fal_arch *fal_arch_by_name(const char *name) {
    for (int i = 0; i < fal_arch_count(); i++) {
        if (strcmp(archs[i]->name, name) == 0) return archs[i];
    }
    return NULL;
}

static const fal_arch *arch_by_hf_name(const json_t *name) {
    if (!json_is_string(name)) return NULL;
    for (int i = 0; i < fal_arch_count(); i++) {
        for (const char *const *known = archs[i]->hf_names; *known; known++) {
            if (strcmp(*known, json_string_value(name)) == 0) return archs[i];
        }
    }
    return NULL;
}

const fal_arch *fal_arch_by_config(const json_t *config) {
    const fal_arch *arch =
        arch_by_hf_name(json_array_get(json_object_get(config, "architectures"), 0));
    return arch ? arch : arch_by_hf_name(json_object_get(config, "model_type"));
}

/* 2^(-8/n * (h+1)) for n a power of two; else the slopes of the next lower power, then every other one of the double.
 *
 * Source: Press et al., arXiv:2108.12409; transformers divides the bias by sqrt(head_dim) for Falcon. */
void fal_params_alibi_slopes(const fal_params *p, float *slopes) {
    int n_heads = p->n_heads, power = 1;
    while (power * 2 <= n_heads)
        power *= 2;
    double start = pow(2, -8.0 / power), between = pow(2, -4.0 / power);
    for (int h = 0; h < n_heads; h++) {
        double slope = h < power ? pow(start, h + 1) : pow(between, 2 * (h - power) + 1);
        slopes[h] = (float)(slope / sqrt((double)p->head_dim));
    }
}

typedef struct bound {
    const char *what;
    int value, low, high;
} bound;

/* Beyond what any machine holds, so that sums of bytes stay within 64 bits. */
static fal_status check_weights(const fal_params *p, fal_error *err) {
    static const double max_weights = 1e15;
    double matrices = 2.0 * p->d_ff + 2.0 * p->d_model + 2.0 * p->n_kv_heads * p->head_dim;
    double n = (p->n_layers * matrices + 2.0 * p->n_vocab) * p->d_model;
    if (n <= max_weights) return FAL_OK;
    return fal_fail(err, FAL_E_LIMIT,
                    "%d layers of width %d, ffn width %d: some %.1e weights, at most %.0e are "
                    "possible",
                    p->n_layers, p->d_model, p->d_ff, n, max_weights);
}

fal_status fal_params_check(const fal_params *p, fal_error *err) {
    const bound bounds[] = {
        {"layers",          p->n_layers,   1, MAX_LAYERS},
        {"heads",           p->n_heads,    1, MAX_HEADS },
        {"kv heads",        p->n_kv_heads, 1, MAX_HEADS },
        {"model width",     p->d_model,    1, MAX_WIDTH },
        {"ffn width",       p->d_ff,       1, MAX_WIDTH },
        {"vocabulary size", p->n_vocab,    1, MAX_VOCAB },
        {"context length",  p->n_context,  1, INT32_MAX },
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const bound *b = &bounds[i];
        if (b->value < b->low || b->value > b->high)
            return fal_fail(err, FAL_E_FORMAT, "%s: %d, between %d and %d is possible", b->what,
                            b->value, b->low, b->high);
    }
    if (p->d_model % p->n_heads != 0)
        return fal_fail(err, FAL_E_FORMAT, "model width %d is not a multiple of %d heads",
                        p->d_model, p->n_heads);
    if (p->n_heads % p->n_kv_heads != 0)
        return fal_fail(err, FAL_E_FORMAT, "%d heads are not a multiple of %d kv heads", p->n_heads,
                        p->n_kv_heads);
    if (p->head_dim != p->d_model / p->n_heads)
        return fal_fail(err, FAL_E_FORMAT, "head dimension %d, %d / %d is needed", p->head_dim,
                        p->d_model, p->n_heads);
    if (p->head_dim % 2 != 0 || p->head_dim < 4)
        return fal_fail(err, FAL_E_FORMAT, "head dimension %d, even and at least 4 is needed",
                        p->head_dim);
    if (!(p->norm_epsilon >= 0 && p->norm_epsilon < 1))
        return fal_fail(err, FAL_E_FORMAT, "norm epsilon %g, between 0 and 1 is possible",
                        (double)p->norm_epsilon);
    return check_weights(p, err);
}

typedef enum key_kind {
    NUMBER,
    FLAG,
    TEXT,
    LIST
} key_kind;

/* By how keys end; what stands in front is the architecture or a family of keys. */
static const struct {
    const char *end;
    key_kind kind;
} known_keys[] = {
    {".context_length",          NUMBER},
    {".embedding_length",        NUMBER},
    {".feed_forward_length",     NUMBER},
    {".block_count",             NUMBER},
    {".attention.head_count",    NUMBER},
    {".attention.head_count_kv", NUMBER},
    {".layer_norm_epsilon",      NUMBER},
    {".max_alibi_bias",          NUMBER},
    {".use_parallel_residual",   FLAG  },
    {".hidden_activation",       TEXT  },
    {".rope.dimension_count",    NUMBER},
    {".rope.freq_base",          NUMBER},
    {".rope.scale_linear",       NUMBER},
    {".rope.scaling.type",       TEXT  },
    {".rope.scaling.factor",     NUMBER},
    {".scaling.attn_factor",     NUMBER},
    {".yarn_beta_fast",          NUMBER},
    {".yarn_beta_slow",          NUMBER},
    {".original_context_length", NUMBER},
    {".rope.method",             TEXT  },
    {".rope.base",               NUMBER},
    {".rope.factor",             NUMBER},
    {".ggml.model",              TEXT  },
    {".ggml.pre",                TEXT  },
    {".ggml.tokens",             LIST  },
    {".ggml.merges",             LIST  },
    {".ggml.token_type",         LIST  },
    {"_token_id",                NUMBER},
    {".add_bos_token",           FLAG  },
    {"tokenizer.chat_template",  TEXT  },
    {"general.name",             TEXT  },
    {"general.architecture",     TEXT  },
};

static key_kind kind_of(const fal_gguf_value *v) {
    switch (v->type) {
    case FAL_GGUF_STRING: return TEXT;
    case FAL_GGUF_BOOL: return FLAG;
    case FAL_GGUF_ARRAY: return LIST;
    case FAL_GGUF_U8:
    case FAL_GGUF_I8:
    case FAL_GGUF_U16:
    case FAL_GGUF_I16:
    case FAL_GGUF_U32:
    case FAL_GGUF_I32:
    case FAL_GGUF_F32:
    case FAL_GGUF_U64:
    case FAL_GGUF_I64:
    case FAL_GGUF_F64: return NUMBER;
    }
    return NUMBER;
}

fal_status fal_metadata_check_kinds(const fal_gguf *f, fal_error *err) {
    static const char *const words[] = {
        [NUMBER] = "a number", [FLAG] = "true or false", [TEXT] = "a string", [LIST] = "a list"};
    for (int i = 0; i < fal_gguf_value_count(f); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(f, i);
        size_t length = strlen(v->key);
        for (size_t k = 0; k < sizeof known_keys / sizeof known_keys[0]; k++) {
            size_t n = strlen(known_keys[k].end);
            bool is_meant = length >= n && strcmp(v->key + length - n, known_keys[k].end) == 0;
            if (is_meant && kind_of(v) != known_keys[k].kind)
                return fal_fail(err, FAL_E_FORMAT, "key '%s' is %s, %s is needed", v->key,
                                words[kind_of(v)], words[known_keys[k].kind]);
        }
    }
    return FAL_OK;
}

/* A u32 that must be there and fit an int. */
static fal_status get_length(const fal_gguf *f, const char *architecture, const char *suffix,
                             int *out, fal_error *err) {
    char key[160];
    uint32_t value;
    snprintf(key, sizeof key, "%.64s.%s", architecture, suffix);
    FAL_TRY(fal_gguf_get_u32(f, key, &value, err));
    if (value > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "key '%s': %u, at most %d is possible", key, value,
                        INT32_MAX);
    *out = (int)value;
    return FAL_OK;
}

fal_status fal_params_sizes_from_gguf(fal_params *p, const fal_gguf *f, const char *architecture,
                                      fal_error *err) {
    *p = (fal_params){.bos = -1, .eos = -1};
    FAL_TRY(get_length(f, architecture, "context_length", &p->n_context, err));
    FAL_TRY(get_length(f, architecture, "embedding_length", &p->d_model, err));
    FAL_TRY(get_length(f, architecture, "feed_forward_length", &p->d_ff, err));
    FAL_TRY(get_length(f, architecture, "block_count", &p->n_layers, err));
    FAL_TRY(get_length(f, architecture, "attention.head_count", &p->n_heads, err));
    char key[160];
    uint32_t n_kv_heads = (uint32_t)p->n_heads;
    snprintf(key, sizeof key, "%.64s.attention.head_count_kv", architecture);
    fal_gguf_find_u32(f, key, &n_kv_heads);
    p->n_kv_heads = n_kv_heads > INT32_MAX ? -1 : (int)n_kv_heads;
    snprintf(key, sizeof key, "%.64s.attention.layer_norm_epsilon", architecture);
    FAL_TRY(fal_gguf_get_f32(f, key, &p->norm_epsilon, err));
    p->head_dim = p->n_heads > 0 ? p->d_model / p->n_heads : 0;
    const fal_gguf_tensor *embedding = fal_gguf_tensor_find(f, "token_embd.weight");
    if (!embedding) return fal_fail(err, FAL_E_FORMAT, "tensor 'token_embd.weight' is missing");
    p->n_vocab = embedding->shape[0] > INT32_MAX ? -1 : (int)embedding->shape[0];
    return FAL_OK;
}

fal_status fal_config_integer(const json_t *config, const char *name, const char *other_name,
                              int *out, bool *is_given, fal_error *err) {
    const json_t *item = json_object_get(config, name);
    if ((!item || json_is_null(item)) && other_name) {
        name = other_name;
        item = json_object_get(config, other_name);
    }
    bool given = item && !json_is_null(item);
    if (is_given) *is_given = given;
    if (!given) return FAL_OK;
    if (!json_is_integer(item))
        return fal_fail(err, FAL_E_FORMAT, "config key '%s' is no integer", name);
    json_int_t value = json_integer_value(item);
    if (value < 0 || value > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "config key '%s': %lld, between 0 and %d is possible",
                        name, (long long)value, INT32_MAX);
    *out = (int)value;
    return FAL_OK;
}

fal_status fal_config_flag(const json_t *config, const char *name, bool *out, bool *is_given,
                           fal_error *err) {
    const json_t *item = json_object_get(config, name);
    bool given = item && !json_is_null(item);
    if (is_given) *is_given = given;
    if (!given) return FAL_OK;
    if (!json_is_boolean(item))
        return fal_fail(err, FAL_E_FORMAT, "config key '%s' is neither true nor false", name);
    *out = json_is_true(item);
    return FAL_OK;
}

fal_status fal_config_epsilon(const json_t *config, float *out, fal_error *err) {
    const json_t *item = json_object_get(config, "layer_norm_epsilon");
    *out = 1e-5f;
    if (!item || json_is_null(item)) return FAL_OK;
    if (!json_is_number(item))
        return fal_fail(err, FAL_E_FORMAT, "config key 'layer_norm_epsilon' is no number");
    *out = (float)json_number_value(item);
    return FAL_OK;
}

/* Some configs list several end tokens; the first is the usual one. */
static fal_status read_token_id(const json_t *config, const char *name, int32_t *out,
                                fal_error *err) {
    const json_t *item = json_object_get(config, name);
    *out = -1;
    if (!json_is_array(item)) return fal_config_integer(config, name, NULL, out, NULL, err);
    item = json_array_get(item, 0);
    if (!json_is_integer(item) || json_integer_value(item) < 0
        || json_integer_value(item) > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "config key '%s' is no list of token ids", name);
    *out = (int32_t)json_integer_value(item);
    return FAL_OK;
}

fal_status fal_config_token_ids(const json_t *config, fal_params *p, fal_error *err) {
    FAL_TRY(read_token_id(config, "bos_token_id", &p->bos, err));
    return read_token_id(config, "eos_token_id", &p->eos, err);
}
