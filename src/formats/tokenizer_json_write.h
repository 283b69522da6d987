/* Text's vocabulary into a Hugging Face tokenizer: the files that tokenizer_json.h reads, as the tokenizers library and
 * transformers read them too. */
#ifndef FAL_FORMATS_TOKENIZER_JSON_WRITE_H
#define FAL_FORMATS_TOKENIZER_JSON_WRITE_H

#include "text/vocabulary.h"

/* Writes directory/tokenizer.json, tokenizer_config.json and special_tokens_map.json, each whole or untouched; the folder
 * must exist. What was read back gives the same ids for any text. Control tokens by name are those that v->types marks, so
 * take the vocabulary of a tokenizer (fal_tokenizer_vocabulary) where a file's own types are not to be trusted.
 *
 * Unused tokens are left out, and with them the merges that no text can use; reading with n_vocab puts the ids back.
 * v->eot has no place in these files.
 *
 *   max_length  tokens that the model's context holds; 0: not said
 *   Fails: FORMAT (a token that is empty, given twice or no UTF-8; a merge without a space), UNSUPPORTED (a pretokenizer
 *          that has no such form), IO, MEMORY. */
fal_status fal_tokenizer_json_write(const fal_vocabulary *v, const char *directory,
                                    int64_t max_length, fal_error *err);

#endif
