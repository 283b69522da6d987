/* The reader of PyTorch archives, and all data of the tensors it lists. */
#include "formats/torch_file.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

volatile unsigned fal_fuzz_sum;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    fal_checkpoint_list list = {0};
    fal_error err = {0};
    fal_status status = fal_torch_file_read(&list, data, length, "fuzz", &err);
    if (status != FAL_OK && (err.status != status || strchr(err.message, '\n'))) abort();
    for (size_t i = 0; i < list.count; i++) {
        const fal_checkpoint_tensor *t = &list.rows[i].face;
        /* Views may share a storage, so only the ends are read. */
        if (list.rows[i].is_skipped || t->bytes == 0) continue;
        fal_fuzz_sum += touch(t->data, 1) + touch((const uint8_t *)t->data + t->bytes - 1, 1);
    }
    fal_checkpoint_list_release(&list);
    return 0;
}
