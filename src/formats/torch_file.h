/* Lists the tensors of a file written by torch.save (version 1.6 and later) that lies in memory. */
#ifndef FAL_FORMATS_TORCH_FILE_H
#define FAL_FORMATS_TORCH_FILE_H

#include "formats/checkpoint_list.h"

/* Adds all tensors of the dictionary at the top to list; those that are neither f32, f16 nor bf16 as skipped ones.
 * Nothing in the file is executed: a class or function beyond those that rebuild tensors ends the reading by name.
 *
 *   data   the whole file; borrowed by the list
 *   file   its name for messages; borrowed by the list
 *   Fails: FORMAT, LIMIT, UNSUPPORTED (a name in the pickle, compressed entries, strides, byte order, over 4 dimensions,
 *   a file from before 1.6), MEMORY.
 *   Source: PyTorch 1.13, torch/serialization.py and torch/_utils.py. */
fal_status fal_torch_file_read(fal_checkpoint_list *list, const void *data, size_t length,
                               const char *file, fal_error *err);

#endif
