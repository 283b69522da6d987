/* The store's file: opening, schema and its versions, statements, what SQLite's failures mean. */
#include "base/alloc.h"
#include "base/file.h"
#include "server/store_private.h"

#include <stdarg.h>
#include <string.h>

static const char *const STATEMENTS[] = {
#define FAL_STATEMENT(name, sql) sql,
#include "server/store_statements.def"
#undef FAL_STATEMENT
};

enum {
    APPLICATION = 0x46414C43, /* "FALC", in the header of the file */
    WAIT_MILLISECONDS = 500   /* for another process that writes */
};

/* Row n brings a file of version n to version n + 1. Rows are appended and never changed. */
static const char *const SCHEMA[] = {
    "CREATE TABLE conversation(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, "
    "system TEXT NOT NULL, parameters TEXT NOT NULL, leaf INTEGER, created INTEGER NOT NULL, "
    "updated INTEGER NOT NULL) STRICT;"
    "CREATE INDEX conversation_updated ON conversation(updated DESC, id DESC);"
    "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE, "
    "parent INTEGER REFERENCES message ON DELETE CASCADE, "
    "role TEXT NOT NULL CHECK (role IN ('user', 'assistant')), text TEXT NOT NULL, "
    "parameters TEXT NOT NULL, created INTEGER NOT NULL) STRICT;"
    "CREATE INDEX message_conversation ON message(conversation, id);"
    "CREATE INDEX message_parent ON message(parent);"
    "CREATE VIRTUAL TABLE message_words USING fts5(text, content='message', content_rowid='id', "
    "tokenize='unicode61 remove_diacritics 2');"
    "CREATE TRIGGER message_added AFTER INSERT ON message BEGIN "
    "INSERT INTO message_words(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN "
    "INSERT INTO message_words(message_words, rowid, text) VALUES ('delete', old.id, old.text); END;"
    "CREATE TRIGGER message_changed AFTER UPDATE OF text ON message BEGIN "
    "INSERT INTO message_words(message_words, rowid, text) VALUES ('delete', old.id, old.text); "
    "INSERT INTO message_words(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TABLE vote(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL, b TEXT NOT NULL, "
    "winner TEXT NOT NULL CHECK (winner IN ('a', 'b', 'tie', 'neither')), system TEXT NOT NULL, "
    "prompt TEXT NOT NULL, answer_a TEXT NOT NULL, answer_b TEXT NOT NULL, "
    "created INTEGER NOT NULL) STRICT;"
    "CREATE INDEX vote_pair ON vote(a, b);",
};

enum {
    VERSION = sizeof SCHEMA / sizeof SCHEMA[0]
};

/* ---- failures ---- */

static fal_status status_of(int code) {
    static const struct {
        int code;
        fal_status status;
    } known[] = {
        {SQLITE_BUSY,       FAL_E_BUSY    },
        {SQLITE_LOCKED,     FAL_E_BUSY    },
        {SQLITE_NOMEM,      FAL_E_MEMORY  },
        {SQLITE_TOOBIG,     FAL_E_LIMIT   },
        {SQLITE_CONSTRAINT, FAL_E_ARGUMENT},
        {SQLITE_MISUSE,     FAL_E_BUG     },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == (code & 0xff)) return known[i].status;
    return FAL_E_IO;
}

/* SQLite's words name tables and causes, never what people wrote. */
static fal_status fail(const fal_store *s, int code, fal_error *err) {
    fal_status status = status_of(code);
    if (status == FAL_E_MEMORY) return fal_fail_memory(err, 0);
    if (status == FAL_E_BUSY)
        return fal_fail(err, status, "the store '%s' is in use by another process", s->path);
    const char *words = s->file ? sqlite3_errmsg(s->file) : sqlite3_errstr(code);
    return fal_fail(err, status, "the store '%s': %s (SQLite's code %d)", s->path, words, code);
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *statement, const char *kinds, va_list values) {
    int code = SQLITE_OK;
    for (int i = 1; code == SQLITE_OK && kinds[i - 1]; i++)
        if (kinds[i - 1] == 't') {
            const char *text = va_arg(values, const char *);
            code = text ? sqlite3_bind_text(statement, i, text, -1, SQLITE_STATIC)
                        : sqlite3_bind_null(statement, i);
        } else {
            int64_t number = va_arg(values, int64_t);
            bool is_null = kinds[i - 1] == 'r' && number == 0;
            code = is_null ? sqlite3_bind_null(statement, i)
                           : sqlite3_bind_int64(statement, i, number);
        }
    return code;
}

