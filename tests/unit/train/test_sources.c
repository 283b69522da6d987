/* train/sources.h: what becomes of each form, to the token, and of what is left out, to the reason. */
#include "train/sources.h"
#include "unit/train/read_source.h"

static void conversations_become_documents(void **state) {
    check_source(
        *state, "chat.jsonl",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"},"
        " {\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Ho\"},"
        " {\"role\": \"user\", \"content\": \"Why?\"}, {\"role\": \"assistant\", \"content\": \"So.\"},"
        " {\"role\": \"user\", \"content\": \"left out\"}]}\n"
        "\n"
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"2+2\"}, {\"from\": \"gpt\", \"value\": \"4\"}]}\n",
        "conversations",
        "1: <s>Be brief.<e><u>Hi<e><a>A{Ho<e>}<u>Why?<e><a>A{So.<e>}\n"
        "3: <u>2+2<e><a>A{4<e>}\n",
        "2/2");
}

static void what_is_typed_stays_text(void **state) {
    source_test *t = *state;
    check_source(
        t, "chat.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"<start_assistant>x<end_message>\"},"
        " {\"role\": \"assistant\", \"content\": \"<|endoftext|>\"}]}\n",
        "conversations", "1: <u><start_assistant>x<end_message><e><a>A{<|endoftext|><e>}\n", "1/1");
}

#define TALK(user, assistant)                                                                     \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"" user "\"}, {\"role\": \"assistant\", " \
    "\"content\": \"" assistant "\"}]}\n"

static void conversations_are_left_out_for_a_reason(void **state) {
    check_source(
        *state, "chat.jsonl",
        "{\"messages\": []}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n"
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"b\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"tool\", \"content\": \"b\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": [1]}]}\n"
        "{\"messages\": [{\"content\": \"a\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \" \"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}\n"
        "{\"messages\": [\n"
        "{\"prompt\": \"another form\"}\n"
        "3\n" TALK("a", "b") TALK("a", "b"),
        "conversations", "13: <u>a<e><a>A{b<e>}\n",
        "14/1, no answer 2@1, roles do not alternate 2@3, unknown role 1@5, "
        "a message whose content is not text 1@6, a message without role 1@7, empty message 1@8, "
        "damaged JSON 3@9, not of the form of its file 1@11, duplicate 1@14");
}

static void strict_reading_stops_at_damage(void **state) {
    source_test *t = *state;
    t->reading.is_strict = true;

    static const struct {
        const char *line, *words;
    } cases[] = {
        {"{\"messages\": [\n",                       "line 2: "                                   },
        {"{\"prompt\": 1}\n",                        "line 2: not of the form of its file"        },
        {"{\"messages\": [{\"role\": \"user\"}]}\n", "line 2: a message whose content is not text"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        int n = snprintf(text, sizeof text, "%s%s", TALK("a", "b"), cases[i].line);
        fal_error err = {0};
        CHECK_STATUS(read_named(t, "chat.jsonl", text, (size_t)n, &err), FAL_E_FORMAT, &err,
                     cases[i].words);
    }
}

static void texts_count_to_their_end(void **state) {
    check_source(*state, "web.jsonl",
                 "{\"text\": \"One.\", \"url\": 1}\n{\"content\": \"Two.\"}\n{\"text\": \"\"}\n"
                 "{\"text\": \"One.\"}\n{\"text\": 1}\n",
                 "text-records", "1: OT{ne.$}\n2: TT{wo.$}\n",
                 "5/2, too short 1@3, duplicate 1@4, not of the form of its file 1@5");
}

static void text_files_are_divided_by_lines(void **state) {
    check_source(
        *state, "book.txt",
        "\nOne\n\nmore  \n<|endoftext|>\n<|endoftext|>\n\nTwo <|endoftext|> 2\n\n<|endoftext|>\n"
        "bad \xff\n<|endoftext|>\nThree",
        "plain-text", "2: OT{ne\n\nmore  $}\n8: TT{wo <|endoftext|> 2$}\n13: TT{hree$}\n",
        "4/3, not UTF-8 1@11");
}

static void the_reader_is_found_or_named(void **state) {
    source_test *t = *state;
    fal_error err = {0};
    static const char array[] = "[{\"text\": 1}]\n", other[] = "x\n{\"a\": 1}\n", none[] = "a\nb\n";
    CHECK_STATUS(read_named(t, "a.jsonl", array, sizeof array - 1, &err), FAL_E_FORMAT, &err,
                 "line 1: an array, records are objects");
    CHECK_STATUS(read_named(t, "a.jsonl", other, sizeof other - 1, &err), FAL_E_FORMAT, &err,
                 "line 2: a record of no known form");
    CHECK_STATUS(read_named(t, "a.jsonl", none, sizeof none - 1, &err), FAL_E_FORMAT, &err,
                 "no line is a JSON object");
    t->source.reader = "plain-text";
    check_source(t, "a.jsonl", "a\nb\n", "plain-text", "1: aT{\nb$}\n", "1/1");
    t->source.reader = "pain-text";
    CHECK_STATUS(read_named(t, "a.jsonl", none, 4, &err), FAL_E_ARGUMENT, &err,
                 "there is no reader 'pain-text'");
    t->source.reader = NULL;
    t->reading.sequence_length = 0;
    CHECK_STATUS(read_named(t, "a.txt", none, 4, &err), FAL_E_ARGUMENT, &err, "of 0 tokens");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conversations_become_documents, begin_source, end_source),
        cmocka_unit_test_setup_teardown(what_is_typed_stays_text, begin_source, end_source),
        cmocka_unit_test_setup_teardown(conversations_are_left_out_for_a_reason, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(strict_reading_stops_at_damage, begin_source, end_source),
        cmocka_unit_test_setup_teardown(texts_count_to_their_end, begin_source, end_source),
        cmocka_unit_test_setup_teardown(text_files_are_divided_by_lines, begin_source, end_source),
        cmocka_unit_test_setup_teardown(the_reader_is_found_or_named, begin_source, end_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
