/* Body of text_files.h. */
#include "train/text_files.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/string_builder.h"
#include "formats/json_file.h"
#include "formats/text_lines.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK_BYTES = 1 << 20,
    MAX_DEPTH = 32,
    PROGRESS_EVERY = 1024 /* lines */
};

const char *const fal_text_fields[] = {"text",     "content", "value",  "instruction",
                                       "input",    "output",  "prompt", "response",
                                       "question", "answer",  NULL};

/* ---- JSON ---- */

static bool is_field(const fal_text_reading *reading, const char *key) {
    for (const char *const *field = reading->fields ? reading->fields : fal_text_fields; *field;
         field++) {
        if (strcmp(*field, key) == 0) return true;
    }
    return false;
}

/* Hands over the strings in value; is_text: those that stand in it without a key of their own are texts. jansson bounds
 * how deep values lie. */
static fal_status walk(const fal_text_reading *reading, json_t *value, bool is_text,
                       fal_error *err) {
    const char *key;
    json_t *inner;
    size_t i;
    if (is_text && json_is_string(value)) {
        fal_slice text = {json_string_value(value), json_string_length(value)};
        return reading->on_text(reading->user, text, err);
    }
    json_array_foreach(value, i, inner) FAL_TRY(walk(reading, inner, is_text, err));
    json_object_foreach(value, key, inner)
        FAL_TRY(walk(reading, inner, is_field(reading, key), err));
    return FAL_OK;
}

static bool is_blank(fal_slice line) {
    for (size_t i = 0; i < line.length; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') return false;
    }
    return true;
}

static fal_status read_record(const fal_text_reading *reading, fal_slice line, const char *path,
                              int64_t number, fal_error *err) {
    if (is_blank(line)) return FAL_OK;
    json_t *value = NULL;
    FAL_TRY(fal_json_parse_line(&value, line, path, number, err));
    fal_status status = walk(reading, value, false, err);
    json_decref(value);
    return status;
}

/* ---- plain text ---- */

/* True if a vocabulary's words never reach over the end of the block: it ends a line that ends with a visible character,
 * and the next line begins with one. */
static bool is_border(const fal_string_builder *block, fal_slice next_line) {
    return block->length >= BLOCK_BYTES && block->text[block->length - 2] > ' '
           && next_line.length > 0 && next_line.data[0] > ' ';
}

static fal_status give_block(const fal_text_reading *reading, fal_string_builder *block,
                             fal_error *err) {
    FAL_TRY(fal_string_status(block, err));
    if (block->length == 0) return FAL_OK;
    fal_status status =
        reading->on_text(reading->user, (fal_slice){block->text, block->length}, err);
    fal_string_clear(block);
    return status;
}

/* ---- files and folders ---- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && memcmp(name + n - k, end, k) == 0;
}

static bool holds_records(const char *path) {
    return ends_with(path, ".jsonl") || ends_with(path, ".jsonl.zst");
}

static fal_status tell(const fal_text_reading *reading, const char *path,
                       const fal_text_lines *lines, fal_error *err) {
    if (!reading->on_progress
        || reading->on_progress(reading->user, path, fal_text_lines_position(lines),
                                fal_text_lines_length(lines)))
        return FAL_OK;
    return fal_fail(err, FAL_E_CANCELLED, "cancelled at line %lld of '%s'",
                    (long long)fal_text_lines_number(lines), path);
}

static fal_status read_lines(const char *path, const fal_text_reading *reading,
                             fal_text_lines *lines, fal_string_builder *block, fal_error *err) {
    bool records = holds_records(path);
    for (;;) {
        fal_slice line;
        FAL_TRY(fal_text_lines_next(lines, &line, err));
        int64_t number = fal_text_lines_number(lines);
        if (!line.data || number % PROGRESS_EVERY == 0) FAL_TRY(tell(reading, path, lines, err));
        if (!line.data) return give_block(reading, block, err);
        if (records) {
            FAL_TRY(read_record(reading, line, path, number, err));
            continue;
        }
        if (is_border(block, line)) FAL_TRY(give_block(reading, block, err));
        fal_string_append(block, line.data, line.length);
        fal_string_append(block, "\n", 1);
        if (block->length >= FAL_TEXT_LINE_BYTES) FAL_TRY(give_block(reading, block, err));
    }
}

static fal_status read_file(const char *path, const fal_text_reading *reading, fal_error *err) {
    fal_text_lines *lines = NULL;
    fal_string_builder block = {0};
    FAL_TRY(fal_text_lines_open(&lines, path, 0, err));
    fal_status status = read_lines(path, reading, lines, &block, err);
    fal_string_release(&block);
    fal_text_lines_close(lines);
    return status;
}

static fal_status read_at(const char *path, int depth, const fal_text_reading *reading,
                          fal_error *err) {
    if (!fal_file_is_directory(path)) return read_file(path, reading, err);
    if (depth >= MAX_DEPTH)
        return fal_fail(err, FAL_E_LIMIT, "'%s': folders are more than %d deep", path,
                        (int)MAX_DEPTH);
    fal_names names = {0};
    fal_status status = fal_folder_list(&names, path, "", err);
    for (size_t i = 0; status == FAL_OK && i < names.count; i++) {
        char *inner = fal_path_join(path, names.items[i]);
        status = inner ? read_at(inner, depth + 1, reading, err) : fal_fail_memory(err, 0);
        fal_free(inner);
    }
    fal_names_release(&names);
    return status;
}

fal_status fal_text_files_read(const char *path, const fal_text_reading *reading, fal_error *err) {
    return read_at(path, 0, reading, err);
}
