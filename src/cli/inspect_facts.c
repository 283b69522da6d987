/* Collects the facts; how they are shown is inspect_print.c's. */
#include "cli/inspect_facts.h"

#include "cli/built_in.h"
#include "model/arch.h"
#include "model/restore.h"

#include <stdio.h>
#include <string.h>

static void copy_string(const fal_gguf *f, const char *key, char *out, size_t size) {
    fal_gguf_string text = {0};
    if (!fal_gguf_find_string(f, key, &text)) return;
    size_t n = text.length < size - 1 ? text.length : size - 1;
    memcpy(out, text.data, n);
    out[n] = '\0';
}

static const fal_gguf_value *find_under(const fal_inspected *in, const char *name) {
    char key[160];
    snprintf(key, sizeof key, "%s.%s", in->architecture, name);
    return fal_gguf_find(in->gguf, key);
}

/* A count under the architecture's prefix; the largest element of a list. */
static int64_t count_under(const fal_inspected *in, const char *name) {
    const fal_gguf_value *v = find_under(in, name);
    int64_t most = 0, value = 0;
    for (uint64_t i = 0; v && i < v->count && i < 65536; i++)
        if (fal_gguf_value_i64(in->gguf, v, i, &value) && value > most) most = value;
    return most;
}

/* The key-value heads of all layers together: some architectures list them layer by layer. */
static double kv_heads_of_all_layers(const fal_inspected *in) {
    const fal_gguf_value *v = find_under(in, "attention.head_count_kv");
    if (!v || v->type != FAL_GGUF_ARRAY) return (double)in->n_kv_heads * (double)in->n_layers;
    double sum = 0;
    int64_t value = 0;
    for (uint64_t i = 0; i < v->count && i < (uint64_t)in->n_layers; i++)
        if (fal_gguf_value_i64(in->gguf, v, i, &value) && value > 0) sum += (double)value;
    return sum;
}

static void read_sizes(fal_inspected *in) {
    in->n_layers = count_under(in, "block_count");
    in->n_heads = count_under(in, "attention.head_count");
    in->n_kv_heads = count_under(in, "attention.head_count_kv");
    in->d_model = count_under(in, "embedding_length");
    in->d_ff = count_under(in, "feed_forward_length");
    in->n_context = count_under(in, "context_length");
    in->key_length = count_under(in, "attention.key_length");
    in->value_length = count_under(in, "attention.value_length");
    if (!in->n_kv_heads) in->n_kv_heads = in->n_heads;
    if (!in->key_length && in->n_heads) in->key_length = in->d_model / in->n_heads;
    if (!in->value_length) in->value_length = in->key_length;
    in->kv_values_per_token =
        kv_heads_of_all_layers(in) * ((double)in->key_length + (double)in->value_length);
    const fal_gguf_value *tokens = fal_gguf_find(in->gguf, "tokenizer.ggml.tokens");
    const fal_gguf_tensor *embedding = fal_gguf_tensor_find(in->gguf, "token_embd.weight");
    if (tokens) in->n_vocab = (int64_t)tokens->count;
    if (embedding) in->n_vocab = embedding->shape[0];
}

static void add_to_type(fal_inspected *in, const fal_gguf_tensor *t) {
    int i = 0;
    while (i < in->n_types && strcmp(in->types[i].name, t->type_name) != 0)
        i++;
    if (i == FAL_MAX_TYPES) return;
    if (i == in->n_types) in->types[in->n_types++] = (fal_type_share){.name = t->type_name};
    double n = 1;
    for (int k = 0; k < t->n_dims; k++)
        n *= (double)t->shape[k];
    in->types[i].n_tensors++;
    in->types[i].n_parameters += n;
    in->types[i].bytes += t->bytes;
    in->n_parameters += n;
    in->weight_bytes += t->bytes;
}

