/* Turns. The session keeps what is computed; a conversation that goes on computes only what is added. */
#include "cli/chat_turn.h"

#include "base/cpu.h"
#include "base/string_builder.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "cli/text_output.h"

#include <string.h>

/* Tokens kept free for the answer when old turns are dropped. */
static size_t room_for_answer(const fal_chat *chat) {
    size_t n_context = fal_session_n_context(chat->session);
    size_t wanted = chat->settings.max_new_tokens ? (size_t)chat->settings.max_new_tokens : 256;
    size_t most = chat->settings.max_new_tokens ? n_context / 2 : n_context / 4;
    return wanted < most ? wanted : most;
}

static fal_status render(const fal_chat *chat, size_t first, size_t end, fal_tokens *tokens,
                         fal_error *err) {
    tokens->count = 0;
    return fal_conversation_render(&chat->conversation, first, end, chat->format,
                                   fal_model_tokenizer(chat->model), tokens, err);
}

static fal_status refuse(const fal_chat *chat, bool is_alone, size_t n_tokens, fal_error *err) {
    return fal_fail(
        err, FAL_E_LIMIT, "the %s needs %zu tokens, the context holds %zu with its answer; %s",
        is_alone ? "message with its system prompt" : "conversation", n_tokens,
        fal_session_n_context(chat->session),
        is_alone             ? "make it shorter or choose a larger --context"
        : chat->drops_oldest ? "/reset begins again"
                             : "/reset begins again, --overflow drop-oldest drops old turns");
}

/* Renders the messages before end into tokens that fit, by the stated policy: those before *first are left out. The
 * conversation stays whole until the answer is there. */
static fal_status make_it_fit(const fal_chat *chat, size_t *first, size_t end, fal_tokens *tokens,
                              fal_error *err) {
    size_t n_context = fal_session_n_context(chat->session), n = 0;
    *first = 0;
    FAL_TRY(render(chat, 0, end, tokens, err));
    while (chat->drops_oldest && tokens->count + room_for_answer(chat) > n_context
           && (n = fal_conversation_oldest_turn(&chat->conversation, *first, end)) > 0) {
        *first += n;
        FAL_TRY(render(chat, *first, end, tokens, err));
    }
    if (tokens->count >= n_context) return refuse(chat, *first + 1 >= end, tokens->count, err);
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
    size_t before = s->text.length;
    fal_string_append_whole(&s->text, piece->text, piece->length, false);
    if (s->text.failed) return false;
    /* What is shown is what the conversation will hold. */
    size_t length = s->text.length - before;
    const char *text = length ? s->text.text + before : "";
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
    return !fal_interrupt_is_raised();
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
                                      .grammar = chat->grammar,
                                      .penalise_prompt = true};
    fal_generate_result result = {0};
    double started = fal_seconds();
    FAL_TRY(fal_generate(chat->session, &how, on_piece, s, &result, err));
    FAL_TRY(fal_string_status(&s->text, err));
    if (result.finish == FAL_FINISH_CANCELLED && !s->text.length)
        return fal_fail(err, FAL_E_CANCELLED, "chat: interrupted");
    if (!s->ends_with_newline) putchar('\n');
    fflush(stdout);
    show_end(chat, &result, fal_seconds() - started);
    return FAL_OK;
}

fal_status fal_chat_answer(fal_chat *chat, fal_error *err) {
    fal_conversation *c = &chat->conversation;
    fal_tokens tokens = {0};
    stream s = {0};
    fal_status status = FAL_OK;
    bool is_answered = c->count && !fal_conversation_ends_with_user(c);
    size_t first = 0, end = c->count - (is_answered ? 1 : 0);
    if (!end || !fal_conversation_is_user(c, end - 1))
        FAL_TRY_OUT(fal_fail(err, FAL_E_ARGUMENT, "there is nothing to answer"));
    FAL_TRY_OUT(make_it_fit(chat, &first, end, &tokens, err));
    FAL_TRY_OUT(fal_prompt_sync(chat->session, &tokens, err));
    /* The last step of a prompt asks nobody. */
    if (fal_interrupt_is_raised()) FAL_TRY_OUT(fal_fail(err, FAL_E_CANCELLED, "chat: interrupted"));
    if (first)
        fal_terminal_notice(
            "the context of %zu tokens is full: the %zu oldest messages are dropped",
            fal_session_n_context(chat->session), first);
    FAL_TRY_OUT(stream_answer(chat, &s, err));
    FAL_TRY_OUT(fal_conversation_add(c, false, s.text.text ? s.text.text : "", s.text.length, err));
    if (is_answered) fal_conversation_drop(c, end, 1);
    fal_conversation_drop(c, 0, first);
    chat->n_answers++;
out:
    fal_interrupt_clear();
    fal_string_release(&s.text);
    fal_tokens_release(&tokens);
    return status;
}
