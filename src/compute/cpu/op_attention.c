/* Attention: cuts a step into items for the threads and joins what the kernels make of each span of cells.
 *
 * An item is a few tokens by some heads of one kv head. With many items each walks over all its spans; with few, as when
 * one token is generated, every span is an item and a second pass joins them. Both add up in the same order: the cut
 * depends on threads and batch, the result does not. */
#include "compute/checks.h"
#include "compute/cpu/cpu.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    SPAN = FAL_ATTEND_SPAN,
    MOST_QUERIES = 128,   /* of an item */
    MOST_NUMBERS = 8192,  /* of an item's queries */
    FEW_HEADS = 6,        /* splitting heads further would only repeat the conversion of cells */
    ITEMS_PER_THREAD = 4, /* wanted, so that no thread waits long for another */
    MOST_PART_BYTES = 1 << 25 /* of partial results; beyond it spans are not split */
};

/* How the work of one segment is cut. Item numbers: token block, span, kv head, head block, the last fastest, so that the
 * kv heads of the same cells, which share pages, follow each other. */
typedef struct segment_cut {
    int64_t first_item, n_items;
    int64_t first_part; /* of its rows of partial results */
    int64_t tokens_per_block;
    int n_head_blocks, heads_per_block;
    int64_t n_spans; /* that are items; 1 when an item walks over all its spans */
    fal_attend_kernel *attend;
} segment_cut;

typedef struct attention_work {
    fal_tensor out, query;
    const fal_attention *a;
    const fal_kernel_set *kernels;
    segment_cut *cuts; /* [a->n_segments] */
    int64_t n_items;
    int most_queries; /* of any item */
    int64_t stride;   /* of sums */
    float *
        parts; /* [n_parts, stride + 2]: sums, largest, total; those of a token's head stand together */
    float *threads; /* [n_threads, thread_numbers] */
    size_t thread_numbers;
    atomic_llong next;
} attention_work;

/* Where a thread works. */
typedef struct workplace {
    float *query, *slope, *sums, *largest, *total, *more_sums, *more_largest, *more_total, *scratch;
    int *n_visible, *distance;
} workplace;

/* One item, unpacked. */
typedef struct item {
    const fal_segment *segment;
    const segment_cut *cut;
    int64_t first_token, n_tokens; /* within the segment */
    int kv_head, first_head, n_heads;
    int64_t span; /* of a split one */
} item;

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t spans_of(const fal_segment *s) {
    return divide_up(s->position + s->n_tokens, SPAN);
}

static size_t padded(size_t n_numbers) {
    return (n_numbers + 15) / 16 * 16;
}

static size_t workplace_numbers(int n_queries, int head_dim) {
    size_t n = (size_t)n_queries;
    return padded(n * (size_t)head_dim) + 2 * padded(n * (size_t)FAL_ATTEND_PADDED(head_dim))
           + 7 * padded(n) + padded((size_t)FAL_ATTEND_SCRATCH(head_dim));
}

static float *take(float **memory, size_t n_numbers) {
    float *taken = *memory;
    *memory += padded(n_numbers);
    return taken;
}

static workplace workplace_in(const attention_work *work, int thread) {
    float *memory = work->threads + (size_t)thread * work->thread_numbers;
    size_t n = (size_t)work->most_queries;
    workplace p;
    p.query = take(&memory, n * (size_t)work->a->head_dim);
    p.sums = take(&memory, n * (size_t)work->stride);
    p.more_sums = take(&memory, n * (size_t)work->stride);
    p.slope = take(&memory, n);
    p.largest = take(&memory, n);
    p.total = take(&memory, n);
    p.more_largest = take(&memory, n);
    p.more_total = take(&memory, n);
    p.n_visible = (int *)(void *)take(&memory, n);
    p.distance = (int *)(void *)take(&memory, n);
    p.scratch = memory;
    return p;
}

