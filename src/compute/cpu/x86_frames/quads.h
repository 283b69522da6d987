/* Rows of weights in fours: how products of few tokens go through them, and ask for them ahead.
 *
 * A frame: a set includes it behind its panel.h, which says how many rows it takes at once, FAL_QUADS_ROWS. */
#ifndef FAL_COMPUTE_CPU_X86_FRAMES_QUADS_H
#define FAL_COMPUTE_CPU_X86_FRAMES_QUADS_H

enum {
    FAL_QUADS = FAL_QUADS_ROWS / 4,
    FAL_QUADS_AHEAD = 512 /* bytes of a row, between asking for weights and using them */
};

/* Where the block at hand of rows 0, 4, ... begins, and how far it is from one row to the next: few addresses and one stride
 * reach all rows, where an address for each would not leave registers for anything else. */
typedef struct fal_quads {
    const uint8_t *at[FAL_QUADS];
    size_t row_bytes;
} fal_quads;

FAL_PANEL_INLINE fal_quads quads_from(const fal_product *p, int64_t row) {
    fal_quads quads = {.row_bytes = p->w_row_bytes};
    for (int i = 0; i < FAL_QUADS; i++)
        quads.at[i] = (const uint8_t *)p->w + (size_t)(row + 4 * i) * p->w_row_bytes;
    return quads;
}

FAL_PANEL_INLINE void quads_step(fal_quads *quads, size_t block_bytes) {
    for (int i = 0; i < FAL_QUADS; i++)
        quads->at[i] += block_bytes;
}

FAL_PANEL_INLINE fal_panel_rows quads_rows(const fal_quads *quads) {
    fal_panel_rows rows;
    for (int i = 0; i < FAL_QUADS_ROWS; i++)
        rows.at[i] = quads->at[i / 4] + (size_t)(i % 4) * quads->row_bytes;
    return rows;
}

/* For every block of FAL_QUADS_ROWS rows in turn: the first row. The last ones begin early enough to be whole, so some rows come
 * twice, with the same result. */
FAL_PANEL_INLINE int64_t quads_first_row(const fal_product *p, int64_t row) {
    return row + FAL_QUADS_ROWS <= p->n_rows ? row : p->n_rows - FAL_QUADS_ROWS;
}

/* What to ask for while the block at `offset` is used: FAL_QUADS_AHEAD further in the same row; behind its end, in the
 * row 16 below. Row i's lies i * row_bytes from here. */
FAL_PANEL_INLINE const char *quads_ahead(const fal_product *p, int64_t row, size_t offset) {
    const char *at = (const char *)p->w + (size_t)row * p->w_row_bytes + offset;
    if (offset + FAL_QUADS_AHEAD < p->w_row_bytes) return at + FAL_QUADS_AHEAD;
    if (row + 2 * FAL_QUADS_ROWS > p->n_rows) return at;
    return at + FAL_QUADS_AHEAD + (FAL_QUADS_ROWS - 1) * p->w_row_bytes;
}

/* Asks for n_bytes of the next n rows; returns where those of the row after them begin. */
FAL_PANEL_INLINE const char *quads_prefetch(const char *ahead, size_t row_bytes, int n,
                                            size_t n_bytes) {
    for (int row = 0; row < n; row++, ahead += row_bytes) {
        for (size_t i = 0; i < n_bytes; i += 64)
            _mm_prefetch(ahead + i, _MM_HINT_T1);
    }
    return ahead;
}

/* The same for block `index` of small ones: over eight of them all rows are asked for once, some in each. */
FAL_PANEL_INLINE const char *quads_prefetch_cycle(const char *ahead, const fal_product *p,
                                                  int64_t row, int64_t index, size_t block_bytes) {
    enum {
        CYCLE = 8
    };

    if (index % CYCLE == 0) ahead = quads_ahead(p, row, (size_t)index * block_bytes);
    return quads_prefetch(ahead, p->w_row_bytes, FAL_QUADS_ROWS / CYCLE, CYCLE * block_bytes);
}

#endif
