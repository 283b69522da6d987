/* The store: what was kept comes back, branches and words are found, foreign and damaged files are named, and a full disk,
 * a lack of memory or another writer loses nothing. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "check.h"
#include "server/store.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/falconer-store-XXXXXX";
static char path[80];
static fal_error err;

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/page.sqlite", folder);
    return 0;
}

static int empty_folder(void **state) {
    (void)state;
    return fal_folder_remove(folder, NULL) == FAL_OK ? mkdir(folder, 0700) : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return fal_folder_remove(folder, NULL) == FAL_OK ? 0 : -1;
}

/* ---- pieces ---- */

static fal_store *opened(void) {
    fal_store *s;
    CHECK_OK(fal_store_open(&s, path, &err), &err);
    return s;
}

/* JSON from text with ' for ". */
static json_t *json(const char *text) {
    char *copy = fal_copy_string(text, strlen(text));
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_error_t why;
    json_t *value = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!value) fail_msg("%s: %s", copy, why.text);
    fal_free(copy);
    return value;
}

static int64_t id_of(json_t *take_value) {
    int64_t id = json_integer_value(json_object_get(take_value, "id"));
    json_decref(take_value);
    return id;
}

static int64_t create(fal_store *s, const char *text) {
    json_t *conversation = json(text), *out;
    CHECK_OK(fal_store_create(s, conversation, &out, &err), &err);
    json_decref(conversation);
    return id_of(out);
}

static int64_t add(fal_store *s, int64_t id, int64_t parent, const char *role, const char *text) {
    json_t *message =
        json_pack("{s:I, s:s, s:s}", "parent", (json_int_t)parent, "role", role, "text", text);
    json_t *out;
    CHECK_OK(fal_store_add_message(s, id, message, &out, &err), &err);
    json_decref(message);
    return id_of(out);
}

static json_t *read_one(fal_store *s, int64_t id) {
    json_t *out;
    CHECK_OK(fal_store_read(s, id, &out, &err), &err);
    return out;
}

static size_t n_found(fal_store *s, const char *words) {
    fal_store_range range = {words, 0, 100};
    json_t *out;
    CHECK_OK(fal_store_list(s, &range, &out, &err), &err);
    size_t n = json_array_size(json_object_get(out, "conversations"));
    json_decref(out);
    return n;
}

