/* Rows for fal_sampling. Defaults are each command's own. */
#include "cli/sampling_options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define AT(member) offsetof(fal_sampling, member)

const fal_option fal_sampling_option_rows[] = {
    {"temperature",                                  0, FAL_OPTION_NUMBER, AT(temperature), "T", 0, 100, NULL,
     "flatness of the draw; 0: most probable token"},
    {"top-k",                             0, FAL_OPTION_COUNT, AT(top_k), "N", 0, INT_MAX, NULL,
     "draw from the N most probable; 0: from all"},
    {"top-p",                                           0, FAL_OPTION_NUMBER, AT(top_p), "P", 0, 1, NULL,
     "draw from the fewest that hold P; 0, 1: off"},
    {"min-p",                                           0, FAL_OPTION_NUMBER, AT(min_p), "P", 0, 1, NULL,
     "drop those below P times the best; 0: off"},
    {"typical-p", 0, FAL_OPTION_NUMBER, AT(typical_p), "P", 0, 1, NULL,
     "draw from the most typical that hold P"},
    {"repetition-penalty",                                        0, FAL_OPTION_NUMBER, AT(repetition_penalty), "X", 0, 100, NULL,
     "weaken tokens seen, by a factor; 0, 1: off"},
    {"presence-penalty",                              0, FAL_OPTION_NUMBER, AT(presence_penalty), "X", -100, 100, NULL,
     "weaken tokens seen, once"},
    {"frequency-penalty",                                           0, FAL_OPTION_NUMBER, AT(frequency_penalty), "X", -100, 100, NULL,
     "weaken tokens seen, each time"},
    {"seed",                                       0, FAL_OPTION_SEED, AT(seed), "N", 0, 0, NULL, "same seed, same text (a random one)"},
    {0  }
};

const fal_option *fal_sampling_option_find(const char *name) {
    for (const fal_option *o = fal_sampling_option_rows; o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
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
