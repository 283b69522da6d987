/* The map of byte-level BPE: each byte is written as one printable character, so that a vocabulary is plain text.
 * Printable bytes of Latin-1 stand for themselves; the other 68, in order, for U+0100 to U+0143.
 *
 * Source: GPT-2's encoder, bytes_to_unicode. */
#ifndef FAL_TEXT_BYTE_MAP_H
#define FAL_TEXT_BYTE_MAP_H

#include <stdint.h>

/* The character (a code point) that stands for a byte. */
static inline uint32_t fal_byte_character(uint8_t byte) {
    if (byte <= 32) return 256u + byte;
    if (byte >= 127 && byte <= 160) return 256u + 33u + (byte - 127u);
    if (byte == 173) return 256u + 67u;
    return byte;
}

/* The byte that a character stands for, or -1. */
static inline int fal_character_byte(uint32_t character) {
    if (character >= 256 && character <= 288) return (int)(character - 256);
    if (character >= 289 && character <= 322) return (int)(character - 289 + 127);
    if (character == 323) return 173;
    if (character > 255 || fal_byte_character((uint8_t)character) != character) return -1;
    return (int)character;
}

#endif
