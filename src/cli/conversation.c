/* Messages in memory and in JSON. */
#include "cli/conversation.h"

#include "base/alloc.h"
#include "cli/json_output.h"
#include "cli/text_output.h"

#include <string.h>

static const char user_role[] = "user", assistant_role[] = "assistant";

void fal_conversation_release(fal_conversation *c) {
    while (c->count)
        fal_conversation_drop_last(c);
    fal_free(c->messages);
    fal_free(c->system);
    *c = (fal_conversation){0};
}

/* A terminated copy of text, made whole. */
static fal_status copy_whole(char **out, const char *text, size_t length, fal_error *err) {
    fal_string_builder whole = {0};
    fal_string_append_whole(&whole, text, length, false);
    *out = fal_string_take(&whole);
    fal_string_release(&whole);
    return *out ? FAL_OK : fal_fail_memory(err, length);
}

fal_status fal_conversation_set_system(fal_conversation *c, const char *text, fal_error *err) {
    char *copy = NULL;
    if (text[0]) FAL_TRY(copy_whole(&copy, text, strlen(text), err));
    fal_free(c->system);
    c->system = copy;
    return FAL_OK;
}

fal_status fal_conversation_add(fal_conversation *c, bool is_user, const char *text, size_t length,
                                fal_error *err) {
    char *copy = NULL;
    FAL_TRY(copy_whole(&copy, text, length, err));
    void *memory = c->messages;
    if (!fal_grow(&memory, &c->capacity, c->count + 1, sizeof *c->messages)) {
        fal_free(copy);
        return fal_fail_memory(err, length);
    }
    c->messages = memory;
    c->messages[c->count++] = (fal_message){is_user ? user_role : assistant_role, copy};
    return FAL_OK;
}

/* The contents are owned here, though the public struct only lends them. */
static void free_content(fal_message *m) {
    union {
        const char *lent;
        char *owned;
    } content = {.lent = m->content};

    fal_free(content.owned);
}

void fal_conversation_drop(fal_conversation *c, size_t first, size_t n) {
    if (n == 0) return;
    for (size_t i = first; i < first + n; i++)
        free_content(&c->messages[i]);
    c->count -= n;
    memmove(c->messages + first, c->messages + first + n, (c->count - first) * sizeof *c->messages);
}

void fal_conversation_drop_last(fal_conversation *c) {
    if (c->count) fal_conversation_drop(c, c->count - 1, 1);
}

size_t fal_conversation_oldest_turn(const fal_conversation *c, size_t first, size_t end) {
    if (first + 2 < end && fal_conversation_is_user(c, first)
        && !fal_conversation_is_user(c, first + 1))
        return 2;
    return first + 1 < end ? 1 : 0;
}

bool fal_conversation_is_user(const fal_conversation *c, size_t index) {
    return index < c->count && c->messages[index].role == user_role;
}

bool fal_conversation_ends_with_user(const fal_conversation *c) {
    return c->count && fal_conversation_is_user(c, c->count - 1);
}

fal_status fal_conversation_render(const fal_conversation *c, size_t first, size_t end,
                                   const fal_chat_format *format, const fal_tokenizer *t,
                                   fal_tokens *out, fal_error *err) {
    fal_message *all = fal_alloc(c->count + 1, sizeof *all);
    if (!all) return fal_fail_memory(err, (c->count + 1) * sizeof *all);
    size_t n = 0;
    if (c->system) all[n++] = (fal_message){"system", c->system};
    for (size_t i = first; i < end; i++)
        all[n++] = c->messages[i];
    fal_status status = fal_chat_render(format, t, all, n, true, out, err);
    fal_free(all);
    return status;
}

json_t *fal_conversation_to_json(const fal_conversation *c) {
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "system",
                        c->system ? fal_json_text(c->system, strlen(c->system)) : json_null());
    for (size_t i = 0; i < c->count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "role", json_string(c->messages[i].role));
        json_object_set_new(row, "content",
                            fal_json_text(c->messages[i].content, strlen(c->messages[i].content)));
        json_array_append_new(list, row);
    }
    json_object_set_new(o, "messages", list);
    return o;
}

static fal_status message_from_json(fal_conversation *out, size_t index, const json_t *row,
                                    fal_error *err) {
    const char *role = json_string_value(json_object_get(row, "role"));
    const json_t *content = json_object_get(row, "content");
    if (!role || (strcmp(role, user_role) != 0 && strcmp(role, assistant_role) != 0))
        return fal_fail(err, FAL_E_FORMAT, "messages[%zu].role: not user or assistant", index);
    if (!json_is_string(content))
        return fal_fail(err, FAL_E_FORMAT, "messages[%zu].content: not a text", index);
    return fal_conversation_add(out, strcmp(role, user_role) == 0, json_string_value(content),
                                json_string_length(content), err);
}

fal_status fal_conversation_from_json(fal_conversation *out, const json_t *json, fal_error *err) {
    const json_t *system = json_object_get(json, "system"),
                 *messages = json_object_get(json, "messages");
    if (!json_is_object(json)) return fal_fail(err, FAL_E_FORMAT, "not a JSON object");
    if (!json_is_array(messages))
        return fal_fail(err, FAL_E_FORMAT, "messages: missing or not a list");
    if (system && !json_is_null(system) && !json_is_string(system))
        return fal_fail(err, FAL_E_FORMAT, "system: not a text");
    if (json_is_string(system))
        FAL_TRY(fal_conversation_set_system(out, json_string_value(system), err));
    for (size_t i = 0; i < json_array_size(messages); i++)
        FAL_TRY(message_from_json(out, i, json_array_get(messages, i), err));
    return FAL_OK;
}
