/* Prompts on their way from the command line into a session. */
#include "cli/prompt.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>

static const size_t max_bytes = (size_t)1 << 30;

static fal_status read_stream(char **out, size_t *length, FILE *stream, fal_error *err) {
    fal_string_builder text = {0};
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stream)) > 0 && text.length <= max_bytes)
        fal_string_append(&text, block, n);
    fal_status status = fal_string_status(&text, err);
    if (status == FAL_OK && ferror(stream))
        status = fal_fail_errno(err, "reading", "standard input");
    if (status == FAL_OK && text.length > max_bytes)
        status = fal_fail(err, FAL_E_LIMIT, "standard input: more than %zu bytes", max_bytes);
    *length = text.length;
    *out = status == FAL_OK ? fal_string_take(&text) : NULL;
    fal_string_release(&text);
    if (status == FAL_OK && !*out) status = fal_fail_memory(err, 0);
    return status;
}

fal_status fal_prompt_read(char **out, size_t *length, const char *text, const char *file,
                           fal_error *err) {
    if (text) {
        *length = strlen(text);
        *out = fal_copy_string(text, *length);
        return *out ? FAL_OK : fal_fail_memory(err, *length);
    }
    if (file && strcmp(file, "-") != 0) return fal_file_read(out, length, file, max_bytes, err);
    if (fal_terminal_is(stdin)) fal_terminal_notice("reading from the terminal; end with Ctrl-D");
    return read_stream(out, length, stdin, err);
}

fal_status fal_prompt_encode(const fal_tokenizer *t, const char *text, size_t length,
                             fal_specials specials, fal_tokens *out, fal_error *err) {
    int32_t bos = fal_tokenizer_bos(t);
    size_t n_dropped = 0;
    if (fal_tokenizer_adds_bos(t) && bos >= 0) FAL_TRY(fal_tokens_append(out, &bos, 1, err));
    size_t first = out->count;
    FAL_TRY(fal_tokenizer_encode(t, text, length, specials, out, &n_dropped, err));
    if (n_dropped) fal_prompt_tell_dropped(t, text, length, out, first, n_dropped);
    return FAL_OK;
}

/* Where the text and what its tokens stand for part; the length if they do not. */
static size_t first_difference(const fal_tokenizer *t, const char *text, size_t length,
                               const fal_tokens *tokens, size_t first) {
    size_t at = 0;
    for (size_t i = first; i < tokens->count; i++) {
        size_t n = 0;
        const char *piece = fal_tokenizer_piece(t, tokens->ids[i], &n);
        for (size_t k = 0; piece && k < n; k++, at++)
            if (at >= length || piece[k] != text[at]) return at;
    }
    return at;
}

void fal_prompt_tell_dropped(const fal_tokenizer *t, const char *text, size_t length,
                             const fal_tokens *tokens, size_t first, size_t n_dropped) {
    char where[80] = "";
    size_t at = first_difference(t, text, length, tokens, first);
    /* Of equal bytes in a row the first one differs, but the last one is found. */
    while (at < length && at > 0 && text[at - 1] == text[at])
        at--;
    if (at < length)
        snprintf(where, sizeof where, "; the first is 0x%02x at offset %zu",
                 (unsigned)(unsigned char)text[at], at);
    fal_terminal_notice("falconer: %zu %s no token in this vocabulary and %s left out%s", n_dropped,
                        n_dropped == 1 ? "byte has" : "bytes have", n_dropped == 1 ? "is" : "are",
                        where);
}

static bool on_progress(void *user, size_t n_done, size_t n_total) {
    fal_progress_show(user, n_done, n_total);
    return !fal_interrupt_is_raised();
}

fal_status fal_prompt_sync(fal_session *session, const fal_tokens *tokens, fal_error *err) {
    fal_progress progress = fal_progress_open("reading", "tokens");
    fal_session_on_progress(session, on_progress, &progress);
    fal_status status = fal_session_sync(session, tokens->ids, tokens->count, err);
    fal_session_on_progress(session, NULL, NULL);
    fal_progress_clear(&progress);
    return status;
}