static item item_at(const attention_work *work, int64_t number) {
    const segment_cut *cut = work->cuts;
    const fal_segment *segment = work->a->segments;
    for (; number >= cut->first_item + cut->n_items; cut++)
        segment++;
    number -= cut->first_item;
    item found = {.segment = segment, .cut = cut};
    int block = (int)(number % cut->n_head_blocks);
    number /= cut->n_head_blocks;
    found.kv_head = (int)(number % work->a->n_kv_heads);
    number /= work->a->n_kv_heads;
    found.span = number % cut->n_spans;
    int64_t token_block = number / cut->n_spans;
    int heads = work->a->n_heads / work->a->n_kv_heads;
    int first = block * cut->heads_per_block;
    found.n_heads = heads - first < cut->heads_per_block ? heads - first : cut->heads_per_block;
    found.first_head = found.kv_head * heads + first;
    found.first_token = token_block * cut->tokens_per_block;
    int64_t rest = segment->n_tokens - found.first_token;
    found.n_tokens = rest < cut->tokens_per_block ? rest : cut->tokens_per_block;
    return found;
}

/* Copies the item's queries side by side, tokens outermost. */
static void pack_queries(const attention_work *work, const item *it, const workplace *p) {
    const fal_attention *a = work->a;
    size_t numbers = (size_t)it->n_heads * (size_t)a->head_dim;
    for (int64_t t = 0; t < it->n_tokens; t++) {
        int64_t row = it->segment->first_token + it->first_token + t;
        const float *from =
            fal_tensor_f32_row(work->query, row) + (int64_t)it->first_head * a->head_dim;
        memcpy(p->query + (size_t)t * numbers, from, numbers * sizeof *from);
        if (a->alibi_slopes)
            memcpy(p->slope + t * it->n_heads, a->alibi_slopes + it->first_head,
                   (size_t)it->n_heads * sizeof *p->slope);
    }
}

static const void *cell_of(const fal_attention *a, fal_tensor cells, int64_t cell, int kv_head) {
    int64_t n_blocks = (int64_t)kv_head * a->head_dim / cells.type->weights_per_block;
    return (const char *)cells.data + (size_t)cell * cells.row_bytes
           + (size_t)n_blocks * (size_t)cells.type->bytes_per_block;
}

static void attend_span(const attention_work *work, const item *it, const workplace *p,
                        int64_t span, float *sums, float *largest, float *total) {
    const fal_attention *a = work->a;
    const fal_segment *s = it->segment;
    int64_t first_cell = span * SPAN, position = s->position + it->first_token;
    int64_t n_cells = position + it->n_tokens - first_cell;
    n_cells = n_cells < SPAN ? n_cells : SPAN;
    for (int64_t t = 0; t < it->n_tokens; t++) {
        int64_t distance = position + t - first_cell, n = distance + 1;
        n = n < 0 ? 0 : n < n_cells ? n : n_cells;
        for (int64_t i = t * it->n_heads; i < (t + 1) * it->n_heads; i++) {
            p->n_visible[i] = (int)n;
            p->distance[i] = (int)distance;
        }
    }
    fal_attend_span call = {
        .keys = cell_of(a, s->keys, first_cell, it->kv_head),
        .values = cell_of(a, s->values, first_cell, it->kv_head),
        .key_bytes = s->keys.row_bytes,
        .value_bytes = s->values.row_bytes,
        .head_dim = a->head_dim,
        .n_queries = (int)it->n_tokens * it->n_heads,
        .n_cells = (int)n_cells,
        .query = p->query,
        .n_visible = p->n_visible,
        .scale = a->scale,
        .slope = a->alibi_slopes ? p->slope : NULL,
        .distance = p->distance,
        .sums = sums,
        .sums_stride = work->stride,
        .largest = largest,
        .total = total,
        .scratch = p->scratch,
    };
    it->cut->attend(&call);
}

/* Where no cell had any weight the sums are zero and remain so. */
static void finish(float *out, const float *sums, float total, int head_dim) {
    float factor = total == 0.0f ? 0.0f : 1.0f / total;
    for (int i = 0; i < head_dim; i++)
        out[i] = sums[i] * factor;
}

static float *out_of(const attention_work *work, const fal_segment *s, int64_t token, int head) {
    return fal_tensor_f32_row(work->out, s->first_token + token)
           + (int64_t)head * work->a->head_dim;
}

