/* Body of json_output.h. */
#include "cli/json_output.h"

#include "cli/terminal.h"
#include "formats/json_value.h"

#include <stdio.h>
#include <string.h>

fal_status fal_json_append(fal_string_builder *out, const json_t *value, fal_error *err) {
    fal_json_write_text(out, value, JSON_INDENT(1));
    fal_string_append_text(out, "\n");
    return fal_string_status(out, err);
}

/* jansson escapes what is below a blank, but neither DEL nor the C1 controls. */
static int write_part(const char *text, size_t length, void *stream) {
    fal_terminal_write(stream, text, length);
    return ferror(stream) ? -1 : 0;
}

fal_status fal_json_print(json_t *take_value, size_t n_digits, fal_error *err) {
    if (!take_value) return fal_fail_memory(err, 0);
    /* A failed write is found by main, which asks the stream. */
    int failed = json_dump_callback(take_value, write_part, stdout, JSON_REAL_PRECISION(n_digits));
    json_decref(take_value);
    if (failed && !ferror(stdout)) return fal_fail_memory(err, 0);
    fputc('\n', stdout);
    return FAL_OK;
}
