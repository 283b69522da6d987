/* formats/text_lines.h: plain and packed files give the same lines; damage, cuts and long lines are refused by place. */
#include "base/alloc.h"
#include "formats/text_lines.h"
#include "unit/formats/packed_text.h"
#include "unit/formats/temp_folder.h"

static fal_text_lines *open_lines(const void *data, size_t length, size_t max_line_bytes) {
    fal_text_lines *l;
    fal_error err = {0};
    CHECK_OK(fal_text_lines_open_memory(&l, data, length, "given", max_line_bytes, &err), &err);
    return l;
}

/* All lines, each in brackets; closes l. */
static void check_lines(fal_text_lines *l, const char *expected) {
    char shown[256] = "";
    size_t used = 0;
    fal_error err = {0};
    fal_slice line;
    int64_t number = 0;
    for (;;) {
        CHECK_OK(fal_text_lines_next(l, &line, &err), &err);
        if (!line.data) break;
        assert_int_equal(fal_text_lines_number(l), ++number);
        used += (size_t)snprintf(shown + used, sizeof shown - used, "[%.*s]", (int)line.length,
                                 line.data);
    }
    assert_string_equal(shown, expected);
    assert_int_equal(fal_text_lines_position(l), fal_text_lines_length(l));
    CHECK_OK(fal_text_lines_next(l, &line, &err), &err);
    assert_null(line.data);
    fal_text_lines_close(l);
}

static const struct {
    const char *text, *lines;
} cases[] = {
    {"",                    ""            },
    {"\n",                  "[]"          },
    {"a",                   "[a]"         },
    {"a\n",                 "[a]"         },
    {"a\nbc\n\nd",          "[a][bc][][d]"},
    {"a\r\nb\rc\r\n\r\n",   "[a][b\rc][]" },
    {"\xef\xbb\xbf{\n\xef", "[{][\xef]"   },
};

static void plain_and_packed_text_have_the_same_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].text);
        check_lines(open_lines(cases[i].text, length, 0), cases[i].lines);
        for (size_t cut = 0; cut <= length; cut++) {
            packed_text p = {0};
            pack_frame(&p, cases[i].text, cut);
            pack_frame(&p, cases[i].text + cut, length - cut);
            fal_text_lines *l = open_lines(p.data, p.length, 0);
            fal_slice line;
            for (size_t n = 0; n < cut % 3; n++) /* from anywhere */
                CHECK_OK(fal_text_lines_next(l, &line, NULL), NULL);
            fal_text_lines_rewind(l);
            check_lines(l, cases[i].lines);
            free(p.data);
        }
    }
}

static void long_packed_lines_arrive_whole(void **state) {
    (void)state;

    enum {
        LONG = 700000
    };

    char *text = malloc(2 * LONG + 2);
    assert_non_null(text);
    for (int i = 0; i < LONG; i++)
        text[i] = text[LONG + 1 + i] = (char)('a' + i * 7 % 26);
    text[LONG] = text[2 * LONG + 1] = '\n';
    packed_text p = {0};
    pack_frame(&p, text, 2 * LONG + 2);
    fal_text_lines *l = open_lines(p.data, p.length, 0);
    fal_error err = {0};
    for (int i = 0; i < 2; i++) {
        fal_slice line;
        CHECK_OK(fal_text_lines_next(l, &line, &err), &err);
        assert_int_equal(line.length, LONG);
        assert_memory_equal(line.data, text, LONG);
    }
    fal_text_lines_close(l);
    free(p.data);
    free(text);
}

static void a_line_has_a_bound(void **state) {
    (void)state;
    static const char text[] = "12345\n123456\n";
    packed_text p = {0};
    pack_frame(&p, text, sizeof text - 1);
    for (int packed = 0; packed < 2; packed++) {
        fal_text_lines *l =
            packed ? open_lines(p.data, p.length, 5) : open_lines(text, sizeof text - 1, 5);
        fal_slice line;
        fal_error err = {0};
        CHECK_OK(fal_text_lines_next(l, &line, &err), &err);
        CHECK_STATUS(fal_text_lines_next(l, &line, &err), FAL_E_LIMIT, &err,
                     "'given': line 2 has more than 5 bytes");
        fal_text_lines_close(l);
    }
    free(p.data);
}

