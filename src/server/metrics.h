/* What is counted about requests, and how it is written for Prometheus. Belongs to the socket thread. */
#ifndef FAL_SERVER_METRICS_H
#define FAL_SERVER_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAL_METRICS_CODES = 64
};

/* Answers of one route with one code. */
typedef struct fal_metrics_answers {
    int route; /* index in routes.def; -1: no route fitted */
    int code;  /* 0: the client left before an answer */
    uint64_t count;
    double seconds; /* their sum */
} fal_metrics_answers;

/* Zero-initialise; release when done. */
typedef struct fal_metrics {
    fal_metrics_answers *answers;
    size_t n_answers, capacity;
    uint64_t n_bytes, n_left; /* bytes of answers; clients that left before the end */
} fal_metrics;

/* Counts one exchange that is over. */
void fal_metrics_count(fal_metrics *metrics, int route, int code, double seconds, uint64_t n_bytes,
                       bool is_left);
void fal_metrics_release(fal_metrics *metrics);

#endif
