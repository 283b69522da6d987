/* Body of grammar_follower.h. After a byte: first all that rules' ends lead to, then the rules that are called, callers first.
 * Because no rule begins with itself, all who call a rule at one point of the text are known when it is entered, and have
 * one set in common below it. So a text never has more ways than places, however ambiguous the grammar is.
 *
 * Source: the graph-structured stack, Tomita 1986, made canonical by keeping each set once. */
#include "text/grammar_follower.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_WORK = 3 * 1000 * 1000, /* of one call from outside: well under a tenth of a second */
    MAX_PAIRS = 4 << 20,
    MAX_ROWS_BYTES = 16 << 20,
    TIDY_SETS = 1 << 16,
    TIDY_PAIRS = 1 << 18
};

static bool add_pair(fal_pairs *list, fal_follower_pair pair) {
    if (!fal_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return false;
    list->items[list->count++] = pair;
    return true;
}

static fal_status append(fal_pairs *list, fal_follower_pair pair, fal_error *err) {
    return add_pair(list, pair) ? FAL_OK : fal_fail_memory(err, 0);
}

static int by_place(const void *a, const void *b) {
    const fal_follower_pair *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x->below > y->below) - (x->below < y->below);
}

static void sort_pairs(fal_pairs *list) {
    if (list->count < 2) return;
    qsort(list->items, list->count, sizeof *list->items, by_place);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (by_place(&list->items[i], &list->items[kept - 1]) != 0)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* ---- sets ---- */

static uint64_t hash_pair(uint64_t hash, fal_follower_pair pair) {
    return fal_hash_add(hash, (uint64_t)(uint32_t)pair.place << 32 | (uint32_t)pair.below);
}

static uint64_t hash_pairs(const fal_follower_pair *pairs, size_t count) {
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash = hash_pair(hash, pairs[i]);
    return hash;
}

static bool grow_table(fal_follower *f) {
    size_t size = f->table_size ? 2 * f->table_size : 1024;
    int32_t *table = fal_alloc(size, sizeof *table);
    if (!table) return false;
    memset(table, 0xff, size * sizeof *table);
    for (size_t i = 0; i < f->n_sets; i++) {
        const fal_follower_set *set = &f->sets[i];
        size_t at = hash_pairs(f->pairs.items + set->begin, (size_t)set->count) & (size - 1);
        while (table[at] >= 0)
            at = (at + 1) & (size - 1);
        table[at] = (int32_t)i;
    }
    fal_free(f->table);
    f->table = table;
    f->table_size = size;
    return true;
}

static fal_status keep_set(fal_follower *f, const fal_pairs *sorted, int32_t *out, fal_error *err) {
    if (f->pairs.count + sorted->count > MAX_PAIRS)
        return fal_fail(err, FAL_E_LIMIT,
                        "the grammar allows over %d ways at once, or nests too deeply", MAX_PAIRS);
    if (!fal_grow((void **)&f->sets, &f->sets_capacity, f->n_sets + 1, sizeof *f->sets)
        || !fal_grow((void **)&f->pairs.items, &f->pairs.capacity, f->pairs.count + sorted->count,
                     sizeof *f->pairs.items))
        return fal_fail_memory(err, 0);
    fal_follower_set set = {
        .begin = f->pairs.count, .count = (int32_t)sorted->count, .row = -1, .popped = -1};
    for (size_t i = 0; i < sorted->count; i++) {
        fal_follower_pair pair = sorted->items[i];
        set.text_may_end = set.text_may_end || pair.place == FAL_TEXT_ENDS;
        set.below_may_end = set.below_may_end || pair.place == FAL_BELOW_ENDS;
        set.has_bytes = set.has_bytes || pair.place >= 0;
        f->pairs.items[f->pairs.count++] = pair;
    }
    *out = (int32_t)f->n_sets;
    f->sets[f->n_sets++] = set;
    return FAL_OK;
}

/* The number of the set of these pairs, which are sorted. */
static fal_status intern(fal_follower *f, const fal_pairs *sorted, int32_t *out, fal_error *err) {
    if (2 * f->n_sets >= f->table_size && !grow_table(f)) return fal_fail_memory(err, 0);
    size_t at = hash_pairs(sorted->items, sorted->count) & (f->table_size - 1);
    for (; f->table[at] >= 0; at = (at + 1) & (f->table_size - 1)) {
        const fal_follower_set *set = &f->sets[f->table[at]];
        *out = f->table[at];
        if ((size_t)set->count != sorted->count) continue;
        if (sorted->count == 0
            || memcmp(f->pairs.items + set->begin, sorted->items,
                      sorted->count * sizeof *sorted->items)
                   == 0)
            return FAL_OK;
    }
    FAL_TRY(keep_set(f, sorted, out, err));
    f->table[at] = *out;
    return FAL_OK;
}

static fal_status intern_one(fal_follower *f, fal_follower_pair pair, int32_t *out,
                             fal_error *err) {
    f->one.count = 0;
    FAL_TRY(append(&f->one, pair, err));
    return intern(f, &f->one, out, err);
}

/* ---- opening ---- */

fal_status fal_follower_open(fal_follower *f, const fal_automaton *a, fal_error *err) {
    *f = (fal_follower){.automaton = a};
    f->first_callers = fal_alloc(a->n_rules, sizeof *f->first_callers);
    f->called = fal_alloc(a->n_rules / 64 + 1, sizeof *f->called);
    if (!f->first_callers || !f->called) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < a->n_rules; i++)
        f->first_callers[i] = -1;
    int32_t nowhere;
    const fal_pairs none = {0};
    return intern(f, &none, &nowhere, err);
}

