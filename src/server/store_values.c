/* Values between JSON and the rows of the store; what comes from outside is checked here. */
#include "base/alloc.h"
#include "server/store_private.h"

#include <string.h>
#include <time.h>

int64_t fal_store_now(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

json_t *fal_store_column_text(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return json_null();
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? json_stringn(text, (size_t)sqlite3_column_bytes(row, column)) : NULL;
}

json_t *fal_store_column_number(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return json_null();
    return json_integer(sqlite3_column_int64(row, column));
}

json_t *fal_store_column_object(sqlite3_stmt *row, int column) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    if (!text) return NULL;
    json_t *value = json_loadb(text, (size_t)sqlite3_column_bytes(row, column), 0, NULL);
    return value ? value : json_object();
}

fal_status fal_store_text_of(const json_t *object, const char *key, size_t max_bytes,
                             const char *fallback, const char **out, fal_error *err) {
    const json_t *value = json_object_get(object, key);
    *out = fallback;
    if (!value) return FAL_OK;
    if (!json_is_string(value)) return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a text", key);
    size_t length = json_string_length(value);
    if (length > max_bytes)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' has %zu bytes, at most %zu", key, length,
                        max_bytes);
    if (strlen(json_string_value(value)) != length)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' holds a zero byte", key);
    *out = json_string_value(value);
    return FAL_OK;
}

fal_status fal_store_object_of(const json_t *object, const char *key, char **out, fal_error *err) {
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value) return FAL_OK;
    if (!json_is_object(value)) return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not an object", key);
    size_t length = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
    if (length > FAL_STORE_MAX_TEXT)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' has %zu bytes, at most %d", key, length,
                        (int)FAL_STORE_MAX_TEXT);
    *out = fal_alloc(length + 1, 1);
    if (length == 0 || !*out) return fal_fail_memory(err, length);
    json_dumpb(value, *out, length, JSON_COMPACT | JSON_SORT_KEYS);
    return FAL_OK;
}

fal_status fal_store_number_of(const json_t *object, const char *key, int64_t fallback,
                               int64_t *out, fal_error *err) {
    const json_t *value = json_object_get(object, key);
    *out = fallback;
    if (!value || json_is_null(value)) return FAL_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s' is not a whole number of at least 0", key);
    *out = json_integer_value(value);
    return FAL_OK;
}
