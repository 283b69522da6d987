/* Body of scan.h: tensors are cut into pieces of whole blocks, which threads take. */
#include "publish/scan.h"

#include "base/thread.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"
#include "quant/type.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    PIECE_BYTES = 1 << 16,
    SLICE_BYTES = 1 << 26, /* between two reports of progress */
    NONE = -1
};

/* Where a block keeps its f16 scales. A type without a row is decoded and its weights are looked at. */
static const struct {
    const char *type;
    int second; /* NONE: there is one scale */
    int first;
} scales[] = {
    {"q4_0",                    NONE,                          offsetof(struct fal_q4_0,d)},
    {"q4_1",                         offsetof(struct fal_q4_1,                                                 m),offsetof(struct fal_q4_1, d)},
    {"q5_0", NONE,                            offsetof(struct fal_q5_0,                            d)},
    {"q5_1",                     offsetof(struct fal_q5_1,m),offsetof(struct fal_q5_1, d)},
    {"q8_0",                    NONE,     offsetof(struct fal_q8_0,d)},
    {"q2_k",                       offsetof(struct fal_q2_k,                                                    dmin),offsetof(struct fal_q2_k, d)},
    {"q3_k", NONE,                        offsetof(struct fal_q3_k,                    d)},
    {"q4_k",offsetof(struct fal_q4_k,dmin),offsetof(struct fal_q4_k, d)},
    {"q5_k",                         offsetof(struct fal_q5_k,                                                 dmin),offsetof(struct fal_q5_k, d)},
    {"q6_k",                       NONE,                                                    offsetof(struct fal_q6_k,d)},
    {"iq4_nl",                    NONE,                                                                          offsetof(struct fal_iq4_nl,                                                                                                                        d)},
    {"iq4_xs",                    NONE, offsetof(struct fal_iq4_xs,d)},
    {"f16",                       NONE,                                                    0},
};

/* A tensor while threads look at it. */
typedef struct scan {
    const char *data;
    const fal_type *type;
    int first, second; /* offsets of scales; first NONE: decode */
    int64_t n_blocks, blocks_per_piece;
    int64_t begin; /* the first piece of the slice at hand */
    _Atomic int64_t n_not_finite, first_bad;
    _Atomic uint64_t zero_bytes;
} scan;

static int64_t bad_halves(const scan *s, int64_t begin, int64_t end, int offset, int64_t *first) {
    size_t stride = (size_t)s->type->bytes_per_block;
    const char *at = s->data + (size_t)begin * stride + (size_t)offset;
    int64_t n = 0;
    for (int64_t i = begin; i < end; i++, at += stride) {
        uint16_t half;
        memcpy(&half, at, sizeof half);
        if ((half & 0x7c00u) != 0x7c00u) continue;
        if (n++ == 0 && i < *first) *first = i;
    }
    return n;
}

static int64_t bad_weights(const scan *s, int64_t begin, int64_t end, int64_t *first) {
    enum {
        MOST = 256
    };

    float weights[MOST];
    int per_block = s->type->weights_per_block;
    if (per_block > MOST) return 0;
    int64_t n = 0;
    int64_t step = MOST / per_block;
    for (int64_t i = begin; i < end; i += step) {
        int64_t n_blocks = end - i < step ? end - i : step;
        s->type->decode(s->data + (size_t)i * (size_t)s->type->bytes_per_block, weights, n_blocks);
        for (int64_t k = 0; k < n_blocks * per_block; k++) {
            if (isfinite(weights[k])) continue;
            if (n++ == 0) *first = i + k / per_block;
        }
    }
    return n;
}

