/* Body of <falconer/tokenizer.h>, the part from text to ids and back, and of fal_tokenizer_from_vocabulary: checks a
 * vocabulary, cuts control tokens out of text, and leaves the rest to the pretokenizer and to byte-pair merging. */
#include <falconer/tokenizer.h>

#include "base/alloc.h"
#include "base/string_map.h"
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/byte_map.h"
#include "text/pretokenize.h"
#include "text/quote.h"
#include "text/specials.h"
#include "text/token_trie.h"
#include "text/vocabulary.h"

#include <stdatomic.h>
#include <string.h>

struct fal_tokenizer {
    fal_vocabulary vocabulary;
    fal_string_map *ids;
    fal_slice *pieces; /* [n_tokens] in bytes */
    char *piece_text;
    fal_specials_list controls, added;
    fal_pretokenizer *pretokenizer;
    fal_bpe *bpe;
    _Atomic(fal_token_trie *) trie; /* NULL until somebody asks for it */
};

/* Tokens that are control tokens by name: converters wrote some of them as ordinary ones. */
static const char *const known_controls[] = {
    ">>TITLE<<",     ">>ABSTRACT<<",  ">>INTRODUCTION<<", ">>SUMMARY<<",  ">>COMMENT<<",
    ">>ANSWER<<",    ">>QUESTION<<",  ">>DOMAIN<<",       ">>PREFIX<<",   ">>SUFFIX<<",
    ">>MIDDLE<<",    "<|endoftext|>", "<start_system>",   "<start_user>", "<start_assistant>",
    "<end_message>", "<|im_start|>",  "<|im_end|>",       "<|system|>",   "<|user|>",
    "<|assistant|>", "<|end|>",       "<fim_prefix>",     "<fim_middle>", "<fim_suffix>",
    "<fim_pad>",
};

/* Control tokens at which an answer ends, whatever the file calls its eos. */
static const char *const end_names[] = {"<|endoftext|>", "<end_message>", "<|end|>", "<|im_end|>"};

/* ---- token lists ---- */

fal_status fal_tokens_append(fal_tokens *tokens, const int32_t *ids, size_t count, fal_error *err) {
    size_t needed;
    if (!fal_add_size(tokens->count, count, &needed)
        || !fal_grow((void **)&tokens->ids, &tokens->capacity, needed, sizeof *tokens->ids))
        return fal_fail_memory(err, count * sizeof *ids);
    if (count) memcpy(tokens->ids + tokens->count, ids, count * sizeof *ids);
    tokens->count = needed;
    return FAL_OK;
}

void fal_tokens_release(fal_tokens *tokens) {
    if (!tokens) return;
    fal_free(tokens->ids);
    *tokens = (fal_tokens){0};
}

/* ---- checks ---- */

static fal_status check_id(const fal_vocabulary *v, const char *what, int32_t id, fal_error *err) {
    if (id >= -1 && (id < 0 || (size_t)id < v->n_tokens)) return FAL_OK;
    return fal_fail(err, FAL_E_FORMAT, "%s token id %d is not below the vocabulary's %zu", what, id,
                    v->n_tokens);
}

static fal_status check_ids(const fal_vocabulary *v, fal_error *err) {
    FAL_TRY(check_id(v, "bos", v->bos, err));
    FAL_TRY(check_id(v, "eos", v->eos, err));
    FAL_TRY(check_id(v, "eot", v->eot, err));
    FAL_TRY(check_id(v, "unknown", v->unknown, err));
    FAL_TRY(check_id(v, "padding", v->padding, err));
    if (v->add_bos && v->bos < 0)
        return fal_fail(err, FAL_E_FORMAT, "a bos token is to be added, but none is named");
    return FAL_OK;
}

static fal_status index_tokens(fal_tokenizer *t, const fal_vocabulary *v, fal_error *err) {
    if (v->n_tokens == 0) return fal_fail(err, FAL_E_FORMAT, "the vocabulary has no tokens");
    if (v->n_tokens > INT32_MAX)
        return fal_fail(err, FAL_E_FORMAT, "%zu tokens, at most %d", v->n_tokens, INT32_MAX);
    t->ids = fal_string_map_open(v->n_tokens);
    if (!t->ids) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->tokens[i].length == 0) return fal_fail(err, FAL_E_FORMAT, "token %zu is empty", i);
        if (v->types[i] < FAL_TOKEN_NORMAL || v->types[i] > FAL_TOKEN_BYTE)
            return fal_fail(err, FAL_E_FORMAT, "token %zu has type %d, 1 to 6 are known", i,
                            v->types[i]);
        bool inserted;
        FAL_TRY(fal_string_map_add(t->ids, v->tokens[i], (int32_t)i, &inserted, err));
        if (!inserted) {
            return fal_fail(err, FAL_E_FORMAT, "token %zu '%s' is token %d already", i,
                            fal_quote(v->tokens[i]).text,
                            fal_string_map_find(t->ids, v->tokens[i]));
        }
    }
    return FAL_OK;
}

/* A token that ends or begins texts must not come out of what a person typed. One that files mark as an ordinary word is
 * believed unless it looks like a control token: some configs name ids of words by mistake. */
