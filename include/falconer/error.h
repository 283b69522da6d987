/* Failure is a value: every fallible function returns a fal_status and takes a fal_error last. */
#ifndef FALCONER_ERROR_H
#define FALCONER_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define FAL_API        __attribute__((visibility("default")))
#define FAL_MUST_CHECK __attribute__((warn_unused_result))

typedef enum fal_status {
#define FAL_STATUS(name, exit_code, http_code, words) FAL_E_##name,
#include <falconer/status.def>
#undef FAL_STATUS
    FAL_STATUS_COUNT
} fal_status;

#define FAL_OK FAL_E_OK

/* What went wrong, for a person. Lives with the caller, needs no freeing, is untouched on success.
 * Wherever a fal_error pointer is taken it may be NULL. */
typedef struct fal_error {
    fal_status status;
    char message[1000];
} fal_error;

/* The name of a status in words ("not found"); borrowed, static. */
FAL_API const char *fal_status_words(fal_status status);

/* The exit code of a command that ends with this status. */
FAL_API int fal_status_exit_code(fal_status status);

/* The HTTP code of an answer that ends with this status. */
FAL_API int fal_status_http_code(fal_status status);

#ifdef __cplusplus
}
#endif
#endif
