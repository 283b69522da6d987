/* A pickle reader that runs nothing: it builds a description of what a pickle would make, from the operations that
 * torch.save emits (protocols 2 to 5). A class or function is a row of the caller's list or the reading ends. */
#ifndef FAL_FORMATS_PICKLE_H
#define FAL_FORMATS_PICKLE_H

#include "base/bytes.h"

typedef struct fal_pickle fal_pickle;

typedef enum fal_pickle_kind {
    FAL_PICKLE_NONE,
    FAL_PICKLE_BOOL,       /* number */
    FAL_PICKLE_INTEGER,    /* number */
    FAL_PICKLE_REAL,       /* nothing is kept of it */
    FAL_PICKLE_TEXT,       /* text */
    FAL_PICKLE_BYTES,      /* text */
    FAL_PICKLE_TUPLE,      /* items */
    FAL_PICKLE_LIST,       /* items */
    FAL_PICKLE_DICTIONARY, /* items: key, value, key, value, ... */
    FAL_PICKLE_NAME,       /* a class or function; row */
    FAL_PICKLE_CALL,       /* row called with the items */
    FAL_PICKLE_PERSISTENT  /* something stored elsewhere, known by the items */
} fal_pickle_kind;

/* Owned by the pickle. Text points into the pickle's bytes. Values may be shared and may contain themselves. */
typedef struct fal_pickle_value {
    fal_pickle_kind kind;
    int row; /* of the caller's list */
    int64_t number;
    fal_slice text;
    int32_t first, last, count; /* items; see fal_pickle_next */
} fal_pickle_value;

typedef struct fal_pickle_name {
    const char *module, *name;

    enum {
        FAL_PICKLE_IS_CLASS,    /* may be named, not called */
        FAL_PICKLE_IS_FUNCTION, /* may be called */
        FAL_PICKLE_IS_DICTIONARY /* may be called without arguments and then is an empty dictionary */
    } use;
} fal_pickle_name;

/* Reads one pickle, which must fill the bytes.
 *
 *   out      owned by the caller; NULL on failure
 *   data     borrowed until close
 *   allowed  [n_allowed] borrowed until close
 *   Fails: FORMAT (damaged), UNSUPPORTED (a name that is not allowed, an operation that is not known), LIMIT (size,
 *   stack, memo), MEMORY.
 *   Source: CPython, Lib/pickletools.py. */
fal_status fal_pickle_read(fal_pickle **out, const void *data, size_t length,
                           const fal_pickle_name *allowed, int n_allowed, fal_error *err);
void fal_pickle_close(fal_pickle *p);

/* The value that the pickle makes. */
const fal_pickle_value *fal_pickle_root(const fal_pickle *p);

/* Walks the items of v: *cursor begins as v->first. False at the end. */
bool fal_pickle_next(const fal_pickle *p, int32_t *cursor, const fal_pickle_value **item);

/* Item i of v; NULL: there are not so many. */
const fal_pickle_value *fal_pickle_item(const fal_pickle *p, const fal_pickle_value *v, int i);

#endif
