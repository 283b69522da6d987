/* Body of extension_results.h. */
#include "publish/extension_results.h"

#include "eval/small_world.h"

#include <math.h>
#include <string.h>

/* ---- whole results ---- */

/* A number or a list of `count` finite numbers; count 0: a number. */
static bool is_numeric(const json_t *value, int count) {
    if (count == 0) return json_is_number(value) && isfinite(json_number_value(value));
    if (!json_is_array(value) || json_array_size(value) != (size_t)count) return false;
    for (int i = 0; i < count; i++) {
        if (!is_numeric(json_array_get(value, (size_t)i), 0)) return false;
    }
    return true;
}

static fal_status check_member(const json_t *object, const char *where, const char *key, int count,
                               fal_error *err) {
    if (is_numeric(json_object_get(object, key), count)) return FAL_OK;
    if (count == 0) return fal_fail(err, FAL_E_FORMAT, "%s: no number '%s'", where, key);
    return fal_fail(err, FAL_E_FORMAT, "%s: no list '%s' of %d numbers", where, key, count);
}

static fal_status check_measures(const json_t *measures, const char *where, int n_lengths,
                                 fal_error *err) {
    const fal_world_task_row *task;
    FAL_TRY(check_member(measures, where, "loss", n_lengths, err));
    FAL_TRY(check_member(measures, where, "answers", n_lengths, err));
    FAL_TRY(check_member(measures, where, "short", 0, err));
    const json_t *scores = json_object_get(measures, "scores");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++)
        FAL_TRY(check_member(scores, where, task->name, n_lengths, err));
    return FAL_OK;
}

static const json_t *arm_of(const json_t *seed, const char *arm) {
    return json_object_get(json_object_get(seed, "arms"), arm);
}

static fal_status check_arm(const fal_extension_preset *preset, const json_t *seed,
                            const char *name, fal_error *err) {
    const json_t *arm = arm_of(seed, name);
    FAL_TRY(check_member(arm, name, "norms", preset->n_norm_batches, err));
    FAL_TRY(check_member(arm, name, "curve", preset->extend_steps, err));
    FAL_TRY(check_measures(json_object_get(arm, "before"), name, FAL_EXTENSION_LENGTHS, err));
    return check_measures(json_object_get(arm, "after"), name, FAL_EXTENSION_LENGTHS, err);
}

fal_status fal_extension_results_check(const fal_extension_preset *preset, const json_t *seed,
                                       fal_error *err) {
    const fal_extension_arm *arm;
    json_t *settings = fal_extension_settings(preset);
    if (!settings) return fal_fail_memory(err, 0);
    bool is_same = json_equal(settings, json_object_get(seed, "settings"));
    json_decref(settings);
    if (!is_same)
        return fal_fail(err, FAL_E_FORMAT, "its settings are not those of preset %s", preset->name);
    FAL_TRY(check_member(seed, "results", "seed", 0, err));
    FAL_TRY(check_member(json_object_get(seed, "pretraining"), "pretraining", "loss", 0, err));
    FAL_TRY(check_measures(json_object_get(seed, "base"), "base", 1, err));
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        FAL_TRY(check_arm(preset, seed, arm->name, err));
    if (!fal_extension_has_long_model(preset,
                                      (uint64_t)json_integer_value(json_object_get(seed, "seed"))))
        return FAL_OK;
    return check_measures(json_object_get(seed, "long_model"), "long_model", FAL_EXTENSION_LENGTHS,
                          err);
}

/* ---- numbers ---- */

