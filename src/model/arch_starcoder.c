/* StarCoder and its kin (GPTBigCode): learned positions, sequential blocks, biases everywhere, usually one kv head.
 *
 * Source: transformers, models/gpt_bigcode/modeling_gpt_bigcode.py; for GGUF names and keys, llama.cpp's converter. */
#include "model/model_private.h"

#include <string.h>

static const fal_weight_spec weights[] = {
    {FAL_WEIGHT_TOKEN_EMBD,       "transformer.wte.weight",               0, 0, 0                  },
    {FAL_WEIGHT_POSITION_EMBD,    "transformer.wpe.weight",               0, 0, FAL_WEIGHT_KEEP_F32},
    {FAL_WEIGHT_ATTN_NORM,        "transformer.h.{L}.ln_1.weight",        0, 0, 0                  },
    {FAL_WEIGHT_ATTN_NORM_BIAS,   "transformer.h.{L}.ln_1.bias",          0, 0, 0                  },
    {FAL_WEIGHT_ATTN_QKV,         "transformer.h.{L}.attn.c_attn.weight", 0, 0, FAL_WEIGHT_QKV     },
    {FAL_WEIGHT_ATTN_QKV_BIAS,    "transformer.h.{L}.attn.c_attn.bias",   0, 0, FAL_WEIGHT_QKV     },
    {FAL_WEIGHT_ATTN_OUTPUT,      "transformer.h.{L}.attn.c_proj.weight", 0, 0, 0                  },
    {FAL_WEIGHT_ATTN_OUTPUT_BIAS, "transformer.h.{L}.attn.c_proj.bias",   0, 0, 0                  },
    {FAL_WEIGHT_FFN_NORM,         "transformer.h.{L}.ln_2.weight",        0, 0, 0                  },
    {FAL_WEIGHT_FFN_NORM_BIAS,    "transformer.h.{L}.ln_2.bias",          0, 0, 0                  },
    {FAL_WEIGHT_FFN_UP,           "transformer.h.{L}.mlp.c_fc.weight",    0, 0, 0                  },
    {FAL_WEIGHT_FFN_UP_BIAS,      "transformer.h.{L}.mlp.c_fc.bias",      0, 0, 0                  },
    {FAL_WEIGHT_FFN_DOWN,         "transformer.h.{L}.mlp.c_proj.weight",  0, 0, 0                  },
    {FAL_WEIGHT_FFN_DOWN_BIAS,    "transformer.h.{L}.mlp.c_proj.bias",    0, 0, 0                  },
    {FAL_WEIGHT_OUTPUT_NORM,      "transformer.ln_f.weight",              0, 0, 0                  },
    {FAL_WEIGHT_OUTPUT_NORM_BIAS, "transformer.ln_f.bias",                0, 0, 0                  },
    {FAL_WEIGHT_OUTPUT,           "lm_head.weight",                       0, 0, FAL_WEIGHT_OPTIONAL},
};

static const char *const tanh_names[] = {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", NULL};

static bool is_tanh(const char *activation) {
    for (const char *const *name = tanh_names; *name; name++) {
        if (strcmp(activation, *name) == 0) return true;
    }
    return false;
}

static fal_status set_activation(fal_params *p, const char *activation, const char *key,
                                 fal_error *err) {
    if (is_tanh(activation)) p->features |= FAL_FEATURE_GELU_TANH;
    if (!is_tanh(activation) && strcmp(activation, "gelu") != 0)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "key '%s': '%.60s', only gelu and gelu_pytorch_tanh are known", key,
                        activation);
    return FAL_OK;
}

/* Files of other writers don't say which gelu it is: of the published models only the 15B uses the exact one. */
static fal_status params_from_gguf(fal_params *p, const fal_gguf *f, fal_error *err) {
    FAL_TRY(fal_params_sizes_from_gguf(p, f, "starcoder", err));
    p->features |= FAL_FEATURE_LEARNED_POSITIONS | FAL_FEATURE_BIAS;
    bool is_15b = p->n_layers == 40 && p->d_model == 6144;
    fal_gguf_string given;
    char activation[32] = "gelu_pytorch_tanh";
    if (fal_gguf_find_string(f, "starcoder.hidden_activation", &given)) {
        size_t length = given.length < sizeof activation ? given.length : sizeof activation - 1;
        memcpy(activation, given.data, length);
        activation[length] = '\0';
    } else if (is_15b) {
        memcpy(activation, "gelu", sizeof "gelu");
    }
    return set_activation(p, activation, "starcoder.hidden_activation", err);
}

