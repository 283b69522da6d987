/* What a row of logits says: the probabilities behind it, and how far two rows lie apart. */
#ifndef FAL_EVAL_DISTRIBUTION_H
#define FAL_EVAL_DISTRIBUTION_H

#include <stddef.h>
#include <stdint.h>

/* The softmax of logits [n_vocab], which stay the caller's. */
typedef struct fal_distribution {
    const float *logits;
    size_t n_vocab;
    double
        log_sum; /* logarithm of the sum of the exponentials; not finite if a logit is NaN or +infinity */
    int32_t top; /* the most probable token; of equals the first */
} fal_distribution;

/* logits [n_vocab], at least one; borrowed as long as the result is used. */
fal_distribution fal_distribution_of(const float *logits, size_t n_vocab);

/* Natural logarithm of the token's probability. */
static inline double fal_distribution_log(const fal_distribution *d, int32_t token) {
    return (double)d->logits[token] - d->log_sum;
}

/* Kullback-Leibler divergence of q from p: sum of p * (log p - log q), in nats, never negative. Infinity or NaN only
 * where logits are not finite. Both have the same n_vocab. */
double fal_distribution_divergence(const fal_distribution *p, const fal_distribution *q);

#endif
