/* What quantize tells about its plans. */
#ifndef FAL_CLI_QUANTIZE_REPORT_H
#define FAL_CLI_QUANTIZE_REPORT_H

#include "convert/quantize.h"

/* Plans every output and prints sizes, types by class of tensors and the fallback: to stdout as JSON, else as a table
 * (nothing if quiet). Fails as fal_quantize_plan. */
fal_status fal_quantize_print(fal_source *source, fal_quantize_output *outputs, size_t n_outputs,
                              const fal_quantize_options *options, bool as_json, bool quiet,
                              fal_error *err);

/* "alfred" of "dir/alfred.f16.gguf", "dir/alfred/" and "dir/alfred.gguf". */
void fal_quantize_stem(const char *source, char *out, size_t size);

#endif
