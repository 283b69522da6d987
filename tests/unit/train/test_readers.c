/* The forms of readers.def beyond chats and texts: what becomes of each, to the token, and what is left out. */
#include "base/string_builder.h"
#include "train/sources.h"
#include "unit/train/read_source.h"

/* A message of a tree; `more` holds further members, with a comma in front, and may have replies. */
#define TURN(role, text, more) "{\"role\": \"" role "\", \"text\": \"" text "\"" more "}"
#define REPLIES(...)           ", \"replies\": [" __VA_ARGS__ "]"
#define TREE(state, prompt) \
    "{\"message_tree_id\": \"t\", \"tree_state\": \"" state "\", \"prompt\": " prompt "}\n"

static void trees_give_each_path_to_a_last_answer(void **state) {
    check_source(
        *state, "trees.jsonl",
        TREE("ready_for_export",
             TURN("prompter", "q",
                  REPLIES(TURN(
                      "assistant", "a",
                      REPLIES(TURN("prompter", "qa", REPLIES(TURN("assistant", "a2", ""))) "," TURN(
                          "prompter", "leaf",
                          ""))) "," TURN("assistant", "b",
                                         REPLIES(TURN("prompter", "leaf 1", "") "," TURN(
                                             "prompter", "leaf 2",
                                             ""))) "," TURN("assistant", "c",
                                                            ", \"replies\": null"))))
            TREE("aborted_low_grade", TURN("prompter", "q", "")),
        "oasst-trees",
        "1: <u>q<e><a>A{a<e>}<u>qa<e><a>A{a2<e>}\n"
        "1: <u>q<e><a>A{b<e>}\n"
        "1: <u>q<e><a>A{c<e>}\n",
        "2/3, tree is not ready 1@2");
}

static const char unfit[] = TREE(
    "ready_for_export",
    TURN(
        "prompter", "q",
        REPLIES(
            TURN("assistant", "1", ", \"deleted\": true" REPLIES(TURN("prompter", "x", ""))) "," TURN("assistant", "2", ", \"synthetic\": true") "," TURN("assistant", "3", ", \"review_result\": false") "," TURN(
                "assistant", "4",
                ", \"lang\": \"de\"") "," TURN("prompter", "5",
                                               "") "," TURN("narrator", "6",
                                                            "") "," TURN("assistant", "7",
                                                                         ", \"rank\": 2") "," TURN("assistant",
                                                                                                   "8",
                                                                                                   ", \"rank\": null") "," TURN("assistant",
                                                                                                                                "9",
                                                                                                                                ", \"rank\": 0, \"lang\": \"en\", \"review_result\": true") ","
                                                                                                                                                                                            "{\"role\": \"assistant\"}")))
    TREE("ready_for_export", TURN("prompter", "q", REPLIES(TURN("assistant", "alone", ""))))
        TREE("ready_for_export", TURN("prompter", "nobody answers", ""));

static void messages_of_trees_are_left_out_for_a_reason(void **state) {
    source_test *t = *state;
    t->source.language = "en";
    t->source.top_answers = 2;
    check_source(t, "trees.jsonl", unfit, "oasst-trees",
                 "1: <u>q<e><a>A{9<e>}\n2: <u>q<e><a>A{alone<e>}\n",
                 "3/2, deleted 1@1, synthetic 1@1, failed review 1@1, other language 1@1, "
                 "roles do not alternate 1@1, unknown role 1@1, low rank 1@1, no rank 1@1, "
                 "a message without text or role 1@1, no answer 1@3");
    t->source.language = NULL;
    t->source.top_answers = 0;
    check_source(t, "trees.jsonl", unfit, "oasst-trees",
                 "1: <u>q<e><a>A{4<e>}\n1: <u>q<e><a>A{7<e>}\n1: <u>q<e><a>A{8<e>}\n"
                 "1: <u>q<e><a>A{9<e>}\n2: <u>q<e><a>A{alone<e>}\n",
                 "3/5, deleted 1@1, synthetic 1@1, failed review 1@1, roles do not alternate 1@1, "
                 "unknown role 1@1, a message without text or role 1@1, no answer 1@3");
}

#define MESSAGE(tree, id, parent, role, text)                                                \
    "{\"message_tree_id\": \"" tree "\", \"message_id\": \"" id "\", \"parent_id\": " parent \
    ", \"role\": \"" role "\", \"text\": \"" text "\"}\n"

