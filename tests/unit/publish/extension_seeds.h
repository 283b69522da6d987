/* Results of an experiment on context extension made from fixed numbers, which tests then move. */
#ifndef FAL_TESTS_EXTENSION_SEEDS_H
#define FAL_TESTS_EXTENSION_SEEDS_H

#include "check.h"
#include "eval/small_world.h"
#include "publish/extension_results.h"

enum {
    N_STEPS = 20 /* of fine-tuning: a tenth are two */
};

static const fal_extension_preset small_preset = {.name = "small",
                                                  .n_seeds = 3,
                                                  .n_context = 128,
                                                  .n_layers = 2,
                                                  .d_model = 64,
                                                  .n_heads = 2,
                                                  .n_kv_heads = 1,
                                                  .base = 121,
                                                  .pretrain_steps = 100,
                                                  .pretrain_sequences = 8,
                                                  .short_steps = 40,
                                                  .has_long_model = true,
                                                  .extend_steps = N_STEPS,
                                                  .extend_sequences = 4,
                                                  .n_norm_batches = 8,
                                                  .n_examples = 10,
                                                  .n_documents = 4,
                                                  .meaning = "for tests"};

/* A small number of its own for each seed and place, so that intervals have a width. */
static inline double wobble(int seed, int place) {
    return 0.001 * ((seed * 7 + place * 3) % 5 - 2);
}

static inline json_t *list_of(int n, double value, double slope) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(value + slope * i));
    return list;
}

static inline json_t *measures_of(double loss, double score, int n_lengths) {
    const fal_world_task_row *task;
    json_t *scores = json_object();
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++)
        json_object_set_new(scores, task->name, list_of(n_lengths, score, -0.125));
    return json_pack("{s:o, s:o, s:f, s:o}", "loss", list_of(n_lengths, loss, 0.25), "answers",
                     list_of(n_lengths, loss / 2, 0.5), "short", loss, "scores", scores);
}

static inline json_t *seed_of(int seed) {
    const fal_extension_arm *arm;
    json_t *arms = json_object();
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        double w = wobble(seed, i);
        json_object_set_new(arms, arm->name,
                            json_pack("{s:o, s:o, s:o, s:o}", "norms",
                                      list_of(small_preset.n_norm_batches, 1 + w, 0), "curve",
                                      list_of(N_STEPS, 2 + w, -0.0625), "before",
                                      measures_of((i == 0 ? 3.25 : 3) + w, 0.5 + w, 3), "after",
                                      measures_of(2 + w, 0.75 + w, 3)));
    }
    json_t *results =
        json_pack("{s:i, s:o, s:s, s:{s:f}, s:o, s:o, s:f}", "seed", seed, "settings",
                  fal_extension_settings(&small_preset), "device", "cpu", "pretraining", "loss",
                  1.5, "base", measures_of(1.5, 0.8, 1), "arms", arms, "seconds", 60.0);
    if (seed == FAL_EXTENSION_LONG_MODEL_SEED)
        json_object_set_new(results, "long_model", measures_of(1, 0.9, 3));
    return results;
}

static inline json_t *seeds_of(int n) {
    json_t *seeds = json_array();
    for (int i = 1; i <= n; i++)
        json_array_append_new(seeds, seed_of(i));
    return seeds;
}

/* Adds delta to the numbers [from, to) of every list below value, and to numbers that stand alone. */
static inline void move_value(json_t *value, size_t from, size_t to, double delta) {
    const char *key;
    json_t *member;
    if (json_is_real(value)) json_real_set(value, json_real_value(value) + delta);
    for (size_t i = from; i < to && i < json_array_size(value); i++)
        move_value(json_array_get(value, i), 0, 0, delta);
    json_object_foreach(value, key, member) move_value(member, from, to, delta);
}

/* Moves what one arm has, in all seeds; what: "norms", "curve", "before", "after" or "after.scores". With alternates the
 * sign changes from seed to seed. */
static inline void move_arm(json_t *seeds, const char *arm, const char *what, size_t from,
                            size_t to, double delta, bool alternates) {
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_t *value = json_object_get(json_array_get(seeds, i), "arms");
        value = json_object_get(value, arm);
        value = json_object_get(value, strcmp(what, "after.scores") == 0 ? "after" : what);
        if (strcmp(what, "after.scores") == 0) value = json_object_get(value, "scores");
        assert_non_null(value);
        move_value(value, from, to, alternates && i % 2 ? -delta : delta);
    }
}

#endif
