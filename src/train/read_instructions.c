/* Readers of single questions and answers: instructions as in Dolphin, and long documents as in SLED and SCROLLS. */
#include "base/string_builder.h"
#include "train/readers.h"

#include <string.h>

enum {
    MAX_QUESTION_BYTES =
        4096 /* of what stands before the first empty line of a document and is taken for a question */
};

static const char *text_of(const fal_record *record, const char *key) {
    return json_string_value(json_object_get(record->json, key));
}

static bool is_empty(const char *text) {
    return !text || text[strspn(text, " \t\r\n")] == '\0';
}

/* ---- instructions ---- */

bool fal_is_instructions(const fal_record *record) {
    return text_of(record, "instruction") && json_object_get(record->json, "output");
}

fal_status fal_read_instructions(fal_intake *intake, const fal_record *record, fal_error *err) {
    const char *instruction = text_of(record, "instruction"), *input = text_of(record, "input");
    const char *output = text_of(record, "output");
    if (!output) return fal_intake_damaged(intake, "an output that is not text", err);
    if (is_empty(input)) { /* the instruction is all that is asked */
        input = instruction;
        instruction = NULL;
    }
    fal_message messages[3];
    size_t n = 0;
    if (!is_empty(instruction)) messages[n++] = (fal_message){"system", instruction};
    messages[n++] = (fal_message){"user", input};
    messages[n++] = (fal_message){"assistant", output};
    return fal_intake_conversation(intake, messages, n, 0, err);
}

/* ---- long documents ---- */

bool fal_is_long_documents(const fal_record *record) {
    return text_of(record, "input") && json_object_get(record->json, "output");
}

/* Bytes of the question in front of a document: up to the first empty line and with it, or none. */
static size_t question_length(const char *input) {
    const char *end = strstr(input, "\n\n");
    return end && end - input <= MAX_QUESTION_BYTES ? (size_t)(end - input) + 2 : 0;
}

static fal_status take_document(fal_intake *intake, const char *input, size_t n_fixed,
                                const char *output, fal_error *err) {
    const fal_message messages[] = {
        {"user",      input },
        {"assistant", output}
    };
    return fal_intake_conversation(intake, messages, 2, n_fixed, err);
}

fal_status fal_read_long_documents(fal_intake *intake, const fal_record *record, fal_error *err) {
    const char *prefix = text_of(record, "input_prefix"), *input = text_of(record, "input");
    const char *output = text_of(record, "output");
    if (json_is_null(json_object_get(record->json, "output"))) { /* as in sets for tests */
        fal_intake_drop(intake, "no answer");
        return FAL_OK;
    }
    if (!output) return fal_intake_damaged(intake, "an output that is not text", err);
    if (is_empty(prefix)) return take_document(intake, input, question_length(input), output, err);
    fal_string_builder text = {0};
    fal_string_append_text(&text, prefix);
    fal_string_append_text(&text, "\n\n");
    fal_string_append_text(&text, input);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK)
        status = take_document(intake, text.text, strlen(prefix) + 2, output, err);
    fal_string_release(&text);
    return status;
}
