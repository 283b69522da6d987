/* The whole model in double precision, one token and one number at a time, after the papers. */
#include "unit/model/training_model.h"

#include <stdio.h>

enum {
    MAX_COLUMNS = 96
};

typedef struct double_model {
    fal_trainable *t;
    const fal_params *p;
    double lora_scale, z_loss;
    const fal_trainable_weight *moved; /* whose entry `entry` is off by `move` */
    int64_t entry;
    double move;
    /* Of the sequence at hand. */
    double x[TRAINING_MAX_TOKENS][MAX_COLUMNS], qkv[TRAINING_MAX_TOKENS][MAX_COLUMNS];
} double_model;

/* "blk.<layer>.<name>", or name with a layer below 0. */
static const fal_trainable_weight *find(const double_model *m, int layer, const char *name,
                                        const char *suffix) {
    char full[FAL_WEIGHT_NAME_SIZE];
    if (layer >= 0) {
        snprintf(full, sizeof full, "blk.%d.%s%s", layer, name, suffix);
    } else {
        snprintf(full, sizeof full, "%s%s", name, suffix);
    }
    return fal_trainable_find(m->t, full);
}

static double at(const double_model *m, const fal_trainable_weight *w, int64_t row, int64_t col) {
    double move = w == m->moved && row * w->n_cols + col == m->entry ? m->move : 0;
    return (double)((const float *)w->value.data)[row * w->n_cols + col] + move;
}

/* y = x W^T + bias + scale (x A^T) B^T */
static void multiply(const double_model *m, int layer, const char *name, const double *x,
                     double *y) {
    const fal_trainable_weight *w = find(m, layer, name, ".weight"),
                               *bias = find(m, layer, name, ".bias"),
                               *a = find(m, layer, name, ".weight.lora_a"),
                               *b = find(m, layer, name, ".weight.lora_b");
    assert_non_null(w);
    for (int64_t row = 0; row < w->n_rows; row++) {
        y[row] = bias ? at(m, bias, 0, row) : 0;
        for (int64_t k = 0; k < w->n_cols; k++)
            y[row] += x[k] * at(m, w, row, k);
    }
    for (int64_t r = 0; a && r < a->n_rows; r++) {
        double low = 0;
        for (int64_t k = 0; k < a->n_cols; k++)
            low += x[k] * at(m, a, r, k);
        for (int64_t row = 0; row < b->n_rows; row++)
            y[row] += m->lora_scale * low * at(m, b, row, r);
    }
}

static void norm(const double_model *m, int layer, const char *name, const double *x, double *y) {
    const fal_trainable_weight *w = find(m, layer, name, ".weight"),
                               *bias = find(m, layer, name, ".bias");
    int n = m->p->d_model;
    double mean = 0, variance = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(variance + (double)m->p->norm_epsilon) * at(m, w, 0, i)
               + at(m, bias, 0, i);
}

static double gelu(const double_model *m, double x) {
    const double pi = 3.14159265358979323846;
    if (fal_params_has(m->p, FAL_FEATURE_GELU_TANH))
        return x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))) / 2;
    return x * (1 + erf(x / sqrt(2))) / 2;
}

/* NTK-YaRN: base times (s + 1)^(D / (D - 2)), queries and keys times 1 + 0.1 ln s. */
static void rotate(const double_model *m, double *head, int position) {
    const fal_rope_settings *rope = &m->p->rope;
    int dim = m->p->head_dim;
    double base = rope->base * pow(rope->factor + 1, (double)dim / (dim - 2));
    double gain = 1 + 0.1 * log(rope->factor);
    for (int i = 0; i < dim / 2; i++) {
        double angle = position * pow(base, -2.0 * i / dim), a = head[i], b = head[i + dim / 2];
        head[i] = gain * (a * cos(angle) - b * sin(angle));
        head[i + dim / 2] = gain * (b * cos(angle) + a * sin(angle));
    }
}

/* Press et al.: the slopes of the next lower power of two, then every other one of the next higher. */
static double slope(const fal_params *p, int head) {
    int power = 1;
    while (power * 2 <= p->n_heads)
        power *= 2;
    return head < power ? pow(2, -8.0 * (head + 1) / power)
                        : pow(2, -8.0 * (2 * (head - power) + 1) / (2 * power));
}