static void mark_special_id(fal_vocabulary *v, int32_t id) {
    if (id < 0) return;
    fal_slice text = v->tokens[id];
    bool looks_special =
        text.length > 2 && text.data[0] == '<' && text.data[text.length - 1] == '>';
    if (v->types[id] == FAL_TOKEN_USER_DEFINED || looks_special) v->types[id] = FAL_TOKEN_CONTROL;
}

static void mark_known_controls(const fal_tokenizer *t, fal_vocabulary *v) {
    const int32_t special[] = {v->bos, v->eos, v->eot, v->padding};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        mark_special_id(v, special[i]);
    }
    for (size_t i = 0; i < sizeof known_controls / sizeof known_controls[0]; i++) {
        int32_t id = fal_string_map_find(t->ids, fal_slice_of(known_controls[i]));
        if (id >= 0) v->types[id] = FAL_TOKEN_CONTROL;
    }
}

/* ---- pieces ---- */

/* The bytes of an ordinary token; 0 if a character stands for no byte, in which case the token is meant literally. */
static size_t map_back(fal_slice token, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < token.length;) {
        uint32_t character;
        int length = fal_utf8_decode(token.data + i, token.length - i, &character);
        int byte = length == 0 ? -1 : fal_character_byte(character);
        if (byte < 0) return 0;
        out[n++] = (char)byte;
        i += (size_t)length;
    }
    return n;
}

static fal_status make_pieces(fal_tokenizer *t, const fal_vocabulary *v, fal_error *err) {
    size_t bytes = 0;
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (!fal_add_size(bytes, v->tokens[i].length, &bytes)) return fal_fail_memory(err, 0);
    }
    t->pieces = fal_alloc(v->n_tokens, sizeof *t->pieces);
    t->piece_text = fal_alloc(bytes, 1);
    if (!t->pieces || !t->piece_text) return fal_fail_memory(err, bytes);
    char *to = t->piece_text;
    for (size_t i = 0; i < v->n_tokens; i++) {
        fal_slice token = v->tokens[i];
        bool mapped = v->types[i] == FAL_TOKEN_NORMAL || v->types[i] == FAL_TOKEN_BYTE;
        size_t length = mapped ? map_back(token, to) : 0;
        if (length == 0) {
            length = token.length;
            memcpy(to, token.data, length);
        }
        t->pieces[i] = (fal_slice){to, length};
        to += length;
    }
    return FAL_OK;
}

/* ---- opening ---- */

static fal_status build(fal_tokenizer *t, fal_vocabulary *v, fal_error *err) {
    if (!memchr(v->pretokenizer, '\0', sizeof v->pretokenizer))
        return fal_fail(err, FAL_E_FORMAT, "the pretokenizer's name is not terminated");
    FAL_TRY(fal_pretokenizer_open(&t->pretokenizer, v->pretokenizer, err));
    FAL_TRY(index_tokens(t, v, err));
    FAL_TRY(check_ids(v, err));
    mark_known_controls(t, v);
    FAL_TRY(fal_bpe_open(&t->bpe, v, t->ids, err));
    return make_pieces(t, v, err);
}

fal_status fal_tokenizer_from_vocabulary(fal_tokenizer **out, fal_vocabulary *take_v,
                                         fal_error *err) {
    *out = NULL;
    fal_tokenizer *t = fal_alloc(1, sizeof *t);
    if (!t) return fal_fail_memory(err, sizeof *t);
    fal_status status = build(t, take_v, err);
    if (status == FAL_OK)
        status = fal_specials_collect(&t->controls, take_v, FAL_TOKEN_CONTROL, err);
    if (status == FAL_OK)
        status = fal_specials_collect(&t->added, take_v, FAL_TOKEN_USER_DEFINED, err);
    if (status != FAL_OK) {
        fal_tokenizer_close(t);
        return status;
    }
    t->vocabulary = *take_v;
    t->controls.vocabulary = t->added.vocabulary = &t->vocabulary;
    *take_v = (fal_vocabulary){0};
    *out = t;
    return FAL_OK;
}

fal_status fal_tokenizer_open(fal_tokenizer **out, const fal_gguf *f, fal_error *err) {
    *out = NULL;
    fal_vocabulary v = {0};
    fal_status status = fal_vocabulary_from_gguf(&v, f, err);
    if (status != FAL_OK) return status;
    status = fal_tokenizer_from_vocabulary(out, &v, err);
    fal_vocabulary_release(&v);
    return fal_add_context(err, status, "'%s'", fal_gguf_path(f));
}

void fal_tokenizer_close(fal_tokenizer *t) {
    if (!t) return;
    fal_token_trie_close(atomic_load(&t->trie));
    fal_bpe_close(t->bpe);
    fal_pretokenizer_close(t->pretokenizer);
    fal_specials_release(&t->added);
    fal_specials_release(&t->controls);
    fal_free(t->piece_text);
    fal_free(t->pieces);
    fal_string_map_close(t->ids);
    fal_vocabulary_release(&t->vocabulary);
    fal_free(t);
}

/* ---- encoding ---- */

