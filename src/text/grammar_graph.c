/* Body of grammar_graph.h. Small rules without a loop are copied to where they are called within a loop: a loop that is one
 * rule is what masks can be kept for. What a long repetition repeats becomes a rule of its own instead of many copies. */
#include "text/grammar_graph.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/quote.h"

#include <string.h>

enum {
    SIZE_TOO_LARGE = 1 << 20,
    ROUNDS = 8,           /* how deep rules that are copied may call each other */
    INLINED_ANYWHERE = 8, /* at most this many places are copied wherever they are called */
    INLINED_IN_LOOPS = 64,
    MAX_COPIED = 256,    /* places that a repetition may copy */
    STEPS_PER_PLACE = 4, /* at most, of all together: a choice of nothings has steps only */
    FIRST = 0,
    LAST = 1
};

/* ---- what is known of expressions ---- */

static const fal_expression *expression_at(const fal_graph *g, int32_t i) {
    return &g->text->expressions[i];
}

static int32_t child_at(const fal_graph *g, const fal_expression *e, int32_t i) {
    return g->text->children[e->first + i];
}

static int32_t at_most(int64_t size) {
    return size > SIZE_TOO_LARGE ? SIZE_TOO_LARGE : (int32_t)size;
}

static int32_t n_copies(const fal_expression *repeat) {
    return repeat->most < 0 ? repeat->least + 1 : repeat->most;
}

static bool is_own_rule(int32_t size, int32_t copies) {
    return size > 2 && copies > 1 && (int64_t)size * copies > MAX_COPIED;
}

static int32_t class_size(const fal_graph *g, const fal_expression *e) {
    int64_t sum = 1;
    for (int32_t i = 0; i < e->count; i++)
        sum += g->text->ranges[e->first + i].high < 0x80 ? 0 : 4;
    return at_most(sum);
}

static int32_t measured_size(const fal_graph *g, const fal_expression *e) {
    if (e->kind == FAL_EXPRESSION_BYTES) return e->count;
    if (e->kind == FAL_EXPRESSION_CLASS) return class_size(g, e);
    if (e->kind == FAL_EXPRESSION_CALL) {
        int32_t size = g->rules[e->first].inlined_size;
        return size ? size : 1;
    }
    if (e->kind == FAL_EXPRESSION_REPEAT) {
        int32_t size = g->sizes[e->first], copies = n_copies(e);
        return at_most((int64_t)copies * (is_own_rule(size, copies) ? 1 : size) + 1);
    }
    int64_t sum = 1;
    for (int32_t i = 0; i < e->count; i++)
        sum += g->sizes[child_at(g, e, i)];
    return at_most(sum);
}

static bool measured_flatness(const fal_graph *g, const fal_expression *e) {
    if (e->kind == FAL_EXPRESSION_CALL) return g->rules[e->first].inlined_size > 0;
    if (e->kind == FAL_EXPRESSION_REPEAT) return e->most >= 0 && g->is_flat[e->first];
    if (e->kind != FAL_EXPRESSION_SEQUENCE && e->kind != FAL_EXPRESSION_CHOICE) return true;
    for (int32_t i = 0; i < e->count; i++) {
        if (!g->is_flat[child_at(g, e, i)]) return false;
    }
    return true;
}

/* Expressions stand behind their parts, so one pass is enough for what their rules are known to be. */
static void find_inlined(fal_graph *g) {
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < g->text->n_expressions; i++) {
            g->sizes[i] = measured_size(g, &g->text->expressions[i]);
            g->is_flat[i] = measured_flatness(g, &g->text->expressions[i]);
        }
        for (size_t i = 0; i < g->n_rules; i++) {
            fal_graph_rule *rule = &g->rules[i];
            int32_t size = g->sizes[rule->body];
            if (g->is_flat[rule->body] && size <= INLINED_IN_LOOPS)
                rule->inlined_size = size ? size : 1;
        }
    }
}

/* ---- what may be empty ---- */

/* Spreads from what is empty to what consists of it: each expression is told of once. */
typedef struct spreading {
    fal_graph *graph;
    int32_t *parents; /* [n_expressions] expression; -1 - rule: the body of that rule */
    int32_t *missing; /* [n_expressions] parts of a sequence that are not known to be empty */
    int32_t *calls;   /* [n_expressions] another call of the same rule; -1: none */
    int32_t *called;  /* [n_rules] first call of it */
    int32_t *found;   /* expressions that are to be told of */
    size_t n_found;
} spreading;

static void find_empty(spreading *s, int32_t expression) {
    if (s->graph->is_nullable[expression]) return;
    s->graph->is_nullable[expression] = true;
    s->found[s->n_found++] = expression;
}

