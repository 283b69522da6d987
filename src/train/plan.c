/* Body of plan.h: windows of the mixture are packed and laid down as sequences. The emptiest sequence of a window is not
 * laid down but opens the next one, so that next to nothing is padding. */
#include "train/plan.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/hash.h"
#include "base/random.h"
#include "train/mixture.h"
#include "train/packer.h"

enum {
    WINDOW_PASSAGES = 1024, /* packed together, at least */
    WINDOW_LEAST = 8,       /* sequences' worth of tokens of a window, at least */
    WINDOW_MOST = 128       /* at most, whatever the passages: what a window holds is shuffled */
};

static const int64_t max_tokens = 1000000000000;

typedef struct sequence {
    int64_t first_passage;
    int32_t n_passages, n_tokens, n_loss_tokens;
} sequence;

struct fal_plan {
    const fal_documents *documents;
    int sequence_length, n_sources;
    int64_t n_per_step;
    fal_passage *passages;
    sequence *sequences;
    size_t n_passages, passage_capacity, n_sequences, sequence_capacity;
    fal_plan_share *shares; /* [n_sources] */
    int64_t n_tokens;
    uint64_t hash;
};

/* A plan while it is made. */
typedef struct making {
    fal_plan *plan;
    fal_mixture *mixture;
    fal_packer packer;
    fal_random random;
} making;

/* ---- loss ---- */

/* Where the tokens stand that the passage foretells: one behind its own, as far as the document goes. */
static int64_t target_count(const fal_document *d, const fal_passage *passage) {
    int64_t left = (int64_t)d->n_tokens - passage->first - 1;
    return left < passage->n_tokens ? left : passage->n_tokens;
}

static int32_t count_loss_tokens(const fal_documents *documents, const fal_passage *passage) {
    const fal_document *d = &documents->items[passage->document];
    const uint8_t *parts = documents->parts + d->first_token + passage->first + 1;
    int32_t n = 0;
    for (int64_t i = 0; i < target_count(d, passage); i++)
        n += parts[i] != FAL_LOSS_NONE;
    return n;
}

/* ---- making ---- */

/* Enters a passage that is laid down into shares and hash. */
static int32_t account(fal_plan *plan, const fal_passage *passage) {
    const fal_document *d = &plan->documents->items[passage->document];
    fal_plan_share *share = &plan->shares[d->source];
    int32_t n_loss_tokens = count_loss_tokens(plan->documents, passage);
    share->n_tokens += passage->n_tokens;
    share->n_loss_tokens += n_loss_tokens;
    plan->n_tokens += passage->n_tokens;
    plan->hash = fal_hash_add(plan->hash, d->hash);
    plan->hash =
        fal_hash_add(plan->hash, (uint64_t)passage->first << 32 | (uint32_t)passage->n_tokens);
    plan->hash = fal_hash_add(plan->hash, (uint64_t)n_loss_tokens);
    return n_loss_tokens;
}

/* Lays a bin of the packer down as the next sequence. */
static fal_status lay_down(fal_plan *plan, const fal_packer *packer, int32_t bin, fal_error *err) {
    const fal_bin *b = &packer->bins[bin];
    size_t n_passages = plan->n_passages + (size_t)b->n_passages;
    if (!fal_grow((void **)&plan->passages, &plan->passage_capacity, n_passages,
                  sizeof *plan->passages)
        || !fal_grow((void **)&plan->sequences, &plan->sequence_capacity, plan->n_sequences + 1,
                     sizeof *plan->sequences))
        return fal_fail_memory(err, n_passages * sizeof *plan->passages);
    sequence *s = &plan->sequences[plan->n_sequences++];
    *s = (sequence){.first_passage = (int64_t)plan->n_passages,
                    .n_passages = b->n_passages,
                    .n_tokens = b->n_tokens};
    plan->hash = fal_hash_add(plan->hash, (uint64_t)b->n_passages);
    for (int32_t i = 0; i < b->n_passages; i++) {
        const fal_passage *passage = &packer->passages[b->first + i];
        plan->passages[plan->n_passages++] = *passage;
        s->n_loss_tokens += account(plan, passage);
    }
    return FAL_OK;
}

/* Lays all bins but `kept` down, in a random order. */
static fal_status lay_down_window(making *m, int32_t kept, fal_error *err) {
    fal_packer *packer = &m->packer;
    for (int32_t n = packer->n_bins; n > 0; n--) {
        int32_t chosen = (int32_t)(fal_random_u64(&m->random) % (uint64_t)n);
        fal_bin bin = packer->bins[chosen];
        packer->bins[chosen] = packer->bins[n - 1];
        packer->bins[n - 1] = bin;
        if (kept == chosen || kept == n - 1) kept = kept == chosen ? n - 1 : chosen;
        if (kept != n - 1) FAL_TRY(lay_down(m->plan, packer, n - 1, err));
    }
    fal_packer_keep(packer, kept);
    return FAL_OK;
}

