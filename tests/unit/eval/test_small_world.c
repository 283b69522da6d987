/* The generated world, read back by an oracle that knows the forms of its sentences but not how they were made. */
#include "check.h"
#include "eval/small_world.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LONGEST = 1024,
    MOST_WORDS = 16
};

/* Words of a text as strings, cut into sentences at ".". */
typedef struct reader {
    char words[LONGEST][FAL_WORLD_WORD_SIZE];
    int n, at;
} reader;

static void open_reader(reader *r, const int32_t *tokens, int n) {
    *r = (reader){.n = n};
    for (int i = 0; i < n; i++)
        fal_world_word(tokens[i], r->words[i]);
}

/* The next sentence's words, without its stop; 0 at the end of the text. */
static int next_sentence(reader *r, const char **words) {
    int n = 0;
    while (r->at < r->n && strcmp(r->words[r->at], ".") != 0) {
        assert_true(n < MOST_WORDS);
        words[n++] = r->words[r->at++];
    }
    if (r->at++ >= r->n) return 0;
    return n ? n : next_sentence(r, words);
}

static bool is(const char *const *words, int n, const char *form) {
    char copy[128], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", form);
    for (int i = 0; (word = strtok_r(rest, " ", &rest)) != NULL; i++) {
        if (i >= n || (strcmp(word, "*") != 0 && strcmp(word, words[i]) != 0)) return false;
        if (rest && !*rest) return i + 1 == n;
    }
    return false;
}

/* What the oracle has read: pairs of a question's key and its answer, the last one counts. */
typedef struct memory {
    char keys[256][2 * FAL_WORLD_WORD_SIZE + 8], values[256][64];
    int n;
} memory;

static const char *recall(const memory *m, const char *kind, const char *key) {
    char wanted[2 * FAL_WORLD_WORD_SIZE + 8];
    snprintf(wanted, sizeof wanted, "%s %s", kind, key);
    for (int i = 0; i < m->n; i++) {
        if (strcmp(m->keys[i], wanted) == 0) return m->values[i];
    }
    return NULL;
}

static void note(memory *m, const char *kind, const char *key, const char *value) {
    char wanted[2 * FAL_WORLD_WORD_SIZE + 8];
    snprintf(wanted, sizeof wanted, "%s %s", kind, key);
    int i = 0;
    while (i < m->n && strcmp(m->keys[i], wanted) != 0)
        i++;
    assert_true(i < 256);
    if (i == m->n) m->n++;
    snprintf(m->keys[i], sizeof m->keys[i], "%s", wanted);
    snprintf(m->values[i], sizeof m->values[i], "%s", value);
}

/* Reads a statement into memory, or checks a question against it. Returns 1 for a question. */
static int understand(memory *m, const char *const *w, int n) {
    if (is(w, n, "code * *")) {
        assert_null(recall(m, "code", w[1]));
        note(m, "code", w[1], w[2]);
    } else if (is(w, n, "moves * *")) {
        const char *spot = recall(m, "now", w[1]);
        if (spot) assert_string_not_equal(spot, w[2]);
        if (!spot) note(m, "first", w[1], w[2]);
        note(m, "now", w[1], w[2]);
    } else if (is(w, n, "work * *")) {
        assert_null(recall(m, "firm", w[1]));
        note(m, "firm", w[1], w[2]);
    } else if (is(w, n, "lies * *")) {
        note(m, "place", w[1], w[2]);
    } else if (is(w, n, "asks code * *") || is(w, n, "asks first * *")
               || is(w, n, "asks now * *")) {
        assert_string_equal(recall(m, w[1], w[2]), w[3]);
        return 1;
    } else if (is(w, n, "asks where * * *")) {
        assert_string_equal(recall(m, "firm", w[2]), w[3]);
        assert_string_equal(recall(m, "place", w[3]), w[4]);
        return 1;
    }
    return 0;
}

/* Reads a whole text and returns how many questions it asks; each must follow from what stands before it. */
static int read_all(const int32_t *tokens, int n) {
    static reader r;
    memory m = {0};
    const char *words[MOST_WORDS];
    int n_words, n_questions = 0;
    open_reader(&r, tokens, n);
    while ((n_words = next_sentence(&r, words)) > 0)
        n_questions += understand(&m, words, n_words);
    return n_questions;
}