static void forget_sets(fal_follower *f) {
    fal_free(f->pairs.items);
    fal_free(f->sets);
    fal_free(f->table);
    fal_free(f->steps);
}

void fal_follower_release(fal_follower *f) {
    forget_sets(f);
    fal_free(f->todo.items);
    fal_free(f->found.items);
    fal_free(f->one.items);
    fal_free(f->joined.items);
    fal_free(f->seen.items);
    fal_free(f->seen_stamps);
    fal_free(f->callers);
    fal_free(f->first_callers);
    fal_free(f->called);
    *f = (fal_follower){0};
}

/* ---- from pairs to the set of all that they lead to ---- */

static fal_status grow_seen(fal_follower *f, fal_error *err) {
    fal_pairs before = f->seen;
    uint32_t *stamps_before = f->seen_stamps;
    size_t size = before.capacity ? 2 * before.capacity : 256;
    f->seen = (fal_pairs){.items = fal_alloc(size, sizeof *before.items), .capacity = size};
    f->seen_stamps = fal_alloc(size, sizeof *stamps_before);
    if (!f->seen.items || !f->seen_stamps) {
        fal_free(f->seen.items);
        fal_free(f->seen_stamps);
        f->seen = before;
        f->seen_stamps = stamps_before;
        return fal_fail_memory(err, 0);
    }
    for (size_t i = 0; i < before.capacity; i++) {
        if (stamps_before[i] != f->stamp) continue;
        size_t at = hash_pair(0, before.items[i]) & (size - 1);
        while (f->seen_stamps[at] == f->stamp)
            at = (at + 1) & (size - 1);
        f->seen.items[at] = before.items[i];
        f->seen_stamps[at] = f->stamp;
    }
    fal_free(before.items);
    fal_free(stamps_before);
    return FAL_OK;
}

/* *is_first: the pair was not seen since the last begin_set. */
static fal_status see(fal_follower *f, fal_follower_pair pair, bool *is_first, fal_error *err) {
    if (2 * f->n_seen >= f->seen.capacity) FAL_TRY(grow_seen(f, err));
    size_t at = hash_pair(0, pair) & (f->seen.capacity - 1);
    for (; f->seen_stamps[at] == f->stamp; at = (at + 1) & (f->seen.capacity - 1)) {
        *is_first = false;
        if (by_place(&f->seen.items[at], &pair) == 0) return FAL_OK;
    }
    f->seen.items[at] = pair;
    f->seen_stamps[at] = f->stamp;
    f->n_seen++;
    *is_first = true;
    return FAL_OK;
}

