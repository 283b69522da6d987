/* Reads sources and shows what became of them: documents with the parts that count, and the report. */
#ifndef FAL_TESTS_READ_SOURCE_H
#define FAL_TESTS_READ_SOURCE_H

#include "train/sources.h"
#include "unit/formats/temp_folder.h"
#include "unit/text/text_fixtures.h"

/* What a test reads from and into. */
typedef struct source_test {
    temp_folder folder;
    fal_tokenizer *tokenizer;
    fal_reading reading;
    fal_source_options source;
    fal_documents documents;
    fal_source_report report;
    char shown[4096];
} source_test;

static const extra_token source_tokens[] = {
    {"<|endoftext|>",     FAL_TOKEN_CONTROL},
    {"<start_system>",    FAL_TOKEN_CONTROL},
    {"<start_user>",      FAL_TOKEN_CONTROL},
    {"<start_assistant>", FAL_TOKEN_CONTROL},
    {"<end_message>",     FAL_TOKEN_CONTROL},
    {NULL,                0                },
};

static inline int begin_source(void **state) {
    source_test *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->folder = temp_folder_make();
    t->tokenizer = tokenizer_of(vocabulary_of(source_tokens, NULL));
    t->reading = (fal_reading){.tokenizer = t->tokenizer,
                               .chat_format = fal_chat_format_by_name("alfred"),
                               .sequence_length = 1000,
                               .seed = 1};
    *state = t;
    return 0;
}

static inline int end_source(void **state) {
    source_test *t = *state;
    fal_documents_release(&t->documents);
    fal_tokenizer_close(t->tokenizer);
    temp_remove(&t->folder);
    free(t);
    return 0;
}

/* Reads a file of this name and contents; documents are those of this call alone. */
static inline fal_status read_named(source_test *t, const char *name, const void *data,
                                    size_t length, fal_error *err) {
    fal_documents_release(&t->documents);
    temp_write(&t->folder, name, data, length);
    fal_source_options source = t->source;
    source.path = temp_path(&t->folder, name);
    return fal_source_read(&source, 3, &t->reading, &t->documents, &t->report, err);
}

static inline void show(source_test *t, const char *text, size_t length) {
    size_t used = strlen(t->shown);
    assert_true(used + length < sizeof t->shown);
    memcpy(t->shown + used, text, length);
    t->shown[used + length] = '\0';
}

static inline void show_token(source_test *t, int32_t id) {
    static const char *const controls[] = {"$", "<s>", "<u>", "<a>", "<e>"}; /* of source_tokens */
    size_t length;
    const char *piece = fal_tokenizer_piece(t->tokenizer, id, &length);
    if (id >= 256)
        show(t, controls[id - 256], strlen(controls[id - 256]));
    else
        show(t, piece, length);
}

/* Documents on lines of their own: "record: tokens", runs that count in A{...}, P{...}, T{...}. */
static inline const char *show_documents(source_test *t) {
    t->shown[0] = '\0';
    for (int64_t i = 0; i < t->documents.count; i++) {
        const fal_document *d = &t->documents.items[i];
        char head[32];
        assert_int_equal(d->source, 3);
        show(t, head, (size_t)snprintf(head, sizeof head, "%lld: ", (long long)d->record));
        int part = FAL_LOSS_NONE;
        for (int64_t k = d->first_token; k < d->first_token + d->n_tokens; k++) {
            if (t->documents.parts[k] != part) {
                if (part != FAL_LOSS_NONE) show(t, "}", 1);
                part = t->documents.parts[k];
                if (part != FAL_LOSS_NONE)
                    show(t,
                         part == FAL_LOSS_ANSWER   ? "A{"
                         : part == FAL_LOSS_PROMPT ? "P{"
                                                   : "T{",
                         2);
            }
            show_token(t, t->documents.tokens[k]);
        }
        show(t, part != FAL_LOSS_NONE ? "}\n" : "\n", part != FAL_LOSS_NONE ? 2 : 1);
    }
    return t->shown;
}

/* "records/kept", then each reason with its count and first record. */
static inline const char *show_report(source_test *t) {
    size_t used = (size_t)snprintf(t->shown, sizeof t->shown, "%lld/%lld",
                                   (long long)t->report.n_records, (long long)t->report.n_kept);
    for (int i = 0; i < t->report.n_reasons; i++)
        used += (size_t)snprintf(t->shown + used, sizeof t->shown - used, ", %s %lld@%lld",
                                 t->report.dropped[i].reason, (long long)t->report.dropped[i].count,
                                 (long long)t->report.dropped[i].first_record);
    return t->shown;
}

/* Reads text as a file of this name and compares. */
static inline void check_source(source_test *t, const char *name, const char *text,
                                const char *reader, const char *documents, const char *report) {
    fal_error err = {0};
    CHECK_OK(read_named(t, name, text, strlen(text), &err), &err);
    assert_string_equal(t->report.reader, reader);
    assert_string_equal(show_documents(t), documents);
    assert_string_equal(show_report(t), report);
}

#endif
