/* Readers of plain text: of text files, and of records with a text. */
#include "train/readers.h"

bool fal_is_plain_text(const fal_record *record) {
    return record->json == NULL;
}

fal_status fal_read_plain_text(fal_intake *intake, const fal_record *record, fal_error *err) {
    return fal_intake_text(intake, record->text, err);
}

/* NULL: there is none. */
static const json_t *text_of(const fal_record *record) {
    const json_t *text = json_object_get(record->json, "text");
    if (!json_is_string(text)) text = json_object_get(record->json, "content");
    return json_is_string(text) ? text : NULL;
}

bool fal_is_text_records(const fal_record *record) {
    return text_of(record) != NULL;
}

fal_status fal_read_text_records(fal_intake *intake, const fal_record *record, fal_error *err) {
    const json_t *text = text_of(record);
    return fal_intake_text(intake, (fal_slice){json_string_value(text), json_string_length(text)},
                           err);
}
