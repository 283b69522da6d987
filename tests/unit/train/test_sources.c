/* train/sources.h: what becomes of each form, to the token, and of what is left out, to the reason. */
#include "base/string_builder.h"
#include "base/utf8.h"
#include "train/sources.h"
#include "unit/formats/packed_text.h"
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
    static const char lines[] = "[\n{\"text\": \"a\"},\n{\"text\": \"b\"}\n]\n";
    static const char array[] = "[{\"text\": 1}]\n", other[] = "x\n{\"a\": 1}\n", none[] = "a\nb\n";
    CHECK_STATUS(read_named(t, "a.jsonl", array, sizeof array - 1, &err), FAL_E_FORMAT, &err,
                 "line 1: an array, records are objects");
    CHECK_STATUS(read_named(t, "a.json", lines, sizeof lines - 1, &err), FAL_E_FORMAT, &err,
                 "line 1: an array, records are objects");
    CHECK_STATUS(read_named(t, "a.jsonl", other, sizeof other - 1, &err), FAL_E_FORMAT, &err,
                 "line 2: a record of no known form, not one for oasst-trees, ");
    CHECK_STATUS(read_named(t, "a.jsonl", none, sizeof none - 1, &err), FAL_E_FORMAT, &err,
                 "none of the first 2 lines is");
    char many[2 * 1100];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = i % 2 ? '\n' : 'a';
    CHECK_STATUS(read_named(t, "a.jsonl", many, sizeof many, &err), FAL_E_FORMAT, &err,
                 "none of the first 1024 lines is");
    t->source.reader = "plain-text";
    check_source(t, "a.jsonl", "a\nb\n", "plain-text", "1: aT{\nb$}\n", "1/1");
    t->source.reader = "pain-text";
    CHECK_STATUS(read_named(t, "a.jsonl", none, 4, &err), FAL_E_ARGUMENT, &err,
                 "there is no reader 'pain-text'");
    t->source.reader = NULL;
    t->reading.sequence_length = 0;
    CHECK_STATUS(read_named(t, "a.txt", none, 4, &err), FAL_E_ARGUMENT, &err, "of 0 tokens");
}

/* ---- what is too long or too short ---- */

/* A document of a passage that is too long, behind a question of 4 tokens. */
static const char tale[] = "{\"input_prefix\": \"Who?\", \"input\": \"abcdefghijklmnopqrst\", "
                           "\"output\": \"He.\"}\n";

static void long_documents_lose_their_middle(void **state) {
    source_test *t = *state;
    t->reading.sequence_length = 24; /* 7 for control tokens and answer, 6 for the question */
    check_source(t, "long.jsonl", tale, "long-documents",
                 "1: <u>Who?\n\nabcdeopqrst<e><a>A{He.<e>}\n", "1/1");
    t->reading.prompt_share = 1; /* what follows the gap is foretold by nothing */
    check_source(t, "long.jsonl", tale, "long-documents",
                 "1: <u>P{Who?\n\nabcde}oP{pqrst<e>}<a>A{He.<e>}\n", "1/1");
    t->reading.sequence_length = 13; /* the question would not stay */
    check_source(t, "long.jsonl", tale, "long-documents", "", "1/0, too long 1@1");
    t->reading.sequence_length = 14;
    check_source(t, "long.jsonl", tale, "long-documents", "1: <u>P{Who?\n\n}tP{<e>}<a>A{He.<e>}\n",
                 "1/1");
}

static void characters_stay_whole(void **state) {
    source_test *t = *state;
    static const char text[] = "{\"input\": \"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\", "
                               "\"output\": \"x\"}\n";
    for (t->reading.sequence_length = 6; t->reading.sequence_length < 18;
         t->reading.sequence_length++) {
        fal_error err = {0};
        CHECK_OK(read_named(t, "long.jsonl", text, sizeof text - 1, &err), &err);
        if (t->documents.count == 0) continue;
        assert_true(t->documents.n_tokens <= t->reading.sequence_length);
        show_documents(t);
        assert_true(fal_utf8_is_valid(t->shown, strlen(t->shown)));
    }
}

