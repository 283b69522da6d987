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
static const char *const plain_words[] = {"",    "the",   "and", "so",   ".",    "asks",  "code",
                                          "has", "gives", "who", "work", "lies", "where", "note"};

enum plain_word {
    END,
    THE,
    AND,
    SO,
    STOP,
    ASKS,
    CODE,
    HAS,
    GIVES,
    WHO,
    WORK,
    LIES,
    WHERE,
    NOTE,
    N_PLAIN
};

/* Classes of words lie one behind the other. They are small: how many examples it takes to tell keys apart grows with how
 * many there are. No word is the key of two kinds of facts. */
enum {
    N_KEYS = 16,   /* of codes */
    N_OBJECTS = 8, /* that are held by names */
    N_WORKERS = 8, /* who work at firms */
    N_FIRMS = 8,   /* which lie in places */
    N_TITLES = 8   /* of notes */
};

enum word_class {
    KEY,
    CODE_WORD,
    OBJECT,
    NAME,
    WORKER,
    FIRM,
    PLACE,
    TITLE,
    NOTE_WORD,
    NOUN,
    VERB,
    ADJECTIVE,
    N_CLASSES
};

static const struct {
    int first, count;
    const char *syllables, *ending; /* pairs of letters that its words are made of */
} classes[N_CLASSES] = {
    [KEY] = {N_PLAIN,       N_KEYS,    "brclstgrcospshfl", "i"},
    [CODE_WORD] = {N_PLAIN + 16,  16,        "zaqexukijovypuwo", "" },
    [OBJECT] = {N_PLAIN + 32,  N_OBJECTS, "goplenucidarfote", "" },
    [NAME] = {N_PLAIN + 40,  16,        "MaLoTiReSuBeNoKa", "" },
    [WORKER] = {N_PLAIN + 56,  N_WORKERS, "DiGaHeWiYoEsInUl", "" },
    [FIRM] = {N_PLAIN + 64,  N_FIRMS,   "KoZeVuXiPaDoFaRu", "" },
    [PLACE] = {N_PLAIN + 72,  8,         "haviborgulmestad", "m"},
    [TITLE] = {N_PLAIN + 80,  N_TITLES,  "opkufraletzischo", "x"},
    [NOTE_WORD] = {N_PLAIN + 88,  32,        "bimefutagowirune", "n"},
    [NOUN] = {N_PLAIN + 120, 48,        "tabeligonurasemo", "" },
    [VERB] = {N_PLAIN + 168, 32,        "dekilomanibureto", "s"},
    [ADJECTIVE] = {N_PLAIN + 200, 32,        "lumigrosharnebil", "y"}
};

