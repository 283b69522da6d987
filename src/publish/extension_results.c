/* Body of extension_results.h. */
#include "publish/extension_results.h"

#include "eval/small_world.h"

#include <math.h>
#include <string.h>

static double number_of(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const json_t *arm_of(const json_t *seed, const char *arm) {
    return json_object_get(json_object_get(seed, "arms"), arm);
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

/* The last two of the three buckets: the third holds as many tokens as the first two together. */
static double far_loss(const json_t *seed, const char *arm, const char *when) {
    const json_t *loss = json_object_get(json_object_get(arm_of(seed, arm), when), "loss");
    return (number_of(json_array_get(loss, 1)) + 2 * number_of(json_array_get(loss, 2))) / 3;
}

double fal_extension_first_loss(const json_t *seed, const char *arm) {
    return far_loss(seed, arm, "before");
}

double fal_extension_final_loss(const json_t *seed, const char *arm) {
    return far_loss(seed, arm, "after");
}

double fal_extension_early_loss(const json_t *seed, const char *arm) {
    const json_t *curve = json_object_get(arm_of(seed, arm), "curve");
    size_t n = json_array_size(curve);
    return mean_of(curve, 0, (n + 9) / 10);
}

double fal_extension_late_loss(const json_t *seed, const char *arm) {
    const json_t *curve = json_object_get(arm_of(seed, arm), "curve");
    size_t n = json_array_size(curve);
    return mean_of(curve, n - n / 5, n);
}

double fal_extension_short_loss(const json_t *seed, const char *arm) {
    return number_of(json_object_get(json_object_get(arm_of(seed, arm), "after"), "short"));
}

double fal_extension_subtask(const json_t *seed, const char *arm, const char *when,
                             const char *task, int length) {
    const json_t *scores = json_object_get(json_object_get(arm_of(seed, arm), when), "scores");
    return number_of(json_array_get(json_object_get(scores, task), (size_t)length));
}

static double score(const json_t *seed, const char *arm, const char *when) {
    double sum = 0;
    for (int task = 0; task < FAL_WORLD_TASK_COUNT; task++) {
        const fal_world_task_row *row = fal_world_task_at(task);
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            sum += (fal_extension_subtask(seed, arm, when, row->name, k) - row->chance)
                   / (1 - row->chance);
    }
    return 100 * sum / (FAL_WORLD_TASK_COUNT * FAL_EXTENSION_LENGTHS);
}

double fal_extension_score(const json_t *seed, const char *arm) {
    return score(seed, arm, "after");
}

double fal_extension_first_score(const json_t *seed, const char *arm) {
    return score(seed, arm, "before");
}

/* Where the compared arms do not differ each counts one half. */
static double relative(const json_t *seed, const char *arm, const char *task, int length) {
    double least = (double)INFINITY, most = -(double)INFINITY;
    const fal_extension_arm *other;
    for (int i = 0; (other = fal_extension_arm_at(i)) != NULL; i++) {
        if (strcmp(other->name, "none") == 0) continue;
        double value = fal_extension_subtask(seed, other->name, "after", task, length);
        least = fmin(least, value);
        most = fmax(most, value);
    }
    double mine = fal_extension_subtask(seed, arm, "after", task, length);
    return most > least ? (mine - least) / (most - least) : 0.5;
}

double fal_extension_relative_score(const json_t *seed, const char *arm) {
    double sum = 0;
    for (int task = 0; task < FAL_WORLD_TASK_COUNT; task++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            sum += relative(seed, arm, fal_world_task_at(task)->name, k);
    }
    return 100 * sum / (FAL_WORLD_TASK_COUNT * FAL_EXTENSION_LENGTHS);
}