static double number_of(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* Of the items [from, to). */
static double mean_of(const json_t *array, size_t from, size_t to) {
    double sum = 0;
    if (to > json_array_size(array) || from >= to) return (double)NAN;
    for (size_t i = from; i < to; i++)
        sum += number_of(json_array_get(array, i));
    return sum / (double)(to - from);
}

double fal_extension_norm(const json_t *seed, const char *arm) {
    const json_t *norms = json_object_get(arm_of(seed, arm), "norms");
    return mean_of(norms, 0, json_array_size(norms));
}

/* The last two of the three distances: the third holds twice as many tokens as the second. */
static double beyond(const json_t *measures, const char *which) {
    const json_t *loss = json_object_get(measures, which);
    return (number_of(json_array_get(loss, 1)) + 2 * number_of(json_array_get(loss, 2))) / 3;
}

double fal_extension_first_loss(const json_t *seed, const char *arm) {
    return beyond(json_object_get(arm_of(seed, arm), "before"), "loss");
}

double fal_extension_final_loss(const json_t *seed, const char *arm) {
    return beyond(json_object_get(arm_of(seed, arm), "after"), "loss");
}

double fal_extension_first_answers(const json_t *seed, const char *arm) {
    return beyond(json_object_get(arm_of(seed, arm), "before"), "answers");
}

double fal_extension_final_answers(const json_t *seed, const char *arm) {
    return beyond(json_object_get(arm_of(seed, arm), "after"), "answers");
}

double fal_extension_long_model_loss(const json_t *seed) {
    return beyond(json_object_get(seed, "long_model"), "loss");
}

/* Of the training curve, the steps from one tenth to another; at least one step. */
static double curve_mean(const json_t *seed, const char *arm, size_t from, size_t to) {
    const json_t *curve = json_object_get(arm_of(seed, arm), "curve");
    size_t n = json_array_size(curve);
    return mean_of(curve, from * n / 10, (to * n + 9) / 10);
}

double fal_extension_start_loss(const json_t *seed, const char *arm) {
    return mean_of(json_object_get(arm_of(seed, arm), "curve"), 0, 1);
}

double fal_extension_early_loss(const json_t *seed, const char *arm) {
    return curve_mean(seed, arm, 0, 1);
}

double fal_extension_passing_loss(const json_t *seed, const char *arm) {
    return curve_mean(seed, arm, 1, 2);
}

double fal_extension_late_loss(const json_t *seed, const char *arm) {
    return curve_mean(seed, arm, 8, 10);
}

double fal_extension_short_loss(const json_t *seed, const char *arm) {
    return number_of(json_object_get(json_object_get(arm_of(seed, arm), "after"), "short"));
}

/* ---- scores ---- */

double fal_extension_subtask(const json_t *seed, const char *arm, const char *when,
                             const char *task, int length) {
    const json_t *scores = json_object_get(json_object_get(arm_of(seed, arm), when), "scores");
    return number_of(json_array_get(json_object_get(scores, task), (size_t)length));
}

double fal_extension_subtask_mean(const json_t *seeds, const char *arm, const char *when,
                                  const char *task, int length) {
    double sum = 0;
    for (size_t i = 0; i < json_array_size(seeds); i++)
        sum += fal_extension_subtask(json_array_get(seeds, i), arm, when, task, length);
    return sum / (double)json_array_size(seeds);
}

/* The mean over tasks and the first n_lengths lengths. */
static double score(const json_t *seed, const char *arm, const char *when, int n_lengths) {
    const fal_world_task_row *row;
    double sum = 0;
    for (int task = 0; (row = fal_world_task_at(task)) != NULL; task++) {
        for (int k = 0; k < n_lengths; k++)
            sum += (fal_extension_subtask(seed, arm, when, row->name, k) - row->chance)
                   / (1 - row->chance);
    }
    return 100 * sum / (FAL_WORLD_TASK_COUNT * n_lengths);
}

double fal_extension_score(const json_t *seed, const char *arm) {
    return score(seed, arm, "after", FAL_EXTENSION_LENGTHS);
}

double fal_extension_first_score(const json_t *seed, const char *arm) {
    return score(seed, arm, "before", FAL_EXTENSION_LENGTHS);
}

double fal_extension_short_score(const json_t *seed, const char *arm) {
    return score(seed, arm, "after", 1);
}

static double relative(const json_t *seed, const char *arm, const char *task, int length) {
    double least = (double)INFINITY, most = -(double)INFINITY;
    const fal_extension_arm *other;
    for (int i = 0; (other = fal_extension_arm_at(i)) != NULL; i++) {
        if (!fal_extension_arm_is_compared(other)) continue;
        double value = fal_extension_subtask(seed, other->name, "after", task, length);
        least = fmin(least, value);
        most = fmax(most, value);
    }
    double mine = fal_extension_subtask(seed, arm, "after", task, length);
    return most > least ? (mine - least) / (most - least) : 0.5;
}

double fal_extension_relative_score(const json_t *seed, const char *arm) {
    const fal_world_task_row *row;
    double sum = 0;
    for (int task = 0; (row = fal_world_task_at(task)) != NULL; task++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            sum += relative(seed, arm, row->name, k);
    }
    return 100 * sum / (FAL_WORLD_TASK_COUNT * FAL_EXTENSION_LENGTHS);
}

/* ---- over seeds ---- */

/* Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom. */
static const double quantiles[FAL_MAX_SEEDS - 1] = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201,
    2.179,  2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074,
    2.069,  2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042, 2.040};

fal_interval fal_interval_of(const double *values, int n) {
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (int i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    if (n < 2) return (fal_interval){mean, -(double)INFINITY, (double)INFINITY};
    double t = quantiles[n < FAL_MAX_SEEDS ? n - 2 : FAL_MAX_SEEDS - 2];
    double half = t * sqrt(squares / (double)(n - 1) / (double)n);
    return (fal_interval){mean, mean - half, mean + half};
}

static int seed_count(const json_t *seeds) {
    size_t n = json_array_size(seeds);
    return n < FAL_MAX_SEEDS ? (int)n : FAL_MAX_SEEDS;
}

fal_interval fal_extension_difference(const json_t *seeds, fal_extension_number *number,
                                      const char *arm, const char *other) {
    double values[FAL_MAX_SEEDS];
    int n = seed_count(seeds);
    for (int i = 0; i < n; i++) {
        const json_t *seed = json_array_get(seeds, (size_t)i);
        values[i] = number(seed, arm) - number(seed, other);
    }
    return fal_interval_of(values, n);
}

static double mean_of_compared(const json_t *seed, fal_extension_number *number) {
    const fal_extension_arm *arm;
    double sum = 0;
    int n = 0;
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        if (!fal_extension_arm_is_compared(arm)) continue;
        sum += number(seed, arm->name);
        n++;
    }
    return sum / n;
}

fal_interval fal_extension_over_seeds(const json_t *seeds, fal_extension_number *number,
                                      const char *arm) {
    double distances[FAL_MAX_SEEDS], mean = 0;
    int n = seed_count(seeds);
    for (int i = 0; i < n; i++) {
        const json_t *seed = json_array_get(seeds, (size_t)i);
        double value = number(seed, arm);
        distances[i] = value - mean_of_compared(seed, number);
        mean += value / (double)n;
    }
    fal_interval d = fal_interval_of(distances, n);
    return (fal_interval){mean, mean + (d.low - d.mean), mean + (d.high - d.mean)};
}
