/* The safetensors reader, and all data of the tensors it lists. */
#include "formats/safetensors.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_checkpoint_list list = {0};
    fal_error err = {0};
    fal_status status = fal_safetensors_read(&list, data, length, "fuzz", &err);
    if (status != FAL_OK && (err.status != status || strchr(err.message, '\n'))) abort();
    for (size_t i = 0; i < list.count; i++) {
        const fal_checkpoint_row *row = &list.rows[i];
        if (row->is_skipped) continue;
        if (fal_checkpoint_list_find(&list, fal_slice_of(row->name)) != row && status == FAL_OK)
            abort();
        fal_fuzz_sum += touch(row->face.data, row->face.bytes);
    }
    fal_checkpoint_list_release(&list);
    return 0;
}
