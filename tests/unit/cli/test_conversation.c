/* Conversations: order, what is dropped first, JSON there and back, memory that runs short. */
#include "base/alloc.h"
#include "check.h"
#include "cli/conversation.h"

static void add(fal_conversation *c, bool is_user, const char *text) {
    assert_int_equal(fal_conversation_add(c, is_user, text, strlen(text), NULL), FAL_OK);
}

static void turns_are_found_from_the_front(void **state) {
    (void)state;
    fal_conversation c = {0};
    assert_int_equal(fal_conversation_oldest_turn(&c, 0, 0), 0);
    add(&c, true, "one");
    add(&c, false, "two");
    add(&c, true, "three");
    assert_int_equal(fal_conversation_oldest_turn(&c, 0, 3), 2);
    assert_int_equal(fal_conversation_oldest_turn(&c, 1, 3), 1);
    assert_int_equal(fal_conversation_oldest_turn(&c, 2, 3), 0);
    fal_conversation_drop(&c, 0, 2);
    assert_int_equal(c.count, 1);
    assert_string_equal(c.messages[0].content, "three");
    fal_conversation_release(&c);
}

static void the_last_message_is_never_left_out(void **state) {
    (void)state;
    fal_conversation c = {0};
    add(&c, true, "question");
    add(&c, false, "answer");
    assert_int_equal(fal_conversation_oldest_turn(&c, 0, 2), 1);
    assert_int_equal(fal_conversation_oldest_turn(&c, 0, 1), 0);
    fal_conversation_release(&c);
    /* Two users in a row, as a loaded file may have it. */
    add(&c, true, "a");
    add(&c, true, "b");
    add(&c, true, "c");
    assert_int_equal(fal_conversation_oldest_turn(&c, 0, 3), 1);
    fal_conversation_drop(&c, 1, 1);
    assert_string_equal(c.messages[0].content, "a");
    assert_string_equal(c.messages[1].content, "c");
    assert_true(fal_conversation_ends_with_user(&c));
    assert_true(fal_conversation_is_user(&c, 1));
    assert_false(fal_conversation_is_user(&c, 2));
    fal_conversation_drop_last(&c);
    fal_conversation_drop_last(&c);
    fal_conversation_drop_last(&c);
    assert_false(fal_conversation_ends_with_user(&c));
    fal_conversation_release(&c);
}

static void nothing_is_cut_at_a_zero(void **state) {
    (void)state;
    fal_conversation c = {0};
    assert_int_equal(fal_conversation_add(&c, false, "a\0b\xff\xc3\xa9", 6, NULL), FAL_OK);
    assert_string_equal(c.messages[0].content, "a\xef\xbf\xbd"
                                               "b\xef\xbf\xbd\xc3\xa9");
    assert_int_equal(fal_conversation_add(&c, false, "", 0, NULL), FAL_OK);
    assert_string_equal(c.messages[1].content, "");
    fal_conversation_release(&c);
}

static void json_goes_there_and_back(void **state) {
    (void)state;
    fal_conversation c = {0}, back = {0};
    assert_int_equal(fal_conversation_set_system(&c, "Be \"kind\".\n", NULL), FAL_OK);
    add(&c, true, "h\xc3\xa9llo");
    add(&c, false, "bad \xff byte");
    json_t *json = fal_conversation_to_json(&c);
    assert_int_equal(fal_conversation_from_json(&back, json, NULL), FAL_OK);
    assert_string_equal(back.system, "Be \"kind\".\n");
    assert_int_equal(back.count, 2);
    assert_string_equal(back.messages[0].role, "user");
    assert_string_equal(back.messages[0].content, "h\xc3\xa9llo");
    assert_string_equal(back.messages[1].role, "assistant");
    assert_string_equal(back.messages[1].content, "bad \xef\xbf\xbd byte");
    json_decref(json);
    fal_conversation_release(&c);
    fal_conversation_release(&back);
}

static void an_empty_system_prompt_is_none(void **state) {
    (void)state;
    fal_conversation c = {0};
    assert_int_equal(fal_conversation_set_system(&c, "text", NULL), FAL_OK);
    assert_int_equal(fal_conversation_set_system(&c, "", NULL), FAL_OK);
    assert_null(c.system);
    fal_conversation_release(&c);
}

static void short_memory_loses_nothing(void **state) {
    (void)state;
    fal_conversation c = {0};
    add(&c, true, "kept");
    long live = fal_alloc_live();
    bool added = false;
    for (long n = 1; !added; n++) {
        assert_true(n < 10);
        fal_alloc_fail_at(n);
        fal_status status = fal_conversation_add(&c, false, "answer", 6, NULL);
        fal_alloc_fail_at(0);
        added = status == FAL_OK;
        assert_true(added || status == FAL_E_MEMORY);
        if (!added) assert_int_equal(c.count, 1);
        if (!added) assert_true(fal_alloc_live() <= live + 1);
    }
    assert_string_equal(c.messages[0].content, "kept");
    fal_conversation_release(&c);
    assert_int_equal(fal_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_found_from_the_front),
        cmocka_unit_test(the_last_message_is_never_left_out),
        cmocka_unit_test(nothing_is_cut_at_a_zero),
        cmocka_unit_test(json_goes_there_and_back),
        cmocka_unit_test(an_empty_system_prompt_is_none),
        cmocka_unit_test(short_memory_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