/* out [n_heads * head_dim] of token `token`, from m->qkv of it and the tokens before. */
static void attend(const double_model *m, int token, double *out) {
    const fal_params *p = m->p;
    int dim = p->head_dim, n_heads = p->n_heads, per_group = n_heads / p->n_kv_heads;
    for (int h = 0; h < n_heads; h++) {
        int key = (n_heads + h / per_group) * dim,
            value = (n_heads + p->n_kv_heads + h / per_group) * dim;
        double weights[TRAINING_MAX_TOKENS], sum = 0;
        for (int s = 0; s <= token; s++) {
            double score = 0;
            for (int i = 0; i < dim; i++)
                score += m->qkv[token][h * dim + i] * m->qkv[s][key + i];
            if (fal_params_has(p, FAL_FEATURE_ALIBI)) score += slope(p, h) * (s - token);
            sum += weights[s] = exp(score / sqrt(dim));
        }
        for (int i = 0; i < dim; i++) {
            out[h * dim + i] = 0;
            for (int s = 0; s <= token; s++)
                out[h * dim + i] += weights[s] / sum * m->qkv[s][value + i];
        }
    }
}

static void add_ffn(const double_model *m, int layer, const double *normed, double *x) {
    double wide[MAX_COLUMNS], out[MAX_COLUMNS];
    multiply(m, layer, "ffn_up", normed, wide);
    for (int i = 0; i < m->p->d_ff; i++)
        wide[i] = gelu(m, wide[i]);
    multiply(m, layer, "ffn_down", wide, out);
    for (int i = 0; i < m->p->d_model; i++)
        x[i] += out[i];
}

static void layer_forward(double_model *m, int layer, const int32_t *positions, int n) {
    const fal_params *p = m->p;
    bool has_two = fal_params_has(p, FAL_FEATURE_TWO_NORMS),
         is_parallel = fal_params_has(p, FAL_FEATURE_PARALLEL);
    double normed[MAX_COLUMNS], heads[MAX_COLUMNS], out[MAX_COLUMNS], input[MAX_COLUMNS];
    for (int token = 0; token < n; token++) {
        norm(m, layer, has_two ? "attn_norm_2" : "attn_norm", m->x[token], normed);
        multiply(m, layer, "attn_qkv", normed, m->qkv[token]);
        for (int h = 0; fal_params_has(p, FAL_FEATURE_ROPE) && h < p->n_heads + p->n_kv_heads; h++)
            rotate(m, m->qkv[token] + h * p->head_dim, positions[token]);
    }
    for (int token = 0; token < n; token++) {
        double *x = m->x[token];
        memcpy(input, x, sizeof input);
        attend(m, token, heads);
        multiply(m, layer, "attn_output", heads, out);
        for (int i = 0; i < p->d_model; i++)
            x[i] += out[i];
        norm(m, layer, is_parallel ? "attn_norm" : "ffn_norm", is_parallel ? input : x, normed);
        add_ffn(m, layer, normed, x);
    }
}

static double token_loss(const double_model *m, const double *x, int32_t target) {
    double normed[MAX_COLUMNS], logits[TRAINING_MAX_VOCAB], sum = 0;
    norm(m, -1, "output_norm", x, normed);
    multiply(m, -1, m->p->has_tied_head ? "token_embd" : "output", normed, logits);
    for (int i = 0; i < m->p->n_vocab; i++)
        sum += exp(logits[i]);
    return log(sum) - logits[target] + m->z_loss * log(sum) * log(sum);
}

static double sequence_loss(double_model *m, const fal_batch *b, int64_t first, int n) {
    const fal_params *p = m->p;
    const fal_trainable_weight *tokens = find(m, -1, "token_embd", ".weight"),
                               *positions = find(m, -1, "position_embd", ".weight");
    double loss = 0;
    for (int token = 0; token < n; token++) {
        for (int i = 0; i < p->d_model; i++) {
            m->x[token][i] = at(m, tokens, b->tokens[first + token], i);
            if (positions) m->x[token][i] += at(m, positions, b->positions[first + token], i);
        }
    }
    for (int layer = 0; layer < p->n_layers; layer++)
        layer_forward(m, layer, b->positions + first, n);
    for (int token = 0; token < n; token++) {
        double weight = (double)b->weights[first + token];
        if (weight > 0) loss += weight * token_loss(m, m->x[token], b->targets[first + token]);
    }
    return loss;
}

double double_model_loss(fal_trainable *t, const training_variant *v, const fal_batch *batch,
                         int index, int64_t entry, double move) {
    static double_model m;
    m = (double_model){.t = t,
                       .p = fal_trainable_params(t),
                       .lora_scale = v->lora.rank > 0 ? v->lora.alpha / v->lora.rank : 0,
                       .z_loss = v->z_loss,
                       .moved = fal_trainable_at(t, index),
                       .entry = entry,
                       .move = move};
    double loss = 0;
    for (int64_t i = 0; i < batch->n_sequences; i++)
        loss += sequence_loss(&m, batch, batch->starts[i],
                              (int)(batch->starts[i + 1] - batch->starts[i]));
    return loss;
}