static void note_expression(spreading *s, int32_t i) {
    const fal_expression *e = expression_at(s->graph, i);
    bool has_children = e->kind == FAL_EXPRESSION_SEQUENCE || e->kind == FAL_EXPRESSION_CHOICE;
    for (int32_t child = 0; has_children && child < e->count; child++)
        s->parents[child_at(s->graph, e, child)] = i;
    s->missing[i] = e->kind == FAL_EXPRESSION_SEQUENCE ? e->count : 1;
    if (e->kind == FAL_EXPRESSION_REPEAT) s->parents[e->first] = i;
    if (e->kind == FAL_EXPRESSION_CALL) {
        s->calls[i] = s->called[e->first];
        s->called[e->first] = i;
    }
    bool is_empty =
        e->kind == FAL_EXPRESSION_REPEAT
            ? e->least == 0
            : e->kind != FAL_EXPRESSION_CALL && e->kind != FAL_EXPRESSION_CHOICE && e->count == 0;
    if (is_empty) find_empty(s, i);
}

static void spread(spreading *s) {
    const fal_grammar_rules *text = s->graph->text;
    for (size_t i = 0; i < text->n_rules; i++)
        s->called[i] = -1;
    for (size_t i = 0; i < text->n_expressions; i++)
        note_expression(s, (int32_t)i);
    for (size_t i = 0; i < text->n_rules; i++)
        s->parents[text->rules[i].body] = -1 - (int32_t)i;
    while (s->n_found) {
        int32_t parent = s->parents[s->found[--s->n_found]];
        if (parent >= 0) {
            if (--s->missing[parent] <= 0) find_empty(s, parent);
            continue;
        }
        for (int32_t call = s->called[-1 - parent]; call >= 0; call = s->calls[call])
            find_empty(s, call);
    }
}

static fal_status find_nullable(fal_graph *g, fal_error *err) {
    size_t n = g->text->n_expressions;
    spreading s = {.graph = g,
                   .parents = fal_alloc(n, sizeof *s.parents),
                   .missing = fal_alloc(n, sizeof *s.missing),
                   .calls = fal_alloc(n, sizeof *s.calls),
                   .called = fal_alloc(g->text->n_rules, sizeof *s.called),
                   .found = fal_alloc(n, sizeof *s.found)};
    fal_status status = FAL_OK;
    if (s.parents && s.missing && s.calls && s.called && s.found)
        spread(&s);
    else
        status = fal_fail_memory(err, 0);
    fal_free(s.parents);
    fal_free(s.missing);
    fal_free(s.calls);
    fal_free(s.called);
    fal_free(s.found);
    return status;
}

/* ---- opening ---- */

fal_status fal_graph_open(fal_graph *g, const fal_grammar_rules *text, fal_error *err) {
    *g = (fal_graph){.text = text, .n_rules = text->n_rules};
    if (!fal_grow((void **)&g->rules, &g->rules_capacity, text->n_rules, sizeof *g->rules))
        return fal_fail_memory(err, 0);
    g->is_nullable = fal_alloc(text->n_expressions, sizeof *g->is_nullable);
    g->is_flat = fal_alloc(text->n_expressions, sizeof *g->is_flat);
    g->sizes = fal_alloc(text->n_expressions, sizeof *g->sizes);
    g->repeated_rules = fal_alloc(text->n_expressions, sizeof *g->repeated_rules);
    if (!g->is_nullable || !g->is_flat || !g->sizes || !g->repeated_rules)
        return fal_fail_memory(err, 0);
    for (size_t i = 0; i < text->n_expressions; i++)
        g->repeated_rules[i] = -1;
    for (size_t i = 0; i < text->n_rules; i++)
        g->rules[i] = (fal_graph_rule){.body = text->rules[i].body, .origin = (int32_t)i};
    find_inlined(g);
    return find_nullable(g, err);
}

void fal_graph_release(fal_graph *g) {
    fal_free(g->rules);
    fal_free(g->is_nullable);
    fal_free(g->is_flat);
    fal_free(g->sizes);
    fal_free(g->repeated_rules);
    fal_free(g->heads);
    fal_free(g->steps);
    *g = (fal_graph){0};
}

/* ---- building ---- */

typedef struct building {
    fal_graph *graph;
    int32_t rule; /* whose graph it is */
    size_t max_places;
    bool in_loop;
} building;

