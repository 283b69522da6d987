/* Any bytes as a saved timeline. Digests guard the format from nearly all of them, so inputs are also read with digests
 * put right: what is believed must be in bounds by itself. */
#include "fuzz.h"
#include "runtime/saved_timeline.h"

#include <stdlib.h>
#include <string.h>

enum {
    FACTS_BYTES = 256,
    DIGEST_BYTES = FAL_SHA256_HEX - 1
};

volatile unsigned fal_fuzz_sum;

static const fal_timeline_facts here = {
    .model = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    .context = "yarn",
    .kv_type = "f16",
    .n_layers = 2,
    .n_vocab = 8,
    .cell_bytes = 4};

static void read_it(const uint8_t *data, size_t size) {
    fal_saved_timeline t;
    fal_error err = {0};
    fal_status status = fal_saved_timeline_read(&t, data, size, &here, &err);
    if (status != FAL_OK) {
        if (!err.message[0] || strchr(err.message, '\n')) abort();
        return;
    }
    for (uint64_t i = 0; i < t.n_tokens; i++) {
        int32_t id;
        memcpy(&id, t.tokens + i * sizeof id, sizeof id);
        if (id < 0 || id >= (int32_t)here.n_vocab) abort();
    }
    if (t.logits) fal_fuzz_sum += touch(t.logits, here.n_vocab * sizeof(float));
    fal_fuzz_sum += touch(t.cells, 2 * here.n_layers * here.cell_bytes * t.n_tokens);
}

static void mend(uint8_t *data, size_t at) {
    char hex[FAL_SHA256_HEX];
    fal_sha256 sum = fal_sha256_begin();
    fal_sha256_add(&sum, data, at);
    fal_sha256_end(&sum, hex);
    memcpy(data + at, hex, DIGEST_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_it(data, size);
    if (size < FACTS_BYTES + 2 * DIGEST_BYTES) return 0;
    uint8_t *mended = malloc(size);
    if (!mended) return 0;
    memcpy(mended, data, size);
    uint64_t n_tokens = 0;
    for (int i = 0; i < 8; i++)
        n_tokens |= (uint64_t)data[16 + i] << 8 * i;
    if (n_tokens <= (size - FACTS_BYTES - 2 * DIGEST_BYTES) / 4)
        mend(mended, FACTS_BYTES + (size_t)n_tokens * 4);
    mend(mended, size - DIGEST_BYTES);
    read_it(mended, size);
    free(mended);
    return 0;
}
