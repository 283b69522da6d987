/* Grammars: what is accepted and refused, which tokens are allowed, and random grammars against a recogniser that is
 * written here as plainly as can be. */
#include "base/random.h"
#include "base/string_builder.h"
#include "text/grammar.h"
#include "text/grammar_rules.h"
#include "unit/text/text_fixtures.h"

static const extra_token extras[] = {
    {"<|endoftext|>",    FAL_TOKEN_CONTROL}, /* 256 */
    {"<start>",          FAL_TOKEN_CONTROL}, /* 257 */
    {"ab",               FAL_TOKEN_NORMAL }, /* 258 */
    {"abc",              FAL_TOKEN_NORMAL }, /* 259 */
    {"bb",               FAL_TOKEN_NORMAL }, /* 260 */
    {"ba",               FAL_TOKEN_NORMAL }, /* 261 */
    {"aa",               FAL_TOKEN_NORMAL }, /* 262 */
    {"aab",              FAL_TOKEN_NORMAL }, /* 263 */
    {"\xc3\xa2\xc4\xa4", FAL_TOKEN_NORMAL }, /* 264: e2 82, the beginning of a euro sign */
    {"\xc2\xacx",        FAL_TOKEN_NORMAL }, /* 265: ac, its end, and an x */
    {"\"}",              FAL_TOKEN_NORMAL }, /* 266 */
    {"\"]}",             FAL_TOKEN_NORMAL }, /* 267 */
    {"a\",",             FAL_TOKEN_NORMAL }, /* 268 */
    {NULL,               0                },
};

enum {
    END = 256
};

/* No merges: tokens need none to be there. */
static fal_tokenizer *open_vocabulary(void) {
    fal_vocabulary v = vocabulary_of(extras, NULL);
    v.eos = END;
    return tokenizer_of(v);
}

static fal_grammar *open_grammar(const char *gbnf) {
    fal_error err = {0};
    fal_grammar *g;
    CHECK_OK(fal_grammar_open(&g, gbnf, strlen(gbnf), &err), &err);
    return g;
}

static fal_grammar_state *open_state(const fal_grammar *g, const fal_tokenizer *t) {
    fal_error err = {0};
    fal_grammar_state *s;
    CHECK_OK(fal_grammar_state_open(&s, g, t, &err), &err);
    return s;
}

static bool is_set(const uint32_t *bits, int32_t token) {
    return bits[token / 32] >> token % 32 & 1;
}

/* Goes on byte by byte; returns how many bytes were accepted. */
static size_t feed(fal_grammar_state *s, const char *text, size_t length) {
    size_t n = 0;
    while (n < length && fal_grammar_accept(s, (uint8_t)text[n], NULL) == FAL_OK)
        n++;
    return n;
}

typedef struct sample {
    const char *gbnf, *text;
    int n_accepted; /* bytes; all of text: -1 */
    bool may_end, is_complete;
} sample;

