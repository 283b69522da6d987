/* Any bytes as a text file, plain or packed: lines within their bound, the same ones after going back to the first. */
#include "formats/text_lines.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE = 100,
    MAX_LINES = 100000 /* a few packed bytes may stand for very many */
};

volatile unsigned fal_fuzz_sum;

static unsigned walk(fal_text_lines *l, fal_status *status) {
    unsigned sum = 0;
    fal_error err = {0};
    for (int64_t n = 1; n <= MAX_LINES; n++) {
        fal_slice line;
        *status = fal_text_lines_next(l, &line, &err);
        if (*status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
        if (*status != FAL_OK || !line.data) break;
        if (line.length > MAX_LINE || fal_text_lines_number(l) != n) abort();
        sum = sum * 31 + touch(line.data, line.length);
    }
    if (fal_text_lines_position(l) > fal_text_lines_length(l)) abort();
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_text_lines *l;
    fal_status first, second;
    if (fal_text_lines_open_memory(&l, data, length, "fuzz", MAX_LINE, NULL) != FAL_OK) return 0;
    unsigned sum = walk(l, &first);
    fal_text_lines_rewind(l);
    if (walk(l, &second) != sum || first != second) abort();
    fal_text_lines_close(l);
    return 0;
}
