/* How panels ask for their weights ahead.
 *
 * A frame: a set includes it behind its panel.h, which says how many rows a panel has, FAL_PANEL_ROWS, and how far ahead,
 * FAL_PANEL_AHEAD. */
#ifndef FAL_COMPUTE_CPU_X86_FRAMES_PANEL_PREFETCH_H
#define FAL_COMPUTE_CPU_X86_FRAMES_PANEL_PREFETCH_H

/* Asks for what comes FAL_PANEL_AHEAD bytes behind [offset, offset + bytes) of the panel's rows; behind their end, the rows of
 * the next panel begin. */
FAL_PANEL_INLINE void panel_prefetch(const fal_product *p, int64_t row, size_t offset,
                                     size_t bytes) {
    const char *ahead =
        (const char *)p->w + (size_t)row * p->w_row_bytes + offset + FAL_PANEL_AHEAD;
    if (offset + FAL_PANEL_AHEAD >= p->w_row_bytes) {
        if (row + 2 * FAL_PANEL_ROWS > p->n_rows) return;
        ahead += (FAL_PANEL_ROWS - 1) * p->w_row_bytes;
    }
    for (int i = 0; i < FAL_PANEL_ROWS; i++, ahead += p->w_row_bytes) {
        for (size_t at = 0; at < bytes; at += 64)
            _mm_prefetch(ahead + at, _MM_HINT_T1);
    }
}

#endif