static const char *text_at(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static const json_t *message_at(const json_t *conversation, size_t i) {
    return json_array_get(json_object_get(conversation, "messages"), i);
}

static void expect_equal(const json_t *a, const json_t *b) {
    if (json_equal(a, b)) return;
    print_error("%s\n%s\n", json_dumps(a, 0), json_dumps(b, 0));
    fail();
}

/* ---- what is kept ---- */

static void what_was_kept_comes_back(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t id = create(s, "{'title': 'Falcons', 'system': 'Be brief.', "
                           "'parameters': {'temperature': 0.1}}");
    int64_t question = add(s, id, 0, "user", "Wie schnell fliegt ein Falke? \xF0\x9F\xA6\x85");
    int64_t answer = add(s, id, question, "assistant", "Very.");
    fal_store_close(s);

    s = opened();
    json_t *read = read_one(s, id);
    assert_string_equal(text_at(read, "title"), "Falcons");
    assert_string_equal(text_at(read, "system"), "Be brief.");
    CHECK_NEAR(json_real_value(json_object_get(json_object_get(read, "parameters"), "temperature")),
               0.1, 0);
    assert_int_equal(json_integer_value(json_object_get(read, "leaf")), answer);
    assert_int_equal(json_array_size(json_object_get(read, "messages")), 2);
    assert_string_equal(text_at(message_at(read, 0), "text"),
                        "Wie schnell fliegt ein Falke? \xF0\x9F\xA6\x85");
    assert_true(json_is_null(json_object_get(message_at(read, 0), "parent")));
    assert_int_equal(json_integer_value(json_object_get(message_at(read, 1), "parent")), question);
    assert_true(json_integer_value(json_object_get(read, "created")) > INT64_C(1700000000000));
    json_decref(read);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    fal_store_close(s);
}

static void changes_and_branches(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t id = create(s, "{'title': 'one', 'system': 'first'}");
    int64_t question = add(s, id, 0, "user", "a");
    int64_t first = add(s, id, question, "assistant", "partial");
    int64_t second = add(s, id, question, "assistant", "another");
    json_t *changes = json("{'text': 'partial and whole', 'parameters': {'seed': 7}}");
    CHECK_OK(fal_store_change_message(s, id, first, changes, &err), &err);
    json_decref(changes);
    changes = json_pack("{s:s, s:I}", "title", "two", "leaf", (json_int_t)first);
    CHECK_OK(fal_store_change(s, id, changes, &err), &err);
    json_decref(changes);

    json_t *read = read_one(s, id);
    assert_string_equal(text_at(read, "title"), "two");
    assert_string_equal(text_at(read, "system"), "first");
    assert_int_equal(json_integer_value(json_object_get(read, "leaf")), first);
    assert_string_equal(text_at(message_at(read, 1), "text"), "partial and whole");
    assert_string_equal(text_at(message_at(read, 2), "text"), "another");
    assert_int_equal(json_integer_value(json_object_get(message_at(read, 2), "id")), second);
    json_decref(read);
    fal_store_close(s);
}

static void newest_first_in_portions(void **state) {
    (void)state;
    fal_store *s = opened();
    for (int i = 0; i < 5; i++) {
        char text[80];
        snprintf(text, sizeof text, "{'title': 'n%d', 'created': %d}", i, 1000 + i);
        create(s, text);
    }
    fal_store_range range = {NULL, 1, 3};
    json_t *out;
    CHECK_OK(fal_store_list(s, &range, &out, &err), &err);
    const json_t *found = json_object_get(out, "conversations");
    assert_int_equal(json_array_size(found), 3);
    assert_string_equal(text_at(json_array_get(found, 0), "title"), "n3");
    assert_string_equal(text_at(json_array_get(found, 2), "title"), "n1");
    assert_true(json_is_true(json_object_get(out, "more")));
    json_decref(out);
    range.skip = 2;
    CHECK_OK(fal_store_list(s, &range, &out, &err), &err);
    assert_false(json_is_true(json_object_get(out, "more")));
    json_decref(out);
    fal_store_close(s);
}

static void words_are_found(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t birds = create(s, "{'title': 'Greifv\xC3\xB6gel 100%'}");
    int64_t message = add(s, birds, 0, "user", "The peregrine falcon dives. \xC3\x84hnlich?");
    create(s, "{'title': 'Bread'}");
    assert_int_equal(n_found(s, NULL), 2);
    assert_int_equal(n_found(s, "  "), 2);
    assert_int_equal(n_found(s, "falcon"), 1);
    assert_int_equal(n_found(s, "dives pereg"), 1); /* all words, the last by its beginning */
    assert_int_equal(n_found(s, "pereg dives"), 0);
    assert_int_equal(n_found(s, "ahnlich"), 1);
    assert_int_equal(n_found(s, "vogel"), 0); /* titles are searched as they are */
    assert_int_equal(n_found(s, "100%"), 1);
    assert_int_equal(n_found(s, "bre"), 1);
    assert_int_equal(n_found(s, "b%d"), 0);
    /* Nothing that is typed is an operator or an error. */
    static const char *const odd[] = {"\"", "* *",  "a AND",  "NEAR(", "text:falcon",
                                      "(",  "';--", "\"\"\"", "^x",    "!"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_int_equal(n_found(s, odd[i]), 0);

    fal_store_range range = {"falcon", 0, 10};
    json_t *out;
    CHECK_OK(fal_store_list(s, &range, &out, &err), &err);
    assert_non_null(
        strstr(text_at(json_array_get(json_object_get(out, "conversations"), 0), "excerpt"),
               "peregrine \x02"
               "falcon\x03 dives"));
    json_decref(out);
    /* The index follows changes and removals. */
    json_t *changes = json("{'text': 'a kestrel'}");
    CHECK_OK(fal_store_change_message(s, birds, message, changes, &err), &err);
    json_decref(changes);
    assert_int_equal(n_found(s, "falcon"), 0);
    assert_int_equal(n_found(s, "kestrel"), 1);
    CHECK_OK(fal_store_delete(s, birds, &err), &err);
    assert_int_equal(n_found(s, "kestrel"), 0);
    assert_int_equal(n_found(s, NULL), 1);
    fal_store_close(s);
}

static void documents_carry_everything(void **state) {
    (void)state;
    fal_store *s = opened();
    create(s, "{'title': 'x', 'created': 5, 'updated': 9, 'parameters': {'n': [1, null, 0.25]}, "
              "'leaf': 2, 'messages': ["
              "{'id': 1, 'role': 'user', 'text': 'q', 'created': 6},"
              "{'id': 2, 'parent': 1, 'role': 'assistant', 'text': 'a', 'created': 7, "
              "'parameters': {'seed': 1}},"
              "{'id': 9, 'parent': 1, 'role': 'assistant', 'text': 'b', 'created': 8}]}");
    json_t *vote = json("{'a': {'model': 'm'}, 'b': {'model': 'n'}, 'winner': 'b', 'prompt': 'p', "
                        "'created': 3}");
    CHECK_OK(fal_store_add_vote(s, vote, &err), &err);
    json_decref(vote);
    json_t *document, *again, *out;
    CHECK_OK(fal_store_export(s, 0, &document, &err), &err);
    fal_store_close(s);

    /* Into a store where the ids are taken: what is exported there is the same but for ids and moment. */
    empty_folder(NULL);
    s = opened();
    int64_t other = create(s, "{'title': 'other'}");
    add(s, other, 0, "user", "taken");
    CHECK_OK(fal_store_import(s, document, &out, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(out, "votes")), 1);
    int64_t id = json_integer_value(json_array_get(json_object_get(out, "ids"), 0));
    assert_true(id > other);
    json_decref(out);
    json_t *read = read_one(s, id),
           *former = json_array_get(json_object_get(document, "conversations"), 0);
    assert_int_equal(json_integer_value(json_object_get(read, "created")), 5);
    assert_int_equal(json_integer_value(json_object_get(read, "updated")), 9);
    expect_equal(json_object_get(read, "parameters"), json_object_get(former, "parameters"));
    assert_int_equal(json_array_size(json_object_get(read, "messages")), 3);
    assert_true(
        json_equal(json_object_get(read, "leaf"), json_object_get(message_at(read, 1), "id")));
    assert_true(json_equal(json_object_get(message_at(read, 2), "parent"),
                           json_object_get(message_at(read, 0), "id")));
    expect_equal(json_object_get(message_at(read, 1), "parameters"),
                 json_object_get(message_at(former, 1), "parameters"));
    assert_int_equal(json_integer_value(json_object_get(message_at(read, 1), "created")), 7);
    json_decref(read);
    CHECK_OK(fal_store_export(s, id, &again, &err), &err);
    assert_int_equal(json_array_size(json_object_get(again, "conversations")), 1);
    assert_int_equal(json_array_size(json_object_get(again, "votes")), 0);
    json_decref(again);
    json_decref(document);
    fal_store_close(s);
}

static void votes_are_counted_by_pair(void **state) {
    (void)state;
    fal_store *s = opened();
    static const char *const votes[] = {
        "{'a': {'model': 'x', 'temperature': 1}, 'b': {'model': 'y'}, 'winner': 'a'}",
        "{'b': {'temperature': 1, 'model': 'x'}, 'a': {'model': 'y'}, 'winner': 'b'}",
        "{'a': {'model': 'x', 'temperature': 1}, 'b': {'model': 'y'}, 'winner': 'b'}",
        "{'a': {'model': 'x', 'temperature': 1}, 'b': {'model': 'y'}, 'winner': 'tie'}",
        "{'b': {'model': 'x', 'temperature': 1}, 'a': {'model': 'y'}, 'winner': 'neither'}",
        "{'a': {'model': 'z'}, 'b': {'model': 'y'}, 'winner': 'a'}"};
    for (size_t i = 0; i < sizeof votes / sizeof votes[0]; i++) {
        json_t *vote = json(votes[i]);
        CHECK_OK(fal_store_add_vote(s, vote, &err), &err);
        json_decref(vote);
    }
    json_t *out;
    CHECK_OK(fal_store_votes(s, &out, &err), &err);
    const json_t *pairs = json_object_get(out, "pairs");
    assert_int_equal(json_array_size(pairs), 2);
    size_t i;
    const json_t *pair;
    json_array_foreach(pairs, i, pair) {
        bool is_first = strcmp(text_at(json_object_get(pair, "a"), "model"), "x") == 0;
        json_t *expected = is_first ? json("[2, 1, 1, 1]") : json("[0, 1, 0, 0]");
        json_t *counts = json_pack("[O, O, O, O]", json_object_get(pair, "a_wins"),
                                   json_object_get(pair, "b_wins"), json_object_get(pair, "ties"),
                                   json_object_get(pair, "neither"));
        expect_equal(counts, expected);
        json_decref(counts);
        json_decref(expected);
    }
    json_decref(out);
    fal_store_close(s);
}

/* ---- what is refused ---- */

static void wrong_values_are_named(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t id = create(s, "{}"), other = create(s, "{}");
    int64_t message = add(s, id, 0, "user", "here");
    json_t *out, *value;
    CHECK_STATUS(fal_store_read(s, 99, &out, &err), FAL_E_NOT_FOUND, &err, "conversation 99");
    CHECK_STATUS(fal_store_delete(s, 99, &err), FAL_E_NOT_FOUND, &err, "99");
    CHECK_STATUS(fal_store_export(s, 99, &out, &err), FAL_E_NOT_FOUND, &err, "99");

    static const struct {
        const char *value, *words;
    } conversations[] = {
        {"[]",                                                                 "no object"        },
        {"{'title': 3}",                                                       "'title'"          },
        {"{'title': 'a\\u0000b'}",                                             "zero byte"        },
        {"{'parameters': []}",                                                 "'parameters'"     },
        {"{'created': -1}",                                                    "'created'"        },
        {"{'messages': {}}",                                                   "'messages'"       },
        {"{'messages': [{'role': 'system', 'text': ''}]}",                     "message 1: 'role'"},
        {"{'messages': [{'id': 1, 'role': 'user', 'text': '', 'parent': 1}]}", "its parent 1"     },
        {"{'messages': [{'id': 1, 'role': 'user', 'text': ''}], 'leaf': 7}",   "'leaf' 7"         },
    };

    for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
        value = json(conversations[i].value);
        CHECK_STATUS(fal_store_create(s, value, &out, &err), FAL_E_ARGUMENT, &err,
                     conversations[i].words);
        assert_null(out);
        json_decref(value);
    }
    value = json_pack("{s:I, s:s}", "parent", (json_int_t)message, "role", "user");
    CHECK_STATUS(fal_store_add_message(s, other, value, &out, &err), FAL_E_ARGUMENT, &err,
                 "has no message");
    CHECK_STATUS(fal_store_add_message(s, 99, value, &out, &err), FAL_E_NOT_FOUND, &err, "99");
    json_decref(value);
    value = json_pack("{s:I}", "leaf", (json_int_t)message);
    CHECK_STATUS(fal_store_change(s, other, value, &err), FAL_E_ARGUMENT, &err, "'leaf'");
    json_decref(value);
    value = json("{'text': ''}");
    CHECK_STATUS(fal_store_change_message(s, other, message, value, &err), FAL_E_NOT_FOUND, &err,
                 "has no message");
    json_decref(value);
    value = json("{'a': {}, 'b': {}, 'winner': 'me'}");
    CHECK_STATUS(fal_store_add_vote(s, value, &err), FAL_E_ARGUMENT, &err, "'winner'");
    json_decref(value);
    assert_int_equal(n_found(s, NULL), 2);
    fal_store_close(s);
}

static void documents_are_taken_whole_or_not(void **state) {
    (void)state;
    fal_store *s = opened();
    json_t *out;

    static const struct {
        const char *value, *words;
    } documents[] = {
        {"{}",                                                                                      "'format'"       },
        {"{'format': 'falconer conversations', 'version': 2, 'conversations': []}",                 "version 1"      },
        {"{'format': 'falconer conversations', 'version': 1}",                                      "'conversations'"},
        {"{'format': 'falconer conversations', 'version': 1, 'conversations': [{}, {'title': 1}]}",
         "conversation 2: 'title'"                                                                                   },
        {"{'format': 'falconer conversations', 'version': 1, 'conversations': [{}], 'votes': [1]}",
         "vote 1"                                                                                                    },
    };

    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        json_t *document = json(documents[i].value);
        CHECK_STATUS(fal_store_import(s, document, &out, &err), FAL_E_ARGUMENT, &err,
                     documents[i].words);
        json_decref(document);
        assert_int_equal(n_found(s, NULL), 0);
    }
    fal_store_close(s);
}

