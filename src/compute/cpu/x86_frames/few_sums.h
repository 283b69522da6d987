/* Sums of few tokens with types of 256 weights, and the scales of a block: what few_k.h is made of.
 *
 * A frame: a set includes it behind its few_vectors.h, which has the vectors that this is written in. */
#ifndef FAL_COMPUTE_CPU_X86_FRAMES_FEW_SUMS_H
#define FAL_COMPUTE_CPU_X86_FRAMES_FEW_SUMS_H

#include "compute/cpu/x86_frames/quads.h"
#include "quant/q8_k.h"

/* Bytes [offset, offset + 16) of the rows of vector e. */
FAL_PANEL_INLINE few_vector few_load(const fal_quads *quads, int e, size_t offset) {
    const uint8_t *at[FAL_QUADS];
    for (int i = 0; i < FAL_QUADS; i++)
        at[i] = quads->at[i] + (size_t)e * quads->row_bytes + offset;
    return few_gather(at);
}

enum {
    FEW_CHAINS = 2
};

/* The rows of a vector and a block, per token: sums of scale * code * x and of min * x, still four of each per row. The former
 * wait for each other less in two chains; where there are more than two tokens, these suffice. */
struct few_sums {
    const struct fal_q8_k *const *x;
    int n_tokens;
    few_vector codes[FEW_TOKENS][FEW_CHAINS], lows[FEW_TOKENS];
};

FAL_PANEL_INLINE struct few_sums few_sums_of(const struct fal_q8_k *const *x, int n_tokens) {
    struct few_sums sums = {.x = x, .n_tokens = n_tokens};
    for (int t = 0; t < n_tokens; t++)
        sums.codes[t][0] = sums.codes[t][1] = sums.lows[t] = few_zero();
    return sums;
}

/* The chain of token t's sums that the sub-block at `column` belongs to. */
FAL_PANEL_INLINE few_vector *few_chain(struct few_sums *sums, int t, int column) {
    return &sums->codes[t][sums->n_tokens > 2 ? 0 : column / 32 % FEW_CHAINS];
}

FAL_PANEL_INLINE few_vector few_codes(const struct few_sums *sums, int t) {
    if (sums->n_tokens > 2) return sums->codes[t][0];
    return few_add(sums->codes[t][0], sums->codes[t][1]);
}

/* Adds scale * code * x of n times 16 columns from `column` on. */
FAL_PANEL_INLINE void few_add_codes(struct few_sums *sums, int column, const few_vector *codes,
                                    int n, few_vector scale) {
    for (int t = 0; t < sums->n_tokens; t++) {
        few_vector *chain = few_chain(sums, t, column);
        *chain = few_add_scaled(*chain, codes, n, sums->x[t]->q + column, scale);
    }
}

/* Adds min * x of 128 columns, the first or second half of them; mins: one of 16 bits for each 16 columns. */
FAL_PANEL_INLINE void few_add_lows(struct few_sums *sums, int half, few_vector mins) {
    for (int t = 0; t < sums->n_tokens; t++)
        sums->lows[t] = few_add_words(sums->lows[t], mins, sums->x[t]->sums + 8 * half);
}

/* From d, dmin and the twelve bytes of k_scales.h: eight scales and eight minima, a byte each. */
FAL_PANEL_INLINE few_vector few_k_scales(few_vector head) {
    few_vector low = few_shuffle(head, few_four(0x07060504, 0x0f0e0d0c, 0x0b0a0908, 0x0f0e0d0c));
    low = few_and(few_right_each(low, few_four(0, 0, 0, 4)),
                  few_four(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const int none = (int)0x80808080u;
    few_vector high = few_shuffle(head, few_four(none, 0x07060504, none, 0x0b0a0908));
    return few_or(low, panel_masked(few_right(high, 2), 48));
}

/* Adds what the minima of q4_k and q5_k make, each of 32 columns; returns the scales. */
FAL_PANEL_INLINE few_vector few_add_k_minima(struct few_sums *sums, few_vector head) {
    few_vector scales = few_k_scales(head);
    for (int i = 0; i < 2; i++) {
        const int four = 0x00040004 * i;
        few_add_lows(
            sums, i,
            few_shuffle(scales, few_four((int)0x80088008u + four, (int)0x80098009u + four,
                                         (int)0x800a800au + four, (int)0x800b800bu + four)));
    }
    return scales;
}

#endif
