/* Body of saved_timeline.h. Head and whole have a digest each: the head alone tells whether a file is of use. */
#include "runtime/saved_timeline.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <string.h>

static const char magic[8] = "FALSAVED";

enum {
    VERSION = 1,
    HAS_LOGITS = 1,    /* bit of the flags */
    FACTS_BYTES = 256, /* magic to context words */
    DIGEST_BYTES = FAL_SHA256_HEX - 1
};

/* ---- writing ---- */

static void put_u32(uint8_t **at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        *(*at)++ = (uint8_t)(value >> 8 * i);
}

static void put_u64(uint8_t **at, uint64_t value) {
    put_u32(at, (uint32_t)value);
    put_u32(at, (uint32_t)(value >> 32));
}

static void put_bytes(uint8_t **at, const void *data, size_t n) {
    memcpy(*at, data, n);
    *at += n;
}

/* The text and zeros up to n bytes. */
static void put_text(uint8_t **at, const char *text, size_t n) {
    memset(*at, 0, n);
    memcpy(*at, text, strnlen(text, n));
    *at += n;
}

static fal_status write_bytes(fal_timeline_writer *w, const void *data, size_t bytes,
                              fal_error *err) {
    fal_sha256_add(&w->sum, data, bytes);
    return fal_output_write(w->output, data, bytes, err);
}

/* The digest of all that was written so far; it is itself part of what a later one covers. */
static fal_status write_digest(fal_timeline_writer *w, fal_error *err) {
    char hex[FAL_SHA256_HEX];
    fal_sha256 sum = w->sum;
    fal_sha256_end(&sum, hex);
    return write_bytes(w, hex, DIGEST_BYTES, err);
}

fal_status fal_timeline_write_head(fal_timeline_writer *w, const fal_timeline_facts *facts,
                                   const fal_saved_timeline *t, fal_error *err) {
    uint8_t head[FACTS_BYTES], *at = head;
    w->sum = fal_sha256_begin();
    put_bytes(&at, magic, sizeof magic);
    put_u32(&at, VERSION);
    put_u32(&at, t->logits ? HAS_LOGITS : 0);
    put_u64(&at, t->n_tokens);
    put_u32(&at, facts->n_layers);
    put_u32(&at, facts->n_vocab);
    put_u64(&at, facts->cell_bytes);
    put_text(&at, facts->kv_type, FAL_KV_TYPE_SIZE);
    put_bytes(&at, facts->model, DIGEST_BYTES);
    put_text(&at, facts->context, FAL_CONTEXT_WORDS_SIZE);
    FAL_TRY(write_bytes(w, head, sizeof head, err));
    FAL_TRY(write_bytes(w, t->tokens, (size_t)t->n_tokens * sizeof(int32_t), err));
    FAL_TRY(write_digest(w, err));
    if (!t->logits) return FAL_OK;
    return write_bytes(w, t->logits, facts->n_vocab * sizeof(float), err);
}

fal_status fal_timeline_write_cells(fal_timeline_writer *w, const void *cells, size_t bytes,
                                    fal_error *err) {
    return write_bytes(w, cells, bytes, err);
}

fal_status fal_timeline_write_end(fal_timeline_writer *w, fal_error *err) {
    return write_digest(w, err);
}

/* ---- reading ---- */

/* Whether the digest at data + at is that of the bytes before it. */
static bool has_digest(const uint8_t *data, size_t at) {
    char hex[FAL_SHA256_HEX];
    fal_sha256 sum = fal_sha256_begin();
    fal_sha256_add(&sum, data, at);
    fal_sha256_end(&sum, hex);
    return memcmp(hex, data + at, DIGEST_BYTES) == 0;
}

/* A text field's text into out [size]; what is no text is foreign all the same. */
static void copy_text(char *out, size_t size, fal_slice field) {
    size_t n = strnlen(field.data, field.length);
    if (n > size - 1) n = size - 1;
    memcpy(out, field.data, n);
    out[n] = '\0';
}

static fal_status check_facts(const fal_timeline_facts *found, const fal_timeline_facts *here,
                              fal_error *err) {
    if (strcmp(found->model, here->model) != 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "it was computed by another model (digest %.12s, this one's is %.12s)",
                        found->model, here->model);
    if (strcmp(found->context, here->context) != 0)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "its context method is '%s', the model's in force is '%s'", found->context,
                        here->context);
    if (strcmp(found->kv_type, here->kv_type) != 0)
        return fal_fail(err, FAL_E_ARGUMENT, "its cells are %s, the session's are %s",
                        found->kv_type, here->kv_type);
    if (found->n_layers != here->n_layers || found->n_vocab != here->n_vocab
        || found->cell_bytes != here->cell_bytes)
        return fal_fail(err, FAL_E_FORMAT,
                        "%" PRIu32 " layers of %" PRIu64 " bytes per cell, the model has %" PRIu32
                        " of %" PRIu64,
                        found->n_layers, found->cell_bytes, here->n_layers, here->cell_bytes);
    return FAL_OK;
}

