/* Hugging Face tokenizer files (tokenizer.json, tokenizer_config.json) into text's vocabulary. */
#ifndef FAL_FORMATS_TOKENIZER_JSON_H
#define FAL_FORMATS_TOKENIZER_JSON_H

#include "text/vocabulary.h"

/* Reads directory/tokenizer.json, and tokenizer_config.json, special_tokens_map.json and chat_template.jinja if they are
 * there. Recognises the pre-tokenizer by its structure (falcon, starcoder, gpt-2). out->bos, eos come from
 * tokenizer_config.json, else from special_tokens_map.json, -1 if neither names one.
 *
 * Added tokens extend the vocabulary or take over ids of it; merges that need a token which lost its id are left out.
 *
 *   n_vocab  rows of the model's embedding; missing ids are filled with [PAD<id>], of type UNUSED; 0: as many as read
 *   Fails: NOT_FOUND (no tokenizer.json), FORMAT (damaged; an id >= n_vocab), UNSUPPORTED (another kind), MEMORY. */
fal_status fal_tokenizer_json_read(fal_vocabulary *out, const char *directory, int64_t n_vocab,
                                   fal_error *err);

/* The texts of those files; data is NULL for a file that is not there. */
typedef struct fal_tokenizer_json_texts {
    fal_slice tokenizer, config, special_tokens, chat_template;
} fal_tokenizer_json_texts;

/* As fal_tokenizer_json_read, from memory. texts->tokenizer must be there. */
fal_status fal_tokenizer_json_parse(fal_vocabulary *out, const fal_tokenizer_json_texts *texts,
                                    int64_t n_vocab, fal_error *err);

#endif