static void each_source_says_what_happens_to_long_documents(void **state) {
    source_test *t = *state;
    t->reading.sequence_length = 8;
    static const char chat[] = TALK("a", "b") TALK("abcdefgh", "ijklm");
    check_source(t, "chat.jsonl", chat, "conversations", "1: <u>a<e><a>A{b<e>}\n",
                 "2/1, too long 1@2");
    t->source.overlong = FAL_OVERLONG_LEFT;
    check_source(t, "chat.jsonl", chat, "conversations",
                 "1: <u>a<e><a>A{b<e>}\n2: <e><a>A{ijklm<e>}\n", "2/2");
    t->source.overlong = FAL_OVERLONG_CUT; /* the plan cuts */
    check_source(t, "chat.jsonl", chat, "conversations",
                 "1: <u>a<e><a>A{b<e>}\n2: <u>abcdefgh<e><a>A{ijklm<e>}\n", "2/2");
    t->source.overlong = FAL_OVERLONG_DROP;
    check_source(t, "book.txt", "abcdefghijklmnopq", "plain-text", "", "1/0, too long 1@1");
    t->source.overlong = FAL_OVERLONG_DEFAULT;
    check_source(t, "book.txt", "abcdefghijklmnopq", "plain-text", "1: aT{bcdefghijklmnopq$}\n",
                 "1/1");
    t->source.min_tokens = 19;
    check_source(t, "book.txt", "abcdefghijklmnopq", "plain-text", "", "1/0, too short 1@1");
}

/* ---- what counts ---- */

static void prompts_of_a_share_of_long_documents_count(void **state) {
    source_test *t = *state;
    fal_string_builder text = {0};
    for (int i = 0; i < 400; i++)
        fal_string_append_format(&text, "{\"input\": \"%d\", \"output\": \"x\"}\n", i);
    static const double shares[] = {0, 0.25, 0.5, 1};
    bool counted[400] = {false};
    for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++) {
        fal_error err = {0};
        t->reading.prompt_share = shares[k];
        CHECK_OK(read_named(t, "long.jsonl", text.text, text.length, &err), &err);
        int n = 0;
        for (int i = 0; i < 400; i++) {
            bool counts =
                t->documents.parts[t->documents.items[i].first_token + 1] == FAL_LOSS_PROMPT;
            assert_true(counts || !counted[i]); /* a larger share has the smaller one's examples */
            counted[i] = counts;
            n += counts;
        }
        CHECK_NEAR(n / 400.0, shares[k], 0.07);
        assert_int_equal(t->report.n_loss_tokens[FAL_LOSS_ANSWER], 800);
    }
    t->source.group = "short-chat"; /* by another name: prompts never count */
    fal_error err = {0};
    CHECK_OK(read_named(t, "long.jsonl", text.text, text.length, &err), &err);
    assert_int_equal(t->report.n_loss_tokens[FAL_LOSS_PROMPT], 0);
    fal_string_release(&text);
    t->reading.prompt_share = 1.5;
    CHECK_STATUS(read_named(t, "long.jsonl", tale, sizeof tale - 1, &err), FAL_E_ARGUMENT, &err,
                 "a share of prompts of 1.5");
}

static void formats_without_control_tokens_end_with_the_text(void **state) {
    source_test *t = *state;
    t->reading.chat_format = fal_chat_format_by_name("falcon-instruct");
    check_source(t, "chat.jsonl", TALK("a", "b"), "conversations",
                 "1: \n\nUser: a\n\nAssistant: A{b$}\n", "1/1");
}

static void a_document_is_taken_once_from_all_sources(void **state) {
    source_test *t = *state;
    fal_error err = {0};
    static const char first[] = TALK("a", "b") TALK("c", "d"),
                      second[] = TALK("e", "f") TALK("c", "d");
    CHECK_OK(read_named(t, "first.jsonl", first, sizeof first - 1, &err), &err);
    temp_write(&t->folder, "second.jsonl", second, sizeof second - 1);
    fal_source_options source = {.path = temp_path(&t->folder, "second.jsonl")};
    CHECK_OK(fal_source_read(&source, 4, &t->reading, &t->documents, &t->report, &err), &err);
    assert_string_equal(show_report(t), "2/1, duplicate 1@2");
    assert_int_equal(t->documents.count, 3);
    assert_int_equal(t->documents.items[2].source, 4);
}

static void records_of_other_languages_are_left_out(void **state) {
    source_test *t = *state;
    t->source.language = "fr";
    check_source(t, "web.jsonl",
                 "{\"text\": \"un\", \"lang\": \"fr\"}\n{\"text\": \"one\", \"language\": \"en\"}\n"
                 "{\"text\": \"1\"}\n",
                 "text-records", "1: uT{n$}\n3: 1T{$}\n", "3/2, other language 1@2");
}

/* ---- files ---- */

