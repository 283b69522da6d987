/* Texts with places to fill: {{name}} is a value, {{#name}} ... {{/name}} stays where the value is not empty,
 * {{^name}} ... {{/name}} where it is. Tags of sections that stand alone on a line leave no line behind. What else stands in
 * double braces is text. Values are inserted as they are and never read as templates. */
#ifndef FAL_PUBLISH_TEMPLATE_H
#define FAL_PUBLISH_TEMPLATE_H

#include "base/string_builder.h"

typedef struct fal_template_value {
    const char *name; /* NULL ends a list */
    fal_slice text;
} fal_template_value;

/* Appends the filled template. name stands for its file in messages.
 * Fails: FORMAT with the line (an unknown name, a section that is not closed or was not open, more than 16 in each
 * other), MEMORY. */
fal_status fal_template_fill(fal_string_builder *out, fal_slice text, const char *name,
                             const fal_template_value *values, fal_error *err);

#endif
