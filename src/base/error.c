/* Bodies of <falconer/error.h> and fail.h. A fal_error has a fixed size, so that it works when memory is exhausted. */
#include "base/fail.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_row {
    int exit_code, http_code;
    const char *words;
} status_row;

static const status_row status_rows[] = {
#define FAL_STATUS(name, exit_code, http_code, words) {exit_code, http_code, words},
#include <falconer/status.def>
#undef FAL_STATUS
};

static const status_row *row_of(fal_status status) {
    return &status_rows[(unsigned)status < FAL_STATUS_COUNT ? status : FAL_E_BUG];
}

const char *fal_status_words(fal_status status) {
    return row_of(status)->words;
}

int fal_status_exit_code(fal_status status) {
    return row_of(status)->exit_code;
}

int fal_status_http_code(fal_status status) {
    return row_of(status)->http_code;
}

/* Messages quote foreign bytes and end on terminals: what is not printable text becomes '?', so that a message is one
 * line and no name in a file can move a cursor. */
static void clean(char *message) {
    size_t length = strlen(message);
    for (size_t i = 0; i < length;) {
        uint32_t character;
        int n = fal_utf8_decode(message + i, length - i, &character);
        bool is_control = n > 0 && (character < 0x20 || (character >= 0x7f && character < 0xa0));
        if (n == 0 || is_control) memset(message + i, '?', n == 0 ? 1 : (size_t)n);
        i += n == 0 ? 1 : (size_t)n;
    }
}

fal_status fal_fail(fal_error *err, fal_status status, const char *format, ...) {
    if (!err) return status;
    va_list arguments;
    va_start(arguments, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    clean(err->message);
    return status;
}

fal_status fal_add_context(fal_error *err, fal_status status, const char *format, ...) {
    if (!err || status == FAL_OK) return status;
    char message[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof message ? (size_t)n : sizeof message - 1;
    size_t room = sizeof message - used;
    if (room > 2) snprintf(message + used, room, ": %.*s", (int)room - 3, err->message);
    memcpy(err->message, message, sizeof message);
    clean(err->message);
    return status;
}

fal_status fal_fail_memory(fal_error *err, size_t bytes) {
    if (bytes == 0) return fal_fail(err, FAL_E_MEMORY, "out of memory");
    return fal_fail(err, FAL_E_MEMORY, "out of memory: %zu bytes wanted", bytes);
}

fal_status fal_fail_errno(fal_error *err, const char *what, const char *path) {
    int number = errno;
    return fal_fail(err, number == ENOENT ? FAL_E_NOT_FOUND : FAL_E_IO, "%s '%s': %s", what, path,
                    strerror(number));
}
