/* Body of request_prompt.h. */
#include "server/request_prompt.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/chat.h"

#include <string.h>
#include <time.h>

fal_status fal_request_encode(const fal_request *r, const fal_model *model, const char *text,
                              fal_tokens *out, fal_error *err) {
    const fal_tokenizer *t = fal_model_tokenizer(model);
    int32_t bos = fal_tokenizer_bos(t);
    if (fal_tokenizer_adds_bos(t) && bos >= 0 && r->adds_bos != FAL_NO)
        FAL_TRY(fal_tokens_append(out, &bos, 1, err));
    return fal_tokenizer_encode(t, text, strlen(text),
                                r->parse_special == FAL_YES ? FAL_SPECIALS_RECOGNISED
                                                            : FAL_SPECIALS_AS_TEXT,
                                out, NULL, err);
}

fal_status fal_request_ids(fal_request *r, const fal_model *model, const char *field,
                           const json_t *list, fal_tokens *out, fal_error *err) {
    int32_t n_vocab = fal_tokenizer_n_vocab(fal_model_tokenizer(model));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            return fal_request_refuse(r, field, err, "item %zu is no token id", i);
        if (id < 0 || id >= n_vocab)
            return fal_request_refuse(r, field, err, "token %lld at %zu, allowed are 0 to %d",
                                      (long long)id, i, (int)n_vocab - 1);
        int32_t small = (int32_t)id;
        FAL_TRY(fal_tokens_append(out, &small, 1, err));
    }
    return FAL_OK;
}

/* ---- conversations ---- */

/* Messages whose contents may be made of parts. */
typedef struct turns {
    fal_message *messages;
    char **texts; /* [count], owned; NULL where the content is the request's own */
    size_t count;
} turns;

static void turns_release(turns *t) {
    for (size_t i = 0; t->texts && i < t->count; i++)
        fal_free(t->texts[i]);
    fal_free(t->texts);
    fal_free(t->messages);
    *t = (turns){0};
}

/* The text of a content; parts are joined by line breaks. *made is owned, or NULL where nothing had to be made. */
static fal_status text_of(fal_request *r, const char *field, const json_t *content,
                          const char **out, char **made, fal_error *err) {
    *made = NULL;
    *out = json_is_string(content) ? json_string_value(content) : "";
    if (!content || json_is_null(content) || json_is_string(content)) return FAL_OK;
    if (!json_is_array(content))
        return fal_request_refuse(r, field, err, "a content is neither text nor a list of parts");
    fal_string_builder joined = {0};
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        const char *text = json_string_value(json_object_get(part, "text"));
        if (!type || strcmp(type, "text") != 0 || !text) {
            fal_string_release(&joined);
            return fal_request_refuse(r, field, err, "a part of type '%s': only text is understood",
                                      type ? type : "");
        }
        if (i) fal_string_append_text(&joined, "\n");
        fal_string_append_text(&joined, text);
    }
    *made = fal_string_take(&joined);
    *out = *made;
    return *made ? FAL_OK : fal_fail_memory(err, 0);
}

static fal_status add_turn(turns *t, fal_request *r, const char *field, const char *role,
                           const json_t *content, fal_error *err) {
    size_t i = t->count++;
    t->messages[i].role = role;
    return text_of(r, field, content, &t->messages[i].content, &t->texts[i], err);
}

static fal_status role_of(fal_request *r, const json_t *message, bool knows_roles, const char **out,
                          fal_error *err) {
    const char *role = json_string_value(json_object_get(message, "role"));
    bool is_system = strcmp(role, "system") == 0 || strcmp(role, "developer") == 0;
    *out = is_system ? "system" : role;
    if (strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0 || (is_system && knows_roles))
        return FAL_OK;
    return fal_request_refuse(r, "messages", err,
                              "unknown role '%.40s'; roles are %suser, assistant", role,
                              knows_roles ? "system, " : "");
}