static void single_messages_become_trees_again(void **state) {
    check_source(*state, "messages.jsonl",
                 MESSAGE("s", "1", "null", "prompter", "q")
                     MESSAGE("s", "2", "\"1\"", "assistant", "a") "\n" MESSAGE("s", "3", "\"1\"",
                                                                               "assistant", "b")
                         MESSAGE("s", "4", "\"2\"", "prompter", "more")
                             MESSAGE("s", "5", "\"4\"", "assistant", "end")
                                 MESSAGE("t", "6", "null", "prompter", "other")
                                     MESSAGE("t", "7", "\"5\"", "assistant", "of another tree")
                                         MESSAGE("t", "8", "\"8\"", "assistant", "of itself")
                                             MESSAGE("t", "9", "\"6\"", "assistant", "c"),
                 "oasst-messages",
                 "1: <u>q<e><a>A{a<e>}<u>more<e><a>A{end<e>}\n"
                 "1: <u>q<e><a>A{b<e>}\n"
                 "7: <u>other<e><a>A{c<e>}\n",
                 "9/3, no parent 2@7");
}

/* A chain of single messages, each a reply to the one before it. */
static char *make_chain(int n, size_t *length) {
    enum {
        LINE = 160
    };

    char *text = malloc((size_t)n * LINE);
    assert_non_null(text);
    *length = 0;
    for (int i = 0; i < n; i++) {
        char parent[16] = "null";
        if (i > 0) snprintf(parent, sizeof parent, "\"%d\"", i - 1);
        *length += (size_t)snprintf(text + *length, LINE,
                                    "{\"message_tree_id\": \"t\", \"message_id\": \"%d\", "
                                    "\"parent_id\": %s, \"role\": \"%s\", \"text\": \"x\"}\n",
                                    i, parent, i % 2 ? "assistant" : "prompter");
    }
    return text;
}

/* A tree that is one path of n messages. */
static char *make_path(int n, size_t *length) {
    fal_string_builder b = {0};
    fal_string_append_text(&b, "{\"message_tree_id\": \"t\", \"prompt\": ");
    for (int i = 0; i < n; i++)
        fal_string_append_format(&b, "%s{\"role\": \"%s\", \"text\": \"x\", \"replies\": ",
                                 i > 0 ? "[" : "", i % 2 ? "assistant" : "prompter");
    fal_string_append_text(&b, "[]");
    for (int i = 0; i < n; i++)
        fal_string_append_text(&b, i > 0 ? "]}" : "}");
    fal_string_append_text(&b, "}\n");
    *length = b.length;
    return fal_string_take(&b);
}

static void paths_have_an_end(void **state) {
    source_test *t = *state;
    t->reading.sequence_length = 10000;
    size_t length;
    fal_error err = {0};
    char *text = make_chain(100000, &length);
    CHECK_OK(read_named(t, "deep.jsonl", text, length, &err), &err);
    assert_string_equal(show_report(t), "100000/1, too many turns 1@1");
    free(text);
    text = make_path(900, &length);
    CHECK_OK(read_named(t, "deep.jsonl", text, length, &err), &err);
    assert_string_equal(show_report(t), "1/1, too many turns 1@1");
    fal_free(text);
    text = make_path(5000, &length); /* deeper than JSON is read */
    t->source.reader = "oasst-trees";
    CHECK_OK(read_named(t, "deep.jsonl", text, length, &err), &err);
    assert_string_equal(show_report(t), "1/0, damaged JSON 1@1");
    fal_free(text);
}

static void instructions_are_system_prompts(void **state) {
    check_source(*state, "dolphin.jsonl",
                 "{\"instruction\": \"Be kind.\", \"input\": \"Hi\", \"output\": \"Ho\"}\n"
                 "{\"instruction\": \"\", \"input\": \"Hi\", \"output\": \"Ho\"}\n"
                 "{\"instruction\": \"Count.\", \"input\": \"\", \"output\": \"1\"}\n"
                 "{\"instruction\": \"Sing.\", \"output\": \"la\"}\n"
                 "{\"instruction\": \"Sing.\", \"output\": null}\n"
                 "{\"instruction\": \"Sing.\", \"output\": \" \"}\n",
                 "instructions",
                 "1: <s>Be kind.<e><u>Hi<e><a>A{Ho<e>}\n2: <u>Hi<e><a>A{Ho<e>}\n"
                 "3: <u>Count.<e><a>A{1<e>}\n4: <u>Sing.<e><a>A{la<e>}\n",
                 "6/4, an output that is not text 1@5, empty message 1@6");
}

