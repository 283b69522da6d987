/* train/gradient.h: the laws of weights, and losses told apart by why a token counts. */
#include "base/alloc.h"
#include "train/gradient.h"
#include "unit/train/tiny_run.h"

/* A run of one step, with what computes its gradient. */
typedef struct one_step {
    tiny_run run;
    fal_optimizer *optimizer;
    fal_gradient *gradient;
} one_step;

/* Each of the given documents (0: the short one, 1: the long one) is a sequence of the step. */
static void open_step(one_step *s, const int *documents, int n) {
    const fal_optimizer_options how = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};
    fal_train_options options = {.micro_batch = 1};
    fal_error err = {0};
    tiny_open(&s->run, training_variant_at(2), 1, 1, 1);
    fal_documents_release(&s->run.documents);
    for (int i = 0; i < n; i++) {
        int32_t tokens[TINY_LENGTH];
        uint8_t parts[TINY_LENGTH];
        int length = documents[i] ? TINY_LENGTH : TINY_LENGTH - 5;
        for (int k = 0; k < length; k++) {
            tokens[k] = (7 * k + 11 * documents[i]) % 37;
            parts[k] = k < 4 ? FAL_LOSS_PROMPT : k < 9 ? FAL_LOSS_ANSWER : FAL_LOSS_TEXT;
        }
        CHECK_OK(fal_documents_append(&s->run.documents, tokens, parts, length, 0, i + 1,
                                      (uint64_t)i, &err),
                 &err);
    }
    fal_plan_close(s->run.plan);
    s->run.subject.plan = s->run.plan = tiny_plan(&s->run.documents, 0, n);
    s->run.subject.batch_sequences = n;
    assert_int_equal(fal_plan_n_steps(s->run.plan), 1);
    CHECK_OK(fal_optimizer_open(&s->optimizer, s->run.model, s->run.device, &how, &err), &err);
    CHECK_OK(fal_gradient_open(&s->gradient, &s->run.subject, s->optimizer, &options, &err), &err);
}

static void close_step(one_step *s) {
    fal_gradient_close(s->gradient);
    fal_optimizer_close(s->optimizer);
    tiny_close(&s->run);
}

static fal_loss_sum compute(one_step *s, double *norm) {
    fal_loss_sum sum;
    fal_error err = {0};
    CHECK_OK(fal_gradient_compute(s->gradient, 1, &sum, norm, &err), &err);
    return sum;
}

static double distance(fal_trainable *a, fal_trainable *b) {
    double sum = 0;
    for (int i = 0; i < fal_trainable_count(a); i++) {
        const fal_trainable_weight *w = fal_trainable_at(a, i);
        const float *x = w->gradient.data, *y = fal_trainable_at(b, i)->gradient.data;
        for (int64_t k = 0; k < w->n_rows * w->n_cols; k++)
            sum += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
    }
    return sqrt(sum);
}

/* All documents as often again is the same step. */
static void scaling_all_weights_changes_nothing(void **state) {
    (void)state;
    one_step once, twice;
    double norm[2];
    open_step(&once, (const int[]){0, 1}, 2);
    open_step(&twice, (const int[]){0, 1, 0, 1}, 4);
    fal_loss_sum a = compute(&once, &norm[0]), b = compute(&twice, &norm[1]);
    CHECK_NEAR(fal_loss_sum_total(&a), fal_loss_sum_total(&b), 1e-6);
    CHECK_NEAR(norm[0], norm[1], 1e-6 * norm[0]);
    assert_true(distance(once.run.model, twice.run.model) < 1e-6 * norm[0]);
    close_step(&once);
    close_step(&twice);
}

