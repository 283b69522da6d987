/* Conversations and their messages: one by one, found by words, as a document to carry elsewhere. */
#include "base/alloc.h"
#include "base/string_builder.h"
#include "server/store_private.h"

#include <stdio.h>
#include <string.h>

static const char FORMAT[] = "falconer conversations";

/* ---- rows ---- */

static json_t *conversation_row(sqlite3_stmt *row) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", fal_store_column_number(row, 0),
                     "title", fal_store_column_text(row, 1), "system",
                     fal_store_column_text(row, 2), "parameters", fal_store_column_object(row, 3),
                     "leaf", fal_store_column_number(row, 4), "created",
                     fal_store_column_number(row, 5), "updated", fal_store_column_number(row, 6));
}

static json_t *found_row(sqlite3_stmt *row) {
    json_t *conversation = conversation_row(row);
    if (conversation
        && json_object_set_new(conversation, "excerpt", fal_store_column_text(row, 7)) != 0) {
        json_decref(conversation);
        return NULL;
    }
    return conversation;
}

static json_t *message_row(sqlite3_stmt *row) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "id", fal_store_column_number(row, 0),
                     "parent", fal_store_column_number(row, 1), "role",
                     fal_store_column_text(row, 2), "text", fal_store_column_text(row, 3),
                     "parameters", fal_store_column_object(row, 4), "created",
                     fal_store_column_number(row, 5));
}

static json_t *id_row(sqlite3_stmt *row) {
    return fal_store_column_number(row, 0);
}

/* The one row that must be there. */
static fal_status find(fal_store *s, int64_t id, json_t **out, fal_error *err) {
    FAL_TRY(fal_store_one(s, FAL_STORE_READ, conversation_row, out, err, "i", id));
    if (*out) return FAL_OK;
    return fal_fail(err, FAL_E_NOT_FOUND, "there is no conversation %lld", (long long)id);
}

/* ---- finding ---- */

/* What was typed as a query of FTS5: each word in quotes, so that none is an operator, and the last by its beginning. */
static void append_query(fal_string_builder *query, const char *words) {
    while (*words) {
        size_t length = strcspn(words, " \t\r\n");
        if (length > 0) {
            fal_string_append_text(query, query->length > 0 ? " \"" : "\"");
            for (size_t i = 0; i < length; i++)
                fal_string_append(query, words[i] == '"' ? "\"\"" : words + i,
                                  words[i] == '"' ? 2 : 1);
            fal_string_append_text(query, "\"");
        }
        words += length + strspn(words + length, " \t\r\n");
    }
    if (query->length > 0) fal_string_append_text(query, " *");
}

/* The same as a pattern of LIKE whose escape is '!'. */
static void append_pattern(fal_string_builder *pattern, const char *words) {
    fal_string_append_text(pattern, "%");
    for (; *words; words++) {
        if (strchr("%_!", *words)) fal_string_append_text(pattern, "!");
        fal_string_append(pattern, words, 1);
    }
    fal_string_append_text(pattern, "%");
}

static fal_status search(fal_store *s, const fal_store_range *range, json_t *found,
                         fal_error *err) {
    fal_string_builder query = {0}, pattern = {0};
    append_query(&query, range->words);
    append_pattern(&pattern, range->words);
    fal_status status = fal_string_status(&query, err);
    if (status == FAL_OK) status = fal_string_status(&pattern, err);
    if (status == FAL_OK)
        status = fal_store_collect(s, FAL_STORE_SEARCH, found_row, found, err, "iitt", range->skip,
                                   range->limit + 1, query.text, pattern.text);
    fal_string_release(&query);
    fal_string_release(&pattern);
    return status;
}

