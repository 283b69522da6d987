/* A row of request_fields.def as a struct, and the readers of its kinds. */
#ifndef FAL_SERVER_REQUEST_PRIVATE_H
#define FAL_SERVER_REQUEST_PRIVATE_H

#include "server/request.h"

typedef enum fal_field_kind {
#define FAL_FIELD_KIND(name, schema, meaning) FAL_FIELD_##name,
#include "server/field_kinds.def"
#undef FAL_FIELD_KIND
    FAL_FIELD_KIND_COUNT
} fal_field_kind;

typedef struct fal_field {
    unsigned bodies; /* bits of fal_body */
    const char *name;
    fal_field_kind kind;
    size_t offset; /* in fal_request */
    double low, high;
    bool is_required;
    const char *meaning;
} fal_field;

/* Reads a value that is not null into r. Fails: ARGUMENT, naming the field, its value and the bound; MEMORY. */
fal_status fal_field_read(fal_request *r, const fal_field *field, json_t *value, fal_error *err);

/* The JSON schema of a field's values, with its meaning; owned. NULL: memory is short. */
json_t *fal_field_schema(const fal_field *field);

#endif
