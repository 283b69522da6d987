/* A text against the file that it must equal. */
#ifndef FAL_TESTS_GOLDEN_TEXT_H
#define FAL_TESTS_GOLDEN_TEXT_H

#include "base/alloc.h"
#include "base/file.h"
#include "check.h"

/* The file holds exactly this text; of a difference the first line is shown. */
static inline void check_golden(const char *path, const char *text) {
    char *golden = NULL;
    size_t length = 0;
    fal_error err = {0};
    CHECK_OK(fal_file_read(&golden, &length, path, 1 << 20, &err), &err);
    size_t at = 0;
    int line = 1;
    for (; text[at] && text[at] == golden[at]; at++)
        line += text[at] == '\n';
    if (text[at] != golden[at])
        fail_msg("%s:%d: '%.60s' is expected, not '%.60s'", path, line, golden + at, text + at);
    fal_free(golden);
}

#endif
