/* Any bytes as a source of training data. The first byte chooses options, the second the reader (none: it is recognised).
 * Documents keep their promises, and the report agrees with them. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "text/byte_map.h"
#include "text/vocabulary.h"
#include "train/source_lines.h"

#include <stdlib.h>
#include <string.h>

enum {
    N_EXTRAS = 5,
    LENGTH = 40
};

static fal_tokenizer *open_tokenizer(void) {
    static const char *const extras[N_EXTRAS] = {"<|endoftext|>", "<start_system>", "<start_user>",
                                                 "<start_assistant>", "<end_message>"};
    static char byte_texts[256][4];
    fal_vocabulary v = {.n_tokens = 256 + N_EXTRAS,
                        .pretokenizer = "falcon",
                        .bos = -1,
                        .eos = 256,
                        .eot = -1,
                        .unknown = -1,
                        .padding = -1};
    v.tokens = fal_alloc(v.n_tokens, sizeof *v.tokens);
    v.types = fal_alloc(v.n_tokens, sizeof *v.types);
    if (!v.tokens || !v.types) abort();
    for (int i = 0; i < 256 + N_EXTRAS; i++) {
        v.types[i] = i < 256 ? FAL_TOKEN_NORMAL : FAL_TOKEN_CONTROL;
        if (i >= 256) {
            v.tokens[i] = fal_slice_of(extras[i - 256]);
        } else {
            int n = fal_utf8_encode(fal_byte_character((uint8_t)i), byte_texts[i]);
            v.tokens[i] = (fal_slice){byte_texts[i], (size_t)n};
        }
    }
    fal_tokenizer *t = NULL;
    if (fal_tokenizer_from_vocabulary(&t, &v, NULL) != FAL_OK) abort();
    return t;
}

static void check_document(const fal_documents *d, const fal_document *item, bool may_be_long,
                           int64_t *n_loss_tokens) {
    if (item->n_tokens < 2 || (item->n_tokens > LENGTH && !may_be_long)) abort();
    if (d->parts[item->first_token] != FAL_LOSS_NONE || item->record < 1) abort();
    for (int64_t i = item->first_token; i < item->first_token + item->n_tokens; i++) {
        if (d->tokens[i] < 0 || d->tokens[i] >= 256 + N_EXTRAS) abort();
        if (d->parts[i] >= FAL_LOSS_PART_COUNT) abort();
        n_loss_tokens[d->parts[i]]++;
    }
}

static void check_report(const fal_documents *d, const fal_source_report *r, bool may_be_long) {
    int64_t n_loss_tokens[FAL_LOSS_PART_COUNT] = {0};
    if (r->n_kept != d->count || r->n_tokens != d->n_tokens) abort();
    for (int64_t i = 0; i < d->count; i++)
        check_document(d, &d->items[i], may_be_long, n_loss_tokens);
    for (int part = FAL_LOSS_NONE + 1; part < FAL_LOSS_PART_COUNT; part++) {
        if (n_loss_tokens[part] != r->n_loss_tokens[part]) abort();
    }
    for (int i = 0; i < r->n_reasons; i++) {
        if (r->dropped[i].count < 1 || r->dropped[i].first_record < 1) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static fal_tokenizer *t;
    if (!t) t = open_tokenizer();
    if (length < 2) return 0;
    int choice = data[0];
    fal_source_options source = {.path = "fuzz",
                                 .reader = fal_reader_name(data[1] % 16),
                                 .overlong = (fal_overlong)(choice % 5),
                                 .language = choice & 32 ? "en" : NULL,
                                 .top_answers = choice & 64 ? 1 : 0};
    fal_reading reading = {.tokenizer = t,
                           .chat_format = fal_chat_format_by_name("alfred"),
                           .sequence_length = LENGTH,
                           .prompt_share = 0.5,
                           .is_strict = choice & 128};
    fal_documents documents = {0};
    fal_source_report report;
    fal_text_lines *lines;
    fal_error err = {0};
    if (fal_text_lines_open_memory(&lines, data + 2, length - 2, "fuzz", 0, NULL) != FAL_OK)
        return 0;
    fal_status status =
        fal_source_read_lines(&source, 0, lines, &reading, &documents, &report, &err);
    if (status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
    bool may_be_long =
        source.overlong == FAL_OVERLONG_CUT || source.overlong == FAL_OVERLONG_DEFAULT;
    check_report(&documents, &report, may_be_long);
    fal_text_lines_close(lines);
    fal_documents_release(&documents);
    return 0;
}
