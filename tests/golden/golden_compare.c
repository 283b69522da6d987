/* Body of golden_compare.h. */
#include "golden/golden_compare.h"

#include <falconer/sampling.h>

#include <stdlib.h>

int32_t golden_best(const float *logits, size_t n_vocab) {
    size_t best = 0;
    for (size_t i = 1; i < n_vocab; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return (int32_t)best;
}

void golden_compare_ids(const fal_model *model, const golden_result *expected) {
    fal_error error = {0};
    fal_tokens found = {0};
    size_t n_dropped = 0;
    CHECK_OK(fal_tokenizer_encode(fal_model_tokenizer(model), expected->prompt,
                                  strlen(expected->prompt), FAL_SPECIALS_RECOGNISED, &found,
                                  &n_dropped, &error),
             &error);
    assert_int_equal(n_dropped, 0);
    assert_int_equal(found.count, expected->n_ids);
    assert_memory_equal(found.ids, expected->ids, expected->n_ids * sizeof *found.ids);
    fal_tokens_release(&found);
}

static void compare_logits(const float *found, const golden_result *expected, double bound) {
    double largest = 0, distance = 0;
    size_t where = 0;
    for (size_t i = 0; i < expected->n_logits; i++) {
        double here = fabs((double)found[i] - expected->last_logits[i]);
        largest = fmax(largest, fabs(expected->last_logits[i]));
        if (!(here <= distance)) {
            distance = here;
            where = i;
        }
    }
    if (!(distance <= bound * largest))
        fail_msg("logit %zu is %.9g, expected %.9g: off by %.3g of the largest, %g is allowed",
                 where, (double)found[where], expected->last_logits[where], distance / largest,
                 bound);
}

static void compare_probabilities(const float *logits, const golden_result *expected,
                                  const golden_bounds *bounds) {
    double sum = 0;
    for (size_t i = 0; i + 1 < expected->n_ids; i++) {
        double found = fal_log_probability(logits + i * expected->n_logits, expected->n_logits,
                                           expected->ids[i + 1]);
        sum -= found;
        if (expected->n_logprobs) CHECK_NEAR(found, expected->logprobs[i], bounds->logprob);
    }
    double nll = sum / (double)(expected->n_ids - 1);
    /* A mean of large terms carries their rounding. */
    CHECK_NEAR(nll, expected->nll, bounds->nll * fmax(1, expected->nll / 20));
}

static void feed_all(fal_session *s, const golden_result *expected, float *logits) {
    fal_error error = {0};
    size_t done = 0, n_feeds = expected->n_feeds ? expected->n_feeds : 1;
    for (size_t i = 0; i < n_feeds; i++) {
        size_t n = expected->n_feeds ? (size_t)expected->feeds[i] : expected->n_ids;
        CHECK_OK(fal_session_feed(s, expected->ids + done, n, logits + done * expected->n_logits,
                                  &error),
                 &error);
        done += n;
    }
    assert_int_equal(done, expected->n_ids);
}

void golden_compare_result(fal_model *model, const golden_result *expected, const char *kv_type,
                           const golden_bounds *bounds) {
    fal_error error = {0};
    fal_session *s = NULL;
    size_t n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
    assert_int_equal(n_vocab, expected->n_logits);
    fal_session_options options = {.n_context = (int)(expected->n_ids + expected->n_greedy),
                                   .kv_type = kv_type};
    CHECK_OK(fal_session_open(&s, model, &options, &error), &error);
    float *logits = malloc(expected->n_ids * n_vocab * sizeof *logits);
    assert_non_null(logits);
    feed_all(s, expected, logits);
    compare_logits(fal_session_logits(s), expected, bounds->logits);
    compare_probabilities(logits, expected, bounds);
    for (size_t i = 0; i < expected->n_greedy && bounds->is_greedy_judged; i++) {
        int32_t best = golden_best(fal_session_logits(s), n_vocab);
        if (best != expected->greedy[i])
            fail_msg("greedy token %zu is %d, expected %d", i, best, expected->greedy[i]);
        CHECK_OK(fal_session_feed(s, &best, 1, NULL, &error), &error);
    }
    free(logits);
    fal_session_close(s);
}

void golden_compare_settings(const fal_model *model, const json_t *settings) {
    const fal_model_info *info = fal_model_info_get(model);

    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"n_layers",        info->n_layers       },
        {"n_heads",         info->n_heads        },
        {"n_kv_heads",      info->n_kv_heads     },
        {"head_dim",        info->head_dim       },
        {"d_model",         info->d_model        },
        {"d_ff",            info->d_ff           },
        {"n_vocab",         info->n_vocab        },
        {"trained_context", info->trained_context},
        {"n_context",       info->n_context      },
        {"rope_base",       info->rope_base      },
        {"rope_factor",     info->rope_factor    },
        {"rope_gain",       info->rope_gain      },
    };

    const struct {
        const char *key, *value;
    } words[] = {
        {"architecture", info->architecture},
        {"rope_method",  info->rope_method },
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *expected = json_object_get(settings, numbers[i].key);
        double value = json_number_value(expected);
        if (expected && !(fabs(numbers[i].value - value) <= 1e-6 * fabs(value)))
            fail_msg("%s is %.9g, expected %.9g", numbers[i].key, numbers[i].value, value);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const json_t *expected = json_object_get(settings, words[i].key);
        if (expected) assert_string_equal(words[i].value, json_string_value(expected));
    }
    assert_string_equal(info->restored, "");
}
