/* A plot of quality against size, drawn by gnuplot, a program of its own that may be absent. */
#ifndef FAL_PUBLISH_PLOT_H
#define FAL_PUBLISH_PLOT_H

#include "base/fail.h"

#include <stdbool.h>

/* Draws the SVG file at svg_path, which is whole or untouched, from the file that fal_set_to_tsv made.
 *
 *   log_scale  of divergences, none of which may be 0 then
 *   Fails: UNSUPPORTED (no gnuplot, or it fails), IO, MEMORY. */
fal_status fal_plot_quality(const char *tsv_path, const char *svg_path, bool log_scale,
                            fal_error *err);

#endif
