/* text/quote.h: foreign text in messages stays printable, short and whole UTF-8. text/byte_map.h: the map and its way
 * back. */
#include "text/quote.h"
#include "unit/text/text_fixtures.h"

static void printable_text_stays(void **state) {
    (void)state;
    assert_string_equal(fal_quote(fal_slice_of("plain 'text' \xc3\xa9\xf0\x9f\x98\x80")).text,
                        "plain 'text' \xc3\xa9\xf0\x9f\x98\x80");
    assert_string_equal(fal_quote((fal_slice){NULL, 0}).text, "");
}

static void control_characters_and_damage_become_question_marks(void **state) {
    (void)state;
    assert_string_equal(fal_quote((fal_slice){"a\nb\0c\x1b[31m\x7f", 11}).text, "a?b?c?[31m?");
    assert_string_equal(fal_quote(fal_slice_of("\xc2\x85\xff\xe2\x82")).text, "????");
}

static void long_text_is_cut_between_characters(void **state) {
    (void)state;
    char text[200];
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'a', lead);
        for (size_t i = lead; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        fal_quoted quoted = fal_quote((fal_slice){text, 180 + lead});
        size_t length = strlen(quoted.text);
        assert_true(length <= 67 && length >= 62);
        assert_string_equal(quoted.text + length - 3, "...");
        assert_true(fal_utf8_is_valid(quoted.text, length));
    }
    memset(text, 'b', 64);
    assert_int_equal(strlen(fal_quote((fal_slice){text, 64}).text), 64);
}

static void the_byte_map_is_one_to_one(void **state) {
    (void)state;
    bool used[324] = {false};
    for (int byte = 0; byte < 256; byte++) {
        uint32_t character = fal_byte_character((uint8_t)byte);
        assert_true(character > 32 && character < 324 && !used[character]);
        used[character] = true;
        assert_int_equal(fal_character_byte(character), byte);
    }
    for (uint32_t character = 0; character < 0x3000; character++) {
        bool known = character < 324 && used[character];
        assert_int_equal(fal_character_byte(character) >= 0, known);
    }
    /* GPT-2's own: space, newline, tab, soft hyphen. */
    assert_int_equal(fal_byte_character(' '), 0x120);
    assert_int_equal(fal_byte_character('\n'), 0x10a);
    assert_int_equal(fal_byte_character('\t'), 0x109);
    assert_int_equal(fal_byte_character(0xad), 0x143);
    assert_int_equal(fal_byte_character('A'), 'A');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printable_text_stays),
        cmocka_unit_test(control_characters_and_damage_become_question_marks),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(the_byte_map_is_one_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