/* After a failure lists of callers may be left over. */
static void begin_set(fal_follower *f) {
    size_t n_rules = f->automaton->n_rules;
    for (size_t rule = 0; f->n_callers && rule < n_rules; rule++)
        f->first_callers[rule] = -1;
    if (f->n_callers) memset(f->called, 0, (n_rules / 64 + 1) * sizeof *f->called);
    f->n_callers = 0;
    f->todo.count = f->found.count = 0;
    f->n_seen = 0;
    if (++f->stamp == 0) {
        if (f->seen.capacity) memset(f->seen_stamps, 0, f->seen.capacity * sizeof *f->seen_stamps);
        f->stamp = 1;
    }
}

static fal_status count_work(fal_follower *f, int64_t amount, fal_error *err) {
    f->work += amount;
    if (f->work <= MAX_WORK) return FAL_OK;
    return fal_fail(err, FAL_E_LIMIT, "the grammar allows too many ways at once");
}

static fal_status add_caller(fal_follower *f, int32_t rule, fal_follower_pair pair,
                             fal_error *err) {
    if (!fal_grow((void **)&f->callers, &f->callers_capacity, f->n_callers + 1, sizeof *f->callers))
        return fal_fail_memory(err, 0);
    f->callers[f->n_callers] = (fal_follower_caller){pair, f->first_callers[rule]};
    f->first_callers[rule] = (int32_t)f->n_callers++;
    f->called[rule / 64] |= (uint64_t)1 << rule % 64;
    return FAL_OK;
}

/* Notes who goes on when the rules end that a place calls. A place that only ends leaves that to those below it: a rule
 * that calls itself at its end needs no more room for each turn. */
static fal_status call_rules(fal_follower *f, const fal_grammar_place *place, int32_t below,
                             fal_error *err) {
    const fal_automaton *a = f->automaton;
    for (int32_t i = 0; i < place->n_calls; i++) {
        fal_grammar_call call = a->calls[place->first_call + i];
        if (!fal_place_is_bare_end(&a->places[call.target])) {
            FAL_TRY(count_work(f, 1, err));
            FAL_TRY(add_caller(f, call.rule, (fal_follower_pair){call.target, below}, err));
            continue;
        }
        const fal_follower_set *set = &f->sets[below];
        FAL_TRY(count_work(f, set->count, err));
        for (int32_t k = 0; k < set->count; k++)
            FAL_TRY(add_caller(f, call.rule, f->pairs.items[set->begin + (size_t)k], err));
    }
    return FAL_OK;
}

/* All that the ends of rules lead to. Pairs where a byte may come, or that end something, are found. */
static fal_status follow_ends(fal_follower *f, fal_error *err) {
    while (f->todo.count) {
        fal_follower_pair pair = f->todo.items[--f->todo.count];
        bool is_first;
        FAL_TRY(count_work(f, 1, err));
        FAL_TRY(see(f, pair, &is_first, err));
        if (!is_first) continue;
        if (pair.place < 0) {
            FAL_TRY(append(&f->found, pair, err));
            continue;
        }
        const fal_grammar_place *place = &f->automaton->places[pair.place];
        if (place->n_edges) FAL_TRY(append(&f->found, pair, err));
        FAL_TRY(call_rules(f, place, pair.below, err));
        const fal_follower_set *below = &f->sets[pair.below];
        for (int32_t i = 0; place->may_end && i < below->count; i++)
            FAL_TRY(append(&f->todo, f->pairs.items[below->begin + (size_t)i], err));
    }
    return FAL_OK;
}

/* The start of a rule, above all its callers. A rule is not left here: that it may be empty its callers know. */
static fal_status enter_rule(fal_follower *f, int32_t rule, fal_error *err) {
    f->joined.count = 0;
    for (int32_t i = f->first_callers[rule]; i >= 0; i = f->callers[i].next)
        FAL_TRY(append(&f->joined, f->callers[i].pair, err));
    f->first_callers[rule] = -1;
    FAL_TRY(count_work(f, (int64_t)f->joined.count, err));
    sort_pairs(&f->joined);
    fal_follower_pair start = {.place = f->automaton->starts[rule]};
    FAL_TRY(intern(f, &f->joined, &start.below, err));
    const fal_grammar_place *place = &f->automaton->places[start.place];
    if (place->n_edges) FAL_TRY(append(&f->found, start, err));
    return call_rules(f, place, start.below, err);
}

