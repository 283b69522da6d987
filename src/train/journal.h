/* What a run writes down of each step: a line of log.jsonl for programs, a line of curves.tsv for plots, and now and then
 * curves.svg, drawn from it. A run that is resumed goes on behind the step of its checkpoint. */
#ifndef FAL_TRAIN_JOURNAL_H
#define FAL_TRAIN_JOURNAL_H

#include "train/train.h"

typedef struct fal_journal fal_journal;

/* Opens the two files in directory for appending, cut behind last_step: 0 empties them. A line that a killed process left
 * half written goes, too. Fails: IO, LIMIT (a log of over 4 GiB), MEMORY. */
fal_status fal_journal_open(fal_journal **out, const char *directory, int64_t last_step,
                            fal_error *err);
void fal_journal_close(fal_journal *j);

/* Appends the step to both. Of the step, only what does not depend on the machine and its clock goes in front of "seconds".
 * Fails: IO, MEMORY. */
fal_status fal_journal_add(fal_journal *j, const fal_train_step *step, fal_error *err);

/* What was added outlives a crash of the machine. Fails: IO. */
fal_status fal_journal_sync(fal_journal *j, fal_error *err);

/* Draws curves.svg, which is whole or untouched. False: there is no gnuplot, or it failed. Unless is_forced, nothing is
 * drawn (and true returned) while drawing took more than a fiftieth of the time since it was done last. */
bool fal_journal_draw(fal_journal *j, bool is_forced);

#endif
