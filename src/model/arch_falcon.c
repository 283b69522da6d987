/* Falcon 7B, 11B, 40B, 180B and RW: the whole architecture. Parameters from GGUF and from Hugging Face configs of every
 * age, the weight table, the forward pass.
 *
 * Source: transformers, models/falcon/modeling_falcon.py; for GGUF names and keys, llama.cpp's converter. */
#include "model/model_private.h"

#include <string.h>

enum {
    ROPE = FAL_FEATURE_ROPE,
    ALIBI = FAL_FEATURE_ALIBI,
    PARALLEL = FAL_FEATURE_PARALLEL,
    TWO = FAL_FEATURE_TWO_NORMS,
    BIAS = FAL_FEATURE_BIAS
};

/* 40B and 180B: ln_mlp becomes attn_norm and ln_attn becomes attn_norm_2, as GGUF files have it. */
static const fal_weight_spec weights[] = {
    {FAL_WEIGHT_TOKEN_EMBD,       "transformer.word_embeddings.weight",                      0,     0,        0                                              },
    {FAL_WEIGHT_ATTN_NORM,        "transformer.h.{L}.input_layernorm.weight",                0,     TWO,      0                                              },
    {FAL_WEIGHT_ATTN_NORM_BIAS,   "transformer.h.{L}.input_layernorm.bias",                  0,     TWO,      0                                              },
    {FAL_WEIGHT_ATTN_NORM,        "transformer.h.{L}.ln_mlp.weight",                         TWO,   0,        0                                              },
    {FAL_WEIGHT_ATTN_NORM_BIAS,   "transformer.h.{L}.ln_mlp.bias",                           TWO,   0,        0                                              },
    {FAL_WEIGHT_ATTN_NORM_2,      "transformer.h.{L}.ln_attn.weight",                        TWO,   0,        0                                              },
    {FAL_WEIGHT_ATTN_NORM_2_BIAS, "transformer.h.{L}.ln_attn.bias",                          TWO,   0,        0                                              },
    {FAL_WEIGHT_ATTN_QKV,         "transformer.h.{L}.self_attention.query_key_value.weight", 0,     0,
     FAL_WEIGHT_QKV                                                                                                                                          },
    {FAL_WEIGHT_ATTN_QKV_BIAS,    "transformer.h.{L}.self_attention.query_key_value.bias",   BIAS,  0,
     FAL_WEIGHT_QKV                                                                                                                                          },
    {FAL_WEIGHT_ATTN_OUTPUT,      "transformer.h.{L}.self_attention.dense.weight",           0,     0,        0                                              },
    {FAL_WEIGHT_ATTN_OUTPUT_BIAS, "transformer.h.{L}.self_attention.dense.bias",             BIAS,  0,        0                                              },
    {FAL_WEIGHT_FFN_NORM,         "transformer.h.{L}.post_attention_layernorm.weight",       0,     PARALLEL, 0                                              },
    {FAL_WEIGHT_FFN_NORM_BIAS,    "transformer.h.{L}.post_attention_layernorm.bias",         0,     PARALLEL, 0                                              },
    {FAL_WEIGHT_FFN_UP,           "transformer.h.{L}.mlp.dense_h_to_4h.weight",              0,     0,        0                                              },
    {FAL_WEIGHT_FFN_UP_BIAS,      "transformer.h.{L}.mlp.dense_h_to_4h.bias",                BIAS,  0,        0                                              },
    {FAL_WEIGHT_FFN_DOWN,         "transformer.h.{L}.mlp.dense_4h_to_h.weight",              0,     0,        0                                              },
    {FAL_WEIGHT_FFN_DOWN_BIAS,    "transformer.h.{L}.mlp.dense_4h_to_h.bias",                BIAS,  0,        0                                              },
    {FAL_WEIGHT_OUTPUT_NORM,      "transformer.ln_f.weight",                                 0,     0,        0                                              },
    {FAL_WEIGHT_OUTPUT_NORM_BIAS, "transformer.ln_f.bias",                                   0,     0,        0                                              },
    {FAL_WEIGHT_OUTPUT,           "lm_head.weight",                                          ROPE,  0,        FAL_WEIGHT_OPTIONAL | FAL_WEIGHT_USUALLY_STORED},
    {FAL_WEIGHT_OUTPUT,           "lm_head.weight",                                          ALIBI, 0,        FAL_WEIGHT_OPTIONAL                            },
};