/* Rules that are called here have higher numbers than the one at work, so one pass finds all. */
static fal_status enter_rules(fal_follower *f, fal_error *err) {
    size_t n_words = f->automaton->n_rules / 64 + 1;
    if (f->n_callers == 0) return FAL_OK;
    FAL_TRY(count_work(f, (int64_t)(n_words / 16), err));
    for (size_t word = 0; word < n_words; word++) {
        for (int bit = 0; f->called[word]; bit = (bit + 1) % 64) {
            if (!(f->called[word] >> bit & 1)) continue;
            f->called[word] &= ~((uint64_t)1 << bit);
            FAL_TRY(enter_rule(f, (int32_t)(word * 64) + bit, err));
        }
    }
    f->n_callers = 0;
    return FAL_OK;
}

/* One pair for each place: what is below it is joined. */
static fal_status join_places(fal_follower *f, fal_error *err) {
    size_t kept = 0;
    sort_pairs(&f->found);
    for (size_t i = 0, end; i < f->found.count; i = end) {
        fal_follower_pair pair = f->found.items[i];
        for (end = i + 1; end < f->found.count && f->found.items[end].place == pair.place;)
            end++;
        f->joined.count = 0;
        for (size_t k = i; end > i + 1 && k < end; k++) {
            const fal_follower_set *below = &f->sets[f->found.items[k].below];
            FAL_TRY(count_work(f, below->count, err));
            for (int32_t p = 0; p < below->count; p++)
                FAL_TRY(append(&f->joined, f->pairs.items[below->begin + (size_t)p], err));
        }
        if (end > i + 1) {
            sort_pairs(&f->joined);
            FAL_TRY(intern(f, &f->joined, &pair.below, err));
        }
        f->found.items[kept++] = pair;
    }
    f->found.count = kept;
    return FAL_OK;
}

/* The set of all that the pairs in todo lead to without a byte. */
static fal_status finish_set(fal_follower *f, int32_t *out, fal_error *err) {
    FAL_TRY(follow_ends(f, err));
    FAL_TRY(enter_rules(f, err));
    FAL_TRY(join_places(f, err));
    return intern(f, &f->found, out, err);
}

fal_status fal_follower_begin(fal_follower *f, int32_t *out, fal_error *err) {
    const fal_automaton *a = f->automaton;
    fal_follower_pair start = {.place = a->starts[a->root]};
    FAL_TRY(intern_one(f, (fal_follower_pair){FAL_TEXT_ENDS, FAL_NOWHERE}, &start.below, err));
    begin_set(f);
    FAL_TRY(append(&f->todo, start, err));
    return finish_set(f, out, err);
}

fal_status fal_follower_alone(fal_follower *f, int32_t place, int32_t *out, fal_error *err) {
    fal_follower_pair pair = {.place = place};
    FAL_TRY(intern_one(f, (fal_follower_pair){FAL_BELOW_ENDS, FAL_NOWHERE}, &pair.below, err));
    return intern_one(f, pair, out, err);
}

fal_status fal_follower_pop(fal_follower *f, int32_t below, int32_t *out, fal_error *err) {
    *out = f->sets[below].popped;
    if (*out >= 0) return FAL_OK;
    begin_set(f);
    const fal_follower_set *set = &f->sets[below];
    for (int32_t i = 0; i < set->count; i++)
        FAL_TRY(append(&f->todo, f->pairs.items[set->begin + (size_t)i], err));
    FAL_TRY(finish_set(f, out, err));
    f->sets[below].popped = *out;
    return FAL_OK;
}

/* ---- steps ---- */

/* A row of steps for the set, unless there are very many: then steps are made anew each time. */
static fal_status make_row(fal_follower *f, int32_t set, fal_error *err) {
    size_t n_classes = (size_t)f->automaton->n_classes;
    if (f->n_rows * n_classes * sizeof *f->steps >= MAX_ROWS_BYTES) return FAL_OK;
    if (!fal_grow((void **)&f->steps, &f->rows_capacity, f->n_rows + 1,
                  n_classes * sizeof *f->steps))
        return fal_fail_memory(err, 0);
    memset(f->steps + f->n_rows * n_classes, 0xff, n_classes * sizeof *f->steps);
    f->sets[set].row = (int32_t)f->n_rows++;
    return FAL_OK;
}

