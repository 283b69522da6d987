/* Body of bpe_train.h: gathers texts into batches whose borders do not depend on threads, lets the threads count words in
 * tables of their own, and lays the result out as a vocabulary. */
#include "text/bpe_train.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "text/byte_map.h"
#include "text/pretokenize.h"
#include "text/quote.h"

#include <stdatomic.h>
#include <string.h>

enum {
    MAX_WORD_BYTES = 256,
    PART_BYTES = 1 << 18,  /* what a thread takes at once; longer texts are cut into parts */
    BATCH_BYTES = 1 << 25, /* gathered before words are counted */
    DEFAULT_MAX_WORDS = 1 << 23,
    DEFAULT_MIN_COUNT = 2
};

/* A text, or a part of one, in a batch. */
typedef struct part {
    size_t begin, length;
} part;

/* What one thread counts. */
typedef struct counting {
    fal_word_counts counts;
    uint64_t n_words;
    fal_status status;
    fal_error err;
} counting;

struct fal_bpe_trainer {
    fal_bpe_training how; /* defaults filled in */
    fal_pretokenizer *pretokenizer;
    fal_pool *pool;
    counting *countings; /* [threads of the pool] */

    char *batch;
    size_t batch_length, batch_capacity;
    part *parts;
    size_t n_parts, part_capacity;
    atomic_size_t next_part;

    fal_word_counts counts;
    fal_bpe_train_report report;
};

/* ---- opening ---- */

static fal_status check_control(const fal_bpe_training *how, size_t index, fal_error *err) {
    fal_slice text = fal_slice_of(how->controls[index]);
    uint32_t character;
    if (!fal_utf8_is_valid(text.data, text.length)
        || fal_utf8_decode(text.data, text.length, &character) == (int)text.length)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "control token '%s': a text of two characters or more is wanted",
                        fal_quote(text).text);
    for (size_t i = 0; i < index; i++) {
        if (fal_slice_equals(text, how->controls[i]))
            return fal_fail(err, FAL_E_ARGUMENT, "control token '%s' is given twice",
                            fal_quote(text).text);
    }
    return FAL_OK;
}

static fal_status open(fal_bpe_trainer *t, const fal_bpe_training *how, fal_error *err) {
    t->how = *how;
    if (!t->how.pretokenizer) t->how.pretokenizer = "falcon";
    if (t->how.min_count == 0) t->how.min_count = DEFAULT_MIN_COUNT;
    if (t->how.max_words == 0) t->how.max_words = DEFAULT_MAX_WORDS;
    size_t least = how->n_controls + FAL_BYTE_TOKENS;
    if (how->n_tokens < least || how->n_tokens > INT32_MAX)
        return fal_fail(
            err, FAL_E_ARGUMENT,
            "a vocabulary of %zu tokens, %zu (%d bytes and %zu control tokens) to %d are "
            "possible",
            how->n_tokens, least, (int)FAL_BYTE_TOKENS, how->n_controls, INT32_MAX);
    for (size_t i = 0; i < how->n_controls; i++)
        FAL_TRY(check_control(how, i, err));
    FAL_TRY(fal_pretokenizer_open(&t->pretokenizer, t->how.pretokenizer, err));
    FAL_TRY(fal_pool_open(&t->pool, how->n_threads, err));
    t->countings = fal_alloc((size_t)fal_pool_size(t->pool), sizeof *t->countings);
    return t->countings ? FAL_OK : fal_fail_memory(err, 0);
}

fal_status fal_bpe_trainer_open(fal_bpe_trainer **out, const fal_bpe_training *how,
                                fal_error *err) {
    *out = NULL;
    fal_bpe_trainer *t = fal_alloc(1, sizeof *t);
    if (!t) return fal_fail_memory(err, sizeof *t);
    fal_status status = open(t, how, err);
    if (status != FAL_OK) {
        fal_bpe_trainer_close(t);
        return status;
    }
    *out = t;
    return FAL_OK;
}