static bool is_full(const making *m) {
    int64_t n_sequences = m->packer.n_tokens / m->plan->sequence_length;
    return n_sequences >= WINDOW_MOST
           || (n_sequences >= WINDOW_LEAST && m->packer.n_passages >= WINDOW_PASSAGES);
}

/* Packs n_tokens of the mixture. */
static fal_status pack_all(making *m, int64_t n_tokens, fal_error *err) {
    int64_t n_taken = 0;
    while (n_taken < n_tokens) {
        while (n_taken < n_tokens && !is_full(m)) {
            fal_passage passage = fal_mixture_next(m->mixture);
            n_taken += passage.n_tokens;
            FAL_TRY(fal_packer_add(&m->packer, passage, err));
        }
        FAL_TRY(fal_packer_pack(&m->packer, m->plan->sequence_length, err));
        int32_t kept = n_taken < n_tokens ? fal_packer_emptiest(&m->packer) : -1;
        FAL_TRY(lay_down_window(m, kept, err));
    }
    return FAL_OK;
}

/* Fills the last step with the fullest sequences of what the mixture would bring next. */
static fal_status complete_step(making *m, fal_error *err) {
    fal_plan *plan = m->plan;
    int64_t rest = (int64_t)plan->n_sequences % plan->n_per_step;
    int64_t n_missing = rest > 0 ? plan->n_per_step - rest : 0;
    while (m->packer.n_tokens < n_missing * plan->sequence_length)
        FAL_TRY(fal_packer_add(&m->packer, fal_mixture_next(m->mixture), err));
    FAL_TRY(fal_packer_pack(&m->packer, plan->sequence_length, err));
    fal_packer_sort(&m->packer);
    for (int32_t bin = 0; bin < n_missing; bin++)
        FAL_TRY(lay_down(plan, &m->packer, bin, err));
    return FAL_OK;
}

static void finish_shares(fal_plan *plan, const fal_mixture *mixture) {
    for (int i = 0; i < plan->n_sources; i++) {
        fal_mixture_source has = fal_mixture_source_at(mixture, i);
        fal_plan_share *share = &plan->shares[i];
        share->n_documents = has.n_documents;
        share->share = (double)share->n_tokens / (double)plan->n_tokens;
        share->epochs = has.n_tokens > 0 ? (double)share->n_tokens / (double)has.n_tokens : 0;
    }
}

/* A size that memory cannot hold is refused before the work of finding out. What will be planned is estimated from the
 * mean passage; a step may have to be packed at once. */
static fal_status check_size(const fal_plan *plan, const fal_mixture *mixture, int64_t n_tokens,
                             fal_error *err) {
    static const double gib = 1 << 30;
    double per_step = (double)plan->n_per_step * plan->sequence_length;
    double total = (double)n_tokens > per_step ? (double)n_tokens : per_step;
    double density =
        (double)fal_mixture_n_passages(mixture) / (double)fal_mixture_n_tokens(mixture);
    double bytes =
        density * (total * sizeof(fal_passage) + per_step * (double)fal_packer_passage_bytes())
        + total / plan->sequence_length * sizeof(sequence);
    double available = (double)fal_available_memory();
    if (available == 0 || bytes <= available) return FAL_OK;
    return fal_fail(err, FAL_E_LIMIT,
                    "%lld sequences of %d tokens per step, %.0f tokens in all: planning them takes "
                    "%.1f GiB, and %.1f GiB are free",
                    (long long)plan->n_per_step, plan->sequence_length, total, bytes / gib,
                    available / gib);
}

static fal_status make(fal_plan *plan, const fal_documents *documents, const fal_plan_options *o,
                       fal_error *err) {
    making m = {.plan = plan, .random = fal_random_seeded(o->seed, UINT64_MAX)};
    FAL_TRY(fal_mixture_open(&m.mixture, documents, o, err));
    int64_t n_tokens = o->n_tokens > 0 ? o->n_tokens : fal_mixture_n_tokens(m.mixture);
    fal_status status = check_size(plan, m.mixture, n_tokens, err);
    if (status == FAL_OK) plan->shares = fal_alloc((size_t)o->n_sources, sizeof *plan->shares);
    if (status == FAL_OK && !plan->shares)
        status = fal_fail_memory(err, (size_t)o->n_sources * sizeof *plan->shares);
    if (status == FAL_OK) status = pack_all(&m, n_tokens, err);
    if (status == FAL_OK) status = complete_step(&m, err);
    if (status == FAL_OK) finish_shares(plan, m.mixture);
    fal_packer_release(&m.packer);
    fal_mixture_close(m.mixture);
    return status;
}

