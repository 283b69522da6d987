/* The files of the chat page, as the build took them into the program (cmake/embed_page.cmake). */
#ifndef FAL_SERVER_PAGE_FILES_H
#define FAL_SERVER_PAGE_FILES_H

typedef struct fal_page_file {
    const char *name; /* without a folder; NULL: past the end */
    const char *type; /* for Content-Type */
    const char *tag;  /* for ETag, quotes included: changes with the content */
    const char *data, *end;
} fal_page_file;

extern const fal_page_file fal_page_files[];

#endif
