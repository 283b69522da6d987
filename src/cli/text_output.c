/* Bodies of text_output.h. */
#include "cli/text_output.h"

#include "base/file.h"
#include "base/utf8.h"

void fal_text_append_whole(fal_string_builder *out, const char *text, size_t length,
                           bool keeps_zeros) {
    for (size_t at = 0; at < length;) {
        uint32_t code_point = 0;
        int n = fal_utf8_decode(text + at, length - at, &code_point);
        if (n && (code_point || keeps_zeros))
            fal_string_append(out, text + at, (size_t)n);
        else
            fal_string_append_text(out, "\xef\xbf\xbd");
        at += n ? (size_t)n : 1;
    }
}

fal_status fal_text_write_file(const fal_string_builder *text, const char *path, fal_error *err) {
    fal_output *file = NULL;
    FAL_TRY(fal_string_status(text, err));
    FAL_TRY(fal_output_open(&file, path, err));
    fal_status status =
        text->length ? fal_output_write(file, text->text, text->length, err) : FAL_OK;
    if (status == FAL_OK) return fal_output_commit(file, err);
    fal_output_discard(file);
    return status;
}