static void execute(const char *file, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void foreign_files_are_named(void **state) {
    (void)state;
    fal_store *s;
    static const char text[] = "This is a letter, and no database. It is long enough for a header, "
                               "which has one hundred bytes at its beginning.";
    CHECK_OK(fal_file_write(path, text, sizeof text, &err), &err);
    CHECK_STATUS(fal_store_open(&s, path, &err), FAL_E_FORMAT, &err, path);
    assert_null(s);
    assert_int_equal(unlink(path), 0);
    execute(path, "CREATE TABLE cookies(name)");
    CHECK_STATUS(fal_store_open(&s, path, &err), FAL_E_FORMAT, &err, "no store of falconer");
    assert_int_equal(unlink(path), 0);
    fal_store_close(opened());
    execute(path, "PRAGMA user_version = 99");
    CHECK_STATUS(fal_store_open(&s, path, &err), FAL_E_FORMAT, &err, "version 99");
    char missing[120];
    snprintf(missing, sizeof missing, "%s/no/page.sqlite", folder);
    CHECK_STATUS(fal_store_open(&s, missing, &err), FAL_E_NOT_FOUND, &err, missing);
    CHECK_STATUS(fal_store_open(&s, folder, &err), FAL_E_IO, &err, folder);
}

/* ---- faults ---- */

/* A store whose pages, but for the first, are rubbish: opening it or reading it says so, and nothing crashes. */
static void damage_is_named(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t id = create(s, "{'title': 'x'}");
    for (int i = 0; i < 50; i++)
        add(s, id, 0, "user", "many words, so that pages are filled with them");
    fal_store_close(s);
    char *bytes;
    size_t length, n_failures = 0;
    CHECK_OK(fal_file_read(&bytes, &length, path, 1 << 24, &err), &err);
    for (size_t page = 4096; page < length; page += 4096) {
        char *damaged = fal_copy_string(bytes, length);
        memset(damaged + page, 0xA5, 4096);
        CHECK_OK(fal_file_write(path, damaged, length, &err), &err);
        fal_free(damaged);
        fal_store_range range = {"words", 0, 10};
        json_t *out = NULL;
        fal_status status = fal_store_open(&s, path, &err);
        if (status == FAL_OK) status = fal_store_list(s, &range, &out, &err);
        json_decref(out);
        out = NULL;
        if (status == FAL_OK) status = fal_store_read(s, id, &out, &err);
        json_decref(out);
        if (status != FAL_OK) {
            n_failures++;
            assert_true(status == FAL_E_FORMAT || status == FAL_E_IO);
            assert_non_null(strstr(err.message, path));
        }
        fal_store_close(s);
    }
    fal_free(bytes);
    assert_true(n_failures >= 3);
}

/* A limit of file sizes stands in for a full disk: what does not fit is refused with words, what was there is still read,
 * and when there is room again, writing goes on. */
static void a_full_disk_loses_nothing(void **state) {
    (void)state;
    fal_store *s = opened();
    int64_t id = create(s, "{'title': 'kept'}");
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = (struct rlimit){300000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    char text[20001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_t *message = json_pack("{s:s, s:s}", "role", "user", "text", text), *out;
    fal_status status = FAL_OK;
    size_t n = 0;
    while (n < 1000 && status == FAL_OK) {
        status = fal_store_add_message(s, id, message, &out, &err);
        json_decref(out);
        n += status == FAL_OK;
    }
    CHECK_STATUS(status, FAL_E_IO, &err, path);
    assert_true(n > 2 && n < 1000);
    json_t *read = read_one(s, id);
    assert_int_equal(json_array_size(json_object_get(read, "messages")), n);
    json_decref(read);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    add(s, id, 0, "user", "room again");
    fal_store_close(s);
    json_decref(message);
    s = opened();
    read = read_one(s, id);
    assert_int_equal(json_array_size(json_object_get(read, "messages")), n + 1);
    json_decref(read);
    fal_store_close(s);
}

enum {
    N_WRITES = 60
};

static void *write_many(void *text) {
    fal_store *s;
    fal_error why;
    if (fal_store_open(&s, path, &why) != FAL_OK) return text;
    void *failed = NULL;
    for (int i = 0; i < N_WRITES && !failed; i++) {
        json_t *message = json_pack("{s:s, s:s}", "role", "user", "text", text), *out;
        /* A store that is in use says so after half a second; then one tries again. */
        fal_status status;
        while ((status = fal_store_add_message(s, 1, message, &out, &why)) == FAL_E_BUSY)
            ;
        if (status != FAL_OK) failed = text;
        json_decref(out);
        json_decref(message);
    }
    fal_store_close(s);
    return failed;
}

static void writers_beside_each_other(void **state) {
    (void)state;
    fal_store *s = opened();
    assert_int_equal(create(s, "{}"), 1);
    static char texts[3][6] = {"one", "two", "three"};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, texts[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    json_t *read = read_one(s, 1);
    assert_int_equal(json_array_size(json_object_get(read, "messages")), 3 * N_WRITES);
    json_decref(read);
    fal_store_close(s);
}

static void another_writer_is_waited_for_briefly(void **state) {
    (void)state;
    fal_store *s = opened();
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    json_t *value = json("{}"), *out;
    CHECK_STATUS(fal_store_create(s, value, &out, &err), FAL_E_BUSY, &err, "in use");
    assert_int_equal(n_found(s, NULL), 0); /* reading goes on meanwhile */
    sqlite3_close(other);
    CHECK_OK(fal_store_create(s, value, &out, &err), &err);
    json_decref(out);
    json_decref(value);
    fal_store_close(s);
}

/* A process that dies between two writes, as by a kill, leaves what it had acknowledged. */
static void a_killed_process_leaves_what_it_wrote(void **state) {
    (void)state;
    fal_store_close(opened());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fal_store *s;
        if (fal_store_open(&s, path, NULL) != FAL_OK) _exit(1);
        json_t *out;
        if (fal_store_create(s, json_object(), &out, NULL) != FAL_OK) _exit(1);
        kill(getpid(), SIGKILL);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    fal_store *s = opened();
    assert_int_equal(n_found(s, NULL), 1);
    fal_store_close(s);
}

static void lack_of_memory_at_every_place(void **state) {
    (void)state;
    fal_store *s = NULL;
    long live = fal_alloc_live();
    json_t *value = json("{'parameters': {'a': 1}, 'messages': [{'role': 'user', 'text': 'x'}]}");
    for (long n = 1; n < 40; n++) {
        json_t *out = NULL;
        fal_alloc_fail_at(n);
        fal_status status = fal_store_open(&s, ":memory:", &err);
        if (status == FAL_OK) status = fal_store_create(s, value, &out, &err);
        fal_store_range range = {"x y", 0, 3};
        json_decref(out);
        out = NULL;
        if (status == FAL_OK) status = fal_store_list(s, &range, &out, &err);
        fal_alloc_fail_at(0);
        assert_true(status == FAL_OK || status == FAL_E_MEMORY);
        json_decref(out);
        fal_store_close(s);
        assert_int_equal(fal_alloc_live(), live);
        if (status == FAL_OK) break;
        assert_true(n < 30);
    }
    json_decref(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_kept_comes_back, empty_folder),
        cmocka_unit_test_teardown(changes_and_branches, empty_folder),
        cmocka_unit_test_teardown(newest_first_in_portions, empty_folder),
        cmocka_unit_test_teardown(words_are_found, empty_folder),
        cmocka_unit_test_teardown(documents_carry_everything, empty_folder),
        cmocka_unit_test_teardown(votes_are_counted_by_pair, empty_folder),
        cmocka_unit_test_teardown(wrong_values_are_named, empty_folder),
        cmocka_unit_test_teardown(documents_are_taken_whole_or_not, empty_folder),
        cmocka_unit_test_teardown(foreign_files_are_named, empty_folder),
        cmocka_unit_test_teardown(damage_is_named, empty_folder),
        cmocka_unit_test_teardown(a_full_disk_loses_nothing, empty_folder),
        cmocka_unit_test_teardown(writers_beside_each_other, empty_folder),
        cmocka_unit_test_teardown(another_writer_is_waited_for_briefly, empty_folder),
        cmocka_unit_test_teardown(a_killed_process_leaves_what_it_wrote, empty_folder),
        cmocka_unit_test_teardown(lack_of_memory_at_every_place, empty_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
