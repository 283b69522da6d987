/* The keys that clients show: read from text, compared in constant time. */
#ifndef FAL_SERVER_KEYS_H
#define FAL_SERVER_KEYS_H

#include "base/fail.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct fal_keys fal_keys;

/* text: keys between white space or commas; "#" begins a comment up to the end of its line. Only digests are kept. name: where
 * the text is from, for messages.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: ARGUMENT (no key, a key of less than 8 or more than 512 bytes; the key itself is not named), MEMORY. */
fal_status fal_keys_open(fal_keys **out, const char *text, const char *name, fal_error *err);
void fal_keys_close(fal_keys *keys);
size_t fal_keys_count(const fal_keys *keys);

/* Whether key is one of them. Takes as long for any key of its length.
 *
 *   keyholder  a number that stands for the key in every process, and tells nothing of it; never 0, and 0 if it is none */
bool fal_keys_find(const fal_keys *keys, const char *key, uint64_t *keyholder);

#endif