static void test_words_differ(void **state) {
    (void)state;
    char a[FAL_WORLD_WORD_SIZE], b[FAL_WORLD_WORD_SIZE];
    for (int i = 0; i < 253; i++) { /* what the classes fill */
        fal_world_word(i, a);
        assert_true(a[0] != 0);
        for (int k = 0; k < i; k++) {
            fal_world_word(k, b);
            if (strcmp(a, b) == 0) fail_msg("tokens %d and %d are both '%s'", i, k, a);
        }
    }
    fal_world_word(-1, a);
    assert_string_equal(a, "?");
    fal_world_word(FAL_WORLD_WORDS, a);
    assert_string_equal(a, "?");
}

static void test_documents(void **state) {
    (void)state;
    static int32_t tokens[LONGEST], again[LONGEST];
    static uint8_t parts[LONGEST];
    int n_questions = 0;
    for (int n = 2; n <= LONGEST; n = n < 40 ? n + 1 : n * 2) {
        for (uint64_t i = 0; i < 20; i++) {
            fal_world_document(7, i, 0.35, n, tokens, parts);
            fal_world_document(7, i, 0.35, n, again, parts);
            assert_memory_equal(tokens, again, (size_t)n * sizeof *tokens);
            assert_int_equal(tokens[n - 1], FAL_WORLD_END);
            for (int t = 0; t < n; t++)
                assert_in_range(tokens[t], t == n - 1 ? 0 : 1, FAL_WORLD_WORDS - 1);
            n_questions += read_all(tokens, n);
        }
    }
    assert_true(n_questions > 500);
    fal_world_document(7, 0, 0.35, 256, tokens, parts);
    fal_world_document(8, 0, 0.35, 256, again, parts);
    assert_memory_not_equal(tokens, again, sizeof(int32_t) * 256);
    fal_world_document(7, 0, 1.0, 256, tokens, parts);
    assert_int_equal(read_all(tokens, 256), 0);
}

/* Whether "asks" stands before t, with the kind and the key between. */
static bool follows_question(const int32_t *tokens, int t) {
    char word[FAL_WORLD_WORD_SIZE];
    if (t < 3) return false;
    fal_world_word(tokens[t - 3], word);
    return strcmp(word, "asks") == 0;
}

/* Answers are marked, and nothing else. */
static void test_parts(void **state) {
    (void)state;
    int32_t tokens[512];
    uint8_t parts[512];
    int n_answers = 0;
    fal_world_document(3, 1, 0.3, 512, tokens, parts);
    for (int t = 1; t < 512; t++) {
        if (parts[t] != FAL_WORLD_ANSWER || parts[t - 1] == FAL_WORLD_ANSWER) continue;
        assert_true(follows_question(tokens, t));
        n_answers++;
    }
    assert_true(n_answers > 5);
}

static void test_examples(void **state) {
    (void)state;
    static const int n_answers[] = {[FAL_WORLD_LOOKUP] = 1,
                                    [FAL_WORLD_ORIGIN] = 1,
                                    [FAL_WORLD_TRACK] = 1,
                                    [FAL_WORLD_JOIN] = 2};
    static int32_t tokens[LONGEST];
    for (int task = 0; task < FAL_WORLD_TASK_COUNT; task++) {
        for (int n = FAL_WORLD_SHORTEST; n <= LONGEST; n *= 2) {
            for (uint64_t i = 0; i < 50; i++) {
                int first, n_answer = fal_world_example((fal_world_task)task, 1, i, (double)i / 50,
                                                        n, tokens, &first);
                assert_int_equal(n_answer, n_answers[task]);
                assert_int_equal(first + n_answer + 2, n);
                assert_int_equal(tokens[n - 1], FAL_WORLD_END);
                assert_true(follows_question(tokens, first));
                assert_int_equal(read_all(tokens, n), 1);
            }
        }
    }
}

/* What is stated stands as deep as asked for, at least roughly. */
static void test_depth(void **state) {
    (void)state;
    static int32_t tokens[LONGEST];
    double early = 0, late = 0;
    for (uint64_t i = 0; i < 50; i++) {
        for (int is_late = 0; is_late < 2; is_late++) {
            int first;
            fal_world_example(FAL_WORLD_LOOKUP, 1, i, is_late ? 0.95 : 0.05, LONGEST, tokens,
                              &first);
            int at = 0;
            while (tokens[at] != tokens[first])
                at++;
            *(is_late ? &late : &early) += (double)at / LONGEST / 50;
        }
    }
    assert_true(early < 0.25 && late > 0.75);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_differ), cmocka_unit_test(test_documents),
        cmocka_unit_test(test_parts),        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