static const sample samples[] = {
    {"root ::= \"abc\"",                                            "abc",                 -1, true,  true },
    {"root ::= \"abc\"",                                            "ab",                  -1, false, false},
    {"root ::= \"abc\"",                                            "abd",                 2,  false, false},
    {"root ::= \"a\" | \"ab\" | \"\"",                              "",                    -1, true,  false},
    {"root ::= \"a\" | \"ab\"",                                     "a",                   -1, true,  false},
    {"root ::= [a-c]+",                                             "abcabcd",             6,  true,  false},
    {"root ::= [^a-c]{2}",                                          "d\xe2\x82\xac",       -1, true,  true },
    {"root ::= [^a-c]{2}",                                          "da",                  1,  false, false},
    {"root ::= [^a-c]{2}",                                          "d\xe2\x82\x28",       3,  false, false},
    {"root ::= .",                                                  "\xf0\x9f\x98\x80",    -1, true,  true },
    {"root ::= .",                                                  "\xed\xa0\x80",        1,  false, false}, /* a surrogate */
    {"root ::= .",                                                  "\xc0\x80",            0,  false, false},
    {"root ::= .",                                                  "\xf4\x90\x80\x80",    1,  false, false},
    {"root ::= [\\u3041-\\u309F]",                                  "\xe3\x81\x81",        -1, true,  true },
    {"root ::= [\xe3\x81\x81-\xe3\x82\x9f]",                        "\xe3\x82\x9f",        -1, true,  true },
    {"root ::= [\\U0001F600-\\U0001F64F]",                          "\xf0\x9f\x98\xbf",    -1, true,  true },
    {"root ::= \"\\x41\\u00e4\\n\\t\\\"\\\\\\[\\]\"",               "A\xc3\xa4\n\t\"\\[]", -1, true,  true },
    {"root ::= [a\\]\\-^-]",                                        "]",                   -1, true,  true },
    {"root ::= [a\\]\\-^-]",                                        "-",                   -1, true,  true },
    {"root ::= [a-]",                                               "-",                   -1, true,  true },
    {"root ::= x{2,3}\nx ::= \"ab\"",                               "ababab",              -1, true,  true },
    {"root ::= x{2,3}\nx ::= \"ab\"",                               "ababa",               -1, false, false},
    {"root ::= \"a\"{2,}",                                          "aaaaaaaaaa",          -1, true,  false},
    {"root ::= \"a\"{0}",                                           "",                    -1, true,  true },
    {"root ::= \"ab\"* \"c\"",                                      "ababc",               -1, true,  true },
    {"root ::= ( # a comment\n \"a\" |\n\n \"b\" ) \"c\"",          "bc",                  -1, true,  true },
    {"# first\nroot ::= \"a\" |\n \"b\"\n  | \"c\"\n\n",            "c",                   -1, true,  true },
    {"root ::= a-B_9\na-B_9 ::= \"x\"",                             "x",                   -1, true,  true },
    {"root ::= \"(\" root \")\" | \"\"",                            "((()))",              -1, true,  true },
    {"root ::= \"(\" root \")\" | \"\"",                            "((())))",             6,  true,  true },
    {"root ::= \"a\" root | \"a\"",                                 "aaaaaaaa",            -1, true,  false},
    {"root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9] | \"(\" e \")\"", "1+(2+(3))",           -1, true,  false},
    {"root ::= (\"a\"?)* \"b\"",                                    "aaab",                -1, true,  true },
    {"root ::= x? y\nx ::= \"a\" | \"\"\ny ::= \"ab\"",             "aab",                 -1, true,  true },
    {"root ::= n n \"c\"\nn ::= \"a\"?",                            "c",                   -1, true,  true },
};

static void texts_are_accepted_or_refused(void **state) {
    (void)state;
    fal_tokenizer *t = open_vocabulary();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *c = &samples[i];
        fal_grammar *g = open_grammar(c->gbnf);
        fal_grammar_state *s = open_state(g, t);
        size_t length = strlen(c->text);
        size_t expected = c->n_accepted < 0 ? length : (size_t)c->n_accepted;
        size_t n = feed(s, c->text, length);
        if (n != expected || fal_grammar_may_end(s) != c->may_end
            || fal_grammar_is_complete(s) != c->is_complete)
            fail_msg("%s with '%s': %zu accepted, may end %d, is complete %d", c->gbnf, c->text, n,
                     fal_grammar_may_end(s), fal_grammar_is_complete(s));
        fal_grammar_state_close(s);
        fal_grammar_close(g);
    }
    fal_tokenizer_close(t);
}

typedef struct refusal {
    const char *gbnf;
    fal_status status;
    const char *fragment;
} refusal;

