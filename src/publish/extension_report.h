/* The report of the experiment on context extension: a Markdown file with the two figures of the model card and the tables
 * behind them. */
#ifndef FAL_PUBLISH_EXTENSION_REPORT_H
#define FAL_PUBLISH_EXTENSION_REPORT_H

#include "eval/context_extension.h"

/* Writes README.md, curves.svg, scores.svg, curves.tsv, scores.tsv and subtasks.tsv into folder, which is there.
 *
 *   seeds         whole results (fal_extension_results_check), one object each; "seconds" in them is what they took
 *   command       how to repeat it
 *   *has_figures  false where gnuplot is missing; the report says so then
 *   Fails: IO, MEMORY. */
fal_status fal_extension_write_report(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, const char *command, bool *has_figures,
                                      fal_error *err);

#endif
