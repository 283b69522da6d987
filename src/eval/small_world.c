/* Body of small_world.h. Words are numbered by classes; sentences are made from a few fixed forms. Documents and examples
 * use the same forms, so that what is examined is memory over a distance, not language. */
#include "eval/small_world.h"

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words that stand for themselves, from token 1 on. */
static const char *const plain_words[] = {"",      "the",   "and", "so",   ".",    "asks", "code",
                                          "moves", "first", "now", "work", "lies", "where"};

enum plain_word {
    END,
    THE,
    AND,
    SO,
    STOP,
    ASKS,
    CODE,
    MOVES,
    FIRST,
    NOW,
    WORK,
    LIES,
    WHERE,
    N_PLAIN
};

/* Keys, and how many values of its own each has. That a value says whose it is makes looking it up one step of attention,
 * which small models learn within a million tokens; words that any key may have take many times as long, and some models
 * never begin. */
enum {
    N_KEYS = 8,
    N_CODES = 8, /* of a key */
    N_OBJECTS = 4,
    N_SPOTS = 8, /* where an object can be */
    N_WORKERS = 4,
    N_FIRMS = 4,  /* of a worker */
    N_PLACES = 4, /* of a firm */
    N_ALL_FIRMS = N_WORKERS * N_FIRMS
};

enum word_class {
    KEY,
    CODE_WORD,
    OBJECT,
    SPOT,
    WORKER,
    FIRM,
    PLACE,
    NOUN,
    VERB,
    ADJECTIVE,
    N_CLASSES
};

/* Classes of words lie one behind the other. */
static const struct {
    int first, count;
    const char *syllables, *ending; /* pairs of letters that its words are made of */
} classes[N_CLASSES] = {
    [KEY] = {N_PLAIN,       N_KEYS,                "brclstgrcospshfl", "i"},
    [CODE_WORD] = {N_PLAIN + 8,   N_KEYS *N_CODES,       "zaqexukijovypuwo", "" },
    [OBJECT] = {N_PLAIN + 72,  N_OBJECTS,             "goplenucidarfote", "" },
    [SPOT] = {N_PLAIN + 76,  N_OBJECTS *N_SPOTS,    "opkufraletzischo", "x"},
    [WORKER] = {N_PLAIN + 108, N_WORKERS,             "MaLoTiReSuBeNoKa", "" },
    [FIRM] = {N_PLAIN + 112, N_ALL_FIRMS,           "KoZeVuXiPaDoFaRu", "" },
    [PLACE] = {N_PLAIN + 128, N_ALL_FIRMS *N_PLACES, "haviborgulmestad", "m"},
    [NOUN] = {N_PLAIN + 192, 24,                    "tabeligonurasemo", "" },
    [VERB] = {N_PLAIN + 216, 12,                    "dekilomanibureto", "s"},
    [ADJECTIVE] = {N_PLAIN + 228, 12,                    "lumigrosharnebil", "y"}
};

enum {
    MOST_SENTENCE = 8,
    SHORTEST_SENTENCE = 5, /* of prose */
    N_FACTS = N_KEYS + N_OBJECTS + N_WORKERS,
    N_TOPICS = 10,
    FEW_FACTS = 4 /* until then most sentences state some */
};

static const fal_world_task_row tasks[] = {
#define FAL_WORLD_TASK(id, name, chance, meaning) {name, meaning, chance},
#include "eval/small_world_tasks.def"
#undef FAL_WORLD_TASK
};

const fal_world_task_row *fal_world_task_at(int index) {
    return index >= 0 && index < FAL_WORLD_TASK_COUNT ? &tasks[index] : NULL;
}

static int word(enum word_class class, int index) {
    return classes[class].first + index;
}

static int draw(fal_random *r, int n) {
    return (int)(fal_random_unit(r) * (double)n);
}