static const refusal refusals[] = {
    {"",                                                       FAL_E_FORMAT,      "no rule 'root'"                                    },
    {"a ::= \"x\"",                                            FAL_E_FORMAT,      "no rule 'root'"                                    },
    {"root ::= \"x\"\nroot ::= \"y\"",                         FAL_E_FORMAT,
     "line 2, column 1: rule 'root' is defined twice"                                                                                 },
    {"root ::= \"x\"\n  other",                                FAL_E_FORMAT,      "line 2, column 8: '::=' is expected"               },
    {"root = \"x\"",                                           FAL_E_FORMAT,      "line 1, column 6: '::=' is expected, not '='"      },
    {"root ::= \"x",                                           FAL_E_FORMAT,      "line 1, column 10: this literal does not end"      },
    {"root ::= [x",                                            FAL_E_FORMAT,      "line 1, column 10: this class does not end"        },
    {"root ::= []",                                            FAL_E_FORMAT,      "line 1, column 10: no character"                   },
    {"root ::= [^\\x00-\\U0010FFFF]",                          FAL_E_FORMAT,      "no character"                                      },
    {"root ::= [z-a]",                                         FAL_E_FORMAT,      "line 1, column 11: this range"                     },
    {"root ::= \"\\q\"",                                       FAL_E_FORMAT,      "line 1, column 11: an escape is one of"            },
    {"root ::= \"\\x4\"",                                      FAL_E_FORMAT,      "needs 2 hexadecimal digits"                        },
    {"root ::= \"\\uD800\"",                                   FAL_E_FORMAT,      "U+D800 is no character"                            },
    {"root ::= \"\\U00110000\"",                               FAL_E_FORMAT,      "U+110000 is no character"                          },
    {"root ::= \"\xc3\xa4\" \"\xff\"",                         FAL_E_FORMAT,      "line 1, column 15: no valid UTF-8"                 },
    {"root ::= (\"x\"",                                        FAL_E_FORMAT,      "')' is expected, the text ends"                    },
    {"root ::= \"x\")",                                        FAL_E_FORMAT,      "line 1, column 13: the end of the rule is expected"},
    {"root ::= *",                                             FAL_E_FORMAT,      "line 1, column 10"                                 },
    {"root ::= \"x\"{3,2}",                                    FAL_E_FORMAT,      "at least 3 and at most 2"                          },
    {"root ::= \"x\"{,2}",                                     FAL_E_FORMAT,      "a number is expected, not ','"                     },
    {"root ::= \"x\"{9999999999}",                             FAL_E_LIMIT,       "repeated more than"                                },
    {"root ::= \"a\" \xc3\xa4",                                FAL_E_FORMAT,
     "line 1, column 14: the end of the rule is expected, not"                                                                        },
    {"root ::= missing",                                       FAL_E_FORMAT,      "line 1, column 10: rule 'missing' is not defined"  },
    {"root ::= root \"x\" | \"x\"",                            FAL_E_FORMAT,
     "line 1, column 1: rule 'root' begins with itself"                                                                               },
    {"root ::= a\na ::= b? a | \"x\"\nb ::= \"y\"",            FAL_E_FORMAT,
     "line 2, column 1: rule 'a' begins with itself"                                                                                  },
    {"root ::= \"x\" a\na ::= b \"x\"\nb ::= n a\nn ::= \"\"", FAL_E_FORMAT,      "left recursion"                                    },
    {"root ::= <think>",                                       FAL_E_UNSUPPORTED, "line 1, column 10: tokens"                         },
};

static void malformed_grammars_are_refused_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        fal_grammar *g;
        fal_error err = {0};
        CHECK_STATUS(fal_grammar_open(&g, refusals[i].gbnf, strlen(refusals[i].gbnf), &err),
                     refusals[i].status, &err, refusals[i].fragment);
        assert_null(g);
    }
}

/* ---- tokens ---- */

/* Compares each bit with what accepting the token's bytes one by one says. */
static void check_mask(const fal_grammar *g, const fal_tokenizer *t, const char *text,
                       size_t length) {
    fal_grammar_state *s = open_state(g, t);
    assert_int_equal(feed(s, text, length), length);
    int32_t n_vocab = fal_tokenizer_n_vocab(t);
    uint32_t bits[10];
    fal_status status = fal_grammar_allowed(s, bits, 320, NULL);
    size_t n_allowed = 0;
    for (int32_t token = 0; token < 320; token++) {
        bool expected = false;
        if (token == END) {
            expected = fal_grammar_may_end(s);
        } else if (token < n_vocab && !fal_tokenizer_is_control(t, token)) {
            size_t n;
            const char *piece = fal_tokenizer_piece(t, token, &n);
            fal_grammar_state *alone = open_state(g, t);
            assert_int_equal(feed(alone, text, length), length);
            expected = feed(alone, piece, n) == n;
            fal_grammar_state_close(alone);
        }
        if (is_set(bits, token) != expected)
            fail_msg("after '%.*s' token %d is %s", (int)length, text, token,
                     expected ? "not allowed" : "allowed");
        n_allowed += expected;
    }
    assert_int_equal(status, n_allowed ? FAL_OK : FAL_E_UNSUPPORTED);
    fal_grammar_state_close(s);
}