/* GGUF has no key for the variant: two norms and biases show in the tensors, ALiBi and sequential blocks in keys that
 * other architectures use for the same facts. */
static fal_status params_from_gguf(fal_params *p, const fal_gguf *f, fal_error *err) {
    FAL_TRY(fal_params_sizes_from_gguf(p, f, "falcon", err));
    float max_alibi_bias = 0;
    bool is_parallel = true;
    fal_gguf_find_f32(f, "falcon.attention.max_alibi_bias", &max_alibi_bias);
    fal_gguf_find_bool(f, "falcon.use_parallel_residual", &is_parallel);
    if (max_alibi_bias != 0 && max_alibi_bias != 8)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "key 'falcon.attention.max_alibi_bias': %g, only 8 is known",
                        (double)max_alibi_bias);
    p->features |= max_alibi_bias != 0 ? ALIBI : ROPE;
    if (is_parallel) p->features |= PARALLEL;
    if (fal_gguf_tensor_find(f, "blk.0.attn_norm_2.weight")) p->features |= TWO;
    if (fal_gguf_tensor_find(f, "blk.0.attn_qkv.bias")) p->features |= BIAS;
    uint32_t n_rope_dims = (uint32_t)p->head_dim;
    fal_gguf_find_u32(f, "falcon.rope.dimension_count", &n_rope_dims);
    if (n_rope_dims != (uint32_t)p->head_dim)
        return fal_fail(err, FAL_E_FORMAT, "key 'falcon.rope.dimension_count': %u, %d is needed",
                        n_rope_dims, p->head_dim);
    return fal_rope_settings_from_gguf(&p->rope, f, "falcon", p->n_context, err);
}

/* The new decoder is implied in configs of the first 40B by more than one kv head. Falcon-7B's config may claim as many kv
 * heads as heads although multi_query says one. */
static fal_status read_heads(fal_params *p, const json_t *config, bool *is_new, fal_error *err) {
    bool is_multi_query = true, is_given;
    int n_kv_heads = 0;
    const char *model_type = json_string_value(json_object_get(config, "model_type"));
    FAL_TRY(fal_config_flag(config, "multi_query", &is_multi_query, &is_given, err));
    FAL_TRY(fal_config_integer(config, "num_kv_heads", "n_head_kv", &n_kv_heads, &is_given, err));
    bool is_first_40b =
        is_given && n_kv_heads > 1 && model_type && strcmp(model_type, "RefinedWeb") == 0;
    *is_new = is_first_40b;
    FAL_TRY(fal_config_flag(config, "new_decoder_architecture", is_new, NULL, err));
    p->n_kv_heads = p->n_heads;
    if (*is_new && is_given) p->n_kv_heads = n_kv_heads;
    if (!*is_new && is_multi_query) p->n_kv_heads = 1;
    return FAL_OK;
}