static fal_status make_step(fal_follower *f, int32_t set, int byte_class, int32_t *out,
                            fal_error *err) {
    const fal_automaton *a = f->automaton;
    uint8_t byte = a->byte_of[byte_class];
    size_t begin = f->sets[set].begin, end = begin + (size_t)f->sets[set].count;
    begin_set(f);
    for (size_t i = begin; i < end; i++) {
        fal_follower_pair pair = f->pairs.items[i];
        if (pair.place < 0) continue;
        const fal_grammar_place *place = &a->places[pair.place];
        FAL_TRY(count_work(f, place->n_edges, err));
        for (int32_t e = 0; e < place->n_edges; e++) {
            const fal_grammar_edge *edge = &a->edges[place->first_edge + e];
            if (byte < edge->low || byte > edge->high) continue;
            FAL_TRY(append(&f->todo, (fal_follower_pair){edge->target, pair.below}, err));
        }
    }
    return finish_set(f, out, err);
}

fal_status fal_follower_step(fal_follower *f, int32_t set, int byte_class, int32_t *out,
                             fal_error *err) {
    size_t n_classes = (size_t)f->automaton->n_classes;
    if (f->sets[set].row < 0) FAL_TRY(make_row(f, set, err));
    int32_t row = f->sets[set].row;
    if (row < 0) return make_step(f, set, byte_class, out, err);
    size_t at = (size_t)row * n_classes + (size_t)byte_class;
    *out = f->steps[at];
    if (*out >= 0) return FAL_OK;
    FAL_TRY(make_step(f, set, byte_class, out, err));
    f->steps[at] = *out;
    return FAL_OK;
}

/* ---- tidying ---- */

/* Moves the marked sets into an empty follower; numbers [n_sets] become those they have there. */
static fal_status move_sets(fal_follower *from, fal_follower *to, const bool *is_kept,
                            int32_t *numbers, fal_error *err) {
    for (size_t i = 0; i < from->n_sets; i++) {
        if (!is_kept[i]) continue;
        const fal_follower_set *set = &from->sets[i];
        from->joined.count = 0;
        for (int32_t p = 0; p < set->count; p++) {
            fal_follower_pair pair = from->pairs.items[set->begin + (size_t)p];
            pair.below = numbers[pair.below];
            FAL_TRY(append(&from->joined, pair, err));
        }
        sort_pairs(&from->joined);
        FAL_TRY(intern(to, &from->joined, &numbers[i], err));
    }
    return FAL_OK;
}

fal_status fal_follower_tidy(fal_follower *f, int32_t *set, fal_error *err) {
    size_t row_bytes = f->n_rows * (size_t)f->automaton->n_classes * sizeof *f->steps;
    if (f->n_sets < TIDY_SETS && f->pairs.count < TIDY_PAIRS && row_bytes < MAX_ROWS_BYTES)
        return FAL_OK;
    fal_follower fresh = {.automaton = f->automaton};
    bool *is_kept = fal_alloc(f->n_sets, sizeof *is_kept);
    int32_t *numbers = fal_alloc(f->n_sets, sizeof *numbers);
    fal_status status = FAL_OK;
    if (!is_kept || !numbers) {
        status = fal_fail_memory(err, 0);
        goto out;
    }
    is_kept[FAL_NOWHERE] = is_kept[*set] = true;
    for (int32_t i = *set; i >= 0; i--) {
        for (int32_t p = 0; is_kept[i] && p < f->sets[i].count; p++)
            is_kept[f->pairs.items[f->sets[i].begin + (size_t)p].below] = true;
    }
    FAL_TRY_OUT(move_sets(f, &fresh, is_kept, numbers, err));
    *set = numbers[*set];
    forget_sets(f);
    f->pairs = fresh.pairs;
    f->sets = fresh.sets;
    f->n_sets = fresh.n_sets;
    f->sets_capacity = fresh.sets_capacity;
    f->table = fresh.table;
    f->table_size = fresh.table_size;
    f->steps = NULL;
    f->n_rows = f->rows_capacity = 0;
    f->generation++;
    fresh = (fal_follower){0};
out:
    forget_sets(&fresh);
    fal_free(is_kept);
    fal_free(numbers);
    return status;
}