/* A system message without text stands for none at all, not even the format's own. */
static fal_status add_messages(turns *t, fal_request *r, bool knows_roles, const char *own_system,
                               fal_error *err) {
    size_t first = 0;
    const char *role;
    FAL_TRY(role_of(r, json_array_get(r->messages, 0), knows_roles, &role, err));
    bool begins = strcmp(role, "system") == 0;
    if (r->system || begins) {
        const json_t *content =
            r->system ? r->system : json_object_get(json_array_get(r->messages, 0), "content");
        FAL_TRY(add_turn(t, r, r->system ? "system" : "messages", "system", content, err));
        if (!t->messages[0].content[0]) {
            fal_free(t->texts[0]);
            t->texts[0] = NULL;
            t->count = 0;
        }
        first = r->system ? 0 : 1;
    } else if (own_system[0]) {
        t->messages[t->count++] = (fal_message){"system", own_system};
    }
    for (size_t i = first; i < json_array_size(r->messages); i++) {
        const json_t *message = json_array_get(r->messages, i);
        FAL_TRY(role_of(r, message, knows_roles, &role, err));
        FAL_TRY(add_turn(t, r, "messages", role, json_object_get(message, "content"), err));
    }
    return FAL_OK;
}

/* The closed conversation without what ends its last message: the answer goes on in there. */
static fal_status render_open_end(const fal_model *model, const turns *t, fal_tokens *out,
                                  fal_error *err) {
    const fal_tokenizer *tokenizer = fal_model_tokenizer(model);
    const fal_chat_format *format = fal_model_chat_format(model);
    size_t before = out->count;
    FAL_TRY(fal_chat_render(format, tokenizer, t->messages, t->count, false, out, err));
    const char *end = fal_chat_end(format);
    int32_t id = end ? fal_tokenizer_control_id(tokenizer, end) : -1;
    size_t i = out->count;
    while (id >= 0 && i > before && out->ids[i - 1] != id)
        i--;
    if (id >= 0 && i > before) out->count = i - 1;
    return FAL_OK;
}

static fal_status render(fal_request *r, const fal_model *model, const turns *t, fal_tokens *out,
                         fal_error *err) {
    const fal_chat_format *format = fal_model_chat_format(model);
    bool ends_with_answer = t->count && strcmp(t->messages[t->count - 1].role, "assistant") == 0;
    if (r->continues == FAL_YES && !ends_with_answer)
        return fal_request_refuse(r, "continue_final_message", err,
                                  "the last message is not the assistant's");
    if (r->continues == FAL_YES) return render_open_end(model, t, out, err);
    fal_error why = {0};
    fal_status status = fal_chat_render(format, fal_model_tokenizer(model), t->messages, t->count,
                                        r->opens_answer != FAL_NO, out, &why);
    if (status == FAL_E_ARGUMENT) return fal_request_refuse(r, "messages", err, "%s", why.message);
    return status == FAL_OK ? FAL_OK : fal_fail(err, status, "%s", why.message);
}

/* own_system: the format's, which the turns may point to. To be released, whatever comes of it. */
static fal_status make_turns(turns *t, fal_request *r, bool knows_roles, const char *own_system,
                             fal_error *err) {
    size_t n = json_array_size(r->messages) + 1;
    *t = (turns){fal_alloc(n, sizeof(fal_message)), fal_alloc(n, sizeof(char *)), 0};
    if (!t->messages || !t->texts) return fal_fail_memory(err, 0);
    return add_messages(t, r, knows_roles, own_system, err);
}

fal_status fal_request_render(fal_request *r, const fal_model *model, bool knows_roles,
                              fal_tokens *out, fal_error *err) {
    char own[1000];
    turns t;
    fal_chat_default_system(fal_model_chat_format(model), (int64_t)time(NULL), own, sizeof own);
    fal_status status = make_turns(&t, r, knows_roles, own, err);
    if (status == FAL_OK) status = render(r, model, &t, out, err);
    turns_release(&t);
    return status;
}

fal_status fal_request_content_bytes(size_t *out, fal_request *r, const fal_model *model,
                                     bool knows_roles, fal_error *err) {
    turns t;
    fal_status status = make_turns(&t, r, knows_roles, "", err);
    *out = status == FAL_OK
               ? fal_chat_content_bytes(fal_model_chat_format(model), t.messages, t.count)
               : 0;
    turns_release(&t);
    return status;
}

/* ---- back to text ---- */

void fal_tokens_text(const fal_tokenizer *t, const int32_t *ids, size_t count,
                     fal_string_builder *out) {
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, ids[i], &length);
        if (piece) fal_string_append(out, piece, length);
    }
}

char *fal_token_name(const fal_tokenizer *t, int32_t id) {
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(t, id, &length);
    if (piece && fal_utf8_is_valid(piece, length)) return fal_copy_string(piece, length);
    fal_string_builder name = {0};
    fal_string_append_text(&name, "bytes:");
    for (size_t i = 0; piece && i < length; i++)
        fal_string_append_format(&name, "\\x%02x", (unsigned)(unsigned char)piece[i]);
    return fal_string_take(&name);
}