static fal_status read_features(fal_params *p, const json_t *config, bool is_new, fal_error *err) {
    bool is_parallel = true, has_alibi = false, has_bias = false, has_single_norm = false,
         is_after = false, is_given;
    int n_norms = is_new ? 2 : 1;
    FAL_TRY(fal_config_flag(config, "parallel_attn", &is_parallel, NULL, err));
    FAL_TRY(fal_config_flag(config, "alibi", &has_alibi, NULL, err));
    FAL_TRY(fal_config_flag(config, "bias", &has_bias, NULL, err));
    FAL_TRY(fal_config_flag(config, "single_ln", &has_single_norm, NULL, err));
    FAL_TRY(
        fal_config_flag(config, "apply_residual_connection_post_layernorm", &is_after, NULL, err));
    if (is_new)
        FAL_TRY(
            fal_config_integer(config, "num_ln_in_parallel_attn", NULL, &n_norms, &is_given, err));
    if (is_after)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "config key 'apply_residual_connection_post_layernorm' is true");
    if (n_norms < 1 || n_norms > 2)
        return fal_fail(err, FAL_E_FORMAT,
                        "config key 'num_ln_in_parallel_attn': %d, 1 or 2 is possible", n_norms);
    p->features |= has_alibi ? ALIBI : ROPE;
    if (is_parallel || is_new) p->features |= PARALLEL;
    if (has_bias) p->features |= BIAS;
    if (n_norms == 2 && !has_single_norm) p->features |= TWO;
    const char *activation = json_string_value(json_object_get(config, "activation"));
    if (activation && strcmp(activation, "gelu") != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "config key 'activation': '%.60s', only gelu is known", activation);
    return FAL_OK;
}

static fal_status params_from_hf(fal_params *p, const json_t *config, fal_error *err) {
    *p = (fal_params){.has_tied_head = true};
    FAL_TRY(fal_config_integer(config, "hidden_size", "n_embed", &p->d_model, NULL, err));
    FAL_TRY(fal_config_integer(config, "num_hidden_layers", "n_layer", &p->n_layers, NULL, err));
    FAL_TRY(fal_config_integer(config, "num_attention_heads", "n_head", &p->n_heads, NULL, err));
    FAL_TRY(fal_config_integer(config, "vocab_size", NULL, &p->n_vocab, NULL, err));
    FAL_TRY(fal_config_epsilon(config, &p->norm_epsilon, err));
    FAL_TRY(fal_config_token_ids(config, p, err));
    FAL_TRY(fal_config_flag(config, "tie_word_embeddings", &p->has_tied_head, NULL, err));
    p->d_ff = p->d_model <= INT32_MAX / 4 ? 4 * p->d_model : 0;
    FAL_TRY(fal_config_integer(config, "ffn_hidden_size", NULL, &p->d_ff, NULL, err));
    p->head_dim = p->n_heads > 0 ? p->d_model / p->n_heads : 0;
    bool is_new;
    FAL_TRY(read_heads(p, config, &is_new, err));
    FAL_TRY(read_features(p, config, is_new, err));
    FAL_TRY(fal_rope_settings_from_hf(&p->rope, config, &p->n_context, err));
    return fal_params_check(p, err);
}

static void params_to_gguf(const fal_params *p, fal_gguf_writer *w) {
    fal_gguf_set_string(w, "falcon.tensor_data_layout", "jploski", 7);
    if (fal_params_has(p, FAL_FEATURE_ALIBI))
        fal_gguf_set_f32(w, "falcon.attention.max_alibi_bias", 8);
    if (!fal_params_has(p, FAL_FEATURE_PARALLEL))
        fal_gguf_set_bool(w, "falcon.use_parallel_residual", false);
}

/* Three layouts of heads are published: one kv head (7B), as many as heads with sequential blocks (RW), and the new decoder,
 * whose blocks are parallel. */
static fal_status write_layout(const fal_params *p, fal_config_writer *w, fal_error *err) {
    bool is_parallel = fal_params_has(p, FAL_FEATURE_PARALLEL),
         has_two = fal_params_has(p, FAL_FEATURE_TWO_NORMS), is_multi_query = p->n_kv_heads == 1,
         is_new = has_two || (is_parallel && !is_multi_query);
    if (!is_parallel && (has_two || (!is_multi_query && p->n_kv_heads != p->n_heads)))
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "sequential blocks with %d norms and %d kv heads of %d: a config.json has "
                        "no words for them",
                        has_two ? 2 : 1, p->n_kv_heads, p->n_heads);
    fal_config_set_integer(w, "num_kv_heads", p->n_kv_heads);
    fal_config_set_flag(w, "multi_query", is_new || is_multi_query);
    fal_config_set_flag(w, "new_decoder_architecture", is_new);
    if (is_new) fal_config_set_integer(w, "num_ln_in_parallel_attn", has_two ? 2 : 1);
    fal_config_set_flag(w, "parallel_attn", is_parallel);
    return FAL_OK;
}

