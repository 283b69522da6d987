/* Text packed by zstd, for tests of what reads it. */
#ifndef FAL_TESTS_PACKED_TEXT_H
#define FAL_TESTS_PACKED_TEXT_H

#include "check.h"

#include <stdlib.h>
#include <zstd.h>

typedef struct packed_text {
    char *data;
    size_t length;
} packed_text;

/* Appends a frame with a checksum. */
static inline void pack_frame(packed_text *p, const char *text, size_t length) {
    size_t bound = ZSTD_compressBound(length);
    p->data = realloc(p->data, p->length + bound);
    ZSTD_CCtx *packer = ZSTD_createCCtx();
    assert_true(p->data && packer);
    ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(packer, p->data + p->length, bound, text, length);
    assert_false(ZSTD_isError(n));
    p->length += n;
    ZSTD_freeCCtx(packer);
}

#endif