static void count_types(fal_inspected *in) {
    for (int i = 0; i < fal_gguf_tensor_count(in->gguf); i++)
        add_to_type(in, fal_gguf_tensor_at(in->gguf, i));
    for (int i = 1; i < in->n_types; i++)
        for (int k = i; k > 0 && in->types[k - 1].bytes < in->types[k].bytes; k--) {
            fal_type_share spare = in->types[k];
            in->types[k] = in->types[k - 1];
            in->types[k - 1] = spare;
        }
}

static void read_params(fal_inspected *in) {
    const fal_arch *arch = fal_arch_by_name(in->architecture);
    if (!arch || fal_gguf_tensor_count(in->gguf) == 0) return;
    if (arch->params_from_gguf(&in->params, in->gguf, &in->params_error) != FAL_OK) return;
    if (fal_params_check(&in->params, &in->params_error) != FAL_OK) return;
    in->is_known = true;
    /* A file may leave out what its architecture knows. */
    in->n_heads = in->params.n_heads;
    in->n_kv_heads = in->params.n_kv_heads;
    in->key_length = in->value_length = in->params.head_dim;
    in->kv_values_per_token =
        2.0 * in->params.n_layers * in->params.n_kv_heads * in->params.head_dim;
    if (in->tokenizer)
        fal_restore_settings(&in->params, in->gguf, in->tokenizer, fal_gguf_path(in->gguf),
                             in->restored, sizeof in->restored);
    in->n_context = in->params.n_context;
    if (!fal_params_has(&in->params, FAL_FEATURE_ROPE)) return;
    double frequency[1024];
    if (in->params.head_dim > 2048) return;
    in->has_rope = fal_rope_settings_compute(&in->params.rope, in->params.head_dim, 0, frequency,
                                             &in->rope_base, &in->rope_gain, NULL)
                   == FAL_OK;
}

fal_status fal_inspected_open(fal_inspected *out, const char *path, fal_error *err) {
    FAL_TRY(fal_named_gguf_open(&out->gguf, path,
                                "inspect: no file is named; falconer inspect FILE", err));
    copy_string(out->gguf, "general.architecture", out->architecture, sizeof out->architecture);
    copy_string(out->gguf, "general.name", out->name, sizeof out->name);
    if (fal_tokenizer_open(&out->tokenizer, out->gguf, &out->tokenizer_error) != FAL_OK)
        out->tokenizer = NULL;
    read_sizes(out);
    count_types(out);
    bool is_f32 = out->n_types == 1 && strcmp(out->types[0].name, "f32") == 0;
    out->kv_type = is_f32 ? "f32" : "f16";
    read_params(out);
    return FAL_OK;
}

void fal_inspected_release(fal_inspected *inspected) {
    fal_tokenizer_close(inspected->tokenizer);
    fal_gguf_close(inspected->gguf);
    *inspected = (fal_inspected){0};
}

double fal_inspected_cache_bytes(const fal_inspected *inspected, int64_t n_context) {
    const fal_type *type = fal_type_by_name(inspected->kv_type);
    return inspected->kv_values_per_token / type->weights_per_block * type->bytes_per_block
           * (double)n_context;
}

int fal_inspected_contexts(const fal_inspected *in, int64_t contexts[FAL_MAX_CONTEXTS]) {
    int n = 0;
    if (!in->weight_bytes || in->kv_values_per_token <= 0) return 0;
    if (in->context_asked) {
        contexts[n++] = in->context_asked;
        return n;
    }
    static const int64_t usual[] = {2048, 8192};
    for (int i = 0; i < 2; i++)
        if (in->n_context <= 0 || usual[i] < in->n_context) contexts[n++] = usual[i];
    if (in->n_context > 0) contexts[n++] = in->n_context;
    return n;
}

double fal_bits_per_weight(double n_parameters, uint64_t bytes) {
    return n_parameters > 0 ? 8.0 * (double)bytes / n_parameters : 0;
}

const char *fal_inspected_positions(const fal_inspected *inspected) {
    if (!inspected->is_known) return "unknown";
    if (fal_params_has(&inspected->params, FAL_FEATURE_ALIBI)) return "alibi";
    return fal_params_has(&inspected->params, FAL_FEATURE_ROPE) ? "rope" : "learned";
}
