/* Exponentials with the fastest kernel of this processor, for those who draw from logits. */
#ifndef FAL_COMPUTE_CPU_EXPONENTIALS_H
#define FAL_COMPUTE_CPU_EXPONENTIALS_H

#include <stdint.h>

/* y = exp(x - *largest) for x [n] f32; y may be x. *total: their sum. A number that is none makes the total none. What lies
 * more than 87.33 below the largest becomes 0. May be called from several threads. */
void fal_cpu_exponentials(float *y, const float *x, int64_t n, float *largest, double *total);

#endif
