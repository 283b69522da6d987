/* The one generator: xoshiro256++, seeded through splitmix64. The same seed gives the same stream everywhere.
 *
 * Source: Blackman and Vigna, Scrambled Linear Pseudorandom Number Generators, 2021. */
#ifndef FAL_BASE_RANDOM_H
#define FAL_BASE_RANDOM_H

#include <stdint.h>

typedef struct fal_random {
    uint64_t state[4];
} fal_random;

fal_random fal_random_seeded(uint64_t seed, uint64_t stream);
uint64_t fal_random_u64(fal_random *r);
double fal_random_unit(fal_random *r);   /* in [0, 1), 53 bits */
double fal_random_normal(fal_random *r); /* mean 0, variance 1 */

/* A seed that differs every time, small enough to be typed again. */
uint64_t fal_random_seed(void);

#endif
