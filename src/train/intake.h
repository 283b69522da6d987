/* Where readers hand over what they find: it becomes a document, or a reason in the report. */
#ifndef FAL_TRAIN_INTAKE_H
#define FAL_TRAIN_INTAKE_H

#include "base/bytes.h"
#include "train/seen.h"
#include "train/sources.h"

/* Of one source. Set up by sources.c; readers see record, source and the functions below. */
typedef struct fal_intake {
    const fal_source_options *source;
    const fal_reading *reading;
    fal_overlong overlong;
    bool has_prompt_share; /* a long-context source: prompts of some examples count */
    int32_t number;
    int64_t record; /* line of the file, from 1 */
    fal_documents *out;
    fal_source_report *report;
    fal_seen seen;
    /* of the document at hand */
    fal_tokens tokens, owners;
    uint8_t *parts;
    size_t part_capacity;
} fal_intake;

/* Knows all documents that out has. Fails: MEMORY. */
fal_status fal_intake_init(fal_intake *intake, fal_error *err);
void fal_intake_release(fal_intake *intake);

/* Roles are those of fal_role_by_name, NULL for unknown ones; at most one system message in front, then user and assistant
 * in turn; what follows the last answer is left out. Otherwise the conversation is dropped.
 *
 *   n_fixed  bytes at the beginning of the longest prompt that stay when its middle is cut
 *   Fails: MEMORY, ARGUMENT (the chat format lacks tokens). */
fal_status fal_intake_conversation(fal_intake *intake, const fal_message *messages,
                                   size_t n_messages, size_t n_fixed, fal_error *err);
/* Plain text, of which everything counts. Fails: MEMORY, LIMIT. */
fal_status fal_intake_text(fal_intake *intake, fal_slice text, fal_error *err);

/* Counts something that is left out on purpose. reason: static. */
void fal_intake_drop(fal_intake *intake, const char *reason);
/* Counts a record that has not the form of its file. Fails: FORMAT, by line, when strict. */
fal_status fal_intake_damaged(fal_intake *intake, const char *reason, fal_error *err);

/* "system", "user" or "assistant" for these and for other names of theirs; NULL: none of them. */
const char *fal_role_by_name(const char *name);

#endif