static fal_status params_from_hf(fal_params *p, const json_t *config, fal_error *err) {
    *p = (fal_params){.has_tied_head = true};
    bool is_multi_query = true;
    FAL_TRY(fal_config_integer(config, "n_embd", "hidden_size", &p->d_model, NULL, err));
    FAL_TRY(fal_config_integer(config, "n_layer", "num_hidden_layers", &p->n_layers, NULL, err));
    FAL_TRY(fal_config_integer(config, "n_head", "num_attention_heads", &p->n_heads, NULL, err));
    FAL_TRY(fal_config_integer(config, "n_positions", "max_position_embeddings", &p->n_context,
                               NULL, err));
    FAL_TRY(fal_config_integer(config, "vocab_size", NULL, &p->n_vocab, NULL, err));
    FAL_TRY(fal_config_epsilon(config, &p->norm_epsilon, err));
    FAL_TRY(fal_config_token_ids(config, p, err));
    FAL_TRY(fal_config_flag(config, "tie_word_embeddings", &p->has_tied_head, NULL, err));
    FAL_TRY(fal_config_flag(config, "multi_query", &is_multi_query, NULL, err));
    p->d_ff = p->d_model <= INT32_MAX / 4 ? 4 * p->d_model : 0;
    FAL_TRY(fal_config_integer(config, "n_inner", NULL, &p->d_ff, NULL, err));
    p->n_kv_heads = is_multi_query ? 1 : p->n_heads;
    p->head_dim = p->n_heads > 0 ? p->d_model / p->n_heads : 0;
    p->features = FAL_FEATURE_LEARNED_POSITIONS | FAL_FEATURE_BIAS;
    const char *activation = json_string_value(json_object_get(config, "activation_function"));
    FAL_TRY(set_activation(p, activation ? activation : "gelu_pytorch_tanh", "activation_function",
                           err));
    return fal_params_check(p, err);
}

static void params_to_gguf(const fal_params *p, fal_gguf_writer *w) {
    const char *activation =
        fal_params_has(p, FAL_FEATURE_GELU_TANH) ? "gelu_pytorch_tanh" : "gelu";
    fal_gguf_set_string(w, "starcoder.hidden_activation", activation, strlen(activation));
}

static fal_status params_to_hf(const fal_params *p, fal_config_writer *w, fal_error *err) {
    if (p->n_kv_heads != 1 && p->n_kv_heads != p->n_heads)
        return fal_fail(err, FAL_E_UNSUPPORTED,
                        "%d kv heads of %d: a config.json of GPTBigCode has no words for them",
                        p->n_kv_heads, p->n_heads);
    const char *activation =
        fal_params_has(p, FAL_FEATURE_GELU_TANH) ? "gelu_pytorch_tanh" : "gelu";
    fal_config_set_text(w, "model_type", "gpt_bigcode");
    fal_config_set_integer(w, "vocab_size", p->n_vocab);
    fal_config_set_integer(w, "n_positions", p->n_context);
    fal_config_set_integer(w, "n_embd", p->d_model);
    fal_config_set_integer(w, "n_layer", p->n_layers);
    fal_config_set_integer(w, "n_head", p->n_heads);
    fal_config_set_integer(w, "n_inner", p->d_ff);
    fal_config_set_flag(w, "multi_query", p->n_kv_heads == 1);
    fal_config_set_text(w, "activation_function", activation);
    fal_config_set_number(w, "layer_norm_epsilon", (double)p->norm_epsilon);
    fal_config_set_number(w, "attn_pdrop", 0);
    fal_config_set_number(w, "embd_pdrop", 0);
    fal_config_set_number(w, "resid_pdrop", 0);
    fal_config_set_number(w, "initializer_range", 0.02);
    fal_config_set_flag(w, "scale_attn_weights", true);
    return FAL_OK;
}

typedef struct workspace {
    fal_tensor x, normed, qkv, heads, attended, wide, x_wanted, query_wanted;
} workspace;

