/* UTF-8: find where text is whole, and walk code points without trusting a byte. */
#ifndef FAL_BASE_UTF8_H
#define FAL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point. Returns the bytes used (1 to 4); 0 when text[0] begins no valid sequence within length. */
int fal_utf8_decode(const char *text, size_t length, uint32_t *code_point);

/* Writes 1 to 4 bytes and returns how many. code_point must be a Unicode scalar value. */
int fal_utf8_encode(uint32_t code_point, char out[4]);

/* True if text is whole, valid UTF-8; an empty text is. */
bool fal_utf8_is_valid(const char *text, size_t length);

/* How many bytes at the end begin a sequence that later bytes could still complete (0 to 3): hold these back. */
size_t fal_utf8_incomplete_tail(const char *text, size_t length);

#endif
