/* Readers of training data: the rows of readers.def, for sources.c and for the readers themselves. */
#ifndef FAL_TRAIN_READERS_H
#define FAL_TRAIN_READERS_H

#include "formats/json_file.h"
#include "train/intake.h"

typedef enum fal_record_kind {
    FAL_RECORD_JSON,
    FAL_RECORD_TEXT
} fal_record_kind;

/* What readers read; borrowed. */
typedef struct fal_record {
    json_t *json; /* an object; an array of those that are read together; NULL for text */
    fal_slice text;
} fal_record;

/* Gives what a record holds to the intake: examples, or the reason why there are none.
 * Fails: FORMAT (a damaged record, when strict), MEMORY, and as the intake does. */
typedef fal_status fal_record_reader(fal_intake *intake, const fal_record *record, fal_error *err);
/* Whether a record has the reader's form. Of records that are read together each is asked about. */
typedef bool fal_record_test(const fal_record *record);

typedef struct fal_reader_row {
    const char *name, *together, *group, *meaning;
    fal_record_kind kind;
    fal_overlong overlong;
    fal_record_test *knows;
    fal_record_reader *read;
} fal_reader_row;

/* NULL: no such reader; none that knows the record. */
const fal_reader_row *fal_reader_by_name(const char *name);
const fal_reader_row *fal_reader_by_record(const fal_record *record);

#define FAL_READER(reader, name, record, together, group, overlong, meaning) \
    fal_record_test fal_is_##reader;                                         \
    fal_record_reader fal_read_##reader;
#include "train/readers.def"
#undef FAL_READER

#endif
