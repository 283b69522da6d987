/* One output of a quantization inside: its plan, its parts and their writers. For this folder's own files. */
#ifndef FAL_CONVERT_OUTPUT_H
#define FAL_CONVERT_OUTPUT_H

#include "convert/quantize.h"

typedef struct fal_output_set {
    fal_quantize_report report;
    int *part_of;              /* [n_tensors] */
    fal_gguf_writer **writers; /* [report.n_parts] */
} fal_output_set;

/* Plans and announces everything; nothing is written. out is released by the caller in any case. */
fal_status fal_output_set_open(fal_output_set *out, fal_source *source, fal_quantize_output *output,
                               const fal_quantize_options *options, fal_error *err);
void fal_output_set_release(fal_output_set *set);

/* Opens all parts for writing beside their names; commits them, the first part last. */
fal_status fal_output_set_begin(fal_output_set *set, const char *path, fal_error *err);
fal_status fal_output_set_commit(fal_output_set *set, fal_error *err);

#endif