/* The document seen twice in a step weighs twice in a step that has it once. */
static void a_document_twice_is_one_of_twice_the_weight(void **state) {
    (void)state;
    one_step once, twice;
    double norm;
    open_step(&once, (const int[]){0, 1}, 2);
    open_step(&twice, (const int[]){0, 1, 0}, 3);
    compute(&twice, &norm);
    fal_batch_buffer buffer;
    fal_training_pass *pass;
    fal_error err = {0};
    const fal_training_pass_options how = {.max_tokens = 2 * TINY_LENGTH};
    float nll[2 * TINY_LENGTH];
    double total = 0;
    CHECK_OK(fal_batch_buffer_open(&buffer, 2 * TINY_LENGTH, &err), &err);
    CHECK_OK(fal_training_pass_open(&pass, once.run.model, once.run.device, &how, &err), &err);
    fal_batch batch = fal_plan_fill(once.run.plan, 0, 2, &buffer);
    for (int64_t i = 0; i < batch.n_sequences; i++) {
        bool is_short = batch.starts[i + 1] - batch.starts[i] < TINY_LENGTH;
        for (int64_t k = batch.starts[i]; k < batch.starts[i + 1]; k++) {
            buffer.weights[k] *= is_short ? 2 : 1;
            total += (double)buffer.weights[k];
        }
    }
    CHECK_OK(fal_optimizer_clear_gradients(once.optimizer, &err), &err);
    CHECK_OK(fal_training_pass_run(pass, &batch, 1 / total, nll, &err), &err);
    assert_true(distance(once.run.model, twice.run.model) < 1e-6 * norm);
    fal_training_pass_close(pass);
    fal_batch_buffer_release(&buffer);
    close_step(&once);
    close_step(&twice);
}

static void losses_are_told_apart(void **state) {
    (void)state;
    one_step s;
    double norm;
    open_step(&s, (const int[]){0, 1}, 2);
    fal_loss_sum sum = compute(&s, &norm);
    /* The first token of a document is foretold by nothing. */
    assert_true(sum.weight[FAL_LOSS_NONE] == 0);
    assert_true(sum.weight[FAL_LOSS_PROMPT] == 2 * 3);
    assert_true(sum.weight[FAL_LOSS_ANSWER] == 2 * 5);
    assert_true(sum.weight[FAL_LOSS_TEXT] == 2 + 7);
    assert_int_equal(sum.n_tokens, 2 * TINY_LENGTH - 5);
    double all = 0;
    for (int part = FAL_LOSS_ANSWER; part < FAL_LOSS_PART_COUNT; part++)
        all += fal_loss_sum_part(&sum, (fal_loss_part)part) * sum.weight[part];
    CHECK_NEAR(fal_loss_sum_total(&sum), all / 25, 1e-12);
    assert_true(isnan(fal_loss_sum_part(&sum, FAL_LOSS_NONE)));
    assert_true(isnan(fal_loss_sum_total(&(fal_loss_sum){0})));
    close_step(&s);
}

static void multiply(fal_trainable *t, const char *name, float factor) {
    fal_trainable_weight *w = fal_trainable_find(t, name);
    for (int64_t k = 0; k < w->n_rows * w->n_cols; k++)
        fal_tensor_f32_row(w->value, 0)[k] *= factor;
}

/* The last ffn is huge inside and 0 outside, and what it is added to is small: only its gradient is beyond all numbers. */
static void a_gradient_that_is_no_number_names_its_record(void **state) {
    (void)state;
    one_step s;
    double norm;
    fal_loss_sum sum;
    fal_error err = {0};
    open_step(&s, (const int[]){0, 1}, 2);
    multiply(s.run.model, "token_embd.weight", 1e-4f);
    for (int layer = 0; layer < 2; layer++) {
        char name[40];
        snprintf(name, sizeof name, "blk.%d.attn_output.weight", layer);
        multiply(s.run.model, name, 0);
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", layer);
        multiply(s.run.model, name, 0);
    }
    multiply(s.run.model, "blk.1.ffn_up.weight", 5e37f);
    CHECK_STATUS(fal_gradient_compute(s.gradient, 1, &sum, &norm, &err), FAL_E_LIMIT, &err,
                 "the gradient of record ");
    close_step(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaling_all_weights_changes_nothing),
        cmocka_unit_test(a_document_twice_is_one_of_twice_the_weight),
        cmocka_unit_test(losses_are_told_apart),
        cmocka_unit_test(a_gradient_that_is_no_number_names_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
