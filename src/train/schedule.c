/* Body of schedule.h: each row is a curve from 1 to 0 over what follows the warm-up. */
#include "train/schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
static const double DECAY_SHARE = 0.2; /* of wsd */

/* at: how much of what follows the warm-up is done, 0 to 1. */
static double curve_cosine(double at) {
    return 0.5 * (1 + cos(PI * at));
}

static double curve_linear(double at) {
    return 1 - at;
}

static double curve_constant(double at) {
    (void)at;
    return 1;
}

static double curve_wsd(double at) {
    double left = (1 - at) / DECAY_SHARE;
    return left < 1 ? left : 1;
}

typedef struct row {
    const char *name, *meaning;
    double (*curve)(double at);
} row;

static const row rows[] = {
#define FAL_SCHEDULE(name, meaning) {#name, meaning, curve_##name},
#include "train/schedule.def"
#undef FAL_SCHEDULE
};

double fal_schedule_rate(const fal_schedule *s, int64_t n_tokens) {
    if (n_tokens < s->warm_up_tokens) return s->peak * (double)n_tokens / (double)s->warm_up_tokens;
    int64_t rest = s->total_tokens - s->warm_up_tokens, done = n_tokens - s->warm_up_tokens;
    double at = done >= rest ? 1 : (double)done / (double)rest;
    return s->peak * (s->floor + (1 - s->floor) * rows[s->kind].curve(at));
}

const char *fal_schedule_name(int index) {
    return index >= 0 && index < FAL_SCHEDULE_COUNT ? rows[index].name : NULL;
}

const char *fal_schedule_meaning(int index) {
    return index >= 0 && index < FAL_SCHEDULE_COUNT ? rows[index].meaning : NULL;
}

int fal_schedule_by_name(const char *name) {
    for (int i = 0; i < FAL_SCHEDULE_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0) return i;
    return -1;
}
