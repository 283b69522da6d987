/* SHA-256 of bytes and of files. */
#ifndef FAL_BASE_DIGEST_H
#define FAL_BASE_DIGEST_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    FAL_SHA256_BYTES = 32,
    FAL_SHA256_HEX = 65 /* as text in lower case, with a zero behind it */
};

/* Bytes under way; begun by fal_sha256_begin. Source: FIPS 180-4. */
typedef struct fal_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} fal_sha256;

fal_sha256 fal_sha256_begin(void);
/* Takes in `length` more bytes. */
void fal_sha256_add(fal_sha256 *s, const void *data, size_t length);
/* Ends it; hex [FAL_SHA256_HEX]. */
void fal_sha256_end(fal_sha256 *s, char *hex);

/* Between pieces of a file: how many more bytes are done. Returning false cancels. */
typedef bool fal_on_digest(void *user, uint64_t n_bytes);

/* Of a whole file. on_bytes may be NULL. Fails: NOT_FOUND, ARGUMENT (no regular file), IO, CANCELLED. */
fal_status fal_sha256_file(char *hex, const char *path, fal_on_digest *on_bytes, void *user,
                           fal_error *err);

#endif
