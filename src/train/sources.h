/* Sources of training data: files in the forms of readers.def, brought into documents in the chat-token format.
 *
 * Every record is kept or dropped for a reason that the report counts. Nothing depends on threads. */
#ifndef FAL_TRAIN_SOURCES_H
#define FAL_TRAIN_SOURCES_H

#include <falconer/tokenizer.h>

#include "train/documents.h"

enum {
    FAL_DROP_REASONS = 24 /* most reasons of one source */
};

/* What to do with a document longer than the sequence length. */
typedef enum fal_overlong {
    FAL_OVERLONG_DEFAULT, /* plain text: cut; chat: dropped; long documents: middle-cut */
    FAL_OVERLONG_CUT,     /* left whole: the plan cuts it into passages of the sequence length */
    FAL_OVERLONG_DROP,
    FAL_OVERLONG_MIDDLE, /* the document loses its middle; instruction, question and answer stay */
    FAL_OVERLONG_LEFT    /* loses its beginning */
} fal_overlong;

/* Zero means default. */
typedef struct fal_source_options {
    const char *path;   /* a file, plain or packed by zstd */
    const char *reader; /* a name of readers.def; NULL: by the file's name or first record */
    const char
        *group;    /* "short-chat", "long-context", "web-text" or one's own name; NULL: by reader */
    double weight; /* within its group, by tokens; 0: 1 */
    fal_overlong overlong;
    int min_tokens;       /* of a document; 0: 2 */
    const char *language; /* keep only records of this language where they say one; NULL: all */
    int top_answers;      /* of ranked trees: answers kept per question; 0: all */
} fal_source_options;

typedef struct fal_source_report {
    const char *reader; /* a name of readers.def: the one that was used */
    int64_t n_records;  /* lines of JSONL, texts of a text file */
    int64_t n_kept;     /* documents; a record may have none or several */
    int64_t n_tokens, n_loss_tokens[FAL_LOSS_PART_COUNT]; /* of the documents kept */
    int n_reasons;

    struct {
        const char *reason;   /* static: "deleted", "roles do not alternate", ... */
        int64_t count;        /* of what was left out: records, messages of trees, examples */
        int64_t first_record; /* line of the file, from 1 */
    } dropped[FAL_DROP_REASONS];
} fal_source_report;

/* Settings that all sources share. */
typedef struct fal_reading {
    const fal_tokenizer *tokenizer;
    const fal_chat_format *chat_format;
    int sequence_length;
    uint64_t seed;
    double
        prompt_share; /* of long-context examples whose prompts count too; decided by hash of the example */
    bool is_strict; /* a damaged record is a failure */
    bool (*on_progress)(void *user, const char *path, uint64_t n_bytes, uint64_t total_bytes);
    void *user; /* of on_progress; returning false cancels */
} fal_reading;

/* Appends the documents of one source. source numbers it.
 * Fails: NOT_FOUND, IO, ARGUMENT (an unknown reader, a number out of range, a chat format whose tokens are missing), FORMAT
 * (no known form; damaged packed data; when strict, a damaged record, by line), LIMIT (a line or text too long), CANCELLED,
 * MEMORY; then out may have gained documents. */
fal_status fal_source_read(const fal_source_options *source, int32_t number,
                           const fal_reading *reading, fal_documents *out,
                           fal_source_report *report, fal_error *err);

/* Names and meanings of readers.def. */
int fal_reader_count(void);
const char *fal_reader_name(int index); /* NULL past the end */
const char *fal_reader_meaning(int index);
/* The group that a reader's data belong to unless said otherwise. */
const char *fal_reader_group(const char *reader);

#endif
