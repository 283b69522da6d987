/* Loss, gradients of every parameter and ten steps of AdamW against automatic differentiation in float64: every golden
 * variant and context method, two packed sequences, on each device. */
#include "golden/golden_files.h"
#include "model/training_pass.h"
#include "test_device.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_CASES = 64,
    MAX_TOKENS = 128,
    REF_LOSSES = 3 /* of the eleven that are told: ref is slow, and the first gradients say most */
};

typedef struct training_case {
    char name[192];
    char path[GOLDEN_PATH_SIZE];
    const char *device;
} training_case;

static const double LOSS_BOUND = 1e-6, NLL_BOUND = 1e-5, GRADIENT_BOUND = 1e-5, STEPS_BOUND = 1e-5;

/* ---- what the file says ---- */

typedef struct read_batch {
    int32_t tokens[MAX_TOKENS], positions[MAX_TOKENS], targets[MAX_TOKENS];
    float weights[MAX_TOKENS];
    int64_t starts[8];
    double weight_sum;
    fal_batch batch;
} read_batch;

static double number_at(const json_t *array, size_t i) {
    const json_t *item = json_array_get(array, i);
    assert_true(json_is_number(item));
    return json_number_value(item);
}

static void read_the_batch(read_batch *b, const json_t *item) {
    const json_t *starts = json_object_get(item, "starts"),
                 *weights = json_object_get(item, "weights");
    size_t n = json_array_size(weights), n_starts = json_array_size(starts);
    assert_in_range(n, 2, MAX_TOKENS);
    assert_in_range(n_starts, 3, 8);
    b->weight_sum = 0;
    for (size_t i = 0; i < n; i++) {
        b->tokens[i] = (int32_t)number_at(json_object_get(item, "tokens"), i);
        b->positions[i] = (int32_t)number_at(json_object_get(item, "positions"), i);
        b->targets[i] = (int32_t)number_at(json_object_get(item, "targets"), i);
        b->weights[i] = (float)number_at(weights, i);
        b->weight_sum += number_at(weights, i);
    }
    for (size_t i = 0; i < n_starts; i++)
        b->starts[i] = (int64_t)number_at(starts, i);
    b->batch = (fal_batch){.n_tokens = (int64_t)n,
                           .tokens = b->tokens,
                           .positions = b->positions,
                           .targets = b->targets,
                           .weights = b->weights,
                           .starts = b->starts,
                           .n_sequences = (int64_t)n_starts - 1};
}

static double member(const json_t *object, const char *name) {
    const json_t *item = json_object_get(object, name);
    if (!json_is_number(item)) fail_msg("no number '%s'", name);
    return json_number_value(item);
}

/* ---- gradients ---- */

/* As make_training.py's signs. */
static double sign_of(uint64_t index, uint64_t k) {
    uint64_t x = (index + 1) * 0x9e3779b97f4a7c15u + k * 0xd1342543de82ef95u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x >> 63 ? -1 : 1;
}

/* The mean square of products of the difference with random signs is its length squared. */
static void compare_gradient(const fal_trainable_weight *w, const json_t *expected) {
    const float *g = w->gradient.data;
    int64_t n = w->n_rows * w->n_cols;
    const json_t *signs = json_object_get(expected, "signs"),
                 *entries = json_object_get(expected, "entries");
    double norm = member(expected, "norm"), squares = 0, length = 0;
    assert_true(json_array_size(signs) >= 4);
    for (size_t k = 0; k < json_array_size(signs); k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)g[i] * sign_of((uint64_t)i, k);
        sum -= number_at(signs, k);
        squares += sum * sum / (double)json_array_size(signs);
    }
    for (int64_t i = 0; i < n; i++)
        length += (double)g[i] * (double)g[i];
    if (!(sqrt(squares) <= GRADIENT_BOUND * norm))
        fail_msg("%s: the gradient is off by %.3g of its length", w->name, sqrt(squares) / norm);
    CHECK_NEAR(sqrt(length), norm, GRADIENT_BOUND * norm);
    assert_true(json_array_size(entries) >= 2);
    for (size_t k = 0; k < json_array_size(entries); k++) {
        const json_t *entry = json_array_get(entries, k);
        CHECK_NEAR(g[(int64_t)number_at(entry, 0)], number_at(entry, 1), GRADIENT_BOUND * norm);
    }
}

