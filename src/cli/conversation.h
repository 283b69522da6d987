/* A conversation: a system prompt and messages. Knows no model; rendering is text/chat.c's.
 * Texts are UTF-8 without zeros: what else is put in becomes U+FFFD, so that saving and loading changes nothing. */
#ifndef FAL_CLI_CONVERSATION_H
#define FAL_CLI_CONVERSATION_H

#include <falconer/tokenizer.h>

#include "base/fail.h"

#include <jansson.h>

/* Zero-initialise. Texts are owned; a NULL system prompt means none. */
typedef struct fal_conversation {
    char *system;
    fal_message *messages; /* role static, content owned */
    size_t count, capacity;
} fal_conversation;

void fal_conversation_release(fal_conversation *c);

/* Copies text; an empty one means none. Fails: MEMORY. */
fal_status fal_conversation_set_system(fal_conversation *c, const char *text, fal_error *err);

/* Appends a copy. is_user false: the assistant's. Fails: MEMORY. */
fal_status fal_conversation_add(fal_conversation *c, bool is_user, const char *text, size_t length,
                                fal_error *err);

/* Nothing happens to an empty conversation. */
void fal_conversation_drop_last(fal_conversation *c);

/* Drops n messages from first on, which must be there. */
void fal_conversation_drop(fal_conversation *c, size_t first, size_t n);

/* How many messages from first on make up one turn: one message and, if it is the user's, the answer to it; 0 if only
 * the one before end would be left to drop. */
size_t fal_conversation_oldest_turn(const fal_conversation *c, size_t first, size_t end);

/* Whether the message is the user's; false where there is none. */
bool fal_conversation_is_user(const fal_conversation *c, size_t index);

/* Whether the last message waits for an answer. */
bool fal_conversation_ends_with_user(const fal_conversation *c);

/* Ids of the system prompt and of the messages from first to end (excluded), with what introduces the next answer. Fails
 * as fal_chat_render. */
fal_status fal_conversation_render(const fal_conversation *c, size_t first, size_t end,
                                   const fal_chat_format *format, const fal_tokenizer *t,
                                   fal_tokens *out, fal_error *err);

/* {"system": ..., "messages": [{"role": ..., "content": ...}, ...]}. */
json_t *fal_conversation_to_json(const fal_conversation *c);

/* out must be empty; it is released by the caller in any case. Fails: FORMAT, naming the key. */
fal_status fal_conversation_from_json(fal_conversation *out, const json_t *json, fal_error *err);

#endif