static fal_status add_place(building *b, int32_t *out, fal_error *err) {
    fal_graph *g = b->graph;
    if (g->n_places >= b->max_places)
        return fal_fail(err, FAL_E_LIMIT, "grammar: rule '%s' makes it too large",
                        fal_quote(g->text->rules[g->rules[b->rule].origin].name).text);
    if (!fal_grow((void **)&g->heads, &g->places_capacity, g->n_places + 1, sizeof *g->heads))
        return fal_fail_memory(err, 0);
    g->heads[g->n_places] = -1;
    *out = (int32_t)g->n_places++;
    return FAL_OK;
}

static fal_status add_step(building *b, int32_t from, fal_graph_step step, fal_error *err) {
    fal_graph *g = b->graph;
    if (g->n_steps >= (size_t)STEPS_PER_PLACE * (size_t)b->max_places)
        return fal_fail(err, FAL_E_LIMIT, "grammar: rule '%s' makes it too large",
                        fal_quote(g->text->rules[g->rules[b->rule].origin].name).text);
    if (!fal_grow((void **)&g->steps, &g->steps_capacity, g->n_steps + 1, sizeof *g->steps))
        return fal_fail_memory(err, 0);
    step.next = g->heads[from];
    g->heads[from] = (int32_t)g->n_steps;
    g->steps[g->n_steps++] = step;
    return FAL_OK;
}

static fal_status by_nothing(building *b, int32_t from, int32_t to, fal_error *err) {
    return add_step(b, from, (fal_graph_step){.rule = FAL_STEP_NOTHING, .target = to}, err);
}

/* The bytes low[i] to high[i], one behind the other. */
static fal_status by_bytes(building *b, int32_t from, int32_t to, const char *low, const char *high,
                           int32_t count, fal_error *err) {
    for (int32_t i = 0; i < count; i++) {
        int32_t target = to;
        if (i + 1 < count) FAL_TRY(add_place(b, &target, err));
        fal_graph_step step = {.rule = FAL_STEP_BYTE,
                               .low = (uint8_t)low[i],
                               .high = (uint8_t)high[i],
                               .target = target};
        FAL_TRY(add_step(b, from, step, err));
        from = target;
    }
    return FAL_OK;
}

typedef fal_status build_expression(building *b, const fal_expression *e, int32_t from, int32_t to,
                                    fal_error *err);
static build_expression *const builders[FAL_EXPRESSION_KINDS];

static fal_status build(building *b, int32_t expression, int32_t from, int32_t to, fal_error *err) {
    const fal_expression *e = expression_at(b->graph, expression);
    return builders[e->kind](b, e, from, to, err);
}

static fal_status build_bytes(building *b, const fal_expression *e, int32_t from, int32_t to,
                              fal_error *err) {
    if (e->count == 0) return by_nothing(b, from, to, err);
    const char *bytes = b->graph->text->bytes + e->first;
    return by_bytes(b, from, to, bytes, bytes, e->count, err);
}

/* Cuts a range into such as are all combinations of ranges of their bytes. */
static fal_status build_range(building *b, fal_character_range range, int32_t from, int32_t to,
                              fal_error *err) {
    static const uint32_t last_of_length[] = {0x7f, 0x7ff, 0xffff};
    uint32_t cut = 0; /* the first character of the upper part */
    for (int i = 0; i < 3 && !cut; i++) {
        if (range.low <= last_of_length[i] && range.high > last_of_length[i])
            cut = last_of_length[i] + 1;
    }
    for (uint32_t tail = 0x3f; tail <= 0x3ffff && range.high > 0x7f && !cut;
         tail = tail << 6 | 0x3f) {
        if ((range.low & ~tail) == (range.high & ~tail)) continue;
        if (range.low & tail)
            cut = (range.low | tail) + 1;
        else if ((range.high & tail) != tail)
            cut = range.high & ~tail;
    }
    if (cut) {
        FAL_TRY(build_range(b, (fal_character_range){range.low, cut - 1}, from, to, err));
        return build_range(b, (fal_character_range){cut, range.high}, from, to, err);
    }
    char low[4], high[4];
    fal_utf8_encode(range.low, low);
    return by_bytes(b, from, to, low, high, fal_utf8_encode(range.high, high), err);
}

static fal_status build_class(building *b, const fal_expression *e, int32_t from, int32_t to,
                              fal_error *err) {
    for (int32_t i = 0; i < e->count; i++)
        FAL_TRY(build_range(b, b->graph->text->ranges[e->first + i], from, to, err));
    return FAL_OK;
}

static fal_status by_rule(building *b, int32_t rule, int32_t from, int32_t to, fal_error *err) {
    const fal_graph_rule *called = &b->graph->rules[rule];
    if (b->graph->is_nullable[called->body]) FAL_TRY(by_nothing(b, from, to, err));
    return add_step(b, from, (fal_graph_step){.rule = rule, .target = to}, err);
}

