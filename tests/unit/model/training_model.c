/* Body of training_model.h but for the loss. */
#include "unit/model/training_model.h"

#include "base/random.h"

#define SIZES(heads, kv, dim, ff, context)                                           \
    .n_layers = 2, .n_heads = (heads), .n_kv_heads = (kv), .head_dim = (dim),        \
    .d_model = (heads) * (dim), .d_ff = (ff), .n_vocab = 37, .n_context = (context), \
    .norm_epsilon = 1e-5f

enum {
    ROPE = FAL_FEATURE_ROPE,
    PARALLEL = FAL_FEATURE_PARALLEL,
    TWO = FAL_FEATURE_TWO_NORMS,
    BIAS = FAL_FEATURE_BIAS
};

static training_variant variants[] = {
    {"7b",
     "falcon",                            {SIZES(3, 1, 8, 40, 2048), .features = ROPE | PARALLEL, .has_tied_head = true},
     {0},
     0                                                                                                                                      },
    {"11b",                     "falcon", {SIZES(4, 2, 8, 24, 2048), .features = ROPE | PARALLEL},                                 {0}, 1e-2},
    {"40b",                     "falcon", {SIZES(4, 2, 8, 48, 2048), .features = ROPE | PARALLEL | TWO},                           {0}, 0   },
    {"rw",
     "falcon",                            {SIZES(3, 3, 8, 32, 2048), .features = FAL_FEATURE_ALIBI | BIAS, .has_tied_head = true},
     {0},
     1e-3                                                                                                                                   },
    {"starcoder",
     "starcoder",                         {SIZES(4, 1, 4, 40, 32),
      .features = FAL_FEATURE_LEARNED_POSITIONS | BIAS | FAL_FEATURE_GELU_TANH,
      .has_tied_head = true},
     {0},
     0                                                                                                                                      },
    {"40b with adapters",
     "falcon",                            {SIZES(4, 2, 8, 48, 2048), .features = ROPE | PARALLEL | TWO},
     {.rank = 3, .alpha = 5},
     0                                                                                                                                      },
    {"starcoder with adapters",
     "starcoder",                         {SIZES(4, 1, 4, 40, 32), .features = FAL_FEATURE_LEARNED_POSITIONS | BIAS},
     {.rank = 2, .alpha = 3, .with_norms = true, .with_embeddings = true},
     0                                                                                                                                      },
};

int training_variant_count(void) {
    return (int)(sizeof variants / sizeof variants[0]);
}

const training_variant *training_variant_at(int index) {
    training_variant *v = &variants[index];
    if (fal_params_has(&v->params, FAL_FEATURE_ROPE) && !v->params.rope.method)
        v->params.rope = (fal_rope_settings){.method = fal_rope_method_by_name("ntk-yarn"),
                                             .base = 100,
                                             .factor = 2,
                                             .trained_context = 1024,
                                             .attention_factor = 1};
    return v;
}

fal_trainable *training_model_open(const training_variant *v, fal_device *device, uint64_t seed) {
    fal_trainable *t;
    fal_error error = {0};
    fal_trainable_options options = {.seed = seed, .lora = v->lora, .device = device};
    CHECK_OK(fal_trainable_open_fresh(&t, fal_arch_by_name(v->architecture), &v->params, &options,
                                      &error),
             &error);
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        fal_random random = fal_random_seeded(seed, (uint64_t)i);
        double spread = w->is_matrix ? 1.5 / sqrt((double)w->n_cols) : 0.2;
        double middle = !w->is_matrix && !strstr(w->name, ".bias") ? 1 : 0;
        float *value = w->value.data;
        for (int64_t k = 0; k < w->n_rows * w->n_cols; k++)
            value[k] = (float)(middle + spread * fal_random_normal(&random));
    }
    return t;
}

void training_model_zero_gradients(fal_trainable *t) {
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        if (!w->is_frozen)
            memset(w->gradient.data, 0, (size_t)(w->n_rows * w->n_cols) * sizeof(float));
    }
}

void training_batch_draw(training_batch *b, const fal_params *p, const int64_t *lengths,
                         int n_sequences, uint64_t seed) {
    fal_random random = fal_random_seeded(seed, 1);
    int64_t n = 0;
    assert_in_range(n_sequences, 1, 7);
    b->starts[0] = 0;
    for (int s = 0; s < n_sequences; s++) {
        for (int64_t i = 0; i < lengths[s]; i++, n++) {
            assert_in_range(n, 0, TRAINING_MAX_TOKENS - 1);
            b->tokens[n] = (int32_t)(fal_random_u64(&random) % (uint64_t)p->n_vocab);
            b->targets[n] = (int32_t)(fal_random_u64(&random) % (uint64_t)p->n_vocab);
            b->positions[n] = (int32_t)i;
            uint64_t kind = fal_random_u64(&random) % 3;
            b->weights[n] = (float)kind / 2;
            /* The target of a token without weight is not looked at. */
            if (kind == 0) b->targets[n] = -100;
        }
        b->starts[s + 1] = n;
    }
    b->batch = (fal_batch){.n_tokens = n,
                           .tokens = b->tokens,
                           .positions = b->positions,
                           .targets = b->targets,
                           .weights = b->weights,
                           .starts = b->starts,
                           .n_sequences = n_sequences};
}

fal_batch training_batch_sequence(const training_batch *b, int index) {
    static int64_t starts[2];
    int64_t first = b->starts[index];
    starts[1] = b->starts[index + 1] - first;
    return (fal_batch){.n_tokens = starts[1],
                       .tokens = b->tokens + first,
                       .positions = b->positions + first,
                       .targets = b->targets + first,
                       .weights = b->weights + first,
                       .starts = starts,
                       .n_sequences = 1};
}
