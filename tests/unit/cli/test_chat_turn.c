/* Turns that fail or are stopped leave the conversation as it was; those that succeed change what they say. */
#include "base/alloc.h"
#include "check.h"
#include "cli/chat_turn.h"
#include "cli/terminal.h"
#include "convert/convert.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/falconer-turn-XXXXXX";
static char path[sizeof folder + 16];
static fal_model *model;

static int open_model(void **state) {
    (void)state;
    fal_error err = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    CHECK_OK(fal_convert_folder(FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like", path,
                                &(fal_convert_options){.type = "f32"}, &err),
             &err);
    CHECK_OK(fal_model_open(&model, path, &(fal_model_options){.n_threads = 1}, &err), &err);
    fal_interrupt_watch(100);
    return 0;
}

static int close_model(void **state) {
    (void)state;
    fal_model_close(model);
    unlink(path);
    return rmdir(folder);
}

static fal_chat open_chat(int n_context) {
    fal_chat chat = {.model = model, .format = fal_model_chat_format(model), .drops_oldest = true};
    chat.settings.max_new_tokens = 4;
    fal_error err = {0};
    CHECK_OK(fal_session_open(&chat.session, model,
                              &(fal_session_options){.n_context = n_context, .n_batch = 4}, &err),
             &err);
    return chat;
}

static void close_chat(fal_chat *chat) {
    fal_conversation_release(&chat->conversation);
    fal_session_close(chat->session);
}

static void add(fal_chat *chat, bool is_user, const char *text) {
    fal_error err = {0};
    CHECK_OK(fal_conversation_add(&chat->conversation, is_user, text, strlen(text), &err), &err);
}

/* A conversation so long that its oldest turn does not fit any more, with an answer at its end or waiting for one. */
static void fill(fal_chat *chat, bool is_answered) {
    add(chat, true, "first question with many words to make it long");
    add(chat, false, "first answer with many words to make it long");
    add(chat, true, "second");
    if (is_answered) add(chat, false, "kept");
}

static void expect_filled(const fal_chat *chat, bool is_answered) {
    const fal_conversation *c = &chat->conversation;
    assert_int_equal(c->count, is_answered ? 4 : 3);
    assert_string_equal(c->messages[0].content, "first question with many words to make it long");
    assert_string_equal(c->messages[1].content, "first answer with many words to make it long");
    assert_string_equal(c->messages[2].content, "second");
    if (is_answered) assert_string_equal(c->messages[3].content, "kept");
    assert_int_equal(chat->n_answers, 0);
}

static void a_turn_that_is_stopped_changes_nothing(void **state) {
    (void)state;
    for (int is_answered = 0; is_answered < 2; is_answered++) {
        fal_chat chat = open_chat(64);
        fal_error err = {0};
        fill(&chat, is_answered);
        raise(SIGINT);
        CHECK_STATUS(fal_chat_answer(&chat, &err), FAL_E_CANCELLED, &err, "");
        assert_false(fal_interrupt_is_raised());
        expect_filled(&chat, is_answered);
        close_chat(&chat);
    }
}

/* The last step of a prompt asks nobody whether to go on. */
static void a_turn_that_is_stopped_at_its_last_step_changes_nothing(void **state) {
    (void)state;
    fal_chat chat = open_chat(256);
    fal_error err = {0};
    fill(&chat, true);
    CHECK_OK(fal_chat_answer(&chat, &err), &err);
    fal_conversation_drop_last(&chat.conversation);
    add(&chat, false, "kept");
    chat.n_answers = 0;
    raise(SIGINT);
    CHECK_STATUS(fal_chat_answer(&chat, &err), FAL_E_CANCELLED, &err, "");
    expect_filled(&chat, true);
    close_chat(&chat);
}

static void a_turn_that_does_not_fit_changes_nothing(void **state) {
    (void)state;
    fal_chat chat = open_chat(16);
    fal_error err = {0};
    const char *system =
        "A system prompt that fills the context alone, whatever is left out of it.";
    CHECK_OK(fal_conversation_set_system(&chat.conversation, system, &err), &err);
    fill(&chat, true);
    CHECK_STATUS(fal_chat_answer(&chat, &err), FAL_E_LIMIT, &err, "the context holds 16");
    expect_filled(&chat, true);
    close_chat(&chat);
}

static void a_turn_without_memory_changes_nothing(void **state) {
    (void)state;
    fal_status status = FAL_E_MEMORY;
    for (long n = 1; status != FAL_OK; n++) {
        assert_true(n < 1000);
        fal_chat chat = open_chat(64);
        fal_error err = {0};
        fill(&chat, true);
        fal_alloc_fail_at(n);
        status = fal_chat_answer(&chat, &err);
        fal_alloc_fail_at(0);
        if (status != FAL_OK) CHECK_STATUS(status, FAL_E_MEMORY, &err, "memory");
        if (status != FAL_OK) expect_filled(&chat, true);
        close_chat(&chat);
    }
}

static void an_answer_replaces_the_one_that_was_there(void **state) {
    (void)state;
    fal_chat chat = open_chat(256);
    fal_error err = {0};
    fill(&chat, true);
    CHECK_OK(fal_chat_answer(&chat, &err), &err);
    const fal_conversation *c = &chat.conversation;
    assert_int_equal(c->count, 4);
    assert_string_equal(c->messages[2].content, "second");
    assert_string_equal(c->messages[3].role, "assistant");
    assert_string_not_equal(c->messages[3].content, "kept");
    assert_int_equal(chat.n_answers, 1);
    close_chat(&chat);
}

static void what_does_not_fit_is_dropped_with_the_answer(void **state) {
    (void)state;
    for (int is_answered = 0; is_answered < 2; is_answered++) {
        fal_chat chat = open_chat(64);
        fal_error err = {0};
        fill(&chat, is_answered);
        CHECK_OK(fal_chat_answer(&chat, &err), &err);
        assert_int_equal(chat.conversation.count, 2);
        assert_string_equal(chat.conversation.messages[0].content, "second");
        assert_string_not_equal(chat.conversation.messages[1].content, "kept");
        close_chat(&chat);
    }
}

static void nothing_to_answer_is_said(void **state) {
    (void)state;
    fal_chat chat = open_chat(64);
    fal_error err = {0};
    CHECK_STATUS(fal_chat_answer(&chat, &err), FAL_E_ARGUMENT, &err, "nothing to answer");
    add(&chat, false, "an answer to nothing");
    CHECK_STATUS(fal_chat_answer(&chat, &err), FAL_E_ARGUMENT, &err, "nothing to answer");
    assert_int_equal(chat.conversation.count, 1);
    close_chat(&chat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_that_is_stopped_changes_nothing),
        cmocka_unit_test(a_turn_that_is_stopped_at_its_last_step_changes_nothing),
        cmocka_unit_test(a_turn_that_does_not_fit_changes_nothing),
        cmocka_unit_test(a_turn_without_memory_changes_nothing),
        cmocka_unit_test(an_answer_replaces_the_one_that_was_there),
        cmocka_unit_test(what_does_not_fit_is_dropped_with_the_answer),
        cmocka_unit_test(nothing_to_answer_is_said),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
