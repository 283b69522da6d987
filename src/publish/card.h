/* A model card: the template's places filled with what a set is and what was measured. */
#ifndef FAL_PUBLISH_CARD_H
#define FAL_PUBLISH_CARD_H

#include "publish/front_matter.h"
#include "publish/set.h"

/* What a card is about. Pointers are borrowed; NULL or empty: there is none. */
typedef struct fal_card {
    const fal_set *set;
    const fal_front_matter *front; /* of the original card */
    fal_slice original;            /* the original card behind its front matter, clean text */
    const char *base_model;        /* "lightonai/alfred-40b-1023" */
    const char *license, *thumbnail;
    const char *plot; /* the file's name */
} fal_card;

/* The template that is built in. */
fal_slice fal_card_template(void);

/* Appends the whole README.md.
 *
 *   text           the template
 *   template_name  stands for it in messages
 *   Fails: FORMAT (the template, with its line), LIMIT, MEMORY. */
fal_status fal_card_write(fal_string_builder *out, const fal_card *card, fal_slice text,
                          const char *template_name, fal_error *err);

/* Fails as fal_card_write does where the template is at fault; fills nothing. */
fal_status fal_card_check_template(fal_slice text, const char *template_name, fal_error *err);

/* "25.45 GB": decimal, four digits. Writes at most size bytes. */
void fal_card_format_size(char *out, size_t size, uint64_t bytes);

#endif