static fal_status params_to_hf(const fal_params *p, fal_config_writer *w, fal_error *err) {
    fal_config_set_text(w, "model_type", "falcon");
    fal_config_set_integer(w, "vocab_size", p->n_vocab);
    fal_config_set_integer(w, "hidden_size", p->d_model);
    fal_config_set_integer(w, "num_hidden_layers", p->n_layers);
    fal_config_set_integer(w, "num_attention_heads", p->n_heads);
    FAL_TRY(write_layout(p, w, err));
    fal_config_set_integer(w, "ffn_hidden_size", p->d_ff);
    fal_config_set_text(w, "activation", "gelu");
    fal_config_set_number(w, "layer_norm_epsilon", (double)p->norm_epsilon);
    fal_config_set_flag(w, "alibi", fal_params_has(p, FAL_FEATURE_ALIBI));
    fal_config_set_flag(w, "bias", fal_params_has(p, FAL_FEATURE_BIAS));
    fal_config_set_flag(w, "apply_residual_connection_post_layernorm", false);
    fal_config_set_number(w, "attention_dropout", 0);
    fal_config_set_number(w, "hidden_dropout", 0);
    fal_config_set_number(w, "initializer_range", 0.02);
    if (!fal_params_has(p, FAL_FEATURE_ROPE))
        fal_config_set_integer(w, "max_position_embeddings", p->n_context);
    return FAL_OK;
}

typedef struct workspace {
    fal_tensor x, normed, qkv, heads, attended, ffn, wide, rope, x_wanted, query_wanted;
} workspace;

static workspace make_workspace(const fal_params *p, fal_step *s, const fal_model *m) {
    int64_t n = s->n_tokens, n_wanted = s->n_wanted;
    return (workspace){.x = fal_step_scratch(s, n, p->d_model),
                       .normed = fal_step_scratch(s, n, p->d_model),
                       .qkv = fal_step_scratch(s, n, fal_params_qkv_rows(p)),
                       .heads = fal_step_scratch(s, n, (int64_t)p->n_heads * p->head_dim),
                       .attended = fal_step_scratch(s, n, p->d_model),
                       .ffn = fal_step_scratch(s, n, p->d_model),
                       .wide = fal_step_scratch(s, n, p->d_ff),
                       .rope = fal_step_rope_table(s, m),
                       .x_wanted = fal_step_scratch(s, n_wanted, p->d_model),
                       .query_wanted =
                           fal_step_scratch(s, n_wanted, (int64_t)p->n_heads * p->head_dim)};
}

/* Queries, keys and values of the layer; keys and values go to the cells. Returns the queries. */
static fal_tensor project(const fal_model *m, fal_step *s, const workspace *w, int layer,
                          fal_tensor input) {
    const fal_params *p = &m->params;
    const fal_ops *op = s->queue->ops;
    int64_t q_cols = (int64_t)p->n_heads * p->head_dim,
            kv_cols = (int64_t)p->n_kv_heads * p->head_dim;
    fal_block_linear(m, s, FAL_WEIGHT_ATTN_QKV, FAL_WEIGHT_ATTN_QKV_BIAS, layer, w->qkv, input);
    fal_tensor query = fal_tensor_columns(w->qkv, 0, q_cols);
    fal_tensor key = fal_tensor_columns(w->qkv, q_cols, kv_cols);
    fal_tensor value = fal_tensor_columns(w->qkv, q_cols + kv_cols, kv_cols);
    if (fal_tensor_is_given(w->rope)) {
        op->rope(s->queue, query, w->rope, p->n_heads);
        op->rope(s->queue, key, w->rope, p->n_kv_heads);
    }
    fal_attention cells = fal_step_attention(s, m, layer, false);
    op->store(s->queue, &cells, key, value);
    return query;
}

/* One block on x in place. In the last layer only the rows whose logits are wanted go on after the cells are filled:
 * returns the rows that x has then. */