/* Different ones of [0, n), in an order of their own. */
static void draw_different(fal_random *r, int n, int *out, int count) {
    for (int i = 0; i < count; i++) {
        bool is_there = true;
        while (is_there) {
            out[i] = draw(r, n);
            is_there = false;
            for (int k = 0; k < i; k++)
                is_there = is_there || out[k] == out[i];
        }
    }
}

/* A sentence being made: its words, and from which on they are an answer. */
typedef struct sentence {
    int words[MOST_SENTENCE];
    int n, first_answer; /* n: none */
} sentence;

static sentence say(int n, const int *words) {
    sentence s = {.n = n, .first_answer = n};
    memcpy(s.words, words, (size_t)n * sizeof *words);
    return s;
}

#define SAY(...) say((int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (const int[]){__VA_ARGS__})

/* The same with the last n_answer words before the stop as answer. */
static sentence answered(sentence s, int n_answer) {
    s.first_answer = s.n - 1 - n_answer;
    return s;
}

/* The i-th of the values that a key of its class has. */
static int value(enum word_class class, int n_values, int key, int i) {
    return word(class, key * n_values + i);
}

/* The forms of facts and questions. What is asked for stands behind its key in both. Where two facts must be joined, the
 * answer names both. */
static sentence code_fact(int key, int code) {
    return SAY(CODE, word(KEY, key), value(CODE_WORD, N_CODES, key, code), STOP);
}

static sentence code_question(int key, int code) {
    return answered(SAY(ASKS, CODE, word(KEY, key), value(CODE_WORD, N_CODES, key, code), STOP), 1);
}

static sentence move_fact(int object, int spot) {
    return SAY(MOVES, word(OBJECT, object), value(SPOT, N_SPOTS, object, spot), STOP);
}

static sentence spot_question(enum plain_word when, int object, int spot) {
    return answered(SAY(ASKS, when, word(OBJECT, object), value(SPOT, N_SPOTS, object, spot), STOP),
                    1);
}

static sentence work_fact(int worker, int firm) {
    return SAY(WORK, word(WORKER, worker), word(FIRM, firm), STOP);
}

static sentence place_fact(int firm, int place) {
    return SAY(LIES, word(FIRM, firm), value(PLACE, N_PLACES, firm, place), STOP);
}

static sentence work_question(int worker, int firm, int place) {
    return answered(SAY(ASKS, WHERE, word(WORKER, worker), word(FIRM, firm),
                        value(PLACE, N_PLACES, firm, place), STOP),
                    2);
}

/* A text being written. The last token is kept for FAL_WORLD_END. */
typedef struct text {
    int32_t *tokens;
    uint8_t *parts; /* NULL: not wanted */
    int n, limit;
    fal_random random;
    int topics[N_TOPICS]; /* nouns that this text is about */
} text;

static text begin(int32_t *tokens, uint8_t *parts, int n_tokens, uint64_t seed, uint64_t index) {
    text t = {.tokens = tokens, .parts = parts, .limit = n_tokens - 1};
    t.random = fal_random_seeded(seed, index);
    draw_different(&t.random, classes[NOUN].count, t.topics, N_TOPICS);
    return t;
}

/* Nothing where it does not fit. */
static bool put(text *t, sentence s) {
    if (t->n + s.n > t->limit) return false;
    for (int i = 0; i < s.n; i++) {
        t->tokens[t->n] = s.words[i];
        bool is_answer = i >= s.first_answer && i < s.n - 1;
        if (t->parts) t->parts[t->n] = is_answer ? FAL_WORLD_ANSWER : FAL_WORLD_PROSE;
        t->n++;
    }
    return true;
}

