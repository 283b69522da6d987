/* One turn of a conversation: makes it fit the context, computes it, streams the answer. */
#ifndef FAL_CLI_CHAT_TURN_H
#define FAL_CLI_CHAT_TURN_H

#include <falconer/generate.h>

#include "cli/conversation.h"

/* What /set changes. */
typedef struct fal_chat_settings {
    fal_sampling sampling;
    int max_new_tokens; /* 0: until something else ends the answer */
} fal_chat_settings;

/* Everything a running chat holds. */
typedef struct fal_chat {
    fal_model *model;
    fal_session *session;
    const fal_chat_format *format;
    fal_conversation conversation;
    fal_chat_settings settings;
    const char *const *stop;    /* NULL-terminated */
    const fal_grammar *grammar; /* of every answer; NULL: none */
    const char *model_file;     /* or what stands for it */
    bool drops_oldest; /* the policy for a conversation that outgrows the context; else it stops */
    bool shows_speed;
    uint64_t n_answers; /* so far: each answer has a stream of its own */
    bool is_over;
} fal_chat;

/* Answers the last message of the user. The answer is streamed to stdout and becomes a message, also when Ctrl-C stopped
 * it; an answer that was there is replaced. Fails: ARGUMENT (no message waits for an answer, nor was one answered), LIMIT
 * (the context, by the policy), CANCELLED (before the answer began), and as fal_generate; then the conversation is as
 * before, also the turns that would have been dropped. */
fal_status fal_chat_answer(fal_chat *chat, fal_error *err);

#endif
