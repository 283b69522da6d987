/* Conversations beyond <falconer/tokenizer.h>: what a vocabulary needs for a format, how long contents are, which tokens a
 * model is to learn to write. */
#ifndef FAL_TEXT_CHAT_H
#define FAL_TEXT_CHAT_H

#include <falconer/tokenizer.h>

/* The format's control tokens; NULL-terminated list, borrowed. */
const char *const *fal_chat_controls(const fal_chat_format *format);
/* The control token that ends an answer; NULL: none does. */
const char *fal_chat_end(const fal_chat_format *format);
/* How other programs render the format, as a Jinja template; NULL: it has none. */
const char *fal_chat_template(const fal_chat_format *format);

/* Bytes of all contents in what fal_chat_render would tokenise: without white space that the format leaves out. What it would
 * refuse counts nothing. */
size_t fal_chat_content_bytes(const fal_chat_format *format, const fal_message *messages,
                              size_t n_messages);

/* As fal_chat_render of a closed conversation; the same ids. owners gets one number per id: the index of the message that
 * the token is content of, or that it ends; -1 for what the format puts in front of a content. A token over a border is of
 * the part that its last byte is of. On failure both lists are as they were. */
fal_status fal_chat_render_owned(const fal_chat_format *format, const fal_tokenizer *t,
                                 const fal_message *messages, size_t n_messages, fal_tokens *out,
                                 fal_tokens *owners, fal_error *err);

#endif
