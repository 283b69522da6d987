/* The YAML block at the top of a model card: found, read, and written anew with some keys changed. libyaml does the
 * reading and the writing. */
#ifndef FAL_PUBLISH_FRONT_MATTER_H
#define FAL_PUBLISH_FRONT_MATTER_H

#include "base/string_builder.h"

typedef struct fal_front_matter fal_front_matter;

/* Where a card's front matter is. */
typedef enum fal_front_matter_place {
    FAL_FRONT_MATTER_ABSENT,
    FAL_FRONT_MATTER_UNCLOSED, /* the line "---" stands at the top and never again */
    FAL_FRONT_MATTER_WHOLE
} fal_front_matter_place;

/* Cuts a card: *yaml between the two lines "---" (empty if there is none), *body behind them. Both are parts of text. */
fal_front_matter_place fal_front_matter_split(fal_slice text, fal_slice *yaml, fal_slice *body);

/* Reads it; an empty one is fine.
 *
 *   name  stands for the file in messages, whose lines are counted as in the card
 *   Fails: FORMAT (no YAML, no mapping, a key given twice), LIMIT (over 256 KiB, 100000 values or 64
 *   levels with aliases unfolded), MEMORY. */
fal_status fal_front_matter_open(fal_front_matter **out, fal_slice yaml, const char *name,
                                 fal_error *err);
void fal_front_matter_close(fal_front_matter *f);

/* The index-th text under a key: 0 is also a value that is no list. An empty slice past the end; borrowed from f. */
fal_slice fal_front_matter_text(const fal_front_matter *f, const char *key, size_t index);

typedef enum fal_key_change {
    FAL_KEY_REPLACE, /* by the values */
    FAL_KEY_DEFAULT, /* to the values where the key is absent */
    FAL_KEY_EXTEND,  /* a list: by those values that it lacks */
    FAL_KEY_REMOVE
} fal_key_change;

/* One change; replacing or extending by no value at all changes nothing. */
typedef struct fal_key_edit {
    const char *key;
    fal_key_change change;
    const char *const *values; /* NULL-terminated; NULL: none */
    bool is_list;              /* write a list, also for one value */
} fal_key_edit;

/* Appends the block with its lines "---": all keys of original (NULL: none) in their order, changed, then what is added.
 * edits end with a key of NULL. Fails: MEMORY. */
fal_status fal_front_matter_write(fal_string_builder *out, const fal_front_matter *original,
                                  const fal_key_edit *edits, fal_error *err);

#endif
