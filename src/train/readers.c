/* Body of readers.h and of sources.h, the part about the list. */
#include "train/readers.h"

#include "train/sources.h"

#include <string.h>

/* clang-format off */
static const fal_reader_row rows[] = {
#define FAL_READER(reader, name, record, together, group, overlong, meaning) \
    {name, together, group, meaning, FAL_RECORD_##record, FAL_OVERLONG_##overlong, \
     fal_is_##reader, fal_read_##reader},
#include "train/readers.def"
#undef FAL_READER
};

/* clang-format on */

enum {
    N_ROWS = sizeof rows / sizeof rows[0]
};

const fal_reader_row *fal_reader_by_name(const char *name) {
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

const fal_reader_row *fal_reader_by_record(const fal_record *record) {
    for (int i = 0; i < N_ROWS; i++) {
        if (rows[i].knows(record)) return &rows[i];
    }
    return NULL;
}

int fal_reader_count(void) {
    return N_ROWS;
}

const char *fal_reader_name(int index) {
    return index >= 0 && index < N_ROWS ? rows[index].name : NULL;
}

const char *fal_reader_meaning(int index) {
    return index >= 0 && index < N_ROWS ? rows[index].meaning : NULL;
}

const char *fal_reader_group(const char *reader) {
    const fal_reader_row *row = fal_reader_by_name(reader);
    return row ? row->group : NULL;
}
