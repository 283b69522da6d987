/* The yardstick of the encoders: the reference quantizers of the published formats, written plainly and apart from
 * src/quant. They give what the weights become, not the bytes of blocks. */
#ifndef FAL_TESTS_REFERENCE_H
#define FAL_TESTS_REFERENCE_H

#include <stdbool.h>

/* One row of n weights through a type and back; importance NULL or [n]. False: no reference for the type. */
bool reference_round_trip(const char *type, const float *weights, const float *importance, int n,
                          float *decoded);

/* The searches, for one sub-block of n <= 32 weights; w [n] are the weights of errors. Codes out [n]. */

/* x ~ scale * code - minimum, codes 0 .. largest: tries 0 .. n_steps divide the range by largest + first + k * step. */
double reference_scale_min(const float *x, const float *w, int n, int largest, double first,
                           double step, int n_steps, bool absolute_error, int *codes,
                           double *minimum);

/* x ~ scale * code, codes -largest .. largest - 1: 19 tries around the extreme. */
double reference_symmetric(const float *x, const float *w, int n, int largest, int *codes);

/* The same with weights x^2: one try, then up to five passes that move codes alone. */
double reference_passes(const float *x, int n, int largest, int *codes);

/* x ~ scale * code, x >= 0, codes 0 .. largest: nine tries, then up to five passes that move codes alone. */
double reference_positive(const float *x, const float *w, int n, int largest, int *codes);

/* The first of the weights with the largest magnitude. */
float reference_extreme(const float *x, int n);

/* Nearest whole number, to even on ties, bounded. */
int reference_nearest(double x, int low, int high);

/* A scale as a block stores it. */
double reference_f16(double value);

/* The parts by family; false: not of this family. */
bool reference_legacy(const char *type, const float *x, const float *importance, int n,
                      float *decoded);
bool reference_k(const char *type, const float *x, const float *importance, int n, float *decoded);

#endif
