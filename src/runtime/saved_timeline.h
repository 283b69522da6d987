/* The file form of a timeline with its cells, docs/formats/saved-timeline.md: written through an output, read from bytes
 * in bounds. Knows no session. */
#ifndef FAL_RUNTIME_SAVED_TIMELINE_H
#define FAL_RUNTIME_SAVED_TIMELINE_H

#include "base/file.h"
#include "model/identity.h"

enum {
    FAL_KV_TYPE_SIZE = 16
};

/* What a timeline was computed by. Only where all of it is the same can it be gone on with. */
typedef struct fal_timeline_facts {
    char model[FAL_SHA256_HEX]; /* fal_model_identity */
    char context[FAL_CONTEXT_WORDS_SIZE];
    char kv_type[FAL_KV_TYPE_SIZE];
    uint32_t n_layers, n_vocab;
    uint64_t cell_bytes; /* of the keys of one token in one layer, and of its values */
} fal_timeline_facts;

/* A timeline in memory: views, nothing is owned. */
typedef struct fal_saved_timeline {
    uint64_t n_tokens;
    const char *tokens; /* i32 [n_tokens], little-endian, at any address */
    const char *logits; /* f32 [n_vocab] after the last token; NULL: none */
    const char *cells;  /* [n_layers], each its keys [n_tokens, cell_bytes] and then its values */
} fal_saved_timeline;

/* Reads what stands before the cells: tokens, and whether the timeline is one of `here`; the cells are not looked at.
 * Fails: FORMAT (none, cut, damaged), UNSUPPORTED (a later version), ARGUMENT (of another model, context method or kv
 * type, naming both). */
fal_status fal_saved_timeline_read_head(fal_saved_timeline *out, const void *data, size_t length,
                                        const fal_timeline_facts *here, fal_error *err);

/* As fal_saved_timeline_read_head, and every byte is as it was written. */
fal_status fal_saved_timeline_read(fal_saved_timeline *out, const void *data, size_t length,
                                   const fal_timeline_facts *here, fal_error *err);

/* A file under way: the output, and the digest of what was written. Only output is given. */
typedef struct fal_timeline_writer {
    fal_output *output;
    fal_sha256 sum;
} fal_timeline_writer;

/* All that stands before the cells; t->cells is not used. Fails: IO, as do the others. */
fal_status fal_timeline_write_head(fal_timeline_writer *w, const fal_timeline_facts *facts,
                                   const fal_saved_timeline *t, fal_error *err);
/* The next of the cells, in the order of fal_saved_timeline. */
fal_status fal_timeline_write_cells(fal_timeline_writer *w, const void *cells, size_t bytes,
                                    fal_error *err);
/* The digest behind all cells. */
fal_status fal_timeline_write_end(fal_timeline_writer *w, fal_error *err);

#endif
