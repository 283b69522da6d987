/* The curves of a run: a table of steps, and a picture of loss, gradient norm and learning rate drawn from it. */
#ifndef FAL_TRAIN_CURVES_H
#define FAL_TRAIN_CURVES_H

#include "base/string_builder.h"
#include "train/train.h"

#define FAL_CURVES_HEADING "step\ttokens\tloss\tvalidation_loss\tgradient_norm\tlearning_rate\n"

/* Appends the step as a line of the table; NaN where a number is not known. */
void fal_curves_append_line(fal_string_builder *out, const fal_train_step *step);

/* Draws the table at tsv_path, of n_steps lines, as an SVG file that is whole or untouched.
 * Fails: UNSUPPORTED (no gnuplot, or it fails), IO, MEMORY. */
fal_status fal_curves_draw(const char *tsv_path, int64_t n_steps, const char *svg_path,
                           fal_error *err);

#endif
