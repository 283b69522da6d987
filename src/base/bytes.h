/* The only way to read foreign bytes: a bounded little-endian reader that remembers its first failure. */
#ifndef FAL_BASE_BYTES_H
#define FAL_BASE_BYTES_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes owned by somebody else. */
typedef struct fal_slice {
    const char *data;
    size_t length;
} fal_slice;

typedef struct fal_reader {
    const uint8_t *data;
    size_t length, position;
    bool failed;
    size_t failed_at; /* where the read began that went past the end */
    uint64_t wanted;  /* how many bytes it wanted */
} fal_reader;

/* A reader at the first of length bytes, which stay the caller's. */
fal_reader fal_reader_open(const void *data, size_t length);

/* 0 after the first failure. */
uint8_t fal_read_u8(fal_reader *r);
uint16_t fal_read_u16(fal_reader *r);
uint32_t fal_read_u32(fal_reader *r);
uint64_t fal_read_u64(fal_reader *r);
float fal_read_f32(fal_reader *r);
double fal_read_f64(fal_reader *r);

/* The next n bytes, borrowed; an empty slice after the first failure. */
fal_slice fal_read_slice(fal_reader *r, uint64_t n);

/* Bytes not read yet. */
size_t fal_reader_remaining(const fal_reader *r);

/* FORMAT with position, wish and bound if any read failed. */
fal_status fal_reader_status(const fal_reader *r, fal_error *err);

fal_slice fal_slice_of(const char *text); /* of a terminated string */
/* True if text holds mark somewhere; letters of ASCII match in either case when ignore_case. */
bool fal_slice_contains(fal_slice text, const char *mark, bool ignore_case);
bool fal_slice_equals(fal_slice slice, const char *text);

#endif
