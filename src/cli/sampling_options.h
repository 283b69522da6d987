/* The options of drawing tokens, shared by run and chat, and by chat's /set. */
#ifndef FAL_CLI_SAMPLING_OPTIONS_H
#define FAL_CLI_SAMPLING_OPTIONS_H

#include <falconer/sampling.h>

#include "cli/options.h"

/* Rows that store into a fal_sampling. */
extern const fal_option fal_sampling_option_rows[];

/* NULL: no such option. */
const fal_option *fal_sampling_option_find(const char *name);

/* A seed that differs every time, small enough to be typed again. */
uint64_t fal_random_seed(void);

#endif
