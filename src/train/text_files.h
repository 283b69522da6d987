/* The texts of files of any kind that training data come in, for making a vocabulary: nothing is dropped or judged. */
#ifndef FAL_TRAIN_TEXT_FILES_H
#define FAL_TRAIN_TEXT_FILES_H

#include "base/bytes.h"

/* What texts are handed to. Any status but OK ends the reading. */
typedef fal_status fal_on_text(void *user, fal_slice text, fal_error *err);

/* How far a file is, in bytes of it; returning false cancels. */
typedef bool fal_on_text_progress(void *user, const char *path, uint64_t n_done, uint64_t n_total);

typedef struct fal_text_reading {
    fal_on_text *on_text;
    fal_on_text_progress *on_progress; /* NULL: nobody asks */
    void *user;                        /* of both */
    const char *const
        *fields; /* NULL-terminated keys whose strings are texts; NULL: fal_text_fields */
} fal_text_reading;

/* The keys whose strings are texts unless said otherwise: "text", "content", ... NULL-terminated. */
extern const char *const fal_text_fields[];

/* Reads a file, or the files in a folder and in the folders below it. Files named .jsonl hold a JSON value per line, and
 * each string under one of the keys, at any depth, is a text; other files are text, handed over in blocks of about a MiB
 * that end where a line does. Either may be packed by zstd, .zst behind the name.
 * Fails: NOT_FOUND, IO, FORMAT (a line that is no JSON, by number; damaged packed data), LIMIT (a line of over 64 MiB;
 *        folders 32 deep), CANCELLED, MEMORY, as on_text. */
fal_status fal_text_files_read(const char *path, const fal_text_reading *reading, fal_error *err);

#endif