void fal_bpe_trainer_close(fal_bpe_trainer *t) {
    if (!t) return;
    for (int i = 0; t->countings && i < fal_pool_size(t->pool); i++)
        fal_word_counts_release(&t->countings[i].counts);
    fal_free(t->countings);
    fal_pool_close(t->pool);
    fal_pretokenizer_close(t->pretokenizer);
    fal_word_counts_release(&t->counts);
    fal_free(t->batch);
    fal_free(t->parts);
    fal_free(t);
}

/* ---- counting ---- */

static fal_status count_word(void *user, const char *bytes, size_t length, fal_error *err) {
    counting *c = user;
    c->n_words++;
    while (length > 0) {
        uint32_t n = length < MAX_WORD_BYTES ? (uint32_t)length : MAX_WORD_BYTES;
        FAL_TRY(fal_word_counts_add(&c->counts, bytes, n, 1, err));
        bytes += n;
        length -= n;
    }
    return FAL_OK;
}

static void count_parts(void *argument, int thread, int n_threads) {
    (void)n_threads;
    fal_bpe_trainer *t = argument;
    counting *c = &t->countings[thread];
    while (c->status == FAL_OK) {
        size_t i = atomic_fetch_add(&t->next_part, 1);
        if (i >= t->n_parts) break;
        c->status = fal_pretokenize(t->pretokenizer, t->batch + t->parts[i].begin,
                                    t->parts[i].length, count_word, c, &c->err);
    }
}

/* Counts the words of the batch, which is empty afterwards. */
static fal_status count_batch(fal_bpe_trainer *t, fal_error *err) {
    if (t->n_parts == 0) return FAL_OK;
    t->next_part = 0;
    fal_pool_run(t->pool, count_parts, t);
    t->n_parts = t->batch_length = 0;
    for (int i = 0; i < fal_pool_size(t->pool); i++) {
        counting *c = &t->countings[i];
        if (c->status != FAL_OK) return fal_fail(err, c->status, "%s", c->err.message);
        FAL_TRY(fal_word_counts_add_all(&t->counts, &c->counts, err));
        fal_word_counts_clear(&c->counts);
        t->report.n_words += c->n_words;
        c->n_words = 0;
    }
    if (t->counts.n_words > t->how.max_words)
        t->report.n_forgotten += fal_word_counts_forget_rare(&t->counts, t->how.max_words);
    return FAL_OK;
}

static bool is_graphic(char c) {
    return c > ' ' && c < 0x7f;
}

/* Where a text is cut so that no word is: behind a newline between two graphic characters of ASCII, which every rule
 * makes a word of its own. Where no such place comes up, any character will do. */
static size_t part_end(const char *text, size_t length) {
    if (length <= 2 * (size_t)PART_BYTES) return length;
    for (size_t i = PART_BYTES; i < 2 * (size_t)PART_BYTES; i++) {
        if (text[i - 1] == '\n' && is_graphic(text[i - 2]) && is_graphic(text[i])) return i;
    }
    return PART_BYTES - fal_utf8_incomplete_tail(text, PART_BYTES);
}

static fal_status add_part(fal_bpe_trainer *t, const char *text, size_t length, fal_error *err) {
    if (!fal_grow((void **)&t->batch, &t->batch_capacity, t->batch_length + length, 1)
        || !fal_grow((void **)&t->parts, &t->part_capacity, t->n_parts + 1, sizeof *t->parts))
        return fal_fail_memory(err, length);
    memcpy(t->batch + t->batch_length, text, length);
    t->parts[t->n_parts++] = (part){t->batch_length, length};
    t->batch_length += length;
    return t->batch_length >= BATCH_BYTES ? count_batch(t, err) : FAL_OK;
}

fal_status fal_bpe_trainer_add(fal_bpe_trainer *t, const char *text, size_t length,
                               fal_error *err) {
    t->report.n_bytes += length;
    while (length > 0) {
        size_t n = part_end(text, length);
        FAL_TRY(add_part(t, text, n, err));
        text += n;
        length -= n;
    }
    return FAL_OK;
}

/* ---- the vocabulary ---- */

