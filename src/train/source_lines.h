/* Sources of lines that are open already, wherever they come from: for fuzzing. */
#ifndef FAL_TRAIN_SOURCE_LINES_H
#define FAL_TRAIN_SOURCE_LINES_H

#include "formats/text_lines.h"
#include "train/sources.h"

/* As fal_source_read, of lines at their beginning; source->path only names them. Fails: as fal_source_read. */
fal_status fal_source_read_lines(const fal_source_options *source, int32_t number,
                                 fal_text_lines *lines, const fal_reading *reading,
                                 fal_documents *out, fal_source_report *report, fal_error *err);

#endif
