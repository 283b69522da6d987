/* Bodies of json_value.h. */
#include "formats/json_value.h"

#include "base/utf8.h"

#include <math.h>

json_t *fal_json_text(const char *text, size_t length) {
    if (fal_utf8_is_valid(text, length)) return json_stringn(text, length);
    fal_string_builder whole = {0};
    fal_string_append_whole(&whole, text, length, true);
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

static int append_part(const char *text, size_t length, void *out) {
    fal_string_append(out, text, length);
    return ((fal_string_builder *)out)->failed ? -1 : 0;
}

void fal_json_write_text(fal_string_builder *out, const json_t *value, size_t flags) {
    if (!value || json_dump_callback(value, append_part, out, flags) != 0) out->failed = true;
}
