/* How functions of this project fail: set a message, add context at borders, leave early. */
#ifndef FAL_BASE_FAIL_H
#define FAL_BASE_FAIL_H

#include <falconer/error.h>

#include <stddef.h>

/* Fills err (if not NULL) with a message made as by printf and returns status. */
__attribute__((format(printf, 3, 4))) fal_status fal_fail(fal_error *err, fal_status status,
                                                          const char *format, ...);

/* Puts "<context>: " in front of err's message. Call at borders only: file, layer, request, rank. */
__attribute__((format(printf, 3, 4))) fal_status fal_add_context(fal_error *err, fal_status status,
                                                                 const char *format, ...);

/* MEMORY with the usual words; bytes may be 0 when unknown. */
fal_status fal_fail_memory(fal_error *err, size_t bytes);

/* IO from errno: "<what> '<path>': <words of the system>"; NOT_FOUND if errno is ENOENT. */
fal_status fal_fail_errno(fal_error *err, const char *what, const char *path);

/* Returns the status of a failing call at once. For functions that own nothing. */
#define FAL_TRY(call)                                  \
    do {                                               \
        fal_status try_status_ = (call);               \
        if (try_status_ != FAL_OK) return try_status_; \
    } while (0)

/* Stores the status of a failing call in the local variable `status` and goes to `out:`. */
#define FAL_TRY_OUT(call)               \
    do {                                \
        status = (call);                \
        if (status != FAL_OK) goto out; \
    } while (0)

#endif
