/* Counts of durations in fixed buckets, from half a millisecond to two minutes. */
#ifndef FAL_SERVER_HISTOGRAM_H
#define FAL_SERVER_HISTOGRAM_H

#include <stdint.h>

enum {
    FAL_HISTOGRAM_BOUNDS = 18
};

/* Upper bounds of the buckets in seconds, ascending; one bucket more is open. */
extern const double fal_histogram_bounds[FAL_HISTOGRAM_BOUNDS];

/* Zero-initialise. */
typedef struct fal_histogram {
    uint64_t counts[FAL_HISTOGRAM_BOUNDS + 1]; /* of each bucket alone */
    uint64_t count;
    double sum; /* seconds */
} fal_histogram;

/* Counts one duration. */
void fal_histogram_add(fal_histogram *h, double seconds);

#endif
