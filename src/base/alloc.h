/* All heap memory passes through here: checked sizes, alignment, failing on purpose in tests. */
#ifndef FAL_BASE_ALLOC_H
#define FAL_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* count * size bytes, zeroed; NULL when memory is short or the product overflows. Release with fal_free. */
void *fal_alloc(size_t count, size_t size);

/* As fal_alloc, aligned to 64 bytes, not zeroed, with 64 readable bytes behind the end. Release with fal_free. */
void *fal_alloc_aligned(size_t count, size_t size);

/* Grows or shrinks; on failure NULL, and the old block stays. memory may be NULL. Not zeroed. */
void *fal_realloc(void *memory, size_t count, size_t size);

/* Makes room for at least n_needed elements in a growable array, doubling. False: memory is short, nothing changed.
 *   items      address of the array's pointer (cast to void **); *capacity in elements */
bool fal_grow(void **items, size_t *capacity, size_t n_needed, size_t element_bytes);

/* A copy of length bytes with a zero behind them; NULL when memory is short. */
char *fal_copy_string(const char *text, size_t length);

void fal_free(void *memory);

/* True, and the product in *out, when a * b fits. */
bool fal_multiply_size(size_t a, size_t b, size_t *out);
bool fal_add_size(size_t a, size_t b, size_t *out);

/* Tests only: the n-th allocation from here on fails (1 is the next); 0 switches failing off. */
void fal_alloc_fail_at(long n);

/* Tests only: how many blocks are allocated and not yet freed. */
long fal_alloc_live(void);

#endif