static void masks_agree_with_bytes(void **state) {
    (void)state;
    fal_tokenizer *t = open_vocabulary();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *c = &samples[i];
        fal_grammar *g = open_grammar(c->gbnf);
        size_t length = c->n_accepted < 0 ? strlen(c->text) : (size_t)c->n_accepted;
        for (size_t n = 0; n <= length; n++)
            check_mask(g, t, c->text, n);
        fal_grammar_close(g);
    }
    fal_tokenizer_close(t);
}

static void tokens_may_end_within_a_character(void **state) {
    (void)state;
    fal_tokenizer *t = open_vocabulary();
    fal_grammar *g = open_grammar("root ::= [\xe2\x82\xac] \"x\"");
    fal_grammar_state *s = open_state(g, t);
    fal_error err = {0};
    uint32_t bits[9];
    CHECK_OK(fal_grammar_allowed(s, bits, 269, &err), &err);
    assert_true(is_set(bits, 264) && is_set(bits, 0xe2) && !is_set(bits, 265)
                && !is_set(bits, 'x'));
    CHECK_OK(fal_grammar_accept(s, 264, &err), &err);
    CHECK_OK(fal_grammar_allowed(s, bits, 269, &err), &err);
    assert_true(is_set(bits, 265) && is_set(bits, 0xac) && !is_set(bits, 0xad));
    CHECK_OK(fal_grammar_accept(s, 0xac, &err), &err);
    CHECK_STATUS(fal_grammar_accept(s, 'y', &err), FAL_E_ARGUMENT, &err, "token 121 'y' is not");
    CHECK_STATUS(fal_grammar_accept(s, END, &err), FAL_E_ARGUMENT, &err, "token 256");
    CHECK_STATUS(fal_grammar_accept(s, 257, &err), FAL_E_ARGUMENT, &err, "token 257");
    CHECK_STATUS(fal_grammar_accept(s, 1000, &err), FAL_E_ARGUMENT, &err, "token 1000");
    CHECK_OK(fal_grammar_accept(s, 'x', &err), &err);
    assert_true(fal_grammar_is_complete(s));
    CHECK_OK(fal_grammar_allowed(s, bits, 269, &err), &err);
    for (int32_t token = 0; token < 269; token++)
        assert_int_equal(is_set(bits, token), token == END);
    CHECK_OK(fal_grammar_accept(s, END, &err), &err);
    CHECK_STATUS(fal_grammar_accept(s, 'x', &err), FAL_E_ARGUMENT, &err, "token 120");
    CHECK_STATUS(fal_grammar_allowed(s, bits, 268, &err), FAL_E_ARGUMENT, &err, "268 bits");
    fal_grammar_state_close(s);
    fal_grammar_close(g);
    fal_tokenizer_close(t);
}

/* ---- random grammars against a plain recogniser ---- */

enum {
    MAX_TEXT = 7,
    N_TEXTS = 1 << (MAX_TEXT + 1), /* of a and b, numbered as binary numbers with a leading one */
    N_GRAMMARS = 100
};

