/* The reader of importance matrices, of both forms. */
#include "formats/importance.h"
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

static void walk_entry(const fal_importance *m, const fal_importance_entry *e) {
    if (e->n_values < 1 || e->n_chunks < 1 || e->n_tokens < 0) abort();
    if (fal_importance_entry_find(m, e->name) != e) abort();
    if (fal_importance_find(m, e->name, e->n_values) != e->mean_squares) abort();
    if (fal_importance_find(m, e->name, e->n_values + 1)) abort();
    for (int64_t i = 0; i < e->n_values; i++) {
        if (!isfinite(e->mean_squares[i]) || e->mean_squares[i] < 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_importance m = {0};
    fal_error err = {0};
    fal_status status = fal_importance_parse(&m, data, length, &err);
    if (status != FAL_OK) {
        if (m.count || m.entries || err.status != status || err.message[0] == '\0'
            || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    if (m.count == 0) abort();
    for (size_t i = 0; i < m.count; i++)
        walk_entry(&m, &m.entries[i]);
    if (m.dataset) fal_fuzz_sum += touch(m.dataset, strlen(m.dataset));
    fal_importance_release(&m);
    return 0;
}
