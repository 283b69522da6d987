/* How each dialect says that something went wrong. */
#ifndef FAL_SERVER_DIALECT_H
#define FAL_SERVER_DIALECT_H

#include "base/fail.h"

#include <jansson.h>

/* The body of an error, owned by the caller; NULL: memory is short. *code is the HTTP code, which a dialect may change. */
typedef json_t *fal_dialect_error(int *code, fal_status status, const char *message);

typedef struct fal_dialect {
    const char *name, *meaning;
    fal_dialect_error *error;
} fal_dialect;

/* A dialect by its name in dialects.def: fal_dialect_openai, ... */
#define FAL_DIALECT(name, meaning)               \
    extern const fal_dialect fal_dialect_##name; \
    fal_dialect_error fal_error_in_##name;
#include "server/dialects.def"
#undef FAL_DIALECT

#endif