static fal_status check_tokens(const fal_saved_timeline *t, uint32_t n_vocab, fal_error *err) {
    fal_reader r = fal_reader_open(t->tokens, (size_t)t->n_tokens * sizeof(int32_t));
    for (uint64_t i = 0; i < t->n_tokens; i++) {
        uint32_t id = fal_read_u32(&r);
        if (id >= n_vocab)
            return fal_fail(err, FAL_E_FORMAT,
                            "token %" PRIu64 " is %" PRId32 ", between 0 and %" PRIu32
                            " is possible",
                            i, (int32_t)id, n_vocab - 1);
    }
    return FAL_OK;
}

/* Numbers and texts of the head; damage is found before anything is believed. */
static fal_status read_facts(fal_reader *r, fal_timeline_facts *found, uint64_t *n_tokens,
                             uint32_t *flags, fal_error *err) {
    fal_slice mark = fal_read_slice(r, sizeof magic);
    if (r->failed || memcmp(mark.data, magic, sizeof magic) != 0)
        return fal_fail(err, FAL_E_FORMAT, "this is no saved timeline");
    uint32_t version = fal_read_u32(r);
    if (!r->failed && version != VERSION)
        return fal_fail(err, FAL_E_UNSUPPORTED, "version %" PRIu32 ", only %d is known", version,
                        VERSION);
    *flags = fal_read_u32(r);
    *n_tokens = fal_read_u64(r);
    found->n_layers = fal_read_u32(r);
    found->n_vocab = fal_read_u32(r);
    found->cell_bytes = fal_read_u64(r);
    fal_slice kv_type = fal_read_slice(r, FAL_KV_TYPE_SIZE);
    fal_slice model = fal_read_slice(r, DIGEST_BYTES);
    fal_slice context = fal_read_slice(r, FAL_CONTEXT_WORDS_SIZE);
    size_t left = fal_reader_remaining(r);
    if (r->failed || left < DIGEST_BYTES || *n_tokens > (left - DIGEST_BYTES) / sizeof(int32_t))
        return fal_fail(err, FAL_E_FORMAT, "it is cut or damaged: its head exceeds %zu bytes",
                        r->length);
    if (!has_digest(r->data, r->position + (size_t)*n_tokens * sizeof(int32_t)))
        return fal_fail(err, FAL_E_FORMAT, "it is damaged: the digest of its head differs");
    copy_text(found->kv_type, sizeof found->kv_type, kv_type);
    copy_text(found->model, sizeof found->model, model);
    copy_text(found->context, sizeof found->context, context);
    return FAL_OK;
}

fal_status fal_saved_timeline_read_head(fal_saved_timeline *out, const void *data, size_t length,
                                        const fal_timeline_facts *here, fal_error *err) {
    fal_reader r = fal_reader_open(data, length);
    fal_timeline_facts found;
    uint32_t flags = 0;
    *out = (fal_saved_timeline){0};
    FAL_TRY(read_facts(&r, &found, &out->n_tokens, &flags, err));
    FAL_TRY(check_facts(&found, here, err));
    out->tokens = fal_read_slice(&r, out->n_tokens * sizeof(int32_t)).data;
    FAL_TRY(check_tokens(out, here->n_vocab, err));
    fal_read_slice(&r, DIGEST_BYTES);
    if (flags & HAS_LOGITS)
        out->logits = fal_read_slice(&r, (uint64_t)here->n_vocab * sizeof(float)).data;
    /* What a model can have keeps these products small: n_tokens is bounded by the file's length. */
    uint64_t per_token = 2 * (uint64_t)here->n_layers * here->cell_bytes, left;
    left = fal_reader_remaining(&r);
    if (r.failed || left < DIGEST_BYTES
        || (per_token > 0 && out->n_tokens > (left - DIGEST_BYTES) / per_token)
        || left - DIGEST_BYTES != out->n_tokens * per_token)
        return fal_fail(err, FAL_E_FORMAT,
                        "it is cut or damaged: %zu bytes do not hold %" PRIu64 " tokens", length,
                        out->n_tokens);
    out->cells = fal_read_slice(&r, left - DIGEST_BYTES).data;
    return FAL_OK;
}

fal_status fal_saved_timeline_read(fal_saved_timeline *out, const void *data, size_t length,
                                   const fal_timeline_facts *here, fal_error *err) {
    FAL_TRY(fal_saved_timeline_read_head(out, data, length, here, err));
    if (!has_digest(data, length - DIGEST_BYTES))
        return fal_fail(err, FAL_E_FORMAT, "it is damaged: the digest of its cells differs");
    return FAL_OK;
}
