/* Which of several names was probably meant. */
#ifndef FAL_CLI_NEAREST_H
#define FAL_CLI_NEAREST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours) from a to b; names longer than 63 bytes count as far apart. */
int fal_edit_distance(const char *a, const char *b);

/* Collects the best name of those offered. Zero-initialise, set word. */
typedef struct fal_nearest {
    const char *word, *best; /* best is NULL while nothing is near */
    int distance;
} fal_nearest;

/* Keeps name if it is near enough to word and nearer than the best so far. */
void fal_nearest_offer(fal_nearest *nearest, const char *name);

#endif