static void compare_gradients(fal_trainable *t, const json_t *expected) {
    assert_int_equal(fal_trainable_count(t), json_object_size(expected));
    for (int i = 0; i < fal_trainable_count(t); i++) {
        const fal_trainable_weight *w = fal_trainable_at(t, i);
        const json_t *item = json_object_get(expected, w->name);
        if (!item) fail_msg("no gradient of %s is told", w->name);
        compare_gradient(w, item);
    }
}

/* ---- steps ---- */

typedef struct moments {
    void *m, *v; /* memory of the device */
} moments;

static moments take_moments(const fal_trainable_weight *w, fal_device *device) {
    moments taken;
    fal_error error = {0};
    size_t bytes = (size_t)(w->n_rows * w->n_cols) * sizeof(float);
    CHECK_OK(fal_memory_take(&taken.m, device, bytes, &error), &error);
    CHECK_OK(fal_memory_take(&taken.v, device, bytes, &error), &error);
    memset(taken.m, 0, bytes);
    memset(taken.v, 0, bytes);
    return taken;
}

static void take_steps(fal_trainable *t, fal_queue *q, moments *all, const json_t *adamw,
                       int64_t number) {
    fal_adamw a = {.learning_rate = member(adamw, "learning_rate"),
                   .beta1 = member(adamw, "beta1"),
                   .beta2 = member(adamw, "beta2"),
                   .epsilon = member(adamw, "epsilon"),
                   .gradient_scale = 1,
                   .step = number};
    fal_error error = {0};
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_trainable_weight *w = fal_trainable_at(t, i);
        fal_tensor m = w->gradient, v = w->gradient;
        m.data = all[i].m;
        v.data = all[i].v;
        a.weight_decay = w->is_matrix ? member(adamw, "weight_decay") : 0;
        q->ops->adamw(q, w->value, m, v, w->gradient, &a);
        q->ops->scale(q, w->gradient, 0);
    }
    CHECK_OK(fal_queue_wait(q, &error), &error);
}

static double loss_of(const read_batch *b, const float *nll) {
    double sum = 0;
    for (int64_t i = 0; i < b->batch.n_tokens; i++)
        sum += (double)b->weights[i] * (double)nll[i];
    return sum / b->weight_sum;
}

/* ---- one result ---- */

static void compare_nll(float found, double expected) {
    CHECK_NEAR(found, expected, NLL_BOUND * fmax(1, expected));
}

static void set_context(fal_trainable *t, const json_t *context) {
    fal_error error = {0};
    if (!json_is_object(context)) return;
    fal_rope_settings rope = fal_trainable_params(t)->rope;
    rope.method = fal_rope_method_by_name(json_string_value(json_object_get(context, "method")));
    assert_non_null(rope.method);
    rope.factor = member(context, "factor");
    rope.trained_context = (int)member(context, "original");
    rope.attention_factor = 1;
    CHECK_OK(fal_trainable_set_rope(t, &rope, &error), &error);
}

