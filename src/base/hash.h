/* A fast 64-bit hash, word by word. The same everywhere; not for what an enemy chooses. */
#ifndef FAL_BASE_HASH_H
#define FAL_BASE_HASH_H

#include <stdint.h>

/* The hash of what `hash` stands for followed by word. Begin with 0, or with a seed.
 * Source: the finaliser of splitmix64 (Steele, Lea and Flood 2014). */
static inline uint64_t fal_hash_add(uint64_t hash, uint64_t word) {
    uint64_t z = (hash ^ word) + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
