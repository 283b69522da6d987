/* Body of mixture.h. Of the groups, and then of the sources in the group, those may be next that lack tokens to their
 * share of the ones taken so far, and the one is next that would soonest lack a whole passage. No share then strays by more
 * than the longest passage (docs/decisions/0018-shares-by-deadline.md).
 * Source: Tijdeman, The chairman assignment problem, 1980, with passages in place of terms of equal length. */
#include "train/mixture.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/random.h"

#include <math.h>

/* Somebody who has a share of a whole. */
typedef struct claim {
    double share; /* 0 to 1 */
    int64_t n_taken;
} claim;

typedef struct mixed_source {
    claim claim; /* of its group */
    int group;
    int64_t first_passage, n_passages, n_tokens, n_documents;
    int64_t next, epoch; /* passages taken of this epoch */
} mixed_source;

struct fal_mixture {
    fal_passage *passages; /* of one source after the other */
    mixed_source *sources;
    int n_sources;
    claim *groups; /* of all */
    int n_groups;
    int64_t n_taken;
    uint64_t seed;
    int sequence_length;
    int32_t longest; /* passage */
};

/* ---- passages ---- */

/* The last token of a document is only foretold: a passage of it alone would teach nothing. */
static int64_t passage_count(const fal_document *d, int length) {
    return d->n_tokens == 1 ? 1 : ((int64_t)d->n_tokens - 2) / length + 1;
}

static void add_passages(fal_mixture *m, const fal_document *d, int64_t document) {
    mixed_source *s = &m->sources[d->source];
    for (int64_t i = 0; i < passage_count(d, m->sequence_length); i++) {
        int64_t first = i * m->sequence_length, left = d->n_tokens - first;
        int32_t n = (int32_t)(left < m->sequence_length ? left : m->sequence_length);
        m->passages[s->first_passage + s->n_passages++] =
            (fal_passage){.document = document, .first = (int32_t)first, .n_tokens = n};
        s->n_tokens += n;
        if (n > m->longest) m->longest = n;
    }
}

/* Puts the passages of each source side by side. */
static fal_status collect_passages(fal_mixture *m, const fal_documents *documents, fal_error *err) {
    int64_t n = 0;
    for (int64_t i = 0; i < documents->count; i++) {
        const fal_document *d = &documents->items[i];
        if (d->source < 0 || d->source >= m->n_sources)
            return fal_fail(err, FAL_E_ARGUMENT, "document %lld is of source %d, there are %d",
                            (long long)i, d->source, m->n_sources);
        m->sources[d->source].n_documents++;
        m->sources[d->source].n_passages += passage_count(d, m->sequence_length);
    }
    for (int i = 0; i < m->n_sources; i++) {
        m->sources[i].first_passage = n;
        n += m->sources[i].n_passages;
        m->sources[i].n_passages = 0;
    }
    m->passages = fal_alloc((size_t)n, sizeof *m->passages);
    if (!m->passages) return fal_fail_memory(err, (size_t)n * sizeof *m->passages);
    for (int64_t i = 0; i < documents->count; i++)
        add_passages(m, &documents->items[i], i);
    return FAL_OK;
}

/* ---- shares ---- */

static bool is_weight(double weight) {
    return isfinite(weight) && weight >= 0;
}

static fal_status check_weights(const fal_plan_options *o, fal_error *err) {
    double sum = 0;
    for (int i = 0; i < o->n_groups; i++) {
        if (!is_weight(o->group_weights[i]))
            return fal_fail(err, FAL_E_ARGUMENT, "group %d: weight %g is not 0 or more", i,
                            o->group_weights[i]);
        sum += o->group_weights[i];
    }
    for (int i = 0; i < o->n_sources; i++) {
        if (!is_weight(o->sources[i].weight))
            return fal_fail(err, FAL_E_ARGUMENT, "source %d: weight %g is not 0 or more", i,
                            o->sources[i].weight);
        if (o->sources[i].group < 0 || o->sources[i].group >= o->n_groups)
            return fal_fail(err, FAL_E_ARGUMENT, "source %d is of group %d, there are %d", i,
                            o->sources[i].group, o->n_groups);
    }
    if (!(sum > 0) || !isfinite(sum))
        return fal_fail(err, FAL_E_ARGUMENT, "the weights of the groups sum up to %g", sum);
    return FAL_OK;
}

/* The weights of what has documents become shares. */
static fal_status share_out(fal_mixture *m, const fal_plan_options *o, fal_error *err) {
    double sum = 0;
    for (int g = 0; g < o->n_groups; g++)
        sum += o->group_weights[g];
    for (int g = 0; g < o->n_groups; g++) {
        double of_group = 0;
        for (int i = 0; i < o->n_sources; i++)
            if (o->sources[i].group == g && m->sources[i].n_passages > 0)
                of_group += o->sources[i].weight;
        m->groups[g].share = o->group_weights[g] / sum;
        if (!isfinite(of_group) || (m->groups[g].share > 0 && !(of_group > 0)))
            return fal_fail(err, FAL_E_ARGUMENT,
                            "group %d has weight %g, and no documents of weight", g,
                            o->group_weights[g]);
        for (int i = 0; i < o->n_sources; i++) {
            mixed_source *s = &m->sources[i];
            if (o->sources[i].group != g || s->n_passages == 0 || !(m->groups[g].share > 0))
                continue;
            s->claim.share = o->sources[i].weight / of_group;
        }
    }
    return FAL_OK;
}