static fal_status build_call(building *b, const fal_expression *e, int32_t from, int32_t to,
                             fal_error *err) {
    const fal_graph_rule *called = &b->graph->rules[e->first];
    int32_t largest = b->in_loop ? INLINED_IN_LOOPS : INLINED_ANYWHERE;
    if (called->inlined_size && called->inlined_size <= largest)
        return build(b, called->body, from, to, err);
    return by_rule(b, e->first, from, to, err);
}

static fal_status build_sequence(building *b, const fal_expression *e, int32_t from, int32_t to,
                                 fal_error *err) {
    if (e->count == 0) return by_nothing(b, from, to, err);
    for (int32_t i = 0; i < e->count; i++) {
        int32_t target = to;
        if (i + 1 < e->count) FAL_TRY(add_place(b, &target, err));
        FAL_TRY(build(b, child_at(b->graph, e, i), from, target, err));
        from = target;
    }
    return FAL_OK;
}

static fal_status build_choice(building *b, const fal_expression *e, int32_t from, int32_t to,
                               fal_error *err) {
    for (int32_t i = 0; i < e->count; i++)
        FAL_TRY(build(b, child_at(b->graph, e, i), from, to, err));
    return FAL_OK;
}

/* The rule that stands for a repeated expression. */
static fal_status rule_of(building *b, int32_t expression, int32_t *out, fal_error *err) {
    fal_graph *g = b->graph;
    *out = g->repeated_rules[expression];
    if (*out >= 0) return FAL_OK;
    if (!fal_grow((void **)&g->rules, &g->rules_capacity, g->n_rules + 1, sizeof *g->rules))
        return fal_fail_memory(err, 0);
    g->rules[g->n_rules] = (fal_graph_rule){.body = expression, .origin = g->rules[b->rule].origin};
    *out = g->repeated_rules[expression] = (int32_t)g->n_rules++;
    return FAL_OK;
}

/* The repeated expression once; rule, unless -1, stands for it. */
static fal_status build_once(building *b, const fal_expression *repeat, int32_t rule, int32_t from,
                             int32_t to, fal_error *err) {
    if (rule < 0) return build(b, repeat->first, from, to, err);
    return by_rule(b, rule, from, to, err);
}

static fal_status build_loop(building *b, const fal_expression *e, int32_t rule, int32_t from,
                             int32_t to, fal_error *err) {
    int32_t begin, end;
    bool was_in_loop = b->in_loop;
    FAL_TRY(add_place(b, &begin, err));
    FAL_TRY(add_place(b, &end, err));
    FAL_TRY(by_nothing(b, from, begin, err));
    b->in_loop = true;
    FAL_TRY(build_once(b, e, rule, begin, end, err));
    b->in_loop = was_in_loop;
    FAL_TRY(by_nothing(b, end, begin, err));
    return by_nothing(b, begin, to, err);
}

static fal_status build_repeat(building *b, const fal_expression *e, int32_t from, int32_t to,
                               fal_error *err) {
    int32_t n_bounded = e->most < 0 ? e->least : e->most, rule = -1;
    if (is_own_rule(b->graph->sizes[e->first], n_copies(e)))
        FAL_TRY(rule_of(b, e->first, &rule, err));
    for (int32_t i = 0; i < n_bounded; i++) {
        int32_t target;
        if (i >= e->least) FAL_TRY(by_nothing(b, from, to, err));
        FAL_TRY(add_place(b, &target, err));
        FAL_TRY(build_once(b, e, rule, from, target, err));
        from = target;
    }
    return e->most < 0 ? build_loop(b, e, rule, from, to, err) : by_nothing(b, from, to, err);
}

static build_expression *const builders[FAL_EXPRESSION_KINDS] = {
    [FAL_EXPRESSION_BYTES] = build_bytes,   [FAL_EXPRESSION_CLASS] = build_class,
    [FAL_EXPRESSION_CALL] = build_call,     [FAL_EXPRESSION_SEQUENCE] = build_sequence,
    [FAL_EXPRESSION_CHOICE] = build_choice, [FAL_EXPRESSION_REPEAT] = build_repeat,
};

fal_status fal_graph_build(fal_graph *g, int32_t rule, size_t max_places, fal_error *err) {
    building b = {.graph = g, .rule = rule, .max_places = max_places};
    int32_t first, last;
    g->n_places = g->n_steps = 0;
    FAL_TRY(add_place(&b, &first, err));
    FAL_TRY(add_place(&b, &last, err));
    return build(&b, g->rules[rule].body, first, last, err);
}
