/* Any bytes as adapter_config.json, context.json and adapter_model.safetensors, with zero bytes between them: what is read
 * fits the model. */
#include "fuzz.h"
#include "model/adapter.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

static const fal_params model = {.n_layers = 2,
                                 .n_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_dim = 4,
                                 .d_model = 16,
                                 .d_ff = 24,
                                 .n_vocab = 8,
                                 .n_context = 64,
                                 .norm_epsilon = 1e-5f,
                                 .features = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL
                                             | FAL_FEATURE_TWO_NORMS};

/* The bytes up to the next zero byte or the end. */
static fal_slice take_text(const char **at, size_t *left) {
    const char *zero = *left ? memchr(*at, '\0', *left) : NULL;
    fal_slice text = {*at, zero ? (size_t)(zero - *at) : *left};
    size_t used = text.length + (zero ? 1 : 0);
    *at += used;
    *left -= used;
    return text;
}

static void touch_tensor(const fal_checkpoint_tensor *t) {
    if (t) fal_fuzz_sum += touch(t->data, t->bytes);
}

static void walk(const fal_adapter *a) {
    int n_found = 0;
    for (int id = 0; id < FAL_WEIGHT_COUNT; id++) {
        int n_layers = fal_weight_is_per_layer((fal_weight_id)id) ? model.n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            char name[FAL_WEIGHT_NAME_SIZE];
            fal_weight_gguf_name((fal_weight_id)id, layer, name);
            const fal_adapter_change *change = fal_adapter_find(a, name);
            if (!change) continue;
            n_found++;
            touch_tensor(change->a);
            touch_tensor(change->b);
            touch_tensor(change->whole);
            if (!change->a != !change->b || (!change->a && !change->whole)) abort();
            if (change->a && change->a->shape[0] != change->b->shape[1]) abort();
        }
    }
    if (n_found == 0 || n_found != fal_adapter_count(a)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = size ? (const char *)data : "";
    fal_adapter *a;
    fal_error err = {0};
    fal_adapter_texts texts = {.config = take_text(&at, &size)};
    texts.context = take_text(&at, &size);
    if (texts.context.length == 0) texts.context.data = NULL;
    texts.tensors = (fal_slice){at, size};
    fal_status status = fal_adapter_parse(&a, &texts, &fal_arch_falcon, &model, &err);
    if (status == FAL_OK) walk(a);
    if (status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
    fal_adapter_close(a);
    return 0;
}
