/* Body of type_plan.h: mixes and rules are lists; this file walks them. */
#include "convert/type_plan.h"

#include "base/alloc.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    DATA_ALIGNMENT = 32,
    K_WEIGHTS = 256,
    FIRST_LAYERS_2023 = 2,
    FOUR_LAYERS = 4
};

typedef enum mix_id {
#define FAL_MIX(id, file_type, type, meaning) MIX_##id,
#include "convert/mixes.def"
#undef FAL_MIX
} mix_id;

static const fal_mix mixes[] = {
#define FAL_MIX(id, file_type, type, meaning) {#id, file_type, type, meaning},
#include "convert/mixes.def"
#undef FAL_MIX
};

typedef enum layers {
    ALL,
    FIRST,
    EIGHTH,
    FOUR,
    MORE,
    GUARD
} layers;

typedef enum family {
    EVERY,
    FALCON,
    OTHER
} family;

typedef enum edition {
    EITHER,
    CURRENT,
    R2023
} edition;

typedef struct mix_rule {
    mix_id mix;
    fal_tensor_class class;
    edition edition;
    family family;
    layers layers;
    const char *type;
} mix_rule;

static const mix_rule rules[] = {
#define FAL_MIX_RULE(mix, class, edition, family, layers, type) \
    {MIX_##mix, FAL_CLASS_##class, edition, family, layers, type},
#include "convert/mix_rules.def"
#undef FAL_MIX_RULE
};

/* What stands in for a type whose blocks don't divide the width. */
static const struct {
    const char *wanted, *now, *in_2023;
} fallbacks[] = {
    {"q2_k",   "iq4_nl", "q4_0"},
    {"q3_k",   "iq4_nl", "q4_1"},
    {"q4_k",   "q5_0",   "q5_0"},
    {"q5_k",   "q5_1",   "q5_1"},
    {"q6_k",   "q8_0",   "q8_0"},
    {"iq4_xs", "iq4_nl", "q4_0"},
};

static const struct {
    const char *part, *name;
} classes[FAL_CLASS_COUNT] = {
    [FAL_CLASS_KEEP] = {NULL,             "norms and biases"},
    [FAL_CLASS_TOKEN_EMBD] = {"token_embd.",    "token_embd"      },
    [FAL_CLASS_POSITION_EMBD] = {"position_embd.", "position_embd"   },
    [FAL_CLASS_ATTN_QKV] = {".attn_qkv.",     "attn_qkv"        },
    [FAL_CLASS_ATTN_OUTPUT] = {".attn_output.",  "attn_output"     },
    [FAL_CLASS_FFN_UP] = {".ffn_up.",       "ffn_up"          },
    [FAL_CLASS_FFN_DOWN] = {".ffn_down.",     "ffn_down"        },
    [FAL_CLASS_OUTPUT] = {"output.weight",  "output"          },
    [FAL_CLASS_OTHER] = {NULL,             "other"           },
};

int fal_mix_count(void) {
    return (int)(sizeof mixes / sizeof mixes[0]);
}

const fal_mix *fal_mix_at(int index) {
    return &mixes[index];
}

const fal_mix *fal_mix_by_name(const char *name) {
    for (int i = 0; i < fal_mix_count(); i++) {
        if (strcasecmp(mixes[i].name, name) == 0) return &mixes[i];
    }
    return NULL;
}

const char *fal_tensor_class_name(fal_tensor_class class) {
    return classes[class].name;
}

bool fal_type_is_k(const fal_type *type) {
    return type->weights_per_block == K_WEIGHTS && type->name[0] == 'q';
}

static fal_tensor_class classify(const fal_plan_tensor *t) {
    size_t length = strlen(t->name);
    bool is_weight = length >= 6 && strcmp(t->name + length - 6, "weight") == 0;
    if (!is_weight || t->n_dims < 2 || strstr(t->name, "_norm")) return FAL_CLASS_KEEP;
    if (strcmp(t->name, classes[FAL_CLASS_OUTPUT].part) == 0) return FAL_CLASS_OUTPUT;
    for (int i = FAL_CLASS_TOKEN_EMBD; i < FAL_CLASS_OUTPUT; i++) {
        if (strstr(t->name, classes[i].part)) return (fal_tensor_class)i;
    }
    return FAL_CLASS_OTHER;
}

/* The layer in "blk.17.ffn_down.weight"; 0 for tensors outside the layers. */
static int layer_of(const char *name) {
    int layer = 0;
    return sscanf(name, "blk.%d.", &layer) == 1 && layer >= 0 ? layer : 0;
}

static bool applies_to_layer(const fal_type_plan_options *o, layers which, int layer) {
    int n = o->n_layers, eighth = n / 8;
    switch (which) {
    case ALL: return true;
    case FIRST: return layer < (o->recipe == FAL_RECIPE_2023 ? FIRST_LAYERS_2023 : n / 16);
    case EIGHTH: return layer < eighth;
    case FOUR: return layer < FOUR_LAYERS;
    case MORE: return layer < eighth || layer >= 7 * n / 8 || (layer - eighth) % 3 == 2;
    case GUARD: return o->has_importance && layer < eighth;
    }
    return false;
}

static bool is_falcon(const fal_type_plan_options *o) {
    return strcmp(o->architecture, "falcon") == 0;
}

static const fal_type *by_rules(const fal_type_plan_options *o, fal_tensor_class class, int layer) {
    edition of_recipe = o->recipe == FAL_RECIPE_2023 ? R2023 : CURRENT;
    family of_model = is_falcon(o) ? FALCON : OTHER;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const mix_rule *r = &rules[i];
        bool is_meant = &mixes[r->mix] == o->mix && r->class == class;
        if (is_meant && (r->edition == EITHER || r->edition == of_recipe)
            && (r->family == EVERY || r->family == of_model)
            && applies_to_layer(o, r->layers, layer))
            return fal_type_by_name(r->type);
    }
    return fal_type_by_name(o->mix->type);
}