/* Runs a statement to its end; rows go to array, if there is one. Afterwards it holds no lock and no value. */
static fal_status run(fal_store *s, fal_store_statement which, fal_store_row *row, json_t *array,
                      fal_error *err, const char *kinds, va_list values) {
    sqlite3_stmt *statement = s->statements[which];
    int code = bind(statement, kinds, values);
    fal_status status = FAL_OK;
    if (code == SQLITE_OK)
        while (status == FAL_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
            if (array && json_array_append_new(array, row(statement)) != 0)
                status = fal_fail_memory(err, 0);
    if (status == FAL_OK && code != SQLITE_DONE) status = fail(s, code, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

fal_status fal_store_run(fal_store *s, fal_store_statement which, fal_error *err, const char *kinds,
                         ...) {
    va_list values;
    va_start(values, kinds);
    fal_status status = run(s, which, NULL, NULL, err, kinds, values);
    va_end(values);
    return status;
}

fal_status fal_store_collect(fal_store *s, fal_store_statement which, fal_store_row *row,
                             json_t *array, fal_error *err, const char *kinds, ...) {
    if (!array) return fal_fail_memory(err, 0);
    va_list values;
    va_start(values, kinds);
    fal_status status = run(s, which, row, array, err, kinds, values);
    va_end(values);
    return status;
}

fal_status fal_store_one(fal_store *s, fal_store_statement which, fal_store_row *row, json_t **out,
                         fal_error *err, const char *kinds, ...) {
    *out = NULL;
    json_t *rows = json_array();
    if (!rows) return fal_fail_memory(err, 0);
    va_list values;
    va_start(values, kinds);
    fal_status status = run(s, which, row, rows, err, kinds, values);
    va_end(values);
    if (status == FAL_OK) *out = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    return status;
}

fal_status fal_store_begin(fal_store *s, fal_error *err) {
    return fal_store_run(s, FAL_STORE_BEGIN, err, "");
}

fal_status fal_store_end(fal_store *s, fal_status status, fal_error *err) {
    if (status == FAL_OK) status = fal_store_run(s, FAL_STORE_COMMIT, err, "");
    /* A full disk may have ended the transaction already. */
    if (status != FAL_OK && !sqlite3_get_autocommit(s->file))
        (void)fal_store_run(s, FAL_STORE_ROLLBACK, NULL, "");
    return status;
}

int64_t fal_store_inserted(const fal_store *s) {
    return sqlite3_last_insert_rowid(s->file);
}

int64_t fal_store_changed(const fal_store *s) {
    return sqlite3_changes64(s->file);
}

/* ---- opening ---- */

static fal_status execute(fal_store *s, const char *sql, fal_error *err) {
    int code = sqlite3_exec(s->file, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? FAL_OK : fail(s, code, err);
}

static fal_status number(fal_store *s, const char *sql, int64_t *out, fal_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->file, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    *out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? FAL_OK : fail(s, code, err);
}

/* Inside a transaction: an empty file becomes a store, an earlier version the present one. */
static fal_status bring_up_to_date(fal_store *s, fal_error *err) {
    int64_t application, version, n_tables;
    FAL_TRY(number(s, "PRAGMA application_id", &application, err));
    FAL_TRY(number(s, "PRAGMA user_version", &version, err));
    FAL_TRY(number(s, "SELECT count(*) FROM sqlite_schema", &n_tables, err));
    bool is_empty = application == 0 && version == 0 && n_tables == 0;
    if (!is_empty && application != APPLICATION)
        return fal_fail(err, FAL_E_FORMAT, "'%s' is an SQLite file, but no store of falconer",
                        s->path);
    if (version < 0 || version > VERSION)
        return fal_fail(err, FAL_E_FORMAT,
                        "the store '%s' has version %lld, this falconer knows versions up to %d",
                        s->path, (long long)version, (int)VERSION);
    for (int64_t v = version; v < VERSION; v++)
        FAL_TRY(execute(s, SCHEMA[v], err));
    if (version == VERSION) return FAL_OK;
    char mark[100];
    sqlite3_snprintf(sizeof mark, mark, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                     (int)APPLICATION, (int)VERSION);
    return execute(s, mark, err);
}

static fal_status prepare(fal_store *s, fal_error *err) {
    for (size_t i = 0; i < FAL_STORE_STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(s->file, STATEMENTS[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &s->statements[i], NULL);
        if (code != SQLITE_OK) return fail(s, code, err);
    }
    return FAL_OK;
}

static fal_status open_file(fal_store *s, fal_error *err) {
    if (strcmp(s->path, ":memory:") != 0) FAL_TRY(fal_file_make_private(s->path, err));
    int code = sqlite3_open_v2(
        s->path, &s->file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) return fail(s, code, err);
    sqlite3_extended_result_codes(s->file, 1);
    sqlite3_busy_timeout(s->file, WAIT_MILLISECONDS);
    sqlite3_db_config(s->file, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    FAL_TRY(execute(s, "PRAGMA cell_size_check = ON", err));
    FAL_TRY(execute(s, "BEGIN IMMEDIATE", err));
    fal_status status = bring_up_to_date(s, err);
    if (status == FAL_OK) status = execute(s, "COMMIT", err);
    if (status != FAL_OK) return status;
    FAL_TRY(execute(s,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                    "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON",
                    err));
    return prepare(s, err);
}

/* While a file is opened, damage is a matter of its format. */
static fal_status name_damage(const fal_store *s, fal_status status, fal_error *err) {
    int code = s->file ? sqlite3_errcode(s->file) : SQLITE_OK;
    if (status != FAL_E_IO || (code != SQLITE_CORRUPT && code != SQLITE_NOTADB)) return status;
    return fal_fail(err, FAL_E_FORMAT, "'%s' is damaged or no store of falconer: %s", s->path,
                    sqlite3_errmsg(s->file));
}

fal_status fal_store_open(fal_store **out, const char *path, fal_error *err) {
    *out = NULL;
    fal_store *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->path = fal_copy_string(path, strlen(path));
    fal_status status = s->path ? open_file(s, err) : fal_fail_memory(err, strlen(path));
    if (status == FAL_OK)
        *out = s;
    else {
        status = s->path ? name_damage(s, status, err) : status;
        fal_store_close(s);
    }
    return status;
}

void fal_store_close(fal_store *s) {
    if (!s) return;
    for (size_t i = 0; i < FAL_STORE_STATEMENT_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->file);
    fal_free(s->path);
    fal_free(s);
}
