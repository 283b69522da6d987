/* Turns. The session keeps what is computed; a conversation that goes on computes only what is added. */
#include "cli/chat_turn.h"

#include "base/cpu.h"
#include "base/string_builder.h"
#include "cli/prompt.h"
#include "cli/terminal.h"

#include <string.h>

/* Tokens kept free for the answer when old turns are dropped. */
static size_t room_for_answer(const fal_chat *chat) {
    size_t n_context = fal_session_n_context(chat->session);
    size_t wanted = chat->settings.max_new_tokens ? (size_t)chat->settings.max_new_tokens : 256;
    size_t most = chat->settings.max_new_tokens ? n_context / 2 : n_context / 4;
    return wanted < most ? wanted : most;
}

static fal_status render(const fal_chat *chat, const fal_conversation *c, fal_tokens *tokens,
                         fal_error *err) {
    tokens->count = 0;
    return fal_conversation_render(c, chat->format, fal_model_tokenizer(chat->model), tokens, err);
}

static fal_status refuse(const fal_chat *chat, size_t n_tokens, fal_error *err) {
    bool is_alone = chat->conversation.count <= 1;
    return fal_fail(
        err, FAL_E_LIMIT, "the %s needs %zu tokens, the context holds %zu with its answer; %s",
        is_alone ? "message with its system prompt" : "conversation", n_tokens,
        fal_session_n_context(chat->session),
        is_alone             ? "make it shorter or choose a larger --context"
        : chat->drops_oldest ? "/reset begins again"
                             : "/reset begins again, --overflow drop-oldest drops old turns");
}

/* Renders the conversation into tokens that fit, by the stated policy. Dropping is undone by nothing: it is said. */
static fal_status make_it_fit(fal_chat *chat, fal_tokens *tokens, fal_error *err) {
    size_t n_context = fal_session_n_context(chat->session), n_dropped = 0, n = 0;
    FAL_TRY(render(chat, &chat->conversation, tokens, err));
    while (chat->drops_oldest && tokens->count + room_for_answer(chat) > n_context
           && (n = fal_conversation_drop_oldest(&chat->conversation)) > 0) {
        n_dropped += n;
        FAL_TRY(render(chat, &chat->conversation, tokens, err));
    }
    if (n_dropped)
        fal_terminal_notice(
            "the context of %zu tokens is full: the %zu oldest messages were dropped", n_context,
            n_dropped);
    if (tokens->count >= n_context) return refuse(chat, tokens->count, err);
    return FAL_OK;
}

/* ---- the answer ---- */

typedef struct stream {
    fal_string_builder text;
    bool has_begun; /* something visible was shown */
    bool ends_with_newline;
} stream;

static bool on_piece(void *user, const fal_piece *piece) {
    stream *s = user;
    const char *text = piece->text;
    size_t length = piece->length;
    fal_string_append(&s->text, text, length);
    /* Formats without control tokens begin an answer with white space, which belongs to it but not on the screen. */
    while (!s->has_begun && length && strchr(" \t\r\n", *text)) {
        text++;
        length--;
    }
    if (length) {
        s->has_begun = true;
        s->ends_with_newline = text[length - 1] == '\n';
        fal_terminal_write(stdout, text, length);
        fflush(stdout);
    }
    return !s->text.failed && !fal_interrupt_is_raised();
}

static void show_end(const fal_chat *chat, const fal_generate_result *result, double seconds) {
    const char *why = "";
    switch (result->finish) {
    case FAL_FINISH_LENGTH: why = ", cut at max-new-tokens"; break;
    case FAL_FINISH_CONTEXT: why = ", cut: the context is full"; break;
    case FAL_FINISH_CANCELLED: why = ", stopped"; break;
    case FAL_FINISH_END:
    case FAL_FINISH_STOP_WORD: break;
    }
    if (!chat->shows_speed && !why[0]) return;
    fal_terminal_notice("(%zu tokens, %.1f per second%s)", result->n_tokens,
                        seconds > 0 ? (double)result->n_tokens / seconds : 0, why);
}

static fal_status stream_answer(fal_chat *chat, stream *s, fal_error *err) {
    const fal_generate_options how = {.sampling = chat->settings.sampling,
                                      .stream = chat->n_answers,
                                      .max_new_tokens = chat->settings.max_new_tokens,
                                      .stop = chat->stop,
                                      .penalise_prompt = true};
    fal_generate_result result = {0};
    double started = fal_seconds();
    FAL_TRY(fal_generate(chat->session, &how, on_piece, s, &result, err));
    chat->n_answers++;
    if (!s->ends_with_newline) putchar('\n');
    fflush(stdout);
    show_end(chat, &result, fal_seconds() - started);
    return fal_string_status(&s->text, err);
}

fal_status fal_chat_answer(fal_chat *chat, fal_error *err) {
    fal_tokens tokens = {0};
    stream s = {0};
    fal_status status = FAL_OK;
    FAL_TRY_OUT(make_it_fit(chat, &tokens, err));
    FAL_TRY_OUT(fal_prompt_sync(chat->session, &tokens, err));
    FAL_TRY_OUT(stream_answer(chat, &s, err));
    FAL_TRY_OUT(fal_conversation_add(&chat->conversation, false, s.text.text ? s.text.text : "",
                                     s.text.length, err));
out:
    fal_interrupt_clear();
    fal_string_release(&s.text);
    fal_tokens_release(&tokens);
    return status;
}
