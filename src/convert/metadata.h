/* The vocabulary and some words about the model as metadata of a converted file: under the keys that other readers of GGUF
 * know. The rest of the metadata is written by model/arch.h. */
#ifndef FAL_CONVERT_METADATA_H
#define FAL_CONVERT_METADATA_H

#include "model/arch.h"
#include "text/vocabulary.h"

/* What a file says of itself in words. NULL: what the source says, if anything. */
typedef struct fal_model_words {
    const char *name, *author, *license, *description; /* general.name and so on */
} fal_model_words;

/* Writes those that are not NULL. */
void fal_metadata_write_words(fal_gguf_writer *w, const fal_model_words *words);
/* The word that belongs to this key; NULL: none does, or it is NULL. */
const char *fal_metadata_find_word(const fal_model_words *words, const char *key);

/* tokenizer.*; special ids that the vocabulary does not name come from the config. Models with Alfred's chat tokens and no
 * chat template get the template that belongs to the tokens. */
void fal_metadata_write_vocabulary(fal_gguf_writer *w, const fal_vocabulary *v,
                                   const fal_params *p);

/* The vocabulary's chat template, or Alfred's if it lacks one and has Alfred's chat tokens; borrowed. NULL: none. */
const char *fal_metadata_chat_template(const fal_vocabulary *v);

/* The last part of a folder's path, without slashes; "model" for "." and "/". */
void fal_folder_name(const char *directory, char *out, size_t size);

#endif
