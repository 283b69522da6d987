/* Jansson's values made from ours. */
#include "cli/json_output.h"

#include "base/string_builder.h"
#include "base/utf8.h"
#include "cli/terminal.h"
#include "cli/text_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *fal_json_text(const char *text, size_t length) {
    if (fal_utf8_is_valid(text, length)) return json_stringn(text, length);
    fal_string_builder whole = {0};
    fal_text_append_whole(&whole, text, length, true);
    json_t *value = whole.failed ? NULL : json_stringn(whole.text, whole.length);
    fal_string_release(&whole);
    return value;
}

json_t *fal_json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *fal_json_whole(double value) {
    const double bound = 9223372036854775808.0; /* 2^63 */
    if (isnan(value)) return json_null();
    if (value >= bound) return json_integer(INT64_MAX);
    return json_integer(value < -bound ? INT64_MIN : (json_int_t)value);
}

json_t *fal_json_ids(const int32_t *ids, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static int append_part(const char *text, size_t length, void *builder) {
    fal_string_append(builder, text, length);
    return 0;
}

fal_status fal_json_append(fal_string_builder *out, const json_t *value, fal_error *err) {
    if (json_dump_callback(value, append_part, out, JSON_INDENT(1)) != 0)
        return fal_fail_memory(err, 0);
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
