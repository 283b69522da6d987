/* The reader of conversations: messages with role and content, or ShareGPT's turns with from and value. */
#include "base/alloc.h"
#include "train/readers.h"

static const json_t *turns_of(const fal_record *record) {
    const json_t *turns = json_object_get(record->json, "messages");
    if (!turns) turns = json_object_get(record->json, "conversations");
    return json_is_array(turns) ? turns : NULL;
}

bool fal_is_conversations(const fal_record *record) {
    return turns_of(record) != NULL;
}

/* The string under either key; NULL: none. */
static const char *string_of(const json_t *turn, const char *key, const char *other_key) {
    const json_t *value = json_object_get(turn, key);
    return json_string_value(value ? value : json_object_get(turn, other_key));
}

/* What is wrong with a turn; NULL: *out is made of it. Strings are borrowed from the turn. */
static const char *read_turn(fal_message *out, const json_t *turn) {
    const char *role = string_of(turn, "role", "from");
    const char *content = string_of(turn, "content", "value");
    if (!role) return "a message without role";
    if (!content) return "a message whose content is not text";
    *out = (fal_message){.role = fal_role_by_name(role), .content = content};
    return NULL;
}

fal_status fal_read_conversations(fal_intake *intake, const fal_record *record, fal_error *err) {
    const json_t *turns = turns_of(record);
    size_t n = json_array_size(turns);
    fal_message *messages = fal_alloc(n + 1, sizeof *messages);
    if (!messages) return fal_fail_memory(err, (n + 1) * sizeof *messages);
    const char *damage = NULL;
    for (size_t i = 0; i < n && !damage; i++)
        damage = read_turn(&messages[i], json_array_get(turns, i));
    fal_status status = damage ? fal_intake_damaged(intake, damage, err)
                               : fal_intake_conversation(intake, messages, n, 0, err);
    fal_free(messages);
    return status;
}