typedef struct encoding {
    const fal_tokenizer *tokenizer;
    fal_bpe_scratch scratch;
    fal_tokens *out;
    size_t n_dropped;
} encoding;

static fal_status encode_piece(void *user, const char *bytes, size_t length, fal_error *err) {
    encoding *e = user;
    return fal_bpe_encode(e->tokenizer->bpe, &e->scratch, bytes, length, e->out, &e->n_dropped,
                          err);
}

static fal_status encode_words(encoding *e, const char *text, size_t length, fal_error *err) {
    return fal_pretokenize(e->tokenizer->pretokenizer, text, length, encode_piece, e, err);
}

typedef fal_status encode_between(encoding *e, const char *text, size_t length, fal_error *err);

/* Cuts the tokens of list out of text, and has what lies between them encoded. */
static fal_status encode_around(encoding *e, const fal_specials_list *list, const char *text,
                                size_t length, encode_between *between, fal_error *err) {
    size_t done = 0, begin;
    int32_t id;
    while (fal_specials_find(list, text + done, length - done, &begin, &id)) {
        FAL_TRY(between(e, text + done, begin, err));
        FAL_TRY(fal_tokens_append(e->out, &id, 1, err));
        done += begin + list->vocabulary->tokens[id].length;
    }
    return between(e, text + done, length - done, err);
}

/* Added tokens are always recognised, after the control tokens, as in the original. */
static fal_status encode_text(encoding *e, const char *text, size_t length, fal_error *err) {
    return encode_around(e, &e->tokenizer->added, text, length, encode_words, err);
}

fal_status fal_tokenizer_encode(const fal_tokenizer *t, const char *text, size_t length,
                                fal_specials specials, fal_tokens *out, size_t *n_dropped,
                                fal_error *err) {
    encoding e = {.tokenizer = t, .out = out};
    size_t n_before = out->count;
    fal_status status = specials == FAL_SPECIALS_RECOGNISED
                            ? encode_around(&e, &t->controls, text, length, encode_text, err)
                            : encode_text(&e, text, length, err);
    fal_bpe_scratch_release(&e.scratch);
    if (status != FAL_OK) out->count = n_before;
    if (n_dropped) *n_dropped = e.n_dropped;
    return status;
}

/* ---- questions ---- */

static bool is_id(const fal_tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->vocabulary.n_tokens;
}

const char *fal_tokenizer_piece(const fal_tokenizer *t, int32_t id, size_t *length) {
    if (!is_id(t, id)) {
        *length = 0;
        return NULL;
    }
    *length = t->pieces[id].length;
    return t->pieces[id].data;
}

bool fal_tokenizer_is_control(const fal_tokenizer *t, int32_t id) {
    if (!is_id(t, id)) return false;
    return t->vocabulary.types[id] == FAL_TOKEN_CONTROL
           || t->vocabulary.types[id] == FAL_TOKEN_UNKNOWN;
}

bool fal_tokenizer_is_end(const fal_tokenizer *t, int32_t id) {
    if (!is_id(t, id)) return false;
    if (id == t->vocabulary.eos || id == t->vocabulary.eot) return true;
    for (size_t i = 0; i < sizeof end_names / sizeof end_names[0]; i++) {
        if (fal_slice_equals(t->vocabulary.tokens[id], end_names[i])) return true;
    }
    return false;
}

int32_t fal_tokenizer_control_id(const fal_tokenizer *t, const char *text) {
    int32_t id = fal_string_map_find(t->ids, fal_slice_of(text));
    return fal_tokenizer_is_control(t, id) ? id : -1;
}

int32_t fal_tokenizer_n_vocab(const fal_tokenizer *t) {
    return (int32_t)t->vocabulary.n_tokens;
}

int32_t fal_tokenizer_bos(const fal_tokenizer *t) {
    return t->vocabulary.bos;
}

int32_t fal_tokenizer_eos(const fal_tokenizer *t) {
    return t->vocabulary.eos;
}

bool fal_tokenizer_adds_bos(const fal_tokenizer *t) {
    return t->vocabulary.add_bos;
}

const char *fal_tokenizer_pretokenizer(const fal_tokenizer *t) {
    return t->vocabulary.pretokenizer;
}

const fal_vocabulary *fal_tokenizer_vocabulary(const fal_tokenizer *t) {
    return &t->vocabulary;
}

/* Whoever is second throws his own away. */
fal_status fal_tokenizer_trie(const fal_tokenizer *t, const fal_token_trie **out, fal_error *err) {
    /* The one thing of an immutable tokenizer that comes later; it is never seen half made. */
    _Atomic(fal_token_trie *) *kept = (_Atomic(fal_token_trie *) *)(uintptr_t)&t->trie;
    fal_token_trie *own = NULL, *expected = NULL;
    *out = atomic_load(kept);
    if (*out) return FAL_OK;
    FAL_TRY(fal_token_trie_open(&own, t, err));
    if (atomic_compare_exchange_strong(kept, &expected, own)) {
        *out = own;
    } else {
        fal_token_trie_close(own);
        *out = expected;
    }
    return FAL_OK;
}
