/* Body of grammar_automaton.h: the subset construction for each rule, then the order of rules and the classes of bytes.
 * Source: the subset construction, Rabin and Scott 1959. */
#include "text/grammar_automaton.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "text/grammar_graph.h"
#include "text/quote.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_PLACES = 1 << 19,        /* of all rules together */
    MAX_WORK = 40 * 1000 * 1000, /* steps looked at while all rules are made */
    MAX_GROWTH = 4,              /* places of an unambiguous rule per place of its graph ... */
    FREE_GROWTH = 2000,          /* ... and those that do not count */
    SORTING = 16,                /* steps of work for one element of what is sorted */
    NOT_REACHED = -2,            /* starts of rules that have none */
    AWAITED = -1
};

/* ---- sets of places of a graph ---- */

/* One rule under way. Each set of places becomes a place of the automaton. */
typedef struct making {
    fal_automaton *a;
    fal_graph graph;
    int64_t work;
    bool is_unambiguous; /* the targets of a byte become one set, else each its own */
    size_t first_place;  /* of this rule in the automaton */
    int32_t *members;    /* of all sets */
    size_t n_members, members_capacity;
    size_t *set_begins; /* [n_sets + 1] */
    size_t n_sets, sets_capacity;
    int32_t *table; /* hash table of sets; -1: free */
    size_t table_size;
    uint32_t *stamps; /* [places of the graph] */
    uint32_t stamp;
    size_t stamps_capacity;
    int32_t *targets, *todo; /* a set that is being made, and places whose steps wait */
    size_t n_targets, targets_capacity, n_todo, todo_capacity;
    fal_graph_step *steps; /* those from one set */
    size_t n_steps, steps_capacity;
    int32_t *awaited; /* rules that were called and are not made yet */
    size_t n_awaited, awaited_capacity;
} making;

static fal_status too_large(const making *m, int32_t rule, fal_error *err) {
    const fal_grammar_rules *text = m->graph.text;
    const fal_grammar_rule *origin = &text->rules[m->graph.rules[rule].origin];
    return fal_grammar_fail(text, origin->position, err, FAL_E_LIMIT,
                            "rule '%s' makes the grammar too large", fal_quote(origin->name).text);
}

static uint64_t hash_of(const int32_t *members, size_t count) {
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash = fal_hash_add(hash, (uint64_t)members[i]);
    return hash;
}

static bool grow_table(making *m) {
    size_t size = m->table_size ? 2 * m->table_size : 256;
    int32_t *table = fal_alloc(size, sizeof *table);
    if (!table) return false;
    memset(table, 0xff, size * sizeof *table);
    for (size_t set = 0; set < m->n_sets; set++) {
        size_t begin = m->set_begins[set], count = m->set_begins[set + 1] - begin;
        size_t at = hash_of(m->members + begin, count) & (size - 1);
        while (table[at] >= 0)
            at = (at + 1) & (size - 1);
        table[at] = (int32_t)set;
    }
    fal_free(m->table);
    m->table = table;
    m->table_size = size;
    return true;
}

