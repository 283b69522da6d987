/* The pickle reader, with a list of names that has one of each kind, and all values near the root. */
#include "formats/pickle.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

static const fal_pickle_name allowed[] = {
    {"a", "f", FAL_PICKLE_IS_FUNCTION  },
    {"a", "C", FAL_PICKLE_IS_CLASS     },
    {"a", "D", FAL_PICKLE_IS_DICTIONARY},
};

/* Values may contain themselves, so the walk has a bound. */
static void walk(const fal_pickle *p, const fal_pickle_value *v, int *budget) {
    if ((*budget)-- <= 0) return;
    if (v->text.length) fal_fuzz_sum += touch(v->text.data, v->text.length);
    if (v->kind == FAL_PICKLE_NAME || v->kind == FAL_PICKLE_CALL)
        fal_fuzz_sum += touch(allowed[v->row].name, 1);
    int32_t cursor = v->first;
    const fal_pickle_value *item;
    int n = 0;
    while (fal_pickle_next(p, &cursor, &item)) {
        if (++n > v->count) abort();
        walk(p, item, budget);
    }
    if (n != v->count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_pickle *p;
    fal_error err = {0};
    fal_status status = fal_pickle_read(&p, data, length, allowed, 3, &err);
    if (status != FAL_OK) {
        if (p || err.status != status || err.message[0] == '\0' || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    int budget = 1000;
    walk(p, fal_pickle_root(p), &budget);
    fal_pickle_close(p);
    return 0;
}