/* A noun does a few things only, and to a few others: what can be learned without memory. */
static sentence prose(text *t) {
    fal_random *r = &t->random;
    int who = t->topics[draw(r, N_TOPICS)], whom = t->topics[draw(r, N_TOPICS)];
    int verb = (who * 7 + draw(r, 4) * 11) % classes[VERB].count;
    int adjective = (whom * 5 + draw(r, 4) * 13) % classes[ADJECTIVE].count;
    switch (draw(r, 3)) {
    case 0:
        return SAY(THE, word(NOUN, who), word(VERB, verb), THE, word(ADJECTIVE, adjective),
                   word(NOUN, whom), STOP);
    case 1:
        return SAY(THE, word(ADJECTIVE, (who * 5 + draw(r, 4) * 13) % classes[ADJECTIVE].count),
                   word(NOUN, who), word(VERB, verb), STOP);
    default:
        return SAY(SO, THE, word(NOUN, who), AND, THE, word(NOUN, whom), word(VERB, verb), STOP);
    }
}

/* Prose of exactly n - t->n tokens, in whole sentences; what is too short for one is filled with "so so .". */
static void fill(text *t, int n) {
    while (t->n < n) {
        sentence s = prose(t);
        while (s.n > n - t->n && n - t->n >= SHORTEST_SENTENCE)
            s = prose(t);
        if (s.n > n - t->n) {
            s = (sentence){.n = n - t->n, .first_answer = n - t->n};
            for (int i = 0; i < s.n; i++)
                s.words[i] = i == s.n - 1 ? STOP : SO;
        }
        if (!put(t, s)) return;
    }
}

static void end(text *t) {
    fill(t, t->limit);
    t->tokens[t->n] = FAL_WORLD_END;
    if (t->parts) t->parts[t->n] = FAL_WORLD_PROSE;
}

/* ---- documents ---- */

typedef enum fact_kind {
    FACT_CODE,
    FACT_SPOT,
    FACT_WORK,
    N_FACT_KINDS
} fact_kind;

/* What a document has stated so far. */
typedef struct facts {
    struct {
        fact_kind kind;
        int key, position; /* of the last statement about it */
    } items[N_FACTS];

    int count;
    int codes[N_KEYS], first_spots[N_OBJECTS], spots[N_OBJECTS];
    int firms[N_WORKERS], places[N_ALL_FIRMS];
} facts;

static int find(const facts *f, fact_kind kind, int key) {
    int i = 0;
    while (i < f->count && (f->items[i].kind != kind || f->items[i].key != key))
        i++;
    return i;
}

static bool is_known(const facts *f, fact_kind kind, int key) {
    return find(f, kind, key) < f->count;
}

static void remember(facts *f, fact_kind kind, int key, int position) {
    int i = find(f, kind, key);
    if (i == f->count) f->count++;
    f->items[i].kind = kind;
    f->items[i].key = key;
    f->items[i].position = position;
}

/* Each states a fact that is new, if it draws one and it fits; but objects are moved again. */

static void state_code(text *t, facts *f) {
    int key = draw(&t->random, N_KEYS), code = draw(&t->random, N_CODES);
    if (is_known(f, FACT_CODE, key) || !put(t, code_fact(key, code))) return;
    f->codes[key] = code;
    remember(f, FACT_CODE, key, t->n);
}

static void state_spot(text *t, facts *f) {
    int object = draw(&t->random, N_OBJECTS), spot = draw(&t->random, N_SPOTS);
    bool is_somewhere = is_known(f, FACT_SPOT, object);
    if ((is_somewhere && f->spots[object] == spot) || !put(t, move_fact(object, spot))) return;
    if (!is_somewhere) f->first_spots[object] = spot;
    f->spots[object] = spot;
    remember(f, FACT_SPOT, object, t->n);
}

static void state_work(text *t, facts *f) {
    int worker = draw(&t->random, N_WORKERS), place = draw(&t->random, N_PLACES);
    int firm = worker * N_FIRMS + draw(&t->random, N_FIRMS);
    if (is_known(f, FACT_WORK, worker) || !put(t, place_fact(firm, place))) return;
    if (!put(t, work_fact(worker, firm))) return;
    f->firms[worker] = firm;
    f->places[firm] = place;
    remember(f, FACT_WORK, worker, t->n);
}

typedef void state_function(text *t, facts *f);

