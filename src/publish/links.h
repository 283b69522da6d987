/* Links of a Markdown text, as far as a checker needs them; and text of others made harmless. */
#ifndef FAL_PUBLISH_LINKS_H
#define FAL_PUBLISH_LINKS_H

#include "base/string_builder.h"

typedef struct fal_link {
    fal_slice target; /* as it stands in the text */
    bool is_image;
    int line; /* from 1 */
} fal_link;

/* Where a walk over a text is. Set text, leave the rest zero. */
typedef struct fal_link_walk {
    fal_slice text;
    size_t at;
    int line;        /* of `at`, from 0 */
    char fence;      /* the character of the fence that is open; 0: none */
    bool in_html;    /* a tag of HTML is open */
    bool html_image; /* and it is <img */
} fal_link_walk;

/* The next link: [words](target), ![words](target), [name]: target, href="target", src="target". What stands in code is
 * none. False: no more. */
bool fal_link_next(fal_link_walk *walk, fal_link *out);

/* The path that a link to a file beside the text names: without query and fragment, percent signs decoded, without
 * parts that lead nowhere ("./a//b" is "a/b"). Owned by the caller (fal_free). *out is NULL for a link to somewhere else (with a scheme, a host, or a fragment alone).
 * Fails: MEMORY. */
fal_status fal_link_path(char **out, fal_slice target, fal_error *err);

/* True if the path stays in its folder: relative, no "..", no zero. */
bool fal_path_stays_inside(const char *path);

/* Appends text as UTF-8 without control characters: line ends are "\n", bytes that are not UTF-8 become U+FFFD. */
void fal_append_clean(fal_string_builder *out, fal_slice text);

#endif