fal_status fal_plan_open(fal_plan **out, const fal_documents *documents,
                         const fal_plan_options *options, fal_error *err) {
    *out = NULL;
    if (options->n_sequences < 1)
        return fal_fail(err, FAL_E_ARGUMENT, "%d sequences per step, at least 1",
                        options->n_sequences);
    if (options->n_tokens < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "%lld tokens to train on, 0 or more",
                        (long long)options->n_tokens);
    if (options->n_tokens > max_tokens)
        return fal_fail(err, FAL_E_LIMIT, "%lld tokens to train on, at most %lld",
                        (long long)options->n_tokens, (long long)max_tokens);
    fal_plan *plan = fal_alloc(1, sizeof *plan);
    if (!plan) return fal_fail_memory(err, sizeof *plan);
    plan->documents = documents;
    plan->sequence_length = options->sequence_length;
    plan->n_per_step = options->n_sequences;
    plan->n_sources = options->n_sources;
    plan->hash = fal_hash_add((uint64_t)options->sequence_length, (uint64_t)options->n_sequences);
    fal_status status = make(plan, documents, options, err);
    if (status == FAL_OK)
        *out = plan;
    else
        fal_plan_close(plan);
    return status;
}

void fal_plan_close(fal_plan *plan) {
    if (!plan) return;
    fal_free(plan->passages);
    fal_free(plan->sequences);
    fal_free(plan->shares);
    fal_free(plan);
}

/* ---- answers ---- */

int64_t fal_plan_n_steps(const fal_plan *plan) {
    return (int64_t)plan->n_sequences / plan->n_per_step;
}

int64_t fal_plan_n_tokens(const fal_plan *plan) {
    return plan->n_tokens;
}

fal_packed fal_plan_sequence(const fal_plan *plan, int64_t index) {
    const sequence *s = &plan->sequences[index];
    return (fal_packed){.passages = plan->passages + s->first_passage,
                        .n_passages = s->n_passages,
                        .n_tokens = s->n_tokens,
                        .n_loss_tokens = s->n_loss_tokens};
}

uint64_t fal_plan_hash(const fal_plan *plan) {
    return plan->hash;
}

fal_plan_share fal_plan_source_share(const fal_plan *plan, int source) {
    return plan->shares[source];
}

double fal_plan_padding(const fal_plan *plan) {
    double room = (double)plan->n_sequences * plan->sequence_length;
    return 1 - (double)plan->n_tokens / room;
}

/* ---- batches ---- */

fal_status fal_batch_buffer_open(fal_batch_buffer *out, int64_t n_tokens, fal_error *err) {
    size_t n = (size_t)n_tokens;
    *out = (fal_batch_buffer){
        .tokens = fal_alloc(n, sizeof *out->tokens),
        .positions = fal_alloc(n, sizeof *out->positions),
        .targets = fal_alloc(n, sizeof *out->targets),
        .weights = fal_alloc(n, sizeof *out->weights),
        .parts = fal_alloc(n, sizeof *out->parts),
        .starts = fal_alloc(n + 1, sizeof *out->starts), /* passages have one token at least */
        .token_capacity = n_tokens,
        .sequence_capacity = n_tokens};
    if (out->tokens && out->positions && out->targets && out->weights && out->parts && out->starts)
        return FAL_OK;
    fal_batch_buffer_release(out);
    return fal_fail_memory(err, n * sizeof *out->tokens);
}

void fal_batch_buffer_release(fal_batch_buffer *b) {
    fal_free(b->tokens);
    fal_free(b->positions);
    fal_free(b->targets);
    fal_free(b->weights);
    fal_free(b->parts);
    fal_free(b->starts);
    *b = (fal_batch_buffer){0};
}

/* Lays one passage down from row `at` on. */
static void fill_passage(const fal_documents *documents, const fal_passage *passage, int64_t at,
                         fal_batch_buffer *b) {
    const fal_document *d = &documents->items[passage->document];
    const int32_t *tokens = documents->tokens + d->first_token + passage->first;
    const uint8_t *parts = documents->parts + d->first_token + passage->first;
    int64_t n_targets = target_count(d, passage);
    for (int32_t i = 0; i < passage->n_tokens; i++) {
        bool has_target = i < n_targets;
        b->tokens[at + i] = tokens[i];
        b->positions[at + i] = i;
        b->targets[at + i] = has_target ? tokens[i + 1] : 0;
        b->parts[at + i] = has_target ? parts[i + 1] : FAL_LOSS_NONE;
        b->weights[at + i] = b->parts[at + i] != FAL_LOSS_NONE ? 1.0f : 0.0f;
    }
}

fal_batch fal_plan_fill(const fal_plan *plan, int64_t first, int n, fal_batch_buffer *buffer) {
    int64_t n_tokens = 0, n_passages = 0;
    for (int64_t index = first; index < first + n; index++) {
        fal_packed packed = fal_plan_sequence(plan, index);
        for (int i = 0; i < packed.n_passages; i++) {
            buffer->starts[n_passages++] = n_tokens;
            fill_passage(plan->documents, &packed.passages[i], n_tokens, buffer);
            n_tokens += packed.passages[i].n_tokens;
        }
    }
    buffer->starts[n_passages] = n_tokens;
    return (fal_batch){.n_tokens = n_tokens,
                       .tokens = buffer->tokens,
                       .positions = buffer->positions,
                       .targets = buffer->targets,
                       .weights = buffer->weights,
                       .starts = buffer->starts,
                       .n_sequences = n_passages};
}
