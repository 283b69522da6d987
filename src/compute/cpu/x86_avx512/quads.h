/* Sixteen rows of weights, four to a vector: what products with few tokens are made of.
 *
 * A quarter of a vector, 128 bits, holds 16 columns of one row, as they lie in memory once unpacked. VPDPBUSD leaves four
 * sums per row, which are joined at the end of a block: unlike a panel (panel.h) nothing has to be turned beforehand and
 * nothing is stored, which pays where a block is used by few tokens. Vector e of four holds rows e, e + 4, e + 8, e + 12.
 * Everything here is meant to be inlined with constant arguments. */
#ifndef FAL_COMPUTE_CPU_X86_AVX512_QUADS_H
#define FAL_COMPUTE_CPU_X86_AVX512_QUADS_H

#include "compute/cpu/x86_avx512/panel.h"

enum {
    FAL_QUADS_ROWS = 16,
    FAL_QUADS_TOKENS = 4, /* at most */
    FAL_QUADS_AHEAD = 512 /* bytes of a row, between asking for weights and using them */
};

/* Where the block at hand of rows 0, 4, 8 and 12 begins, and how far it is from one row to the next: four addresses and
 * one stride reach all rows, which sixteen addresses do not leave registers for. */
typedef struct fal_quads {
    const uint8_t *at[4];
    size_t row_bytes;
} fal_quads;

FAL_PANEL_INLINE fal_quads quads_from(const fal_product *p, int64_t row) {
    fal_quads quads = {.row_bytes = p->w_row_bytes};
    for (int i = 0; i < 4; i++)
        quads.at[i] = (const uint8_t *)p->w + (size_t)(row + 4 * i) * p->w_row_bytes;
    return quads;
}

FAL_PANEL_INLINE void quads_step(fal_quads *quads, size_t block_bytes) {
    for (int i = 0; i < 4; i++)
        quads->at[i] += block_bytes;
}

FAL_PANEL_INLINE fal_panel_rows quads_rows(const fal_quads *quads) {
    fal_panel_rows rows;
    for (int i = 0; i < FAL_QUADS_ROWS; i++)
        rows.at[i] = quads->at[i / 4] + (size_t)(i % 4) * quads->row_bytes;
    return rows;
}

/* Sixteen bytes to each quarter. */
FAL_PANEL_INLINE __m512i quads_repeat(const void *bytes) {
    return _mm512_broadcast_i32x4(panel_load16(bytes));
}

/* Number `index` of four in each row, in the order of rows. */
FAL_PANEL_INLINE __m512i quads_pick(const __m512i v[4], int index) {
    __m512i a, b;
    if (index < 2) {
        a = _mm512_unpacklo_epi32(v[0], v[1]);
        b = _mm512_unpacklo_epi32(v[2], v[3]);
    } else {
        a = _mm512_unpackhi_epi32(v[0], v[1]);
        b = _mm512_unpackhi_epi32(v[2], v[3]);
    }
    return index % 2 == 0 ? _mm512_unpacklo_epi64(a, b) : _mm512_unpackhi_epi64(a, b);
}

/* The sum of the four numbers of each row, in the order of rows. */
FAL_PANEL_INLINE __m512i quads_join(const __m512i v[4]) {
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* For every block of 16 rows in turn: the first row. The last ones begin early enough to be whole, so some rows come
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

/* The same for block `index` of small ones: over eight of them all rows are asked for once, two in each. */
FAL_PANEL_INLINE const char *quads_prefetch_cycle(const char *ahead, const fal_product *p,
                                                  int64_t row, int64_t index, size_t block_bytes) {
    enum {
        CYCLE = 8
    };

    if (index % CYCLE == 0) ahead = quads_ahead(p, row, (size_t)index * block_bytes);
    return quads_prefetch(ahead, p->w_row_bytes, FAL_QUADS_ROWS / CYCLE, CYCLE * block_bytes);
}

#endif
