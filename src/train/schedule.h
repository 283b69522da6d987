/* Learning rates by tokens, not by steps: changing the batch size keeps the curve. */
#ifndef FAL_TRAIN_SCHEDULE_H
#define FAL_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum fal_schedule_kind {
#define FAL_SCHEDULE(name, meaning) FAL_SCHEDULE_##name,
#include "train/schedule.def"
#undef FAL_SCHEDULE
    FAL_SCHEDULE_COUNT
} fal_schedule_kind;

typedef struct fal_schedule {
    fal_schedule_kind kind;
    double peak;
    double floor;           /* share of the peak at the end, 0 to 1 */
    int64_t warm_up_tokens; /* over which the rate rises from 0 to the peak */
    int64_t total_tokens;   /* of the whole training */
} fal_schedule;

/* The rate of the step after which n_tokens are trained on, 1 to total_tokens: peak at the end of the warm-up, floor * peak
 * at the last token. */
double fal_schedule_rate(const fal_schedule *schedule, int64_t n_tokens);

/* Rows of the list; NULL past the end. */
const char *fal_schedule_name(int index);
const char *fal_schedule_meaning(int index);
/* -1: no such schedule. */
int fal_schedule_by_name(const char *name);

#endif