/* Puts the control tokens and the bytes in. */
static fal_status begin_tokens(const fal_bpe_trainer *t, fal_bpe_merges *m,
                               int32_t byte_ids[FAL_BYTE_TOKENS], fal_error *err) {
    for (size_t i = 0; i < t->how.n_controls; i++)
        FAL_TRY(fal_bpe_merges_add_token(m, fal_slice_of(t->how.controls[i]), err));
    for (uint32_t character = 0; m->n_tokens < t->how.n_controls + FAL_BYTE_TOKENS; character++) {
        int byte = fal_character_byte(character);
        if (byte < 0) continue;
        char text[4];
        int length = fal_utf8_encode(character, text);
        byte_ids[byte] = (int32_t)m->n_tokens;
        FAL_TRY(fal_bpe_merges_add_token(m, (fal_slice){text, (size_t)length}, err));
    }
    return FAL_OK;
}

/* Copies a text behind the others; the slices point into memory of the right size from the start. */
static fal_slice lay_down(char **to, fal_bpe_token token) {
    memcpy(*to, token.text, token.length);
    fal_slice copy = {*to, token.length};
    *to += token.length;
    return copy;
}

static fal_slice lay_down_merge(char **to, const fal_bpe_merges *m, fal_bpe_merge merge) {
    fal_slice left = lay_down(to, m->tokens[merge.left]);
    *(*to)++ = ' ';
    fal_slice right = lay_down(to, m->tokens[merge.right]);
    return (fal_slice){left.data, left.length + 1 + right.length};
}

static fal_status lay_out(const fal_bpe_trainer *t, const fal_bpe_merges *m, fal_vocabulary *out,
                          fal_error *err) {
    size_t bytes = 0;
    for (size_t i = 0; i < m->n_tokens; i++)
        bytes += m->tokens[i].length;
    for (size_t i = 0; i < m->n_merges; i++)
        bytes += m->tokens[m->merges[i].left].length + 1 + m->tokens[m->merges[i].right].length;
    out->tokens = fal_alloc(m->n_tokens, sizeof *out->tokens);
    out->types = fal_alloc(m->n_tokens, sizeof *out->types);
    out->merges = fal_alloc(m->n_merges, sizeof *out->merges);
    out->text = fal_alloc(bytes, 1);
    if (!out->tokens || !out->types || !out->merges || !out->text)
        return fal_fail_memory(err, bytes);
    out->n_tokens = m->n_tokens;
    out->n_merges = m->n_merges;
    char *to = out->text;
    for (size_t i = 0; i < m->n_tokens; i++) {
        out->tokens[i] = lay_down(&to, m->tokens[i]);
        out->types[i] = i < t->how.n_controls ? FAL_TOKEN_CONTROL : FAL_TOKEN_NORMAL;
    }
    for (size_t i = 0; i < m->n_merges; i++)
        out->merges[i] = lay_down_merge(&to, m, m->merges[i]);
    out->bos = out->eos = out->eot = out->unknown = out->padding = -1;
    const char *name = fal_pretokenizer_name_of(fal_slice_of(t->how.pretokenizer));
    memcpy(out->pretokenizer, name, strlen(name) + 1);
    return FAL_OK;
}

fal_status fal_bpe_trainer_finish(fal_bpe_trainer *t, fal_on_merge *on_merge, void *user,
                                  fal_vocabulary *out, fal_bpe_train_report *report,
                                  fal_error *err) {
    *out = (fal_vocabulary){0};
    fal_bpe_merges m = {0};
    int32_t byte_ids[FAL_BYTE_TOKENS];
    fal_status status = count_batch(t, err);
    if (status == FAL_OK) status = begin_tokens(t, &m, byte_ids, err);
    if (status == FAL_OK)
        status = fal_bpe_merges_find(&m, &t->counts, byte_ids, t->how.n_controls, t->how.n_tokens,
                                     t->how.min_count, on_merge, user, &t->report.n_tokens, err);
    if (status == FAL_OK) status = lay_out(t, &m, out, err);
    fal_bpe_merges_release(&m);
    t->report.n_distinct = t->counts.n_words;
    if (report) *report = t->report;
    if (status != FAL_OK) fal_vocabulary_release(out);
    return status;
}