static fal_tensor block(const fal_model *m, fal_step *s, const workspace *w, int layer) {
    const fal_params *p = &m->params;
    const fal_ops *op = s->queue->ops;
    bool has_two = fal_params_has(p, FAL_FEATURE_TWO_NORMS),
         is_parallel = fal_params_has(p, FAL_FEATURE_PARALLEL);
    fal_weight_id attn_norm = has_two ? FAL_WEIGHT_ATTN_NORM_2 : FAL_WEIGHT_ATTN_NORM;
    fal_weight_id attn_norm_bias =
        has_two ? FAL_WEIGHT_ATTN_NORM_2_BIAS : FAL_WEIGHT_ATTN_NORM_BIAS;
    fal_tensor x = w->x;
    fal_tensor normed = fal_block_norm(m, s, attn_norm, attn_norm_bias, layer, w->normed, x);
    fal_tensor query = project(m, s, w, layer, normed);
    bool is_narrowed = layer == p->n_layers - 1 && s->n_wanted < s->n_tokens;
    if (is_narrowed) {
        if (s->n_wanted == 0) return fal_tensor_rows(x, 0, 0);
        op->embed(s->queue, w->x_wanted, x, s->wanted);
        op->embed(s->queue, w->query_wanted, query, s->wanted);
        x = w->x_wanted;
        query = w->query_wanted;
        if (is_parallel && !has_two)
            normed = fal_block_norm(m, s, attn_norm, attn_norm_bias, layer, w->normed, x);
    }
    fal_tensor heads = fal_tensor_rows(w->heads, 0, x.n_rows),
               attended = fal_tensor_rows(w->attended, 0, x.n_rows);
    fal_tensor ffn = fal_tensor_rows(w->ffn, 0, x.n_rows);
    fal_attention cells = fal_step_attention(s, m, layer, is_narrowed);
    op->attention(s->queue, heads, query, &cells);
    fal_block_linear(m, s, FAL_WEIGHT_ATTN_OUTPUT, FAL_WEIGHT_ATTN_OUTPUT_BIAS, layer, attended,
                     heads);
    if (is_parallel) {
        if (has_two)
            normed = fal_block_norm(m, s, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer,
                                    w->normed, x);
        fal_block_ffn(m, s, layer, ffn, normed, w->wide);
        op->add(s->queue, ffn, ffn, attended);
    } else {
        op->add(s->queue, x, x, attended);
        normed = fal_block_norm(m, s, FAL_WEIGHT_FFN_NORM, FAL_WEIGHT_FFN_NORM_BIAS, layer,
                                w->normed, x);
        fal_block_ffn(m, s, layer, ffn, normed, w->wide);
    }
    op->add(s->queue, x, x, ffn);
    return x;
}

static void forward(const fal_model *m, fal_step *s) {
    workspace w = make_workspace(&m->params, s, m);
    fal_tensor x = w.x;
    s->queue->ops->embed(s->queue, x, fal_weight(m, FAL_WEIGHT_TOKEN_EMBD, 0), s->tokens);
    for (int layer = 0; layer < m->params.n_layers; layer++) {
        s->queue->layer = layer;
        x = block(m, s, &w, layer);
    }
    s->queue->layer = -1;
    fal_block_final_norm(m, s, x, w.normed);
}

static const char *const hf_names[] = {"FalconForCausalLM", "RWForCausalLM",   "falcon",
                                       "RefinedWeb",        "RefinedWebModel", NULL};

const fal_arch fal_arch_falcon = {
    .name = "falcon",
    .meaning = "Falcon 7B, 11B, 40B, 180B and RW",
    .hf_names = hf_names,
    .weights = weights,
    .n_weights = sizeof weights / sizeof weights[0],
    .params_from_gguf = params_from_gguf,
    .params_from_hf = params_from_hf,
    .params_to_gguf = params_to_gguf,
    .params_to_hf = params_to_hf,
    .forward = forward,
    .is_trainable = true,
};