/* The set of positions, as bits, at which the expression can end that begins at one of those in `from`. */
static unsigned match(const fal_grammar_rules *r, int32_t expression, const char *text,
                      size_t length, unsigned from, int depth) {
    const fal_expression *e = &r->expressions[expression];
    unsigned to = 0;
    if (!from || depth > 60) return 0;
    if (e->kind == FAL_EXPRESSION_CALL)
        return match(r, r->rules[e->first].body, text, length, from, depth + 1);
    if (e->kind == FAL_EXPRESSION_SEQUENCE) {
        for (int32_t i = 0; i < e->count; i++)
            from = match(r, r->children[e->first + i], text, length, from, depth + 1);
        return from;
    }
    if (e->kind == FAL_EXPRESSION_CHOICE) {
        for (int32_t i = 0; i < e->count; i++)
            to |= match(r, r->children[e->first + i], text, length, from, depth + 1);
        return to;
    }
    if (e->kind == FAL_EXPRESSION_REPEAT) {
        int32_t n_turns = e->most >= 0 ? e->most : e->least + (int32_t)length + 1;
        for (int32_t i = 0; i <= n_turns; i++) {
            if (i >= e->least) to |= from;
            if (i < n_turns) from = match(r, e->first, text, length, from, depth + 1);
        }
        return to;
    }
    for (size_t at = 0; at <= length; at++) {
        if (!(from >> at & 1)) continue;
        if (e->kind == FAL_EXPRESSION_BYTES) {
            size_t n = (size_t)e->count;
            if (at + n <= length && (n == 0 || memcmp(text + at, r->bytes + e->first, n) == 0))
                to |= 1u << (at + n);
        }
        for (int32_t i = 0; e->kind == FAL_EXPRESSION_CLASS && at < length && i < e->count; i++) {
            const fal_character_range *range = &r->ranges[e->first + i];
            if ((uint8_t)text[at] >= range->low && (uint8_t)text[at] <= range->high)
                to |= 1u << (at + 1);
        }
    }
    return to;
}

static unsigned below(fal_random *random, unsigned n) {
    return (unsigned)(fal_random_u64(random) % n);
}

/* Rules r0 to r3; a call at the beginning goes to later rules only, so that most grammars have no left recursion. */
static void write_expression(fal_string_builder *b, fal_random *random, int rule, int depth,
                             bool is_first) {
    static const char *const terminals[] = {"\"a\"", "\"b\"", "\"ab\"", "\"ba\"",
                                            "[ab]",  "[^a]",  "\"\""};
    static const char *const repeats[] = {"*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"};
    unsigned kind = depth > 3 ? 0 : below(random, 6);
    if (kind < 2) {
        fal_string_append_text(b, terminals[below(random, 7)]);
    } else if (kind == 2) {
        int callee = is_first ? rule + 1 + (int)below(random, 2) : (int)below(random, 4);
        fal_string_append_format(b, "r%d", callee > 3 ? 3 : callee);
    } else if (kind == 3) {
        fal_string_append_text(b, "(");
        write_expression(b, random, rule, depth + 1, is_first);
        fal_string_append_format(b, ")%s", repeats[below(random, 7)]);
    } else {
        fal_string_append_text(b, "(");
        write_expression(b, random, rule, depth + 1, is_first);
        fal_string_append_text(b, kind == 4 ? " " : " | ");
        write_expression(b, random, rule, depth + 1,
                         kind == 4 ? is_first && below(random, 3) == 0 : is_first);
        fal_string_append_text(b, ")");
    }
}

static void write_grammar(fal_string_builder *b, fal_random *random) {
    fal_string_clear(b);
    fal_string_append_text(b, "root ::= r0\n");
    for (int rule = 0; rule < 4; rule++) {
        fal_string_append_format(b, "r%d ::= ", rule);
        if (rule == 3)
            fal_string_append_text(b, "\"a\" | \"b\" r0 | \"bab\"");
        else
            write_expression(b, random, rule, 0, true);
        fal_string_append_text(b, "\n");
    }
}

static void text_of_number(unsigned number, char *text, size_t *length) {
    *length = 0;
    for (unsigned bit = 1; number >> bit; bit++)
        ++*length;
    for (size_t i = 0; i < *length; i++)
        text[i] = number >> i & 1 ? 'b' : 'a';
}

/* Every text of a and b: accepted exactly where the recogniser says so; a prefix of one is never refused. */
static void check_all_texts(const fal_grammar *g, const fal_tokenizer *t,
                            const fal_grammar_rules *rules, const char *gbnf) {
    for (unsigned number = 1; number < N_TEXTS; number++) {
        char text[MAX_TEXT + 1];
        size_t length;
        text_of_number(number, text, &length);
        bool expected =
            match(rules, rules->rules[rules->root].body, text, length, 1, 0) >> length & 1;
        fal_grammar_state *s = open_state(g, t);
        bool found = feed(s, text, length) == length && fal_grammar_may_end(s);
        fal_grammar_state_close(s);
        if (found != expected)
            fail_msg("'%.*s' is %s by\n%s", (int)length, text, found ? "accepted" : "refused",
                     gbnf);
    }
}