/* The head keeps more bits than the rest: 8 for Falcon, else 6 where the width allows it. */
static const fal_type *head_type(const fal_type_plan_options *o, int64_t n_cols) {
    const fal_type *own = fal_type_by_name(o->mix->type), *q8_0 = fal_type_by_id(FAL_TYPE_Q8_0);
    int divisor = o->recipe == FAL_RECIPE_2023 ? K_WEIGHTS : own->weights_per_block;
    if (is_falcon(o) || own == q8_0 || n_cols % divisor != 0) return q8_0;
    return fal_type_by_name("q6_k");
}

static const fal_type *by_recipe(const fal_type_plan_options *o, const fal_plan_tensor *t,
                                 fal_tensor_class class, bool has_head) {
    bool is_2023 = o->recipe == FAL_RECIPE_2023;
    const fal_type *own = fal_type_by_name(o->mix->type);
    if (class == FAL_CLASS_KEEP || (class == FAL_CLASS_POSITION_EMBD && !is_2023)) return t->source;
    bool is_head =
        class == FAL_CLASS_OUTPUT || (class == FAL_CLASS_TOKEN_EMBD && !has_head && !is_2023);
    if (is_head && (own->is_quantized || is_2023)) return head_type(o, t->shape[t->n_dims - 1]);
    return own->is_quantized ? by_rules(o, class, layer_of(t->name)) : own;
}

static const fal_type *fall_back(const fal_type_plan_options *o, const fal_type *wanted,
                                 int64_t n_cols) {
    if (n_cols % wanted->weights_per_block == 0) return wanted;
    bool is_2023 = o->recipe == FAL_RECIPE_2023;
    for (size_t i = 0; i < sizeof fallbacks / sizeof fallbacks[0]; i++) {
        if (strcmp(fallbacks[i].wanted, wanted->name) != 0) continue;
        const fal_type *used = fal_type_by_name(is_2023 ? fallbacks[i].in_2023 : fallbacks[i].now);
        if (n_cols % used->weights_per_block == 0) return used;
    }
    return fal_type_by_id(FAL_TYPE_F16);
}

/* Compiles the patterns of the wishes; entries stay NULL where nothing was compiled. */
static fal_status compile_wishes(pcre2_code **codes, const fal_type_plan_options *o,
                                 fal_error *err) {
    for (size_t i = 0; i < o->n_wishes; i++) {
        int number;
        PCRE2_SIZE at;
        const char *pattern = o->wishes[i].pattern;
        codes[i] = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &number, &at, NULL);
        if (codes[i]) continue;
        char words[120];
        pcre2_get_error_message(number, (PCRE2_UCHAR *)words, sizeof words);
        return fal_fail(err, FAL_E_ARGUMENT, "pattern '%.100s': %s at character %zu", pattern,
                        words, at + 1);
    }
    return FAL_OK;
}

static const fal_type *by_wishes(pcre2_code *const *codes, pcre2_match_data *match,
                                 const fal_type_plan_options *o, const char *name) {
    for (size_t i = 0; i < o->n_wishes; i++) {
        if (pcre2_match(codes[i], (PCRE2_SPTR)name, strlen(name), 0, 0, match, NULL) >= 0)
            return o->wishes[i].type;
    }
    return NULL;
}

