/* Bodies of text_output.h. */
#include "cli/text_output.h"

#include "base/file.h"

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