static fal_status prepare(fal_mixture *m, const fal_documents *documents, const fal_plan_options *o,
                          fal_error *err) {
    FAL_TRY(check_weights(o, err));
    m->n_sources = o->n_sources;
    m->n_groups = o->n_groups;
    m->seed = o->seed;
    m->sequence_length = o->sequence_length;
    m->sources = fal_alloc((size_t)o->n_sources, sizeof *m->sources);
    m->groups = fal_alloc((size_t)o->n_groups, sizeof *m->groups);
    if (!m->sources || !m->groups) return fal_fail_memory(err, 0);
    for (int i = 0; i < o->n_sources; i++)
        m->sources[i].group = o->sources[i].group;
    FAL_TRY(collect_passages(m, documents, err));
    return share_out(m, o, err);
}

fal_status fal_mixture_open(fal_mixture **out, const fal_documents *documents,
                            const fal_plan_options *options, fal_error *err) {
    *out = NULL;
    if (documents->count == 0 || options->n_sources < 1 || options->n_groups < 1)
        return fal_fail(err, FAL_E_ARGUMENT, "there are no documents to train on");
    if (options->sequence_length < 1)
        return fal_fail(err, FAL_E_ARGUMENT, "sequences of %d tokens, at least 1",
                        options->sequence_length);
    fal_mixture *m = fal_alloc(1, sizeof *m);
    if (!m) return fal_fail_memory(err, sizeof *m);
    fal_status status = prepare(m, documents, options, err);
    if (status == FAL_OK)
        *out = m;
    else
        fal_mixture_close(m);
    return status;
}

void fal_mixture_close(fal_mixture *m) {
    if (!m) return;
    fal_free(m->passages);
    fal_free(m->sources);
    fal_free(m->groups);
    fal_free(m);
}

/* ---- taking ---- */

/* True for one that lacks tokens to its share; `slack` is more than doubles are wrong by. */
static bool is_due(const claim *c, int64_t n_taken) {
    static const double slack = 1e-3;
    return c->share * (double)n_taken - (double)c->n_taken >= -slack;
}

/* How many tokens will be taken in all when a claim that takes nothing lacks a whole longest passage. */
static double deadline(const fal_mixture *m, const claim *c) {
    return (double)(c->n_taken + m->longest) / c->share;
}

static int next_group(const fal_mixture *m) {
    int best = -1;
    for (int g = 0; g < m->n_groups; g++) {
        const claim *c = &m->groups[g];
        if (!(c->share > 0) || !is_due(c, m->n_taken)) continue;
        if (best < 0 || deadline(m, c) < deadline(m, &m->groups[best])) best = g;
    }
    return best;
}

static mixed_source *next_source(fal_mixture *m, int group) {
    mixed_source *best = NULL;
    for (int i = 0; i < m->n_sources; i++) {
        mixed_source *s = &m->sources[i];
        if (s->group != group || !(s->claim.share > 0)) continue;
        if (!is_due(&s->claim, m->groups[group].n_taken)) continue;
        if (!best || deadline(m, &s->claim) < deadline(m, &best->claim)) best = s;
    }
    return best;
}

/* A new order for a source's passages, which the seed, the source and the epoch decide. */
static void shuffle(fal_mixture *m, mixed_source *s) {
    uint64_t stream = fal_hash_add((uint64_t)(s - m->sources), (uint64_t)s->epoch);
    fal_random random = fal_random_seeded(m->seed, stream);
    fal_passage *passages = m->passages + s->first_passage;
    for (int64_t n = s->n_passages; n > 1; n--) {
        int64_t chosen = (int64_t)(fal_random_u64(&random) % (uint64_t)n);
        fal_passage last = passages[n - 1];
        passages[n - 1] = passages[chosen];
        passages[chosen] = last;
    }
}

fal_passage fal_mixture_next(fal_mixture *m) {
    int group = next_group(m);
    mixed_source *s = next_source(m, group);
    if (s->next == 0) shuffle(m, s);
    fal_passage passage = m->passages[s->first_passage + s->next++];
    if (s->next == s->n_passages) {
        s->next = 0;
        s->epoch++;
    }
    s->claim.n_taken += passage.n_tokens;
    m->groups[group].n_taken += passage.n_tokens;
    m->n_taken += passage.n_tokens;
    return passage;
}

fal_mixture_source fal_mixture_source_at(const fal_mixture *m, int source) {
    return (fal_mixture_source){.n_documents = m->sources[source].n_documents,
                                .n_tokens = m->sources[source].n_tokens};
}

int64_t fal_mixture_n_tokens(const fal_mixture *m) {
    int64_t n = 0;
    for (int i = 0; i < m->n_sources; i++) {
        if (m->sources[i].claim.share > 0) n += m->sources[i].n_tokens;
    }
    return n;
}

int64_t fal_mixture_n_passages(const fal_mixture *m) {
    int64_t n = 0;
    for (int i = 0; i < m->n_sources; i++) {
        if (m->sources[i].claim.share > 0) n += m->sources[i].n_passages;
    }
    return n;
}
