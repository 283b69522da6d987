/* Any bytes as text, under each rule, with a vocabulary of all bytes and some merges: the pieces of the ids are the text
 * again, control tokens come only on request, and stop words cut the stream where a plain search cuts it. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "text/byte_map.h"
#include "text/stop.h"
#include "text/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum {
    N_EXTRAS = 10,
    N_MERGES = 7
};

static const char *const extras[N_EXTRAS] = {"th",
                                             "the",
                                             "\xc4\xa0the",
                                             "\xc4\xa0t",
                                             "12",
                                             "\xc3\xa3\xc4\xa3",
                                             "\xc4\xa0\xc4\xa0",
                                             "<end_message>",
                                             "<x>",
                                             "\xc3\xa9\xc3\xa9"};
static const char *const merges[N_MERGES] = {
    "\xc4\xa0 t", "t h", "th e", "\xc4\xa0 the", "1 2", "\xc3\xa3 \xc4\xa3", "\xc4\xa0 \xc4\xa0"};
static const char *const rules[] = {"falcon", "starcoder", "gpt-2"};
static const char *const stop_words[] = {"the", "he is", "\n\n", "\xc3\xa9", NULL};

static fal_tokenizer *open_tokenizer(const char *rule) {
    fal_vocabulary v = {.n_tokens = 256 + N_EXTRAS,
                        .n_merges = N_MERGES,
                        .bos = -1,
                        .eos = -1,
                        .eot = -1,
                        .unknown = -1,
                        .padding = -1};
    static char byte_texts[256][4];
    v.tokens = fal_alloc(v.n_tokens, sizeof *v.tokens);
    v.types = fal_alloc(v.n_tokens, sizeof *v.types);
    v.merges = fal_alloc(v.n_merges, sizeof *v.merges);
    if (!v.tokens || !v.types || !v.merges) abort();
    for (int byte = 0; byte < 256; byte++) {
        int length = fal_utf8_encode(fal_byte_character((uint8_t)byte), byte_texts[byte]);
        v.tokens[byte] = (fal_slice){byte_texts[byte], (size_t)length};
        v.types[byte] = FAL_TOKEN_NORMAL;
    }
    for (int i = 0; i < N_EXTRAS; i++) {
        v.tokens[256 + i] = fal_slice_of(extras[i]);
        v.types[256 + i] = i < 7    ? FAL_TOKEN_NORMAL
                           : i == 9 ? FAL_TOKEN_USER_DEFINED
                                    : FAL_TOKEN_CONTROL;
    }
    for (int i = 0; i < N_MERGES; i++)
        v.merges[i] = fal_slice_of(merges[i]);
    memcpy(v.pretokenizer, rule, strlen(rule) + 1);
    fal_tokenizer *t = NULL;
    if (fal_tokenizer_from_vocabulary(&t, &v, NULL) != FAL_OK) abort();
    return t;
}

static void check_round_trip(const fal_tokenizer *t, const char *text, size_t size,
                             fal_specials specials) {
    fal_tokens tokens = {0};
    size_t n_dropped, at = 0;
    if (fal_tokenizer_encode(t, text, size, specials, &tokens, &n_dropped, NULL) != FAL_OK
        || n_dropped)
        abort();
    for (size_t i = 0; i < tokens.count; i++) {
        size_t length;
        const char *piece = fal_tokenizer_piece(t, tokens.ids[i], &length);
        if (!piece || length > size - at || memcmp(text + at, piece, length) != 0) abort();
        if (specials == FAL_SPECIALS_AS_TEXT && fal_tokenizer_is_control(t, tokens.ids[i])) abort();
        at += length;
    }
    if (at != size) abort();
    fal_tokens_release(&tokens);
}

/* Where the first stop word stands; size: nowhere. */
static size_t first_stop(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        for (size_t w = 0; stop_words[w]; w++) {
            size_t n = strlen(stop_words[w]);
            if (n <= size - i && memcmp(text + i, stop_words[w], n) == 0) return i;
        }
    }
    return size;
}

static void check_stop(const char *text, size_t size) {
    fal_stop *s = NULL;
    if (fal_stop_open(&s, stop_words, NULL) != FAL_OK) abort();
    size_t shown = 0;
    for (size_t at = 0; at < size;) {
        size_t step = 1 + (uint8_t)text[at] % 5;
        if (step > size - at) step = size - at;
        if (fal_stop_feed(s, text + at, step, NULL) != FAL_OK) abort();
        at += step;
        fal_slice part = fal_stop_take(s);
        if (part.length && memcmp(text + shown, part.data, part.length) != 0) abort();
        shown += part.length;
    }
    fal_stop_flush(s);
    shown += fal_stop_take(s).length;
    size_t end = first_stop(text, size);
    if (shown != end || (fal_stop_word(s) != NULL) != (end < size)) abort();
    fal_stop_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fal_tokenizer *tokenizers[3];
    const char *text = (const char *)data;
    if (!text) text = "";
    for (int i = 0; i < 3; i++) {
        if (!tokenizers[i]) tokenizers[i] = open_tokenizer(rules[i]);
        check_round_trip(tokenizers[i], text, size, FAL_SPECIALS_AS_TEXT);
        check_round_trip(tokenizers[i], text, size, FAL_SPECIALS_RECOGNISED);
    }
    check_stop(text, size);
    return 0;
}
