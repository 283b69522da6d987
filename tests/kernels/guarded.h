/* Memory with an unreadable page beside it, so that one byte read or written too far is a fault. */
#ifndef FAL_TESTS_KERNELS_GUARDED_H
#define FAL_TESTS_KERNELS_GUARDED_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fal_placement {
    FAL_AT_END,     /* the page follows the last byte */
    FAL_AT_END_ODD, /* one byte lies between: an odd address for blocks of even size */
    FAL_AT_START,   /* the page precedes the first byte */
    FAL_PLACEMENTS
} fal_placement;

typedef struct fal_guarded {
    unsigned char *data;
    size_t bytes;
    unsigned char *map, *inside; /* all of it; what may be touched */
    size_t map_bytes, inside_bytes;
} fal_guarded;

/* Not initialised but for its margins. Ends the program when the system has no memory. */
fal_guarded fal_guarded_open(size_t bytes, fal_placement placement);
void fal_guarded_close(fal_guarded *g);

/* False if something was written beside the data, on the pages that it shares. */
bool fal_guarded_is_intact(const fal_guarded *g);

#endif