static void random_grammars_mean_what_a_plain_recogniser_says(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(7, 0);
    fal_tokenizer *t = open_vocabulary();
    fal_string_builder gbnf = {0};
    int n_checked = 0;
    for (int i = 0; i < N_GRAMMARS; i++) {
        fal_grammar *g;
        fal_error err = {0};
        write_grammar(&gbnf, &random);
        fal_status status = fal_grammar_open(&g, gbnf.text, gbnf.length, &err);
        if (status != FAL_OK) {
            CHECK_STATUS(status, FAL_E_FORMAT, &err, "left recursion");
            continue;
        }
        fal_grammar_rules rules;
        CHECK_OK(fal_grammar_parse(&rules, gbnf.text, gbnf.length, &err), &err);
        check_all_texts(g, t, &rules, gbnf.text);
        fal_grammar_rules_release(&rules);
        char text[MAX_TEXT + 1];
        size_t length;
        text_of_number(1 + below(&random, N_TEXTS - 1), text, &length);
        fal_grammar_state *s = open_state(g, t);
        check_mask(g, t, text, feed(s, text, length));
        fal_grammar_state_close(s);
        fal_grammar_close(g);
        n_checked++;
    }
    assert_true(n_checked > N_GRAMMARS / 3);
    fal_string_release(&gbnf);
    fal_tokenizer_close(t);
}

/* ---- hostile grammars ---- */

static void append_times(fal_string_builder *b, const char *text, int n) {
    for (int i = 0; i < n; i++)
        fal_string_append_text(b, text);
}

/* Feeds one byte n times, asking for a mask now and then; what is refused is refused as too much. */
static void feed_times(const char *gbnf, size_t length, char byte, int n) {
    fal_tokenizer *t = open_vocabulary();
    fal_grammar *g;
    fal_grammar_state *s = NULL;
    fal_error err = {0};
    uint32_t bits[9];
    fal_status status = fal_grammar_open(&g, gbnf, length, &err);
    if (status == FAL_OK) status = fal_grammar_state_open(&s, g, t, &err);
    for (int i = 0; status == FAL_OK && i < n; i++) {
        if (i % 64 == 0) status = fal_grammar_allowed(s, bits, 269, &err);
        if (status == FAL_OK) status = fal_grammar_accept(s, (uint8_t)byte, &err);
    }
    if (status != FAL_OK) CHECK_STATUS(status, FAL_E_LIMIT, &err, "grammar");
    fal_grammar_state_close(s);
    fal_grammar_close(g);
    fal_tokenizer_close(t);
}

/* Empty ways have no places; that they are many is refused before they take memory. */
static void many_empty_ways(void **state) {
    (void)state;
    fal_string_builder b = {0};
    fal_grammar *g;
    fal_error err = {0};
    fal_string_append_text(&b, "root ::= (\"\"");
    append_times(&b, "|\"\"", 1000);
    fal_string_append_text(&b, "){500000}");
    CHECK_STATUS(fal_grammar_open(&g, b.text, b.length, &err), FAL_E_LIMIT, &err, "too large");
    fal_string_release(&b);
}

/* Each doubles its ways with every byte or rule, if one counts them one by one. */
static void ambiguous_grammars_stay_small(void **state) {
    (void)state;
    fal_error err = {0};
    fal_tokenizer *t = open_vocabulary();
    static const char *const grammars[] = {
        "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"", "root ::= \"a\" | \"a\" root root",
        "root ::= x* \"b\"\nx ::= \"a\"* y\ny ::= \"a\" x?",    "root ::= [ab]* \"a\" [ab]{40}",
        "root ::= (\"a\"? \"a\"? \"a\"? \"a\"?){500}",
    };
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
        fal_grammar *g = open_grammar(grammars[i]);
        fal_grammar_state *s = open_state(g, t);
        for (int n = 0; n < 400; n++)
            CHECK_OK(fal_grammar_accept(s, 'a', &err), &err);
        uint32_t bits[9];
        CHECK_OK(fal_grammar_allowed(s, bits, 269, &err), &err);
        fal_grammar_state_close(s);
        fal_grammar_close(g);
    }
    fal_tokenizer_close(t);
}