static fal_status read_all(const char *data, size_t length, fal_error *err) {
    fal_text_lines *l;
    FAL_TRY(fal_text_lines_open_memory(&l, data, length, "given", 0, err));
    fal_slice line;
    fal_status status;
    do {
        status = fal_text_lines_next(l, &line, err);
    } while (status == FAL_OK && line.data);
    fal_text_lines_close(l);
    return status;
}

static void cut_and_damaged_frames_are_refused(void **state) {
    (void)state;
    static const char text[] = "one line\nanother line\nand the same line\nand the same line\n";
    packed_text p = {0};
    pack_frame(&p, text, sizeof text - 1);
    fal_error err = {0};
    CHECK_OK(read_all(p.data, p.length, &err), &err);
    for (size_t cut = 4; cut < p.length; cut++) {
        char words[64];
        snprintf(words, sizeof words, "zstd data is cut short at byte %zu", cut);
        CHECK_STATUS(read_all(p.data, cut, &err), FAL_E_FORMAT, &err, words);
    }
    for (size_t i = 4; i < p.length; i++) { /* the checksum tells at least */
        char kept = p.data[i];
        p.data[i] ^= 0x55;
        assert_int_not_equal(read_all(p.data, p.length, &err), FAL_OK);
        p.data[i] = kept;
    }
    size_t whole = p.length;
    pack_frame(&p, text, sizeof text - 1);
    p.data[whole] = 'x';
    char words[64];
    snprintf(words, sizeof words, "zstd data at byte %zu: ", whole);
    CHECK_STATUS(read_all(p.data, p.length, &err), FAL_E_FORMAT, &err, words);
    free(p.data);
}

static void files_are_opened_by_name(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_text_lines *l;
    fal_error err = {0};
    temp_write(&folder, "plain.txt", "a\nb", 3);
    CHECK_OK(fal_text_lines_open(&l, temp_path(&folder, "plain.txt"), 0, &err), &err);
    check_lines(l, "[a][b]");
    packed_text p = {0};
    pack_frame(&p, "a\nb", 3);
    temp_write(&folder, "packed.jsonl.zst", p.data, p.length);
    CHECK_OK(fal_text_lines_open(&l, temp_path(&folder, "packed.jsonl.zst"), 0, &err), &err);
    check_lines(l, "[a][b]");
    free(p.data);
    temp_write(&folder, "said.zst", "a\nb", 3);
    CHECK_STATUS(fal_text_lines_open(&l, temp_path(&folder, "said.zst"), 0, &err), FAL_E_FORMAT,
                 &err, "is not packed by zstd");
    assert_null(l);
    CHECK_STATUS(fal_text_lines_open(&l, temp_path(&folder, "none"), 0, &err), FAL_E_NOT_FOUND,
                 &err, "none");
    CHECK_STATUS(fal_text_lines_open(&l, folder.path, 0, &err), FAL_E_ARGUMENT, &err,
                 "is a folder");
    temp_remove(&folder);
}

static void short_memory_is_reported(void **state) {
    (void)state;
    char *text = malloc(500000);
    assert_non_null(text);
    memset(text, 'a', 500000);
    packed_text p = {0};
    pack_frame(&p, text, 500000);
    long live = fal_alloc_live();
    fal_error err = {0};
    fal_status status = FAL_E_MEMORY;
    for (long n = 1; status == FAL_E_MEMORY; n++) {
        fal_alloc_fail_at(n);
        status = read_all(p.data, p.length, &err);
        fal_alloc_fail_at(0);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    free(p.data);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_packed_text_have_the_same_lines),
        cmocka_unit_test(long_packed_lines_arrive_whole),
        cmocka_unit_test(a_line_has_a_bound),
        cmocka_unit_test(cut_and_damaged_frames_are_refused),
        cmocka_unit_test(files_are_opened_by_name),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
