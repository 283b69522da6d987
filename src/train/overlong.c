/* Body of overlong.h. */
#include "train/overlong.h"

#include <string.h>

/* Whether a token begins within a character. */
static bool is_inside_character(const fal_tokenizer *t, int32_t id) {
    size_t length;
    const char *piece = fal_tokenizer_piece(t, id, &length);
    return piece && length > 0 && ((unsigned char)piece[0] & 0xc0) == 0x80;
}

/* Takes tokens [from, to) out, and more at both ends where halves of characters would be left; none before `least`. */
static void take_out(const fal_tokenizer *t, size_t least, size_t from, size_t to,
                     fal_tokens *tokens, uint8_t *parts) {
    while (from > least && is_inside_character(t, tokens->ids[from]))
        from--;
    while (to < tokens->count && is_inside_character(t, tokens->ids[to]))
        to++;
    size_t n_behind = tokens->count - to;
    memmove(tokens->ids + from, tokens->ids + to, n_behind * sizeof *tokens->ids);
    memmove(parts + from, parts + to, n_behind);
    if (n_behind > 0) parts[from] = FAL_LOSS_NONE;
    tokens->count = from + n_behind;
}

/* The first token behind the fixed bytes of the long part. */
static size_t behind_fixed(const fal_tokenizer *t, const fal_cut *cut, const fal_tokens *tokens) {
    size_t token = cut->begin;
    for (size_t n_bytes = 0; token < cut->end && n_bytes < cut->n_fixed; token++) {
        size_t length = 0;
        fal_tokenizer_piece(t, tokens->ids[token], &length);
        n_bytes += length;
    }
    return token;
}

static bool cut_middle(const fal_tokenizer *t, const fal_cut *cut, size_t n_excess,
                       fal_tokens *tokens, uint8_t *parts) {
    size_t begin = behind_fixed(t, cut, tokens), n = cut->end - begin;
    if (n <= n_excess) return false;
    size_t from = begin + (n - n_excess) / 2;
    take_out(t, begin, from, from + n_excess, tokens, parts);
    return true;
}

bool fal_overlong_fit(fal_overlong how, int length, const fal_tokenizer *tokenizer,
                      const fal_cut *cut, fal_tokens *tokens, uint8_t *parts) {
    if (tokens->count <= (size_t)length) return true;
    size_t n_excess = tokens->count - (size_t)length;
    if (how == FAL_OVERLONG_CUT) return true; /* the plan cuts */
    if (how == FAL_OVERLONG_MIDDLE) return cut_middle(tokenizer, cut, n_excess, tokens, parts);
    if (how != FAL_OVERLONG_LEFT) return false;
    take_out(tokenizer, 0, 0, n_excess, tokens, parts);
    return true;
}