static int by_number(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The number of the set in m->targets, which is added unless it is there. */
static fal_status intern(making *m, int32_t *out, fal_error *err) {
    if (2 * m->n_sets >= m->table_size && !grow_table(m)) return fal_fail_memory(err, 0);
    size_t bytes = m->n_targets * sizeof *m->targets;
    m->work += SORTING * (int64_t)m->n_targets;
    if (m->n_targets > 1) qsort(m->targets, m->n_targets, sizeof *m->targets, by_number);
    size_t at = hash_of(m->targets, m->n_targets) & (m->table_size - 1);
    for (; m->table[at] >= 0; at = (at + 1) & (m->table_size - 1)) {
        size_t begin = m->set_begins[m->table[at]], end = m->set_begins[m->table[at] + 1];
        *out = m->table[at];
        if (end - begin == m->n_targets
            && (bytes == 0 || memcmp(m->members + begin, m->targets, bytes) == 0))
            return FAL_OK;
    }
    if (!fal_grow((void **)&m->members, &m->members_capacity, m->n_members + m->n_targets,
                  sizeof *m->members)
        || !fal_grow((void **)&m->set_begins, &m->sets_capacity, m->n_sets + 2,
                     sizeof *m->set_begins))
        return fal_fail_memory(err, 0);
    if (bytes) memcpy(m->members + m->n_members, m->targets, bytes);
    m->set_begins[m->n_sets] = m->n_members;
    m->n_members += m->n_targets;
    m->set_begins[m->n_sets + 1] = m->n_members;
    m->table[at] = *out = (int32_t)m->n_sets++;
    return FAL_OK;
}

static void begin_set(making *m) {
    m->n_targets = 0;
    m->stamp++;
}

/* Adds a place and what nothing leads to from there. Only places that bytes, calls or the end distinguish are members. */
static fal_status add_target(making *m, int32_t place, fal_error *err) {
    m->n_todo = 0;
    for (;;) {
        if (m->stamps[place] != m->stamp) {
            m->stamps[place] = m->stamp;
            bool is_member = place == 1;
            for (int32_t i = m->graph.heads[place]; i >= 0; i = m->graph.steps[i].next) {
                const fal_graph_step *step = &m->graph.steps[i];
                m->work++;
                is_member = is_member || step->rule != FAL_STEP_NOTHING;
                if (step->rule != FAL_STEP_NOTHING || m->stamps[step->target] == m->stamp) continue;
                if (!fal_grow((void **)&m->todo, &m->todo_capacity, m->n_todo + 1, sizeof *m->todo))
                    return fal_fail_memory(err, 0);
                m->todo[m->n_todo++] = step->target;
            }
            if (is_member) {
                if (!fal_grow((void **)&m->targets, &m->targets_capacity, m->n_targets + 1,
                              sizeof *m->targets))
                    return fal_fail_memory(err, 0);
                m->targets[m->n_targets++] = place;
            }
        }
        if (m->n_todo == 0) return FAL_OK;
        place = m->todo[--m->n_todo];
    }
}

/* ---- steps from a set ---- */

static int by_rule_and_bytes(const void *a, const void *b) {
    const fal_graph_step *x = a, *y = b;
    if (x->rule != y->rule) return x->rule < y->rule ? -1 : 1;
    if (x->low != y->low) return x->low < y->low ? -1 : 1;
    if (x->high != y->high) return x->high < y->high ? -1 : 1;
    return (x->target > y->target) - (x->target < y->target);
}

/* Gathers the steps that take something, bytes first, sorted. Sets *may_end. */
static fal_status gather_steps(making *m, int32_t set, bool *may_end, fal_error *err) {
    m->n_steps = 0;
    *may_end = false;
    for (size_t i = m->set_begins[set]; i < m->set_begins[set + 1]; i++) {
        int32_t place = m->members[i];
        *may_end = *may_end || place == 1;
        for (int32_t s = m->graph.heads[place]; s >= 0; s = m->graph.steps[s].next) {
            m->work++;
            if (m->graph.steps[s].rule == FAL_STEP_NOTHING) continue;
            if (!fal_grow((void **)&m->steps, &m->steps_capacity, m->n_steps + 1, sizeof *m->steps))
                return fal_fail_memory(err, 0);
            m->steps[m->n_steps++] = m->graph.steps[s];
        }
    }
    m->work += SORTING * (int64_t)m->n_steps;
    if (m->n_steps > 1) qsort(m->steps, m->n_steps, sizeof *m->steps, by_rule_and_bytes);
    return FAL_OK;
}

/* Joins the edge with the one before it where both lead to the same. */
static fal_status add_edge(making *m, size_t first_edge, int low, int high, int32_t set,
                           fal_error *err) {
    fal_automaton *a = m->a;
    int32_t target = (int32_t)m->first_place + set;
    if (a->n_edges > first_edge) {
        fal_grammar_edge *last = &a->edges[a->n_edges - 1];
        if (last->target == target && last->high + 1 == low) {
            last->high = (uint8_t)high;
            return FAL_OK;
        }
    }
    if (!fal_grow((void **)&a->edges, &a->edges_capacity, a->n_edges + 1, sizeof *a->edges))
        return fal_fail_memory(err, 0);
    a->edges[a->n_edges++] = (fal_grammar_edge){target, (uint8_t)low, (uint8_t)high};
    return FAL_OK;
}

/* One edge for each step by a byte, as they are. */
static fal_status separate_edges(making *m, size_t n_byte_steps, size_t first_edge,
                                 fal_error *err) {
    for (size_t i = 0; i < n_byte_steps; i++) {
        int32_t set;
        begin_set(m);
        FAL_TRY(add_target(m, m->steps[i].target, err));
        FAL_TRY(intern(m, &set, err));
        FAL_TRY(add_edge(m, first_edge, m->steps[i].low, m->steps[i].high, set, err));
    }
    return FAL_OK;
}

/* Edges that do not overlap, each to all targets of its bytes. Steps are sorted by their first byte. */
static fal_status united_edges(making *m, size_t n_byte_steps, size_t first_edge, fal_error *err) {
    bool begins[257] = {0};
    for (size_t i = 0; i < n_byte_steps; i++)
        begins[m->steps[i].low] = begins[m->steps[i].high + 1] = true;
    for (int low = 0, high; low < 256; low = high + 1) {
        for (high = low; high < 255 && !begins[high + 1];)
            high++;
        begin_set(m);
        bool found = false;
        for (size_t i = 0; i < n_byte_steps && m->steps[i].low <= low; i++) {
            m->work++;
            if (m->steps[i].high < low) continue;
            found = true;
            FAL_TRY(add_target(m, m->steps[i].target, err));
        }
        if (!found) continue;
        int32_t set;
        FAL_TRY(intern(m, &set, err));
        FAL_TRY(add_edge(m, first_edge, low, high, set, err));
    }
    return FAL_OK;
}

static fal_status add_call(making *m, int32_t rule, fal_error *err) {
    fal_automaton *a = m->a;
    int32_t set;
    FAL_TRY(intern(m, &set, err));
    if (!fal_grow((void **)&a->calls, &a->calls_capacity, a->n_calls + 1, sizeof *a->calls))
        return fal_fail_memory(err, 0);
    a->calls[a->n_calls++] = (fal_grammar_call){rule, (int32_t)m->first_place + set};
    return FAL_OK;
}

/* One call for each rule, to all its targets; or for each target. */
static fal_status add_calls(making *m, size_t n_byte_steps, fal_error *err) {
    for (size_t i = n_byte_steps, end; i < m->n_steps; i = end) {
        end = i + 1;
        while (m->is_unambiguous && end < m->n_steps && m->steps[end].rule == m->steps[i].rule)
            end++;
        begin_set(m);
        for (size_t k = i; k < end; k++)
            FAL_TRY(add_target(m, m->steps[k].target, err));
        FAL_TRY(add_call(m, m->steps[i].rule, err));
    }
    return FAL_OK;
}

static fal_status make_place(making *m, int32_t set, fal_error *err) {
    fal_automaton *a = m->a;
    fal_grammar_place place = {.first_edge = (int32_t)a->n_edges,
                               .first_call = (int32_t)a->n_calls};
    size_t n_byte_steps = 0;
    FAL_TRY(gather_steps(m, set, &place.may_end, err));
    while (n_byte_steps < m->n_steps && m->steps[n_byte_steps].rule == FAL_STEP_BYTE)
        n_byte_steps++;
    size_t first_edge = a->n_edges;
    FAL_TRY(m->is_unambiguous ? united_edges(m, n_byte_steps, first_edge, err)
                              : separate_edges(m, n_byte_steps, first_edge, err));
    FAL_TRY(add_calls(m, n_byte_steps, err));
    place.n_edges = (int32_t)a->n_edges - place.first_edge;
    place.n_calls = (int32_t)a->n_calls - place.first_call;
    if (!fal_grow((void **)&a->places, &a->places_capacity, a->n_places + 1, sizeof *a->places))
        return fal_fail_memory(err, 0);
    a->places[a->n_places++] = place;
    return FAL_OK;
}

/* Every set from that of the rule's first place on. *is_done false: there would be over max_sets. */
static fal_status make_places(making *m, int32_t rule, size_t max_sets, bool *is_done,
                              fal_error *err) {
    int32_t start;
    size_t n_edges = m->a->n_edges, n_calls = m->a->n_calls;
    m->n_sets = m->n_members = 0;
    /* Begins small again: emptying what one large rule needed would take long for many small ones. */
    fal_free(m->table);
    m->table = NULL;
    m->table_size = 0;
    begin_set(m);
    FAL_TRY(add_target(m, 0, err));
    FAL_TRY(intern(m, &start, err));
    for (size_t set = 0; set < m->n_sets; set++) {
        if (m->n_sets > max_sets) {
            m->a->n_places = m->first_place;
            m->a->n_edges = n_edges;
            m->a->n_calls = n_calls;
            *is_done = false;
            return FAL_OK;
        }
        if (m->work > MAX_WORK || m->a->n_places >= MAX_PLACES) return too_large(m, rule, err);
        FAL_TRY(make_place(m, (int32_t)set, err));
    }
    *is_done = true;
    return FAL_OK;
}

static fal_status make_rule(making *m, int32_t rule, fal_error *err) {
    size_t n_known = m->stamps_capacity;
    m->first_place = m->a->n_places;
    if (m->first_place >= MAX_PLACES) return too_large(m, rule, err);
    FAL_TRY(fal_graph_build(&m->graph, rule, MAX_PLACES - m->first_place, err));
    if (!fal_grow((void **)&m->stamps, &m->stamps_capacity, m->graph.n_places, sizeof *m->stamps))
        return fal_fail_memory(err, 0);
    for (size_t i = n_known; i < m->stamps_capacity; i++)
        m->stamps[i] = 0;
    bool is_done;
    m->is_unambiguous = true;
    FAL_TRY(make_places(m, rule, MAX_GROWTH * m->graph.n_places + FREE_GROWTH, &is_done, err));
    if (is_done) return FAL_OK;
    m->is_unambiguous = false;
    FAL_TRY(make_places(m, rule, SIZE_MAX, &is_done, err));
    return FAL_OK;
}

static fal_status await_rule(making *m, int32_t rule, fal_error *err) {
    fal_automaton *a = m->a;
    size_t n_known = a->n_rules;
    if ((size_t)rule >= n_known) {
        if (!fal_grow((void **)&a->starts, &a->starts_capacity, (size_t)rule + 1,
                      sizeof *a->starts))
            return fal_fail_memory(err, 0);
        a->n_rules = (size_t)rule + 1;
        for (size_t i = n_known; i < a->n_rules; i++)
            a->starts[i] = NOT_REACHED;
    }
    if (a->starts[rule] != NOT_REACHED) return FAL_OK;
    a->starts[rule] = AWAITED;
    if (!fal_grow((void **)&m->awaited, &m->awaited_capacity, m->n_awaited + 1, sizeof *m->awaited))
        return fal_fail_memory(err, 0);
    m->awaited[m->n_awaited++] = rule;
    return FAL_OK;
}

/* Those that the root reaches. */
static fal_status make_rules(making *m, fal_error *err) {
    fal_automaton *a = m->a;
    FAL_TRY(await_rule(m, m->graph.text->root, err));
    while (m->n_awaited) {
        int32_t rule = m->awaited[--m->n_awaited], start = (int32_t)a->n_places;
        size_t n_calls = a->n_calls;
        FAL_TRY(make_rule(m, rule, err));
        a->starts[rule] = start;
        for (size_t i = n_calls; i < a->n_calls; i++)
            FAL_TRY(await_rule(m, a->calls[i].rule, err));
    }
    return FAL_OK;
}

/* ---- the order of rules ---- */

typedef struct ordering {
    int32_t *n_callers; /* [n_rules] rules that begin with it and have no number yet */
    int32_t *callers;   /* [n_rules] one of them */
    int32_t *numbers;   /* [n_rules] in the order that is made */
    int32_t *order;     /* [n_rules] the other way round */
    size_t n_ordered, n_reached;
} ordering;

static const fal_grammar_call *first_calls(const fal_automaton *a, int32_t rule, int32_t *count) {
    *count = 0;
    if (a->starts[rule] < 0) return NULL;
    const fal_grammar_place *start = &a->places[a->starts[rule]];
    *count = start->n_calls;
    return *count ? &a->calls[start->first_call] : NULL;
}

/* What could not be ordered begins with one another; going from one to a caller ends in a circle. */
static fal_status left_recursion(const making *m, ordering *o, fal_error *err) {
    const fal_automaton *a = m->a;
    const fal_grammar_rules *text = m->graph.text;
    int32_t rule = -1;
    for (size_t r = 0; r < a->n_rules; r++) {
        int32_t count;
        const fal_grammar_call *calls = first_calls(a, (int32_t)r, &count);
        if (o->n_callers[r] == 0) continue;
        rule = (int32_t)r;
        for (int32_t i = 0; i < count; i++)
            o->callers[calls[i].rule] = (int32_t)r;
    }
    for (size_t i = 0; i < a->n_rules; i++)
        rule = o->callers[rule];
    const fal_grammar_rule *origin = &text->rules[m->graph.rules[rule].origin];
    const fal_grammar_rule *caller = &text->rules[m->graph.rules[o->callers[rule]].origin];
    if (origin == caller)
        return fal_grammar_fail(text, origin->position, err, FAL_E_FORMAT,
                                "rule '%s' begins with itself (left recursion)",
                                fal_quote(origin->name).text);
    return fal_grammar_fail(text, origin->position, err, FAL_E_FORMAT,
                            "rule '%s' begins with itself, by way of '%s' (left recursion)",
                            fal_quote(origin->name).text, fal_quote(caller->name).text);
}

/* Callers before those they begin with. */
static fal_status order_rules(const making *m, ordering *o, fal_error *err) {
    const fal_automaton *a = m->a;
    int32_t count;
    for (size_t r = 0; r < a->n_rules; r++) {
        const fal_grammar_call *calls = first_calls(a, (int32_t)r, &count);
        o->n_reached += a->starts[r] >= 0;
        for (int32_t i = 0; i < count; i++)
            o->n_callers[calls[i].rule]++;
    }
    for (size_t r = 0; r < a->n_rules; r++) {
        if (a->starts[r] >= 0 && o->n_callers[r] == 0) o->order[o->n_ordered++] = (int32_t)r;
    }
    for (size_t done = 0; done < o->n_ordered; done++) {
        const fal_grammar_call *calls = first_calls(a, o->order[done], &count);
        o->numbers[o->order[done]] = (int32_t)done;
        for (int32_t i = 0; i < count; i++) {
            if (--o->n_callers[calls[i].rule] == 0) o->order[o->n_ordered++] = calls[i].rule;
        }
    }
    return o->n_ordered == o->n_reached ? FAL_OK : left_recursion(m, o, err);
}

/* In place: what has a number comes to it, callers' array serves as the copy. */
static void renumber(fal_automaton *a, const ordering *o, int32_t root) {
    memcpy(o->callers, a->starts, a->n_rules * sizeof *a->starts);
    for (size_t i = 0; i < o->n_ordered; i++)
        a->starts[i] = o->callers[o->order[i]];
    for (size_t i = 0; i < a->n_calls; i++)
        a->calls[i].rule = o->numbers[a->calls[i].rule];
    a->n_rules = o->n_ordered;
    a->root = o->numbers[root];
}

static fal_status number_rules(making *m, fal_error *err) {
    size_t n = m->a->n_rules;
    ordering o = {.n_callers = fal_alloc(n, sizeof *o.n_callers),
                  .callers = fal_alloc(n, sizeof *o.callers),
                  .numbers = fal_alloc(n, sizeof *o.numbers),
                  .order = fal_alloc(n, sizeof *o.order)};
    fal_status status = o.n_callers && o.callers && o.numbers && o.order ? order_rules(m, &o, err)
                                                                         : fal_fail_memory(err, 0);
    if (status == FAL_OK) renumber(m->a, &o, m->graph.text->root);
    fal_free(o.n_callers);
    fal_free(o.callers);
    fal_free(o.numbers);
    fal_free(o.order);
    return status;
}

/* ---- the whole ---- */

static void find_classes(fal_automaton *a) {
    bool begins[257] = {true};
    for (size_t i = 0; i < a->n_edges; i++)
        begins[a->edges[i].low] = begins[a->edges[i].high + 1] = true;
    for (int byte = 0; byte < 256; byte++) {
        if (begins[byte]) a->byte_of[a->n_classes++] = (uint8_t)byte;
        a->class_of[byte] = (uint8_t)(a->n_classes - 1);
    }
}

static void making_release(making *m) {
    fal_graph_release(&m->graph);
    fal_free(m->members);
    fal_free(m->set_begins);
    fal_free(m->table);
    fal_free(m->stamps);
    fal_free(m->targets);
    fal_free(m->todo);
    fal_free(m->steps);
    fal_free(m->awaited);
}

fal_status fal_automaton_make(fal_automaton *out, const fal_grammar_rules *rules, fal_error *err) {
    *out = (fal_automaton){0};
    making m = {.a = out};
    fal_status status = fal_graph_open(&m.graph, rules, err);
    if (status == FAL_OK) status = make_rules(&m, err);
    if (status == FAL_OK) status = number_rules(&m, err);
    if (status == FAL_OK) find_classes(out);
    making_release(&m);
    if (status != FAL_OK) fal_automaton_release(out);
    return status;
}

void fal_automaton_release(fal_automaton *a) {
    fal_free(a->places);
    fal_free(a->edges);
    fal_free(a->calls);
    fal_free(a->starts);
    *a = (fal_automaton){0};
}
