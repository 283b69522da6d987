/* Body of alloc.h. The counters exist for tests; they are atomic because models are opened from any thread. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    READABLE_TAIL = 64
};

static atomic_long fail_countdown;
static atomic_long live_blocks;

static bool must_fail(void) {
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) return false;
    return atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1;
}

static void *counted(void *memory) {
    if (memory) atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return memory;
}

bool fal_multiply_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

bool fal_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

void *fal_alloc(size_t count, size_t size) {
    if (must_fail()) return NULL;
    size_t bytes;
    if (!fal_multiply_size(count, size, &bytes)) return NULL;
    return counted(calloc(1, bytes ? bytes : 1));
}

void *fal_alloc_aligned(size_t count, size_t size) {
    if (must_fail()) return NULL;
    size_t bytes;
    if (!fal_multiply_size(count, size, &bytes)
        || !fal_add_size(bytes, READABLE_TAIL + ALIGNMENT, &bytes))
        return NULL;
    return counted(aligned_alloc(ALIGNMENT, bytes & ~(size_t)(ALIGNMENT - 1)));
}

void *fal_realloc(void *memory, size_t count, size_t size) {
    if (must_fail()) return NULL;
    size_t bytes;
    if (!fal_multiply_size(count, size, &bytes)) return NULL;
    void *moved = realloc(memory, bytes ? bytes : 1);
    return memory ? moved : counted(moved);
}

bool fal_grow(void **items, size_t *capacity, size_t n_needed, size_t element_bytes) {
    if (n_needed <= *capacity) return true;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < n_needed) {
        if (!fal_multiply_size(wanted, 2, &wanted)) return false;
    }
    void *moved = fal_realloc(*items, wanted, element_bytes);
    if (!moved) return false;
    *items = moved;
    *capacity = wanted;
    return true;
}

char *fal_copy_string(const char *text, size_t length) {
    size_t bytes;
    if (!fal_add_size(length, 1, &bytes)) return NULL;
    char *copy = fal_alloc(bytes, 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

void fal_free(void *memory) {
    if (!memory) return;
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(memory);
}

void fal_alloc_fail_at(long n) {
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}

long fal_alloc_live(void) {
    return atomic_load_explicit(&live_blocks, memory_order_relaxed);
}
