/* Body of checksum.h. */
#include "publish/checksum.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"

#include <string.h>

enum {
    MAX_BYTES = 1 << 20,
    HEX_LENGTH = FAL_SHA256_HEX - 1
};

fal_status fal_checksums_add(fal_checksums *list, const char *sha256, const char *name,
                             fal_error *err) {
    if (!fal_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return fal_fail_memory(err, 0);
    fal_checksum *item = &list->items[list->count];
    *item = (fal_checksum){.name = fal_copy_string(name, strlen(name))};
    if (!item->name) return fal_fail_memory(err, strlen(name));
    memcpy(item->sha256, sha256, HEX_LENGTH);
    list->count++;
    return FAL_OK;
}

/* 64 digits, a blank, a blank or a star, the name. */
static bool is_entry(const char *line) {
    for (int i = 0; i < HEX_LENGTH; i++) {
        if (!((line[i] >= '0' && line[i] <= '9') || (line[i] >= 'a' && line[i] <= 'f')))
            return false;
    }
    return line[HEX_LENGTH] == ' ' && (line[HEX_LENGTH + 1] == ' ' || line[HEX_LENGTH + 1] == '*')
           && line[HEX_LENGTH + 2] != '\0';
}

static fal_status read_lines(fal_checksums *out, char *text, const char *path, fal_error *err) {
    int number = 1;
    for (char *line = text; *line; number++) {
        char *newline = strchr(line, '\n');
        if (newline) *newline = '\0';
        size_t length = strlen(line);
        if (length > 0 && line[length - 1] == '\r') line[length - 1] = '\0';
        if (*line && !is_entry(line))
            return fal_fail(err, FAL_E_FORMAT, "%s:%d: this is no SHA-256 and name", path, number);
        if (*line) {
            FAL_TRY(fal_checksums_add(out, line, line + HEX_LENGTH + 2, err));
            out->items[out->count - 1].line = number;
        }
        if (!newline) break;
        line = newline + 1;
    }
    return FAL_OK;
}

fal_status fal_checksums_read(fal_checksums *out, const char *path, fal_error *err) {
    char *text = NULL;
    size_t length = 0;
    FAL_TRY(fal_file_read(&text, &length, path, MAX_BYTES, err));
    fal_status status = read_lines(out, text, path, err);
    fal_free(text);
    return status;
}

fal_status fal_checksums_write(const fal_checksums *list, const char *path, fal_error *err) {
    fal_string_builder text = {0};
    for (size_t i = 0; i < list->count; i++)
        fal_string_append_format(&text, "%s  %s\n", list->items[i].sha256, list->items[i].name);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK) status = fal_file_write(path, text.text, text.length, err);
    fal_string_release(&text);
    return status;
}

void fal_checksums_release(fal_checksums *list) {
    for (size_t i = 0; i < list->count; i++)
        fal_free(list->items[i].name);
    fal_free(list->items);
    *list = (fal_checksums){0};
}