static void state_fact(text *t, facts *f) {
    static state_function *const states[] = {
        [FACT_CODE] = state_code, [FACT_SPOT] = state_spot, [FACT_WORK] = state_work};
    states[draw(&t->random, N_FACT_KINDS)](t, f);
}

/* The fact that was stated about as long ago as a distance drawn evenly on a logarithmic scale, or any. */
static int draw_fact(fal_random *r, const facts *f, int now) {
    if (fal_random_unit(r) < 0.5) return draw(r, f->count);
    int wanted = now - (int)exp(fal_random_unit(r) * log((double)now + 1.0)), best = 0;
    for (int i = 1; i < f->count; i++) {
        if (abs(f->items[i].position - wanted) < abs(f->items[best].position - wanted)) best = i;
    }
    return best;
}

static sentence question_about(text *t, const facts *f, fact_kind kind, int key) {
    if (kind == FACT_CODE) return code_question(key, f->codes[key]);
    if (kind == FACT_WORK) return work_question(key, f->firms[key], f->places[f->firms[key]]);
    return draw(&t->random, 2) ? spot_question(FIRST, key, f->first_spots[key])
                               : spot_question(NOW, key, f->spots[key]);
}

static void ask_back(text *t, const facts *f) {
    if (f->count == 0) return;
    int best = draw_fact(&t->random, f, t->n);
    (void)put(t, question_about(t, f, f->items[best].kind, f->items[best].key));
}

void fal_world_document(uint64_t seed, uint64_t index, double chatter, int n_tokens,
                        int32_t *tokens, uint8_t *parts) {
    text t = begin(tokens, parts, n_tokens, seed, index);
    facts f = {0};
    while (t.limit - t.n >= MOST_SENTENCE) {
        double what = fal_random_unit(&t.random), facts_share = f.count < FEW_FACTS ? 0.7 : 0.25;
        if (what < chatter)
            (void)put(&t, prose(&t));
        else if (what < chatter + (1.0 - chatter) * facts_share)
            state_fact(&t, &f);
        else
            ask_back(&t, &f);
    }
    end(&t);
}

/* ---- examples ---- */

enum {
    MOST_EVENTS = 16
};

/* The events of an example in the order of the text, where each stands, and the question. */
typedef struct example {
    sentence events[MOST_EVENTS];
    double where[MOST_EVENTS]; /* 0 the beginning, 1 the end; ascending */
    int n_events;
    sentence question;
} example;

/* Places for n events, ascending. */
static void draw_places(fal_random *r, example *e, int n) {
    e->n_events = n;
    for (int i = 0; i < n; i++) {
        double place = fal_random_unit(r);
        int k = i;
        for (; k > 0 && e->where[k - 1] > place; k--)
            e->where[k] = e->where[k - 1];
        e->where[k] = place;
    }
}

/* The event nearest to depth. */
static int nearest_event(const example *e, double depth) {
    int best = 0;
    for (int i = 1; i < e->n_events; i++) {
        if (fabs(e->where[i] - depth) < fabs(e->where[best] - depth)) best = i;
    }
    return best;
}

static void make_lookup(fal_random *r, double depth, example *e) {
    int keys[N_KEYS];
    draw_different(r, N_KEYS, keys, N_KEYS);
    draw_places(r, e, N_KEYS);
    int asked = nearest_event(e, depth);
    for (int i = 0; i < N_KEYS; i++) {
        int code = draw(r, N_CODES);
        e->events[i] = code_fact(keys[i], code);
        if (i == asked) e->question = code_question(keys[i], code);
    }
}

/* Each object is moved so often, to another spot each time. */
enum {
    N_MOVES = 4
};