enum {
    MOST_SENTENCE = 16,
    SHORTEST_SENTENCE = 5, /* of prose */
    N_FACTS = N_KEYS + N_OBJECTS + N_WORKERS + N_TITLES,
    NOTE_WORDS = 8,
    N_TOPICS = 10,
    N_OWN_OBJECTS = 4, /* that a document speaks of */
    FEW_FACTS = 4      /* until then most sentences state some */
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

/* The forms of facts and questions. What is asked for stands behind its key in both: looking it up is following a pair of
 * words, which small models learn within a few million tokens. Where two facts must be joined, the answer names both. */
static sentence code_fact(int key, const int code[2]) {
    return SAY(CODE, word(KEY, key), word(CODE_WORD, code[0]), word(CODE_WORD, code[1]), STOP);
}

static sentence code_question(int key, const int code[2]) {
    return answered(
        SAY(ASKS, CODE, word(KEY, key), word(CODE_WORD, code[0]), word(CODE_WORD, code[1]), STOP),
        2);
}

static sentence first_holder(int object, int name) {
    return SAY(HAS, word(OBJECT, object), word(NAME, name), STOP);
}

static sentence handing_over(int object, int from, int to) {
    return SAY(word(NAME, from), GIVES, word(OBJECT, object), word(NAME, to), STOP);
}

static sentence holder_question(int object, int name) {
    return answered(SAY(ASKS, WHO, HAS, word(OBJECT, object), word(NAME, name), STOP), 1);
}

static sentence work_fact(int worker, int firm) {
    return SAY(WORK, word(WORKER, worker), word(FIRM, firm), STOP);
}

static sentence place_fact(int firm, int place) {
    return SAY(LIES, word(FIRM, firm), word(PLACE, place), STOP);
}

static sentence work_question(int worker, int firm, int place) {
    return answered(
        SAY(ASKS, WHERE, WORK, word(WORKER, worker), word(FIRM, firm), word(PLACE, place), STOP),
        2);
}

static sentence note_fact(int title, const int words[NOTE_WORDS]) {
    sentence s = SAY(NOTE, word(TITLE, title));
    for (int i = 0; i < NOTE_WORDS; i++)
        s.words[s.n++] = word(NOTE_WORD, words[i]);
    s.words[s.n++] = STOP;
    s.first_answer = s.n;
    return s;
}

static sentence note_question(int title, const int words[NOTE_WORDS]) {
    sentence s = SAY(ASKS), fact = note_fact(title, words);
    memcpy(s.words + 1, fact.words, (size_t)fact.n * sizeof *s.words);
    s.n += fact.n;
    return answered(s, NOTE_WORDS);
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
    FACT_HOLDER,
    FACT_WORK,
    FACT_NOTE,
    N_FACT_KINDS
} fact_kind;

/* What a document has stated so far. */
typedef struct facts {
    struct {
        fact_kind kind;
        int key, position; /* of the last statement about it */
    } items[N_FACTS];

    int count;
    int codes[N_KEYS][2], holders[N_OBJECTS], firms[N_WORKERS], places[N_FIRMS];
    int notes[N_TITLES][NOTE_WORDS];
    bool has_place[N_FIRMS];

    /* What this document speaks of: few things and mostly of one kind, so that a question is answered by its key, not by
     * what was stated last. */
    fact_kind favourite;
    int objects[N_OWN_OBJECTS];
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

/* Each states a fact that is new, if it draws one and it fits; but objects are handed on. */

static void state_code(text *t, facts *f) {
    int key = draw(&t->random, N_KEYS);
    int code[2] = {draw(&t->random, classes[CODE_WORD].count),
                   draw(&t->random, classes[CODE_WORD].count)};
    if (is_known(f, FACT_CODE, key) || !put(t, code_fact(key, code))) return;
    memcpy(f->codes[key], code, sizeof code);
    remember(f, FACT_CODE, key, t->n);
}

static void state_holder(text *t, facts *f) {
    int object = f->objects[draw(&t->random, N_OWN_OBJECTS)],
        name = draw(&t->random, classes[NAME].count);
    bool is_held = is_known(f, FACT_HOLDER, object);
    if (is_held && f->holders[object] == name) return;
    if (!put(t,
             is_held ? handing_over(object, f->holders[object], name) : first_holder(object, name)))
        return;
    f->holders[object] = name;
    remember(f, FACT_HOLDER, object, t->n);
}

static void state_work(text *t, facts *f) {
    int worker = draw(&t->random, N_WORKERS), firm = draw(&t->random, N_FIRMS);
    int place = draw(&t->random, classes[PLACE].count);
    if (is_known(f, FACT_WORK, worker)) return;
    if (!f->has_place[firm]) {
        if (!put(t, place_fact(firm, place))) return;
        f->has_place[firm] = true;
        f->places[firm] = place;
    }
    if (!put(t, work_fact(worker, firm))) return;
    f->firms[worker] = firm;
    remember(f, FACT_WORK, worker, t->n);
}

static void draw_note(fal_random *r, int words[NOTE_WORDS]) {
    draw_different(r, classes[NOTE_WORD].count, words, NOTE_WORDS);
}

static void state_note(text *t, facts *f) {
    int title = draw(&t->random, N_TITLES), words[NOTE_WORDS];
    draw_note(&t->random, words);
    if (is_known(f, FACT_NOTE, title) || !put(t, note_fact(title, words))) return;
    memcpy(f->notes[title], words, sizeof words);
    remember(f, FACT_NOTE, title, t->n);
}

typedef void state_function(text *t, facts *f);

static void state_fact(text *t, facts *f) {
    static state_function *const states[] = {[FACT_CODE] = state_code,
                                             [FACT_HOLDER] = state_holder,
                                             [FACT_WORK] = state_work,
                                             [FACT_NOTE] = state_note};
    bool is_favourite = fal_random_unit(&t->random) < 0.7;
    states[is_favourite ? (int)f->favourite : draw(&t->random, N_FACT_KINDS)](t, f);
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

static void ask_back(text *t, const facts *f) {
    if (f->count == 0) return;
    int best = draw_fact(&t->random, f, t->n);
    int key = f->items[best].key;
    switch (f->items[best].kind) {
    case FACT_CODE: (void)put(t, code_question(key, f->codes[key])); return;
    case FACT_HOLDER: (void)put(t, holder_question(key, f->holders[key])); return;
    case FACT_WORK:
        (void)put(t, work_question(key, f->firms[key], f->places[f->firms[key]]));
        return;
    case FACT_NOTE: (void)put(t, note_question(key, f->notes[key])); return;
    case N_FACT_KINDS: return;
    }
}

void fal_world_document(uint64_t seed, uint64_t index, double chatter, int n_tokens,
                        int32_t *tokens, uint8_t *parts) {
    text t = begin(tokens, parts, n_tokens, seed, index);
    facts f = {.favourite = (fact_kind)draw(&t.random, N_FACT_KINDS)};
    draw_different(&t.random, N_OBJECTS, f.objects, N_OWN_OBJECTS);
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
    int keys[8];
    draw_different(r, N_KEYS, keys, 8);
    draw_places(r, e, 8);
    int asked = nearest_event(e, depth);
    for (int i = 0; i < 8; i++) {
        int code[2] = {draw(r, classes[CODE_WORD].count), draw(r, classes[CODE_WORD].count)};
        e->events[i] = code_fact(keys[i], code);
        if (i == asked) e->question = code_question(keys[i], code);
    }
}

static void make_track(fal_random *r, double depth, example *e) {
    int objects[4], names[16], n_held[4] = {0};
    draw_different(r, N_OBJECTS, objects, 4);
    draw_different(r, classes[NAME].count, names, 16);
    draw_places(r, e, 16);
    int asked = -1;
    for (int i = 0; i < 16; i++) {
        int o = draw(r, 4);
        while (n_held[o] == 4)
            o = (o + 1) % 4;
        const int *chain = names + 4 * o;
        e->events[i] = n_held[o] == 0
                           ? first_holder(objects[o], chain[0])
                           : handing_over(objects[o], chain[n_held[o] - 1], chain[n_held[o]]);
        n_held[o]++;
        if (asked < 0 && n_held[o] == 4 && e->where[i] >= depth) asked = o;
    }
    if (asked < 0) asked = draw(r, 4);
    e->question = holder_question(objects[asked], names[4 * asked + 3]);
}

static void make_join(fal_random *r, double depth, example *e) {
    int workers[4], firms[4], places[4], order[8];
    draw_different(r, N_WORKERS, workers, 4);
    draw_different(r, N_FIRMS, firms, 4);
    draw_different(r, classes[PLACE].count, places, 4);
    draw_different(r, 8, order, 8);
    draw_places(r, e, 8);
    for (int i = 0; i < 8; i++) {
        int which = order[i] / 2;
        e->events[i] = order[i] % 2 ? work_fact(workers[which], firms[which])
                                    : place_fact(firms[which], places[which]);
    }
    int asked = order[nearest_event(e, depth)] / 2;
    e->question = work_question(workers[asked], firms[asked], places[asked]);
}

static void make_recite(fal_random *r, double depth, example *e) {
    int titles[4];
    draw_different(r, N_TITLES, titles, 4);
    draw_places(r, e, 4);
    int asked = nearest_event(e, depth);
    for (int i = 0; i < 4; i++) {
        int words[NOTE_WORDS];
        draw_note(r, words);
        e->events[i] = note_fact(titles[i], words);
        if (i == asked) e->question = note_question(titles[i], words);
    }
}

typedef void make_function(fal_random *r, double depth, example *e);

int fal_world_example(fal_world_task task, uint64_t seed, uint64_t index, double depth,
                      int n_tokens, int32_t *tokens, int *first_answer) {
    static make_function *const makers[] = {[FAL_WORLD_LOOKUP] = make_lookup,
                                            [FAL_WORLD_TRACK] = make_track,
                                            [FAL_WORLD_JOIN] = make_join,
                                            [FAL_WORLD_RECITE] = make_recite};
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
