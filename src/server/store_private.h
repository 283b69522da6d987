/* How the files of the store use SQLite: prepared statements by name, values in, rows out as JSON. */
#ifndef FAL_SERVER_STORE_PRIVATE_H
#define FAL_SERVER_STORE_PRIVATE_H

#include "server/store.h"

#include <sqlite3.h>
#include <stdbool.h>

typedef enum fal_store_statement {
#define FAL_STATEMENT(name, sql) FAL_STORE_##name,
#include "server/store_statements.def"
#undef FAL_STATEMENT
    FAL_STORE_STATEMENT_COUNT
} fal_store_statement;

struct fal_store {
    sqlite3 *file;
    char *path;
    sqlite3_stmt *statements[FAL_STORE_STATEMENT_COUNT];
};

/* A row as JSON, owned by the caller; NULL: memory is short or the text is not UTF-8. */
typedef json_t *fal_store_row(sqlite3_stmt *row);

/* Runs a statement that yields no rows. kinds says what the values are, one letter each: 't' const char * (NULL is
 * null), 'i' int64_t, 'r' int64_t of which 0 is null (a reference). */
fal_status fal_store_run(fal_store *s, fal_store_statement which, fal_error *err, const char *kinds,
                         ...);

/* Appends a statement's rows to array. */
fal_status fal_store_collect(fal_store *s, fal_store_statement which, fal_store_row *row,
                             json_t *array, fal_error *err, const char *kinds, ...);

/* As fal_store_collect, for the one row that there is; *out is NULL if there is none. */
fal_status fal_store_one(fal_store *s, fal_store_statement which, fal_store_row *row, json_t **out,
                         fal_error *err, const char *kinds, ...);

/* A transaction that may write; fal_store_end commits if status is OK and takes all back otherwise. Returns how it
 * went, which is status unless committing fails. */
fal_status fal_store_begin(fal_store *s, fal_error *err);
fal_status fal_store_end(fal_store *s, fal_status status, fal_error *err);

/* The id of the row inserted last; how many rows the last statement changed. */
int64_t fal_store_inserted(const fal_store *s);
int64_t fal_store_changed(const fal_store *s);

/* Milliseconds since 1970. */
int64_t fal_store_now(void);

/* Columns as JSON: text, a number (null stays null), a stored object. */
json_t *fal_store_column_text(sqlite3_stmt *row, int column);
json_t *fal_store_column_number(sqlite3_stmt *row, int column);
json_t *fal_store_column_object(sqlite3_stmt *row, int column);

/* The text at key, borrowed from object; fallback where it is missing. Fails: ARGUMENT (no text, over max_bytes, holds a
 * zero byte). */
fal_status fal_store_text_of(const json_t *object, const char *key, size_t max_bytes,
                             const char *fallback, const char **out, fal_error *err);

/* The object at key as compact JSON with sorted keys (fal_free); NULL where it is missing. Fails: ARGUMENT. */
fal_status fal_store_object_of(const json_t *object, const char *key, char **out, fal_error *err);

/* The whole number at key, at least 0; fallback where it is missing or null. Fails: ARGUMENT. */
fal_status fal_store_number_of(const json_t *object, const char *key, int64_t fallback,
                               int64_t *out, fal_error *err);

/* A row of the statement VOTES. */
json_t *fal_store_vote_row(sqlite3_stmt *row);

enum {
    FAL_STORE_MAX_TEXT = 16 << 20, /* bytes of one message */
    FAL_STORE_MAX_TITLE = 1000
};

#endif
