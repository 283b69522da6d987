/* Mean and standard error of numbers that come one by one. */
#ifndef FAL_EVAL_MOMENTS_H
#define FAL_EVAL_MOMENTS_H

#include <math.h>
#include <stddef.h>

/* Zero-initialise. */
typedef struct fal_moments {
    size_t count;
    double mean, squares; /* squares: of the distances from the mean, summed */
} fal_moments;

/* Source: Welford, Technometrics 4 (1962), 419. */
static inline void fal_moments_add(fal_moments *m, double value) {
    double distance = value - m->mean;
    m->count++;
    m->mean += distance / (double)m->count;
    m->squares += distance * (value - m->mean);
}

/* Standard error of the mean, for numbers taken as independent: sqrt(sample variance / count). NaN below two. */
static inline double fal_moments_error(const fal_moments *m) {
    if (m->count < 2) return (double)NAN;
    return sqrt(m->squares / (double)(m->count - 1) / (double)m->count);
}

#endif
