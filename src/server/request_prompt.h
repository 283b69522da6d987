/* From what a request says to token ids. Text of a user is text, whatever it says: control tokens come from the chat format
 * and from ids only, unless the client says parse_special of a text that it wrote itself. */
#ifndef FAL_SERVER_REQUEST_PROMPT_H
#define FAL_SERVER_REQUEST_PROMPT_H

#include <falconer/model.h>

#include "base/string_builder.h"
#include "server/request.h"

/* Appends the ids of a text, with the bos token in front if the vocabulary asks for one and r does not refuse it. */
fal_status fal_request_encode(const fal_request *r, const fal_model *model, const char *text,
                              fal_tokens *out, fal_error *err);

/* Appends ids from a list of integers. Fails: ARGUMENT (an id that is none, named as one of field), MEMORY. */
fal_status fal_request_ids(fal_request *r, const fal_model *model, const char *field,
                           const json_t *list, fal_tokens *out, fal_error *err);

/* Appends the ids of r->messages in the model's format, with r->system or the format's own system prompt in front unless
 * the messages begin with one.
 *
 *   knows_roles  system (and developer, which means the same) may be a role; else only user and assistant
 *   Fails: ARGUMENT (a role, a part that is no text), MEMORY. */
fal_status fal_request_render(fal_request *r, const fal_model *model, bool knows_roles,
                              fal_tokens *out, fal_error *err);

/* How many bytes of r->system and r->messages fal_request_render would tokenise: the format leaves out some white space.
 * Fails as it does. */
fal_status fal_request_content_bytes(size_t *out, fal_request *r, const fal_model *model,
                                     bool knows_roles, fal_error *err);

/* Appends what ids stand for; names of control tokens as they are. */
void fal_tokens_text(const fal_tokenizer *t, const int32_t *ids, size_t count,
                     fal_string_builder *out);

/* The name of a token: its text; where that is no whole UTF-8, "bytes:" and \xNN for each byte, so that no two are alike.
 * Owned by the caller; NULL: memory is short. */
char *fal_token_name(const fal_tokenizer *t, int32_t id);

#endif
