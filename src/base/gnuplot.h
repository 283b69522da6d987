/* Pictures drawn by gnuplot, a program of its own that may be absent. POSIX body in gnuplot_posix.c. */
#ifndef FAL_BASE_GNUPLOT_H
#define FAL_BASE_GNUPLOT_H

#include "base/string_builder.h"

/* Appends the path of a file as gnuplot's literal: whatever it holds, it is that file and nothing else. */
void fal_gnuplot_append_path(fal_string_builder *out, const char *path);

/* Runs commands, which draw on gnuplot's standard output, and writes what comes to path, which is whole or untouched.
 * Fails: UNSUPPORTED (no gnuplot, or it fails), IO, MEMORY. */
fal_status fal_gnuplot_draw(char *commands, const char *path, fal_error *err);

#endif
