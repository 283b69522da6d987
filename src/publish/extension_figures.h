/* The two figures of the model card and the tables that they are drawn from. */
#ifndef FAL_PUBLISH_EXTENSION_FIGURES_H
#define FAL_PUBLISH_EXTENSION_FIGURES_H

#include "publish/extension_results.h"

/* curves.tsv: tokens of fine-tuning down, methods across; training losses, means over seeds, smoothed. scores.tsv: a method
 * a row. subtasks.tsv: a method, task and length a row. Fails: IO, MEMORY. */
fal_status fal_extension_write_tables(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, fal_error *err);

/* curves.svg and scores.svg from these tables. Fails: UNSUPPORTED (no gnuplot, or it fails), IO, MEMORY. */
fal_status fal_extension_draw_figures(const char *folder, fal_error *err);

#endif