fal_status fal_store_list(fal_store *s, const fal_store_range *range, json_t **out,
                          fal_error *err) {
    json_t *found = json_array();
    bool is_search = range->words && range->words[strspn(range->words, " \t\r\n")];
    fal_status status = is_search ? search(s, range, found, err)
                                  : fal_store_collect(s, FAL_STORE_LIST, conversation_row, found,
                                                      err, "ii", range->skip, range->limit + 1);
    bool more = json_array_size(found) > (size_t)range->limit;
    if (more) json_array_remove(found, (size_t)range->limit);
    *out = json_pack("{s:o, s:b}", "conversations", found, "more", more);
    if (status == FAL_OK && !*out) status = fal_fail_memory(err, 0);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

fal_status fal_store_read(fal_store *s, int64_t id, json_t **out, fal_error *err) {
    FAL_TRY(find(s, id, out, err));
    json_t *messages = json_array();
    fal_status status =
        fal_store_collect(s, FAL_STORE_MESSAGES, message_row, messages, err, "i", id);
    if (json_object_set_new(*out, "messages", messages) != 0 && status == FAL_OK)
        status = fal_fail_memory(err, 0);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* ---- messages ---- */

/* Inserts what was checked to be a message; parent is an id of the store, or 0. */
static fal_status insert_message(fal_store *s, int64_t conversation, int64_t parent,
                                 const json_t *message, fal_error *err) {
    const char *role, *text;
    int64_t created;
    char *parameters = NULL;
    FAL_TRY(fal_store_text_of(message, "role", 20, "", &role, err));
    FAL_TRY(fal_store_text_of(message, "text", FAL_STORE_MAX_TEXT, "", &text, err));
    FAL_TRY(fal_store_number_of(message, "created", fal_store_now(), &created, err));
    if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
        return fal_fail(err, FAL_E_ARGUMENT, "'role' is neither user nor assistant");
    fal_status status = fal_store_object_of(message, "parameters", &parameters, err);
    if (status == FAL_OK)
        status = fal_store_run(s, FAL_STORE_ADD_MESSAGE, err, "irttti", conversation, parent, role,
                               text, parameters ? parameters : "{}", created);
    fal_free(parameters);
    return status;
}

/* ARGUMENT unless `id` is a message of the conversation. */
static fal_status expect_message(fal_store *s, int64_t conversation, int64_t id, const char *what,
                                 fal_error *err) {
    json_t *message;
    FAL_TRY(fal_store_one(s, FAL_STORE_MESSAGE, id_row, &message, err, "ii", conversation, id));
    if (!message)
        return fal_fail(err, FAL_E_ARGUMENT, "'%s': conversation %lld has no message %lld", what,
                        (long long)conversation, (long long)id);
    json_decref(message);
    return FAL_OK;
}

static fal_status add_message(fal_store *s, int64_t id, const json_t *message, json_t **out,
                              fal_error *err) {
    json_t *conversation;
    int64_t parent;
    FAL_TRY(find(s, id, &conversation, err));
    json_decref(conversation);
    if (!json_is_object(message)) return fal_fail(err, FAL_E_ARGUMENT, "a message is no object");
    FAL_TRY(fal_store_number_of(message, "parent", 0, &parent, err));
    if (parent != 0) FAL_TRY(expect_message(s, id, parent, "parent", err));
    FAL_TRY(insert_message(s, id, parent, message, err));
    int64_t added = fal_store_inserted(s);
    FAL_TRY(fal_store_run(s, FAL_STORE_TOUCH, err, "iii", id, added, fal_store_now()));
    return fal_store_one(s, FAL_STORE_MESSAGE, message_row, out, err, "ii", id, added);
}

fal_status fal_store_add_message(fal_store *s, int64_t id, const json_t *message, json_t **out,
                                 fal_error *err) {
    *out = NULL;
    FAL_TRY(fal_store_begin(s, err));
    fal_status status = fal_store_end(s, add_message(s, id, message, out, err), err);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

fal_status fal_store_change_message(fal_store *s, int64_t id, int64_t message,
                                    const json_t *changes, fal_error *err) {
    const char *text;
    char *parameters = NULL;
    if (!json_is_object(changes)) return fal_fail(err, FAL_E_ARGUMENT, "a message is no object");
    FAL_TRY(fal_store_text_of(changes, "text", FAL_STORE_MAX_TEXT, NULL, &text, err));
    FAL_TRY(fal_store_object_of(changes, "parameters", &parameters, err));
    fal_status status =
        fal_store_run(s, FAL_STORE_CHANGE_MESSAGE, err, "iitt", id, message, text, parameters);
    fal_free(parameters);
    if (status == FAL_OK && fal_store_changed(s) == 0)
        return fal_fail(err, FAL_E_NOT_FOUND, "conversation %lld has no message %lld",
                        (long long)id, (long long)message);
    return status;
}

/* ---- conversations ---- */

/* Inserts messages whose ids and parents are numbers of the document; ids gets their ids in the store by these. */
static fal_status insert_messages(fal_store *s, int64_t conversation, const json_t *messages,
                                  json_t *ids, fal_error *err) {
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message) {
        int64_t id, parent;
        char key[32];
        if (!json_is_object(message))
            return fal_fail(err, FAL_E_ARGUMENT, "message %zu is no object", i + 1);
        FAL_TRY(fal_store_number_of(message, "id", 0, &id, err));
        FAL_TRY(fal_store_number_of(message, "parent", 0, &parent, err));
        snprintf(key, sizeof key, "%lld", (long long)parent);
        const json_t *known = json_object_get(ids, key);
        if (parent != 0 && !known)
            return fal_fail(err, FAL_E_ARGUMENT, "message %zu: its parent %s is not before it",
                            i + 1, key);
        fal_status status =
            insert_message(s, conversation, json_integer_value(known), message, err);
        if (status != FAL_OK) return fal_add_context(err, status, "message %zu", i + 1);
        snprintf(key, sizeof key, "%lld", (long long)id);
        if (json_object_set_new(ids, key, json_integer(fal_store_inserted(s))) != 0)
            return fal_fail_memory(err, 0);
    }
    return FAL_OK;
}

/* Which message is shown: the document's choice, or else the last one. */
static fal_status set_leaf(fal_store *s, int64_t id, const json_t *conversation, const json_t *ids,
                           fal_error *err) {
    int64_t leaf;
    char key[32];
    FAL_TRY(fal_store_number_of(conversation, "leaf", 0, &leaf, err));
    snprintf(key, sizeof key, "%lld", (long long)leaf);
    const json_t *known = json_object_get(ids, key);
    if (leaf != 0 && !known)
        return fal_fail(err, FAL_E_ARGUMENT, "'leaf' %s is none of the messages", key);
    int64_t chosen = leaf != 0 ? json_integer_value(known) : fal_store_inserted(s);
    return fal_store_run(s, FAL_STORE_TOUCH, err, "iii", id, chosen, INT64_C(0));
}

static fal_status insert_conversation(fal_store *s, const json_t *conversation, int64_t *id,
                                      fal_error *err) {
    const char *title, *system;
    char *parameters = NULL;
    int64_t created, updated;
    if (!json_is_object(conversation))
        return fal_fail(err, FAL_E_ARGUMENT, "a conversation is no object");
    FAL_TRY(fal_store_text_of(conversation, "title", FAL_STORE_MAX_TITLE, "", &title, err));
    FAL_TRY(fal_store_text_of(conversation, "system", FAL_STORE_MAX_TEXT, "", &system, err));
    FAL_TRY(fal_store_number_of(conversation, "created", fal_store_now(), &created, err));
    FAL_TRY(fal_store_number_of(conversation, "updated", created, &updated, err));
    FAL_TRY(fal_store_object_of(conversation, "parameters", &parameters, err));
    fal_status status = fal_store_run(s, FAL_STORE_CREATE, err, "tttii", title, system,
                                      parameters ? parameters : "{}", created, updated);
    fal_free(parameters);
    if (status != FAL_OK) return status;
    *id = fal_store_inserted(s);
    const json_t *messages = json_object_get(conversation, "messages");
    if (messages && !json_is_array(messages))
        return fal_fail(err, FAL_E_ARGUMENT, "'messages' is no list");
    if (json_array_size(messages) == 0) return FAL_OK;
    json_t *ids = json_object();
    status = ids ? insert_messages(s, *id, messages, ids, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = set_leaf(s, *id, conversation, ids, err);
    json_decref(ids);
    return status;
}

fal_status fal_store_create(fal_store *s, const json_t *conversation, json_t **out,
                            fal_error *err) {
    *out = NULL;
    int64_t id = 0;
    FAL_TRY(fal_store_begin(s, err));
    fal_status status = insert_conversation(s, conversation, &id, err);
    if (status == FAL_OK) status = find(s, id, out, err);
    status = fal_store_end(s, status, err);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

fal_status fal_store_change(fal_store *s, int64_t id, const json_t *changes, fal_error *err) {
    const char *title, *system;
    char *parameters = NULL;
    int64_t leaf;
    if (!json_is_object(changes))
        return fal_fail(err, FAL_E_ARGUMENT, "a conversation is no object");
    FAL_TRY(fal_store_text_of(changes, "title", FAL_STORE_MAX_TITLE, NULL, &title, err));
    FAL_TRY(fal_store_text_of(changes, "system", FAL_STORE_MAX_TEXT, NULL, &system, err));
    FAL_TRY(fal_store_number_of(changes, "leaf", 0, &leaf, err));
    if (leaf != 0) FAL_TRY(expect_message(s, id, leaf, "leaf", err));
    FAL_TRY(fal_store_object_of(changes, "parameters", &parameters, err));
    fal_status status =
        fal_store_run(s, FAL_STORE_CHANGE, err, "itttr", id, title, system, parameters, leaf);
    fal_free(parameters);
    if (status == FAL_OK && fal_store_changed(s) == 0)
        return fal_fail(err, FAL_E_NOT_FOUND, "there is no conversation %lld", (long long)id);
    return status;
}

fal_status fal_store_delete(fal_store *s, int64_t id, fal_error *err) {
    FAL_TRY(fal_store_run(s, FAL_STORE_DELETE, err, "i", id));
    if (fal_store_changed(s) > 0) return FAL_OK;
    return fal_fail(err, FAL_E_NOT_FOUND, "there is no conversation %lld", (long long)id);
}

/* ---- documents ---- */

static fal_status export_all(fal_store *s, int64_t only, json_t *conversations, json_t *votes,
                             fal_error *err) {
    json_t *ids = only == 0 ? json_array() : json_pack("[I]", (json_int_t)only);
    fal_status status = ids ? FAL_OK : fal_fail_memory(err, 0);
    if (status == FAL_OK && only == 0)
        status = fal_store_collect(s, FAL_STORE_IDS, id_row, ids, err, "");
    for (size_t i = 0; status == FAL_OK && i < json_array_size(ids); i++) {
        json_t *conversation;
        status = fal_store_read(s, json_integer_value(json_array_get(ids, i)), &conversation, err);
        if (status == FAL_OK && json_array_append_new(conversations, conversation) != 0)
            status = fal_fail_memory(err, 0);
    }
    json_decref(ids);
    if (status == FAL_OK && only == 0)
        status = fal_store_collect(s, FAL_STORE_VOTES, fal_store_vote_row, votes, err, "");
    return status;
}

fal_status fal_store_export(fal_store *s, int64_t id, json_t **out, fal_error *err) {
    json_t *conversations = json_array(), *votes = json_array();
    *out = json_pack("{s:s, s:i, s:I, s:O, s:O}", "format", FORMAT, "version", 1, "exported",
                     (json_int_t)fal_store_now(), "conversations", conversations, "votes", votes);
    fal_status status = *out ? FAL_OK : fal_fail_memory(err, 0);
    /* Everything is of one moment, though others may write meanwhile. */
    if (status == FAL_OK) status = fal_store_begin(s, err);
    if (status == FAL_OK)
        status = fal_store_end(s, export_all(s, id, conversations, votes, err), err);
    json_decref(conversations);
    json_decref(votes);
    if (status != FAL_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

static fal_status import_all(fal_store *s, const json_t *document, json_t *ids, fal_error *err) {
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(document, "conversations"), i, value) {
        int64_t id;
        fal_status status = insert_conversation(s, value, &id, err);
        if (status != FAL_OK) return fal_add_context(err, status, "conversation %zu", i + 1);
        if (json_array_append_new(ids, json_integer(id)) != 0) return fal_fail_memory(err, 0);
    }
    json_array_foreach(json_object_get(document, "votes"), i, value) {
        fal_status status = fal_store_add_vote(s, value, err);
        if (status != FAL_OK) return fal_add_context(err, status, "vote %zu", i + 1);
    }
    return FAL_OK;
}

fal_status fal_store_import(fal_store *s, const json_t *document, json_t **out, fal_error *err) {
    const char *format = json_string_value(json_object_get(document, "format"));
    int64_t version;
    *out = NULL;
    if (!format || strcmp(format, FORMAT) != 0)
        return fal_fail(err, FAL_E_ARGUMENT, "'format' is not \"%s\"", FORMAT);
    FAL_TRY(fal_store_number_of(document, "version", 0, &version, err));
    if (version != 1)
        return fal_fail(err, FAL_E_ARGUMENT, "'version' is %lld, this falconer reads version 1",
                        (long long)version);
    if (!json_is_array(json_object_get(document, "conversations")))
        return fal_fail(err, FAL_E_ARGUMENT, "'conversations' is no list");
    json_t *ids = json_array();
    fal_status status = ids ? fal_store_begin(s, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_store_end(s, import_all(s, document, ids, err), err);
    if (status == FAL_OK) {
        *out = json_pack("{s:O, s:I}", "ids", ids, "votes",
                         (json_int_t)json_array_size(json_object_get(document, "votes")));
        if (!*out) status = fal_fail_memory(err, 0);
    }
    json_decref(ids);
    return status;
}