static void compare_result(const fal_gguf *file, fal_device *device, const read_batch *b,
                           const json_t *adamw, const json_t *result) {
    fal_error error = {0};
    fal_trainable *t;
    fal_training_pass *pass;
    fal_queue *queue;
    float nll[MAX_TOKENS];
    double z_loss = member(result, "z_loss");
    const json_t *losses = json_object_get(result, "losses");
    fal_training_pass_options options = {.max_tokens = b->batch.n_tokens, .z_loss = z_loss};
    const fal_trainable_options where = {.device = device};
    CHECK_OK(fal_trainable_open_gguf(&t, file, &where, &error), &error);
    set_context(t, json_object_get(result, "context"));
    CHECK_OK(fal_training_pass_open(&pass, t, device, &options, &error), &error);
    CHECK_OK(fal_queue_open(&queue, device, &error), &error);
    moments all[256];
    assert_in_range(fal_trainable_count(t), 1, 256);
    for (int i = 0; i < fal_trainable_count(t); i++)
        all[i] = take_moments(fal_trainable_at(t, i), device);
    assert_int_equal(json_array_size(losses), 11);
    size_t n_losses = strcmp(device->backend->name, "ref") == 0 ? REF_LOSSES : 11;
    for (size_t step = 0; step < n_losses; step++) {
        CHECK_OK(fal_training_pass_run(pass, &b->batch, 1 / b->weight_sum, nll, &error), &error);
        if (step == 0) {
            compare_gradients(t, json_object_get(result, "gradients"));
            for (int64_t i = 0; i < b->batch.n_tokens; i++)
                compare_nll(nll[i], number_at(json_object_get(result, "nll"), (size_t)i));
        }
        CHECK_NEAR(loss_of(b, nll), number_at(losses, step), step == 0 ? LOSS_BOUND : STEPS_BOUND);
        take_steps(t, queue, all, adamw, (int64_t)step + 1);
    }
    for (int i = 0; i < fal_trainable_count(t); i++) {
        fal_memory_give(all[i].m, device);
        fal_memory_give(all[i].v, device);
    }
    fal_queue_close(queue);
    fal_training_pass_close(pass);
    fal_trainable_close(t);
}

static void test_case(void **state) {
    const training_case *c = *state;
    fal_error error = {0};
    json_t *told = golden_json(c->path);
    char scratch[GOLDEN_PATH_SIZE], path[GOLDEN_PATH_SIZE];
    golden_model model = {.variant = ""};
    const char *variant = json_string_value(json_object_get(told, "variant"));
    golden_join(model.folder, FAL_SOURCE_DIR "/tests/golden/models",
                json_string_value(json_object_get(told, "model")));
    if (variant[0]) golden_join(model.variant, model.folder, variant);
    golden_scratch_make(scratch);
    golden_convert(&model, "f32", scratch, path);
    fal_gguf *file;
    fal_device *device;
    CHECK_OK(fal_gguf_open(&file, path, &error), &error);
    CHECK_OK(fal_device_open(&device, c->device, 2, &error), &error);
    read_batch batch;
    read_the_batch(&batch, json_object_get(told, "batch"));
    const json_t *results = json_object_get(told, "results");
    assert_true(json_array_size(results) > 0);
    for (size_t i = 0; i < json_array_size(results); i++)
        compare_result(file, device, &batch, json_object_get(told, "adamw"),
                       json_array_get(results, i));
    fal_device_close(device);
    fal_gguf_close(file);
    json_decref(told);
    golden_scratch_remove(scratch);
}

static int is_told(const struct dirent *entry) {
    return strstr(entry->d_name, ".json") != NULL;
}

int main(void) {
    if (!test_device_is_there()) return TEST_IS_SKIPPED;
    static training_case cases[MAX_CASES];
    static struct CMUnitTest tests[MAX_CASES];
    static const char *const devices[] = {"cpu", "ref"};
    const char *folder = FAL_SOURCE_DIR "/tests/golden/training";
    struct dirent **entries;
    int n_entries = scandir(folder, &entries, is_told, alphasort);
    size_t n = 0;
    if (n_entries < 9 || 2 * n_entries > MAX_CASES) return 1;
    for (int i = 0; i < 2 * n_entries; i += test_device() ? 2 : 1, n++) {
        const char *file = entries[i / 2]->d_name;
        cases[n].device = test_device() ? test_device() : devices[i % 2];
        snprintf(cases[n].name, sizeof cases[n].name, "%.100s on %s", file, cases[n].device);
        snprintf(cases[n].path, sizeof cases[n].path, "%s/%.200s", folder, file);
        tests[n] = (struct CMUnitTest){
            .name = cases[n].name, .test_func = test_case, .initial_state = &cases[n]};
    }
    for (int i = 0; i < n_entries; i++)
        free(entries[i]);
    free(entries);
    return _cmocka_run_group_tests("training", tests, n, NULL, NULL);
}