static void packed_files_are_read_like_plain_ones(void **state) {
    source_test *t = *state;
    static const char text[] = TALK("a", "b") TALK("c", "d");
    packed_text p = {0};
    pack_frame(&p, text, 20);
    pack_frame(&p, text + 20, sizeof text - 1 - 20);
    fal_error err = {0};
    CHECK_OK(read_named(t, "chat.jsonl.zst", p.data, p.length, &err), &err);
    assert_string_equal(show_documents(t), "1: <u>a<e><a>A{b<e>}\n2: <u>c<e><a>A{d<e>}\n");
    CHECK_STATUS(read_named(t, "chat.jsonl.zst", p.data, p.length - 3, &err), FAL_E_FORMAT, &err,
                 "cut short");
    free(p.data);
    p = (packed_text){0};
    pack_frame(&p, "abc", 3);
    CHECK_OK(read_named(t, "book.txt.zst", p.data, p.length, &err), &err);
    assert_string_equal(show_documents(t), "1: aT{bc$}\n");
    free(p.data);
    fal_source_options none = {.path = "/nowhere/at/all.jsonl"};
    CHECK_STATUS(fal_source_read(&none, 0, &t->reading, &t->documents, &t->report, &err),
                 FAL_E_NOT_FOUND, &err, "/nowhere/at/all.jsonl");
}

static bool stop_at_half(void *user, const char *path, uint64_t n_bytes, uint64_t total_bytes) {
    int *n_calls = user;
    ++*n_calls;
    assert_non_null(strstr(path, "book.txt"));
    assert_int_equal(total_bytes, 4 << 20);
    assert_true(n_bytes <= total_bytes);
    return n_bytes < total_bytes / 2;
}

static void reading_is_followed_and_cancelled(void **state) {
    source_test *t = *state;
    char *text = malloc(4 << 20);
    assert_non_null(text);
    memset(text, ' ', 4 << 20);
    for (int i = 1023; i < 4 << 20; i += 1024)
        text[i] = '\n';
    int n_calls = 0;
    t->reading.on_progress = stop_at_half;
    t->reading.user = &n_calls;
    fal_error err = {0};
    CHECK_STATUS(read_named(t, "book.txt", text, 4 << 20, &err), FAL_E_CANCELLED, &err,
                 "reading was cancelled");
    assert_int_equal(n_calls, 2);
    free(text);
}

static void every_allocation_may_fail(void **state) {
    source_test *t = *state;
    static const char *const files[][2] = {
        {"chat.jsonl",                                                                                                            TALK("a","b") TALK("c", "d")},
        {"book.txt",                                                                                                                   "abc\ndef\n<|endoftext|>\nghi"},
        {"long.jsonl",tale},
        {"trees.jsonl",
         "{\"message_tree_id\": \"t\", \"message_id\": \"1\", \"role\": \"prompter\", \"text\": \"q\"}\n"
         "{\"message_tree_id\": \"t\", \"message_id\": \"2\", \"parent_id\": \"1\", \"role\": \"assistant\", \"text\": \"a\"}\n"                                                                                                                                            },
        {"critiques.jsonl",
         "{\"data\": {\"passage\": {\"text\": \"P\"}, \"questions\": [{\"question\": \"Q\", \"answer\": \"A\"}]}}\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        fal_status status = FAL_E_MEMORY;
        fal_documents_release(&t->documents);
        long live = fal_alloc_live();
        for (long n = 1; status == FAL_E_MEMORY; n++) {
            fal_error err = {0};
            assert_true(n < 1000);
            temp_write(&t->folder, files[i][0], files[i][1], strlen(files[i][1]));
            fal_source_options source = {.path = temp_path(&t->folder, files[i][0])};
            fal_alloc_fail_at(n);
            status = fal_source_read(&source, 0, &t->reading, &t->documents, &t->report, &err);
            fal_alloc_fail_at(0);
            fal_documents_release(&t->documents);
            assert_int_equal(fal_alloc_live(), live);
        }
        assert_int_equal(status, FAL_OK);
    }
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
        cmocka_unit_test_setup_teardown(long_documents_lose_their_middle, begin_source, end_source),
        cmocka_unit_test_setup_teardown(characters_stay_whole, begin_source, end_source),
        cmocka_unit_test_setup_teardown(each_source_says_what_happens_to_long_documents,
                                        begin_source, end_source),
        cmocka_unit_test_setup_teardown(prompts_of_a_share_of_long_documents_count, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(formats_without_control_tokens_end_with_the_text,
                                        begin_source, end_source),
        cmocka_unit_test_setup_teardown(a_document_is_taken_once_from_all_sources, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(records_of_other_languages_are_left_out, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(packed_files_are_read_like_plain_ones, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(reading_is_followed_and_cancelled, begin_source,
                                        end_source),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, begin_source, end_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
