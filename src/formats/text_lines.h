/* The lines of a text file one after the other, in memory that the longest line bounds; packed by zstd or plain. */
#ifndef FAL_FORMATS_TEXT_LINES_H
#define FAL_FORMATS_TEXT_LINES_H

#include "base/bytes.h"

enum {
    FAL_TEXT_LINE_BYTES = 1 << 26 /* the longest line unless said otherwise */
};

typedef struct fal_text_lines fal_text_lines;

/* Opens a file: zstd frames behind each other if it begins like one, else text. max_line_bytes 0: FAL_TEXT_LINE_BYTES.
 * Fails: NOT_FOUND, IO, ARGUMENT (not a regular file), FORMAT (named .zst and not packed by zstd), MEMORY. */
fal_status fal_text_lines_open(fal_text_lines **out, const char *path, size_t max_line_bytes,
                               fal_error *err);
/* As fal_text_lines_open, from memory, which must outlive it; name stands for the file in messages. */
fal_status fal_text_lines_open_memory(fal_text_lines **out, const void *data, size_t length,
                                      const char *name, size_t max_line_bytes, fal_error *err);
void fal_text_lines_close(fal_text_lines *lines);

/* The next line without its end (\n or \r\n), nor a byte order mark in front of the first one. Borrowed until the next
 * call. At the end of the file data is NULL.
 * Fails: FORMAT (packed data damaged or cut short, with its offset), UNSUPPORTED (packed with a window of over 128 MiB),
 * LIMIT (a longer line, by number), MEMORY. */
fal_status fal_text_lines_next(fal_text_lines *lines, fal_slice *line, fal_error *err);

/* Back to the first line. */
void fal_text_lines_rewind(fal_text_lines *lines);

/* Of the line that was given last, from 1; 0 before the first. */
int64_t fal_text_lines_number(const fal_text_lines *lines);
/* Bytes of the file: read so far (packed, if it is), and all. */
uint64_t fal_text_lines_position(const fal_text_lines *lines);
uint64_t fal_text_lines_length(const fal_text_lines *lines);

#endif
