/* Sums over a vocabulary, in double precision. */
#include "eval/distribution.h"

#include <math.h>

fal_distribution fal_distribution_of(const float *logits, size_t n_vocab) {
    fal_distribution d = {.logits = logits, .n_vocab = n_vocab};
    for (size_t i = 1; i < n_vocab; i++) {
        if (logits[i] > logits[d.top]) d.top = (int32_t)i;
    }
    double highest = (double)logits[d.top], sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - highest);
    d.log_sum = highest + log(sum);
    return d;
}

double fal_distribution_divergence(const fal_distribution *p, const fal_distribution *q) {
    double sum = 0;
    for (size_t i = 0; i < p->n_vocab; i++) {
        double log_p = (double)p->logits[i] - p->log_sum, weight = exp(log_p);
        /* What has no probability has no part, whatever q makes of it. */
        if (weight == 0) continue;
        sum += weight * (log_p - ((double)q->logits[i] - q->log_sum));
    }
    /* Rounding may leave a sum just below zero, which is the least there is. */
    return sum < 0 ? 0 : sum;
}