static void attend_all_spans(const attention_work *work, const item *it, const workplace *p) {
    int64_t n_cells = it->segment->position + it->first_token + it->n_tokens;
    int n_queries = (int)it->n_tokens * it->n_heads;
    attend_span(work, it, p, 0, p->sums, p->largest, p->total);
    for (int64_t span = 1; span * SPAN < n_cells; span++) {
        attend_span(work, it, p, span, p->more_sums, p->more_largest, p->more_total);
        for (int i = 0; i < n_queries; i++) {
            work->kernels->attend_join(p->sums + i * work->stride, &p->largest[i], &p->total[i],
                                       p->more_sums + i * work->stride, p->more_largest[i],
                                       p->more_total[i], work->stride);
        }
    }
    for (int i = 0; i < n_queries; i++)
        finish(out_of(work, it->segment, it->first_token + i / it->n_heads,
                      it->first_head + i % it->n_heads),
               p->sums + i * work->stride, p->total[i], work->a->head_dim);
}

/* The row of partial results of one query's span. */
static float *part_of(const attention_work *work, const segment_cut *cut, int64_t token, int head,
                      int64_t span) {
    int64_t row = cut->first_part + (token * work->a->n_heads + head) * cut->n_spans + span;
    return work->parts + row * (work->stride + 2);
}

static void attend_one_span(const attention_work *work, const item *it, const workplace *p) {
    int64_t last = it->segment->position + it->first_token + it->n_tokens - 1;
    if (it->span * SPAN > last) return; /* only later tokens of the segment see it */
    attend_span(work, it, p, it->span, p->sums, p->largest, p->total);
    for (int i = 0; i < (int)it->n_tokens * it->n_heads; i++) {
        float *part = part_of(work, it->cut, it->first_token + i / it->n_heads,
                              it->first_head + i % it->n_heads, it->span);
        memcpy(part, p->sums + i * work->stride, (size_t)work->stride * sizeof *part);
        part[work->stride] = p->largest[i];
        part[work->stride + 1] = p->total[i];
    }
}

/* Later items see more cells: the longest come first. */
static void take_items(void *argument, int thread, int n_threads) {
    (void)n_threads;
    attention_work *work = argument;
    workplace place = workplace_in(work, thread);
    for (;;) {
        int64_t taken = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (taken >= work->n_items) return;
        item it = item_at(work, work->n_items - 1 - taken);
        pack_queries(work, &it, &place);
        if (it.cut->n_spans > 1)
            attend_one_span(work, &it, &place);
        else
            attend_all_spans(work, &it, &place);
    }
}

typedef struct join_work {
    const attention_work *work;
    const fal_segment *segment;
    const segment_cut *cut;
} join_work;

static void join_parts(void *argument, int64_t begin, int64_t end) {
    const join_work *join = argument;
    const attention_work *work = join->work;
    for (int64_t i = begin; i < end; i++) {
        int64_t token = i / work->a->n_heads;
        int head = (int)(i % work->a->n_heads);
        float *part = part_of(work, join->cut, token, head, 0);
        int64_t n_spans = (join->segment->position + token) / SPAN + 1;
        for (int64_t span = 1; span < n_spans; span++) {
            const float *more = part_of(work, join->cut, token, head, span);
            work->kernels->attend_join(part, part + work->stride, part + work->stride + 1, more,
                                       more[work->stride], more[work->stride + 1], work->stride);
        }
        finish(out_of(work, join->segment, token, head), part, part[work->stride + 1],
               work->a->head_dim);
    }
}

/* Whole tokens with all heads of a kv head per item, as many as an item may hold. */
static void cut_by_tokens(attention_work *work) {
    const fal_attention *a = work->a;
    int heads = a->n_heads / a->n_kv_heads;
    int most = MOST_NUMBERS / a->head_dim;
    most = most < FEW_HEADS ? FEW_HEADS : most < MOST_QUERIES ? most : MOST_QUERIES;
    work->n_items = 0;
    work->most_queries = most;
    for (int i = 0; i < a->n_segments; i++) {
        segment_cut *cut = &work->cuts[i];
        cut->attend = fal_kernel_set_attend(work->kernels, a->segments[i].keys.type->name);
        cut->n_head_blocks = (int)divide_up(heads, most);
        cut->heads_per_block = (int)divide_up(heads, cut->n_head_blocks);
        cut->n_head_blocks = (int)divide_up(heads, cut->heads_per_block);
        cut->tokens_per_block = most / cut->heads_per_block;
        cut->n_spans = 1;
        cut->first_item = work->n_items;
        cut->n_items = divide_up(a->segments[i].n_tokens, cut->tokens_per_block) * a->n_kv_heads
                       * cut->n_head_blocks;
        work->n_items += cut->n_items;
    }
}

