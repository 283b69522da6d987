/* What every fuzz target defines: one parser is given the bytes and, where it accepts them, what it made is walked.
 * Built with libFuzzer (preset fuzz) or with replay.c, which feeds it the files of a folder. */
#ifndef FAL_TESTS_FUZZ_H
#define FAL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always returns 0. What must not happen ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Reads every byte, so that a sanitizer sees a range that is not there. */
static inline unsigned touch(const void *data, uint64_t n_bytes) {
    unsigned sum = 0;
    for (uint64_t i = 0; i < n_bytes; i++)
        sum += ((const uint8_t *)data)[i];
    return sum;
}

/* Keeps the result of touch from being optimised away. */
extern volatile unsigned fal_fuzz_sum;

#endif