/* The object whose n-th move (0 the first) is nearest to depth is asked for its spot then. */
static void make_moves(fal_random *r, double depth, int n, enum plain_word when, example *e) {
    int spots[N_OBJECTS][N_MOVES], n_made[N_OBJECTS] = {0}, asked = -1;
    double nearest = 2;
    for (int o = 0; o < N_OBJECTS; o++)
        draw_different(r, N_SPOTS, spots[o], N_MOVES);
    draw_places(r, e, N_OBJECTS * N_MOVES);
    for (int i = 0; i < e->n_events; i++) {
        int o = draw(r, N_OBJECTS);
        while (n_made[o] == N_MOVES)
            o = (o + 1) % N_OBJECTS;
        e->events[i] = move_fact(o, spots[o][n_made[o]]);
        bool is_asked_for = n_made[o]++ == n;
        if (!is_asked_for || fabs(e->where[i] - depth) >= nearest) continue;
        nearest = fabs(e->where[i] - depth);
        asked = o;
    }
    e->question = spot_question(when, asked, spots[asked][n]);
}

static void make_origin(fal_random *r, double depth, example *e) {
    make_moves(r, depth, 0, FIRST, e);
}

static void make_track(fal_random *r, double depth, example *e) {
    make_moves(r, depth, N_MOVES - 1, NOW, e);
}

static void make_join(fal_random *r, double depth, example *e) {
    int firms[N_WORKERS], places[N_WORKERS], order[2 * N_WORKERS];
    for (int w = 0; w < N_WORKERS; w++) {
        firms[w] = w * N_FIRMS + draw(r, N_FIRMS);
        places[w] = draw(r, N_PLACES);
    }
    draw_different(r, 2 * N_WORKERS, order, 2 * N_WORKERS);
    draw_places(r, e, 2 * N_WORKERS);
    for (int i = 0; i < e->n_events; i++) {
        int w = order[i] / 2;
        e->events[i] = order[i] % 2 ? work_fact(w, firms[w]) : place_fact(firms[w], places[w]);
    }
    int asked = order[nearest_event(e, depth)] / 2;
    e->question = work_question(asked, firms[asked], places[asked]);
}

typedef void make_function(fal_random *r, double depth, example *e);

int fal_world_example(fal_world_task task, uint64_t seed, uint64_t index, double depth,
                      int n_tokens, int32_t *tokens, int *first_answer) {
    static make_function *const makers[] = {[FAL_WORLD_LOOKUP] = make_lookup,
                                            [FAL_WORLD_TRACK] = make_track,
                                            [FAL_WORLD_JOIN] = make_join,
                                            [FAL_WORLD_ORIGIN] = make_origin};
    text t = begin(tokens, NULL, n_tokens, seed ^ (0x51ed270b0u + (uint64_t)task), index);
    example e = {0};
    makers[task](&t.random, depth, &e);
    int n_left = 0; /* tokens of the events that are still to come */
    for (int i = 0; i < e.n_events; i++)
        n_left += e.events[i].n;
    int n_prose = t.limit - n_left - e.question.n;
    for (int i = 0, n_put = 0; i < e.n_events; i++) {
        fill(&t, n_put + (int)(e.where[i] * (double)n_prose));
        (void)put(&t, e.events[i]);
        n_put += e.events[i].n;
    }
    fill(&t, t.limit - e.question.n);
    *first_answer = t.n + e.question.first_answer;
    (void)put(&t, e.question);
    end(&t);
    return e.question.n - 1 - e.question.first_answer;
}

void fal_world_word(int32_t token, char out[FAL_WORLD_WORD_SIZE]) {
    snprintf(out, FAL_WORLD_WORD_SIZE, "?");
    if (token >= 0 && token < N_PLAIN)
        snprintf(out, FAL_WORLD_WORD_SIZE, "%s", token == END ? "<end>" : plain_words[token]);
    for (int class = 0; class < N_CLASSES; class ++) {
        int index = token - classes[class].first;
        const char *s = classes[class].syllables;
        if (index < 0 || index >= classes[class].count) continue;
        snprintf(out, FAL_WORLD_WORD_SIZE, "%.2s%.2s%s", s + 2 * (index % 8),
                 s + 2 * ((index / 8 + index % 8 + 1) % 8), classes[class].ending);
    }
}
