/* What decides the numbers of a run, as words that are kept in its checkpoints and compared when it goes on. */
#ifndef FAL_TRAIN_RUN_SETTINGS_H
#define FAL_TRAIN_RUN_SETTINGS_H

#include "train/train.h"
#include "train/training_checkpoint.h"

/* Puts in what is not said, by the rule "zero means default" of train.h. Fails: ARGUMENT (an option out of its range,
 * named). */
fal_status fal_run_defaults(fal_train_options *options, fal_error *err);

/* Lists the settings of a run in out->settings, with the plan's hash. options have their defaults. */
void fal_run_settings_list(const fal_train_subject *subject, const fal_train_options *options,
                           int64_t total_tokens, fal_progress_of_run *out);

/* Fails: ARGUMENT, naming the first setting that differs and both its values, or the data. */
fal_status fal_run_settings_compare(const fal_progress_of_run *now, const fal_progress_of_run *then,
                                    fal_error *err);
/* The same, of the settings alone that say what the model is. */
fal_status fal_run_settings_compare_model(const fal_progress_of_run *now,
                                          const fal_progress_of_run *then, fal_error *err);

#endif