static void documents_have_their_question_in_front(void **state) {
    check_source(
        *state, "long.jsonl",
        "{\"id\": \"1\", \"input_prefix\": \"Who?\", \"input\": \"A tale.\", \"output\": \"He.\"}\n"
        "{\"id\": \"2\", \"input\": \"Who?\\n\\nA tale.\", \"output\": \"She.\"}\n"
        "{\"id\": \"3\", \"input\": \"Who?\", \"output\": null}\n"
        "{\"id\": \"4\", \"input\": \"Who?\", \"output\": [\"He\"]}\n",
        "long-documents",
        "1: <u>Who?\n\nA tale.<e><a>A{He.<e>}\n2: <u>Who?\n\nA tale.<e><a>A{She.<e>}\n",
        "4/2, no answer 1@3, an output that is not text 1@4");
}

static void critiques_give_three_kinds_of_examples(void **state) {
    check_source(
        *state, "critiques.jsonl",
        "{\"data\": {\"passage\": {\"title\": \"T\", \"text\": \"P\"}, \"questions\": [{\"question\": \"Q\", \"answers\": ["
        "{\"answer\": \"bad\", \"feedback\": {\"rating\": 2, \"critiques\": [{\"text\": \"why\", \"refinement\": \"good\"},"
        " {\"text\": \"so\", \"refinement\": \"\"}, {\"refinement\": \"x\"}]}},"
        "{\"answer\": \"fine\", \"feedback\": {\"rating\": 7, \"critiques\": []}},"
        "{\"answer\": \"x\", \"feedback\": {\"skip\": true}}, {\"answer\": \"\"}]},"
        " {\"question\": \"\"}]}}\n"
        "{\"data\": {\"passage\": {\"title\": null, \"text\": \"P\"}, \"questions\": [{\"question\": \"Q\", \"answer\": \"A\"}]}}\n"
        "{\"data\": {\"passage\": {}, \"questions\": []}}\n",
        "critiques",
        "1: <u>T\n\nP\n\nQuestion: Q\n\nAnswer: bad\n\nCriticise the answer.<e><a>A{why<e>}\n"
        "1: <u>T\n\nP\n\nQuestion: Q\n\nAnswer: bad\n\nCritique: why\n\nImprove the answer.<e><a>A{good<e>}\n"
        "1: <u>T\n\nP\n\nQuestion: Q\n\nAnswer: bad\n\nCriticise the answer.<e><a>A{so<e>}\n"
        "1: <u>T\n\nP\n\nQuestion: Q<e><a>A{fine<e>}\n"
        "1: <u>T\n\nP\n\nQuestion: Q\n\nAnswer: fine\n\nCriticise the answer.<e><a>A{There is nothing to criticise.<e>}\n"
        "2: <u>P\n\nQuestion: Q<e><a>A{A<e>}\n",
        "3/6, low rating 1@1, critique without text 1@1, skipped answer 1@1, no answer 1@1, "
        "no question 1@1, a passage without text 1@3");
}

static void every_reader_is_listed(void **state) {
    (void)state;
    assert_int_equal(fal_reader_count(), 8);
    assert_string_equal(fal_reader_name(0), "oasst-trees");
    assert_null(fal_reader_name(8));
    assert_null(fal_reader_meaning(-1));
    assert_string_equal(fal_reader_group("long-documents"), "long-context");
    assert_null(fal_reader_group("none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trees_give_each_path_to_a_last_answer, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(messages_of_trees_are_left_out_for_a_reason, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(single_messages_become_trees_again, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(paths_have_an_end, begin_source, end_source),
        cmocka_unit_test_setup_teardown(instructions_are_system_prompts, begin_source, end_source),
        cmocka_unit_test_setup_teardown(documents_have_their_question_in_front, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(critiques_give_three_kinds_of_examples, begin_source,
                                        end_source),
        cmocka_unit_test(every_reader_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