static bool is_zero(const char *data, size_t length) {
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static void scan_piece(scan *s, int64_t piece) {
    int64_t begin = piece * s->blocks_per_piece, end = begin + s->blocks_per_piece;
    if (end > s->n_blocks) end = s->n_blocks;
    size_t stride = (size_t)s->type->bytes_per_block, bytes = (size_t)(end - begin) * stride;
    if (is_zero(s->data + (size_t)begin * stride, bytes)) {
        atomic_fetch_add(&s->zero_bytes, bytes);
        return;
    }
    int64_t first = INT64_MAX, n = 0;
    if (s->first == NONE) {
        n = bad_weights(s, begin, end, &first);
    } else {
        n = bad_halves(s, begin, end, s->first, &first);
        if (s->second != NONE) n += bad_halves(s, begin, end, s->second, &first);
    }
    if (n == 0) return;
    atomic_fetch_add(&s->n_not_finite, n);
    int64_t least = atomic_load(&s->first_bad);
    while (first < least && !atomic_compare_exchange_weak(&s->first_bad, &least, first))
        continue;
}

static void scan_pieces(void *argument, int64_t begin, int64_t end) {
    scan *s = argument;
    for (int64_t i = begin; i < end; i++)
        scan_piece(s, s->begin + i);
}

/* What scan_tensor needs besides the tensor. */
typedef struct scanning {
    fal_pool *pool;
    const fal_copy_progress *progress;
    uint64_t done, total;
} scanning;

static fal_status report(const scanning *all, fal_error *err) {
    if (!all->progress->function
        || all->progress->function(all->progress->user, all->done, all->total))
        return FAL_OK;
    return fal_fail(err, FAL_E_CANCELLED, "stopped after %llu of %llu bytes of weights",
                    (unsigned long long)all->done, (unsigned long long)all->total);
}

static const fal_type *scanned_type(const fal_gguf_tensor *t) {
    const fal_type *type = fal_type_by_id(t->type_id);
    return t->data && type && type->in_files ? type : NULL;
}

static fal_status scan_tensor(scanning *all, const fal_gguf_tensor *t, fal_scanned *out,
                              fal_error *err) {
    const fal_type *type = scanned_type(t);
    *out = (fal_scanned){.first = -1};
    if (!type) return FAL_OK;
    scan s = {.data = t->data, .type = type, .first = NONE, .second = NONE};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        if (strcmp(scales[i].type, type->name) != 0) continue;
        s.first = scales[i].first;
        s.second = scales[i].second;
    }
    s.n_blocks = (int64_t)(t->bytes / (uint64_t)type->bytes_per_block);
    s.blocks_per_piece = PIECE_BYTES / type->bytes_per_block;
    atomic_init(&s.first_bad, INT64_MAX);
    int64_t n_pieces = (s.n_blocks + s.blocks_per_piece - 1) / s.blocks_per_piece;
    int64_t per_slice = SLICE_BYTES / PIECE_BYTES;
    for (s.begin = 0; s.begin < n_pieces; s.begin += per_slice) {
        FAL_TRY(report(all, err));
        int64_t n = n_pieces - s.begin < per_slice ? n_pieces - s.begin : per_slice;
        fal_pool_for(all->pool, n, 1, scan_pieces, &s);
        uint64_t upto = (uint64_t)(s.begin + n) * (uint64_t)s.blocks_per_piece;
        uint64_t from = (uint64_t)s.begin * (uint64_t)s.blocks_per_piece;
        if (upto > (uint64_t)s.n_blocks) upto = (uint64_t)s.n_blocks;
        all->done += (upto - from) * (uint64_t)type->bytes_per_block;
    }
    out->n_not_finite = atomic_load(&s.n_not_finite);
    out->zero_bytes = atomic_load(&s.zero_bytes);
    if (out->n_not_finite) out->first = atomic_load(&s.first_bad) * type->weights_per_block;
    return FAL_OK;
}

fal_status fal_scan_file(const fal_gguf *f, int n_threads, const fal_copy_progress *progress,
                         fal_scanned *out, uint64_t *n_bytes, fal_error *err) {
    scanning all = {.progress = progress};
    for (int i = 0; i < fal_gguf_tensor_count(f); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(f, i);
        if (scanned_type(t)) all.total += t->bytes;
    }
    FAL_TRY(fal_pool_open(&all.pool, n_threads, err));
    fal_status status = FAL_OK;
    for (int i = 0; i < fal_gguf_tensor_count(f) && status == FAL_OK; i++)
        status = scan_tensor(&all, fal_gguf_tensor_at(f, i), &out[i], err);
    if (status == FAL_OK) status = report(&all, err);
    fal_pool_close(all.pool);
    *n_bytes = all.done;
    return status;
}
