/* Any bytes as tokenizer.json and, behind a zero byte, as tokenizer_config.json: read or refused, and what is read makes a
 * tokenizer or is refused. */
#include "formats/tokenizer_json.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, '\0', size) : NULL;
    fal_tokenizer_json_texts texts = {
        .tokenizer = {size ? text : "", size}
    };
    if (zero) {
        texts.tokenizer.length = (size_t)(zero - text);
        texts.config = (fal_slice){zero + 1, size - texts.tokenizer.length - 1};
    }
    fal_vocabulary v = {0};
    fal_tokenizer *t = NULL;
    fal_tokens tokens = {0};
    fal_error err = {0};
    fal_status status = fal_tokenizer_json_parse(&v, &texts, 0, &err);
    if (status == FAL_OK) status = fal_tokenizer_from_vocabulary(&t, &v, &err);
    if (status == FAL_OK) {
        size_t length = size < 4096 ? size : 4096;
        status = fal_tokenizer_encode(t, texts.tokenizer.data, length, FAL_SPECIALS_RECOGNISED,
                                      &tokens, NULL, &err);
        for (size_t i = 0; i < tokens.count; i++) {
            if (!fal_tokenizer_piece(t, tokens.ids[i], &length)) abort();
        }
    }
    if (status != FAL_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
    fal_tokens_release(&tokens);
    fal_tokenizer_close(t);
    fal_vocabulary_release(&v);
    return 0;
}