static void hostile_grammars_are_bounded(void **state) {
    (void)state;
    fal_string_builder b = {0};
    fal_string_append_text(&b, "root ::= ");
    append_times(&b, "\"a\"? ", 20000);
    feed_times(b.text, b.length, 'a', 100);
    fal_string_clear(&b);
    fal_string_append_text(&b, "root ::= ");
    append_times(&b, "(", 150);
    fal_string_append_text(&b, "\"a\" \"b\"?");
    append_times(&b, "){0,1000}", 150);
    feed_times(b.text, b.length, 'a', 100);
    fal_string_clear(&b);
    fal_string_append_text(&b, "root ::= ");
    append_times(&b, "(", 5000);
    feed_times(b.text, b.length, 'a', 1);
    fal_string_clear(&b);
    fal_string_append_text(&b, "root ::= r0 \"x\"\n");
    for (int i = 0; i < 20000; i++)
        fal_string_append_format(&b, "r%d ::= r%d \"x\" | r%d \"y\"\n", i, i + 1, i + 1);
    fal_string_append_text(&b, "r20000 ::= \"a\"+");
    feed_times(b.text, b.length, 'a', 100);
    fal_string_clear(&b);
    fal_string_append_text(
        &b, "root ::= \"a\" root \"b\" | \"a\" x \"b\" | \"c\"\nx ::= \"a\" x x? \"b\" | \"c\"");
    feed_times(b.text, b.length, 'a', 20000);
    fal_string_clear(&b);
    fal_string_append_text(&b, "root ::= \"a\"{900000}");
    feed_times(b.text, b.length, 'a', 100);
    fal_string_clear(&b);
    fal_string_append_text(&b, "root ::= (\"a\" [b-\u4e00]? \"c\"?){900000}");
    feed_times(b.text, b.length, 'a', 100);
    fal_string_release(&b);
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    static const char gbnf[] =
        "root ::= \"[\" (v (\",\" v)*)? \"]\"\nv ::= root | [a-z\\u20ac]{1,40} | \"x\" v v?";
    fal_tokenizer *t = open_vocabulary();
    long before = fal_alloc_live();
    bool is_done = false;
    for (long n = 1; !is_done; n++) {
        fal_grammar *g = NULL;
        fal_grammar_state *s = NULL;
        fal_error err = {0};
        uint32_t bits[9];
        if (n > 1) {
            fal_tokenizer_close(t);
            t = open_vocabulary();
        }
        fal_alloc_fail_at(n);
        fal_status status = fal_grammar_open(&g, gbnf, sizeof gbnf - 1, &err);
        if (status == FAL_OK) status = fal_grammar_state_open(&s, g, t, &err);
        for (const char *text = "[a,[xab"; status == FAL_OK && *text; text++) {
            status = fal_grammar_allowed(s, bits, 269, &err);
            if (status == FAL_OK) status = fal_grammar_accept(s, (uint8_t)*text, &err);
        }
        is_done = status == FAL_OK;
        fal_alloc_fail_at(0);
        if (!is_done) CHECK_STATUS(status, FAL_E_MEMORY, &err, "");
        fal_grammar_state_close(s);
        fal_grammar_close(g);
        assert_true(n < 2000);
    }
    fal_tokenizer_close(t);
    t = open_vocabulary();
    assert_int_equal(fal_alloc_live(), before);
    fal_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_or_refused),
        cmocka_unit_test(malformed_grammars_are_refused_with_their_place),
        cmocka_unit_test(masks_agree_with_bytes),
        cmocka_unit_test(tokens_may_end_within_a_character),
        cmocka_unit_test(random_grammars_mean_what_a_plain_recogniser_says),
        cmocka_unit_test(many_empty_ways),
        cmocka_unit_test(ambiguous_grammars_stay_small),
        cmocka_unit_test(hostile_grammars_are_bounded),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