static workspace make_workspace(const fal_params *p, fal_step *s) {
    int64_t n = s->n_tokens, n_wanted = s->n_wanted;
    return (workspace){.x = fal_step_scratch(s, n, p->d_model),
                       .normed = fal_step_scratch(s, n, p->d_model),
                       .qkv = fal_step_scratch(s, n, fal_params_qkv_rows(p)),
                       .heads = fal_step_scratch(s, n, p->d_model),
                       .attended = fal_step_scratch(s, n, p->d_model),
                       .wide = fal_step_scratch(s, n, p->d_ff),
                       .x_wanted = fal_step_scratch(s, n_wanted, p->d_model),
                       .query_wanted = fal_step_scratch(s, n_wanted, p->d_model)};
}

/* One block on x in place; in the last layer only the wanted rows go on. Returns the rows that x has then. */
static fal_tensor block(const fal_model *m, fal_step *s, const workspace *w, int layer) {
    const fal_params *p = &m->params;
    const fal_ops *op = s->queue->ops;
    int64_t kv_cols = (int64_t)p->n_kv_heads * p->head_dim;
    fal_tensor x = w->x;
    fal_tensor normed =
        fal_block_norm(m, s, FAL_WEIGHT_ATTN_NORM, FAL_WEIGHT_ATTN_NORM_BIAS, layer, w->normed, x);
    fal_block_linear(m, s, FAL_WEIGHT_ATTN_QKV, FAL_WEIGHT_ATTN_QKV_BIAS, layer, w->qkv, normed);
    fal_tensor query = fal_tensor_columns(w->qkv, 0, p->d_model);
    fal_attention cells = fal_step_attention(s, m, layer, false);
    op->store(s->queue, &cells, fal_tensor_columns(w->qkv, p->d_model, kv_cols),
              fal_tensor_columns(w->qkv, p->d_model + kv_cols, kv_cols));
    bool is_narrowed = layer == p->n_layers - 1 && s->n_wanted < s->n_tokens;
    if (is_narrowed) {
        if (s->n_wanted == 0) return fal_tensor_rows(x, 0, 0);
        op->embed(s->queue, w->x_wanted, x, s->wanted);
        op->embed(s->queue, w->query_wanted, query, s->wanted);
        x = w->x_wanted;
        query = w->query_wanted;
    }
    fal_tensor heads = fal_tensor_rows(w->heads, 0, x.n_rows),
               attended = fal_tensor_rows(w->attended, 0, x.n_rows);
    cells = fal_step_attention(s, m, layer, is_narrowed);
    op->attention(s->queue, heads, query, &cells);
    fal_block_linear(m, s, FAL_WEIGHT_ATTN_OUTPUT, FAL_WEIGHT_ATTN_OUTPUT_BIAS, layer, attended,
                     heads);
    op->add(s->queue, x, x, attended);
    normed =
        fal_block_norm(m, s, FAL_WEIGHT_FFN_NORM, FAL_WEIGHT_FFN_NORM_BIAS, layer, w->normed, x);
    fal_block_ffn(m, s, layer, attended, normed, w->wide);
    op->add(s->queue, x, x, attended);
    return x;
}

static void forward(const fal_model *m, fal_step *s) {
    workspace w = make_workspace(&m->params, s);
    const fal_ops *op = s->queue->ops;
    fal_tensor x = w.x;
    op->embed(s->queue, x, fal_weight(m, FAL_WEIGHT_TOKEN_EMBD, 0), s->tokens);
    op->embed(s->queue, w.normed, fal_weight(m, FAL_WEIGHT_POSITION_EMBD, 0), s->positions);
    op->add(s->queue, x, x, w.normed);
    for (int layer = 0; layer < m->params.n_layers; layer++) {
        s->queue->layer = layer;
        x = block(m, s, &w, layer);
    }
    s->queue->layer = -1;
    fal_block_final_norm(m, s, x, w.normed);
}

static const char *const hf_names[] = {"GPTBigCodeForCausalLM", "gpt_bigcode", NULL};

const fal_arch fal_arch_starcoder = {
    .name = "starcoder",
    .meaning = "StarCoder and SantaCoder (GPTBigCode)",
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
