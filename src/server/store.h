/* What the chat page keeps, in one SQLite file: conversations with all branches of edited messages, and the votes of
 * comparisons. What people write goes into that file and nowhere else, neither into messages nor logs.
 * A failing call leaves the file as it was and the store usable. Values pass as JSON, in the shapes below. */
#ifndef FAL_SERVER_STORE_H
#define FAL_SERVER_STORE_H

#include "base/fail.h"

#include <jansson.h>
#include <stdint.h>

/* Belongs to one thread at a time; several processes may have the same file open.
 * Whatever is called below also fails with IO (disk full, damaged), BUSY (another process writes for long), MEMORY.
 *
 *   conversation  {id, title, system, parameters: {..}, leaf: id of the last message shown or null, created, updated}
 *                 times in milliseconds since 1970; when read also messages: [message ..], parents before children
 *   message       {id, parent: id or null, role: "user" or "assistant", text, parameters: {..}, created}
 *                 messages with the same parent are branches of one another
 *   vote          {a: {..}, b: {..}, winner: "a", "b", "tie" or "neither", system, prompt, answer_a, answer_b, created}
 *                 a and b are what was compared: model and parameters, whatever the page calls so */
typedef struct fal_store fal_store;

/* Opens the file, or makes it, readable for its owner alone. ":memory:" keeps nothing.
 * Fails: FORMAT (damaged, another program's, a later version's), NOT_FOUND (its folder). */
fal_status fal_store_open(fal_store **out, const char *path, fal_error *err);
void fal_store_close(fal_store *s);

/* Which conversations, newest first. */
typedef struct fal_store_range {
    const char *
        words; /* only those whose title or a message has all of them, the last by its beginning; NULL: all */
    int64_t skip, limit;
} fal_store_range;

/* out: {conversations: [conversation ..], more: whether others follow}; with words each has an excerpt (or null), in which
 * U+0002 and U+0003 enclose what was found. */
fal_status fal_store_list(fal_store *s, const fal_store_range *range, json_t **out, fal_error *err);

/* Keeps a conversation, with its messages if it has some; ids in it are only references among its messages, missing
 * values get defaults. out: the conversation without messages. Fails: ARGUMENT (says which value). */
fal_status fal_store_create(fal_store *s, const json_t *conversation, json_t **out, fal_error *err);

/* Fails: NOT_FOUND. */
fal_status fal_store_read(fal_store *s, int64_t id, json_t **out, fal_error *err);

/* Changes title, system, parameters, leaf, whichever are given. Fails: NOT_FOUND, ARGUMENT. */
fal_status fal_store_change(fal_store *s, int64_t id, const json_t *changes, fal_error *err);

/* Forgets a conversation and its messages. Fails: NOT_FOUND. */
fal_status fal_store_delete(fal_store *s, int64_t id, fal_error *err);

/* Adds a message and makes it the leaf. out: the message. Fails: NOT_FOUND, ARGUMENT. */
fal_status fal_store_add_message(fal_store *s, int64_t id, const json_t *message, json_t **out,
                                 fal_error *err);

/* Changes text, parameters, whichever are given, of a message of a conversation. Fails: NOT_FOUND, ARGUMENT. */
fal_status fal_store_change_message(fal_store *s, int64_t id, int64_t message,
                                    const json_t *changes, fal_error *err);

/* out: {format: "falconer conversations", version: 1, exported, conversations: [.. with messages], votes: [vote ..]};
 * only conversation `id` and no votes if id is not 0. Fails: NOT_FOUND. */
fal_status fal_store_export(fal_store *s, int64_t id, json_t **out, fal_error *err);

/* Takes in all of such a document or nothing of it. out: {ids: of the conversations, votes: how many}.
 * Fails: ARGUMENT (says where). */
fal_status fal_store_import(fal_store *s, const json_t *document, json_t **out, fal_error *err);

/* Fails: ARGUMENT. */
fal_status fal_store_add_vote(fal_store *s, const json_t *vote, fal_error *err);

/* out: {pairs: [{a, b, a_wins, b_wins, ties, neither, updated} ..]}, newest first. (x, y) and (y, x) are one pair. */
fal_status fal_store_votes(fal_store *s, json_t **out, fal_error *err);

#endif