/* A pattern that no matrix has is a slip of the pen. */
static fal_status check_wishes_meet(pcre2_code *const *codes, pcre2_match_data *match,
                                    const fal_type_plan_options *o, const fal_plan_tensor *tensors,
                                    size_t n_tensors, fal_error *err) {
    for (size_t i = 0; i < o->n_wishes; i++) {
        bool is_met = false;
        for (size_t k = 0; k < n_tensors && !is_met; k++)
            is_met = classify(&tensors[k]) != FAL_CLASS_KEEP
                     && pcre2_match(codes[i], (PCRE2_SPTR)tensors[k].name, strlen(tensors[k].name),
                                    0, 0, match, NULL)
                            >= 0;
        if (!is_met)
            return fal_fail(err, FAL_E_ARGUMENT, "pattern '%.100s': no matrix has such a name",
                            o->wishes[i].pattern);
    }
    return FAL_OK;
}

static fal_status tensor_bytes(uint64_t *out, const fal_plan_tensor *t, const fal_type *type,
                               fal_error *err) {
    size_t bytes;
    FAL_TRY(fal_type_row_bytes(type, t->shape[t->n_dims - 1], &bytes, err));
    for (int i = 0; i < t->n_dims - 1; i++) {
        if (!fal_multiply_size(bytes, (size_t)t->shape[i], &bytes))
            return fal_fail(err, FAL_E_LIMIT, "tensor '%s' is too large", t->name);
    }
    *out = bytes;
    return FAL_OK;
}

static fal_status plan_tensors(fal_plan_entry *entries, const fal_plan_tensor *tensors,
                               size_t n_tensors, const fal_type_plan_options *o,
                               pcre2_code *const *codes, pcre2_match_data *match, fal_error *err) {
    bool has_head = false;
    for (size_t i = 0; i < n_tensors; i++)
        has_head |= classify(&tensors[i]) == FAL_CLASS_OUTPUT;
    for (size_t i = 0; i < n_tensors; i++) {
        const fal_plan_tensor *t = &tensors[i];
        fal_plan_entry *e = &entries[i];
        e->class = classify(t);
        const fal_type *wish =
            e->class == FAL_CLASS_KEEP ? NULL : by_wishes(codes, match, o, t->name);
        e->wanted = by_recipe(o, t, e->class, has_head);
        if (e->class == FAL_CLASS_OUTPUT && o->output_type) e->wanted = o->output_type;
        if (e->class == FAL_CLASS_TOKEN_EMBD && o->embedding_type) e->wanted = o->embedding_type;
        if (wish) e->wanted = wish;
        e->used = fall_back(o, e->wanted, t->shape[t->n_dims - 1]);
        FAL_TRY(tensor_bytes(&e->bytes, t, e->used, err));
    }
    return FAL_OK;
}

fal_status fal_type_plan_make(fal_plan_entry *entries, const fal_plan_tensor *tensors,
                              size_t n_tensors, const fal_type_plan_options *o, fal_error *err) {
    pcre2_code **codes = fal_alloc(o->n_wishes, sizeof(pcre2_code *));
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    fal_status status = codes && match ? compile_wishes(codes, o, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = check_wishes_meet(codes, match, o, tensors, n_tensors, err);
    if (status == FAL_OK) status = plan_tensors(entries, tensors, n_tensors, o, codes, match, err);
    for (size_t i = 0; codes && i < o->n_wishes; i++)
        pcre2_code_free(codes[i]);
    pcre2_match_data_free(match);
    fal_free(codes);
    return status;
}

static uint64_t padded(uint64_t bytes) {
    return (bytes + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
}

void fal_type_plan_summarise(fal_plan_summary *out, const fal_plan_entry *entries,
                             const fal_plan_tensor *tensors, size_t n_tensors) {
    *out = (fal_plan_summary){0};
    for (size_t i = 0; i < n_tensors; i++) {
        const fal_plan_entry *e = &entries[i];
        int64_t n = 1;
        for (int k = 0; k < tensors[i].n_dims; k++)
            n *= tensors[i].shape[k];
        out->bytes += padded(e->bytes);
        out->wanted_bytes += padded((uint64_t)n * (uint64_t)e->wanted->bytes_per_block
                                    / (uint64_t)e->wanted->weights_per_block);
        out->n_parameters += n;
        if (e->class == FAL_CLASS_KEEP) continue;
        out->n_matrices++;
        out->n_matrix_parameters += n;
        out->n_k_tensors += fal_type_is_k(e->used);
        out->n_k_parameters += fal_type_is_k(e->used) ? n : 0;
        out->n_fallback_tensors += e->used != e->wanted;
        out->n_fallback_parameters += e->used != e->wanted ? n : 0;
    }
}