/* Rows of partial results that a segment takes when its spans are items; a single span needs none. */
static int64_t parts_of(const fal_attention *a, const fal_segment *s) {
    int64_t n_spans = spans_of(s);
    return n_spans > 1 ? s->n_tokens * a->n_heads * n_spans : 0;
}

/* Spans become items of their own, and heads are cut further while threads would be idle. */
static void cut_by_spans(attention_work *work, int n_threads) {
    const fal_attention *a = work->a;
    int heads = a->n_heads / a->n_kv_heads;
    int64_t n_items = 0, n_parts = 0, before = 0;
    for (int i = 0; i < a->n_segments; i++)
        before += work->cuts[i].n_items * spans_of(&a->segments[i]);
    int64_t times = before ? divide_up(2 * (int64_t)n_threads, before) : 1;
    for (int i = 0; i < a->n_segments; i++) {
        const fal_segment *s = &a->segments[i];
        segment_cut *cut = &work->cuts[i];
        int64_t token_blocks = divide_up(s->n_tokens, cut->tokens_per_block);
        int per_block = (int)divide_up(cut->heads_per_block, times);
        cut->heads_per_block = per_block < FEW_HEADS ? FEW_HEADS : per_block;
        cut->n_head_blocks = (int)divide_up(heads, cut->heads_per_block);
        cut->n_spans = spans_of(s);
        cut->first_item = n_items;
        cut->n_items = token_blocks * a->n_kv_heads * cut->n_head_blocks * cut->n_spans;
        cut->first_part = n_parts;
        n_items += cut->n_items;
        n_parts += parts_of(a, s);
    }
    work->n_items = n_items;
}

static bool cut_work(fal_queue *q, attention_work *work) {
    const fal_attention *a = work->a;
    int n_threads = fal_pool_size(fal_cpu_pool(q));
    size_t n_segments = (size_t)a->n_segments;
    work->cuts = fal_cpu_scratch(q, FAL_CPU_SCRATCH_SEGMENTS, n_segments * sizeof *work->cuts);
    if (!work->cuts) return false;
    cut_by_tokens(work);
    int64_t n_parts = 0;
    for (int i = 0; i < a->n_segments; i++)
        n_parts += parts_of(a, &a->segments[i]);
    size_t part_bytes = (size_t)n_parts * (size_t)(work->stride + 2) * sizeof *work->parts;
    bool has_few_items = work->n_items < (int64_t)ITEMS_PER_THREAD * n_threads;
    if (has_few_items && part_bytes <= MOST_PART_BYTES) {
        cut_by_spans(work, n_threads);
        work->parts = fal_cpu_scratch(q, FAL_CPU_SCRATCH_PARTS, part_bytes);
        if (!work->parts) return false;
    }
    work->thread_numbers = workplace_numbers(work->most_queries, a->head_dim);
    work->threads = fal_cpu_scratch(q, FAL_CPU_SCRATCH_THREADS,
                                    (size_t)n_threads * work->thread_numbers * sizeof(float));
    return work->threads != NULL;
}

void fal_cpu_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    if (!fal_check_attention(q, out, query, a)) return;
    attention_work work = {.out = out,
                           .query = query,
                           .a = a,
                           .kernels = fal_cpu_kernels(q),
                           .stride = FAL_ATTEND_PADDED(a->head_dim)};
    if (!cut_work(q, &work)) return;
    fal_pool_run(fal_cpu_pool(q), take_items, &work);
    for (int i = 0; i < a->n_segments; i++) {
        if (work.cuts[i].n_spans == 1) continue;
        join_work join = {&work, &a->segments[i], &work.cuts[i]};
        fal_pool_for(fal_cpu_pool(q), a->segments[i].n_tokens * a->n_heads, 32, join_parts, &join);
    }
}
