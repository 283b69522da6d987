/* Small training runs, in a folder that exists for one test. Everything fails the running test by itself. */
#ifndef FAL_TESTS_TINY_RUN_H
#define FAL_TESTS_TINY_RUN_H

#include "base/file.h"
#include "base/folder.h"
#include "base/random.h"
#include "train/train.h"
#include "unit/formats/temp_folder.h"
#include "unit/model/training_model.h"

enum {
    TINY_LENGTH = 16,
    TINY_SEQUENCES = 4, /* of a step */
    TINY_STEP_TOKENS = TINY_LENGTH * TINY_SEQUENCES
};

/* Data, model and what becomes of them. */
typedef struct tiny_run {
    const training_variant *variant;
    fal_documents documents;
    fal_plan *plan, *validation;
    fal_device *device;
    fal_trainable *model;
    fal_train_subject subject;
    fal_train_options options;
    fal_train_result result;
    char directory[96]; /* of the run; "" writes nothing */
    int64_t stop_at;    /* step after which the run is interrupted; 0: none */
    double losses[512]; /* by step - 1 */
    int64_t n_losses;
} tiny_run;

/* Appends n documents of source 0, some parts of which are an answer and some a prompt. */
static inline void tiny_documents(fal_documents *d, int n, int n_vocab, uint64_t seed) {
    fal_random random = fal_random_seeded(seed, 0);
    fal_error err = {0};
    for (int i = 0; i < n; i++) {
        int32_t tokens[TINY_LENGTH];
        uint8_t parts[TINY_LENGTH];
        int length = 5 + (int)(fal_random_u64(&random) % (TINY_LENGTH - 4));
        for (int k = 0; k < length; k++) {
            tokens[k] = (int32_t)(fal_random_u64(&random) % (uint64_t)n_vocab);
            parts[k] = k < 3 ? FAL_LOSS_NONE : k < 5 ? FAL_LOSS_PROMPT : FAL_LOSS_ANSWER;
        }
        CHECK_OK(
            fal_documents_append(d, tokens, parts, length, 0, i + 1, fal_random_u64(&random), &err),
            &err);
    }
}

static inline fal_plan *tiny_plan(const fal_documents *d, int64_t n_tokens, int n_sequences) {
    static const double weight = 1;
    static const fal_plan_source source = {0, 1};
    const fal_plan_options how = {.seed = 7,
                                  .n_tokens = n_tokens,
                                  .sequence_length = TINY_LENGTH,
                                  .n_sequences = n_sequences,
                                  .group_weights = &weight,
                                  .n_groups = 1,
                                  .sources = &source,
                                  .n_sources = 1};
    fal_plan *plan;
    fal_error err = {0};
    CHECK_OK(fal_plan_open(&plan, d, &how, &err), &err);
    return plan;
}

static inline bool tiny_on_step(void *user, const fal_train_step *step) {
    tiny_run *r = user;
    if (step->step <= 512) r->losses[step->step - 1] = step->loss;
    r->n_losses = step->step;
    return step->step != r->stop_at;
}

/* As many tokens as n_steps steps hold. */
static inline fal_plan *tiny_plan_steps(const fal_documents *d, int64_t n_steps) {
    for (int64_t n_tokens = n_steps * TINY_STEP_TOKENS;; n_tokens -= TINY_LENGTH) {
        fal_plan *plan = tiny_plan(d, n_tokens, TINY_SEQUENCES);
        if (fal_plan_n_steps(plan) == n_steps) return plan;
        fal_plan_close(plan);
    }
}

/* A run of n_steps over n_documents, not started. */
static inline void tiny_open(tiny_run *r, const training_variant *v, int n_documents, int n_steps,
                             int n_threads) {
    static const char *const names[] = {"made.jsonl"};
    fal_error err = {0};
    *r = (tiny_run){.variant = v};
    tiny_documents(&r->documents, n_documents, v->params.n_vocab, 5);
    r->plan = tiny_plan_steps(&r->documents, n_steps);
    r->validation = tiny_plan(&r->documents, TINY_STEP_TOKENS, 1);
    CHECK_OK(fal_device_open(&r->device, test_device() ? test_device() : "cpu", n_threads, &err),
             &err);
    r->model = training_model_open(v, r->device, 3);
    r->subject = (fal_train_subject){.model = r->model,
                                     .device = r->device,
                                     .plan = r->plan,
                                     .batch_sequences = TINY_SEQUENCES,
                                     .sequence_length = TINY_LENGTH,
                                     .documents = &r->documents,
                                     .sources = names};
    r->options = (fal_train_options){.learning_rate = 5e-3, .on_step = tiny_on_step, .user = r};
}

static inline fal_status tiny_train(tiny_run *r, fal_error *err) {
    r->options.directory = r->directory[0] ? r->directory : NULL;
    return fal_train(&r->subject, &r->options, &r->result, err);
}

static inline void tiny_close(tiny_run *r) {
    fal_trainable_close(r->model);
    fal_device_close(r->device);
    fal_plan_close(r->plan);
    fal_plan_close(r->validation);
    fal_documents_release(&r->documents);
}

/* The model as it was before training. */
static inline void tiny_again(tiny_run *r) {
    fal_trainable_close(r->model);
    r->model = training_model_open(r->variant, r->device, 3);
    r->subject.model = r->model;
}

/* The same on a device of its own with this many threads. */
static inline void tiny_other_threads(tiny_run *r, int n_threads) {
    fal_error err = {0};
    fal_trainable_close(r->model);
    fal_device_close(r->device);
    CHECK_OK(fal_device_open(&r->device, test_device() ? test_device() : "cpu", n_threads, &err),
             &err);
    r->model = training_model_open(r->variant, r->device, 3);
    r->subject.model = r->model;
    r->subject.device = r->device;
}

static inline void check_same_weights(fal_trainable *a, fal_trainable *b) {
    assert_int_equal(fal_trainable_count(a), fal_trainable_count(b));
    for (int i = 0; i < fal_trainable_count(a); i++) {
        const fal_trainable_weight *w = fal_trainable_at(a, i);
        size_t bytes = (size_t)(w->n_rows * w->n_cols) * sizeof(float);
        assert_memory_equal(w->value.data, fal_trainable_at(b, i)->value.data, bytes);
    }
}

/* Whole file below the run's folder, terminated; released with fal_free. */
static inline char *tiny_read(const char *directory, const char *name, size_t *length) {
    char path[400], *text;
    fal_error err = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK_OK(fal_file_read(&text, length, path, 1 << 24, &err), &err);
    return text;
}

/* Cuts what the clock and the machine decide out of a log. */
static inline void cut_times(char *log) {
    char *to = log;
    for (const char *at = log; *at;) {
        const char *end = strstr(at, ", \"seconds\""), *newline = strchr(at, '\n');
        assert_true(end && newline && end < newline);
        memmove(to, at, (size_t)(end - at));
        to += end - at;
        *to++ = '\n';
        at = newline + 1;
    }
    *to = '\0';
}

#endif
