/* Lists the tensors of a safetensors file that lies in memory. */
#ifndef FAL_FORMATS_SAFETENSORS_H
#define FAL_FORMATS_SAFETENSORS_H

#include "formats/checkpoint_list.h"

/* Adds all tensors to list; those that are neither f32, f16 nor bf16 as skipped ones.
 *
 *   data   the whole file; borrowed by the list
 *   file   its name for messages; borrowed by the list
 *   Fails: FORMAT, LIMIT (a header over 100 MB), UNSUPPORTED (over 4 dimensions), MEMORY.
 *   Source: the format's description in huggingface/safetensors, README.md. */
fal_status fal_safetensors_read(fal_checkpoint_list *list, const void *data, size_t length,
                                const char *file, fal_error *err);

#endif
