/* Body of random.h. */
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t rotate_left(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

fal_random fal_random_seeded(uint64_t seed, uint64_t stream) {
    fal_random r;
    uint64_t state = seed;
    state = splitmix(&state) ^ stream * 0xd1342543de82ef95u;
    for (int i = 0; i < 4; i++)
        r.state[i] = splitmix(&state);
    return r;
}

uint64_t fal_random_u64(fal_random *r) {
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double fal_random_unit(fal_random *r) {
    return (double)(fal_random_u64(r) >> 11) * 0x1p-53;
}

double fal_random_normal(fal_random *r) {
    const double two_pi = 6.283185307179586476925;
    double u = 1.0 - fal_random_unit(r), v = fal_random_unit(r);
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

uint64_t fal_random_seed(void) {
    uint32_t seed = 0;
    FILE *source = fopen("/dev/urandom", "rb");
    size_t n = source ? fread(&seed, sizeof seed, 1, source) : 0;
    if (source) fclose(source);
    if (n == 1) return seed;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * 1000003u ^ (uint64_t)now.tv_nsec) & UINT32_MAX;
}
