/* Text from outside made fit to stand in a message: short, on one line, without control characters. */
#ifndef FAL_TEXT_QUOTE_H
#define FAL_TEXT_QUOTE_H

#include "base/bytes.h"

/* A quoted text, by value so that it can be made inside a call. */
typedef struct fal_quoted {
    char text[72];
} fal_quoted;

/* The first 64 bytes or less of text; what is not printable becomes '?', and "..." tells that something was cut. */
fal_quoted fal_quote(fal_slice text);

#endif
