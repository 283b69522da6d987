/* train/text_files.h: which strings of records are texts, how plain text is cut, folders, damage. */
#include "base/alloc.h"
#include "base/string_builder.h"
#include "train/text_files.h"
#include "unit/formats/temp_folder.h"

#include <sys/stat.h>

typedef struct gathered {
    fal_string_builder all; /* texts with '|' behind each */
    int n;
} gathered;

static fal_status gather(void *user, fal_slice text, fal_error *err) {
    gathered *g = user;
    (void)err;
    fal_string_append(&g->all, text.data, text.length);
    fal_string_append(&g->all, "|", 1);
    g->n++;
    return FAL_OK;
}

static void check_read(const char *path, const char *const *fields, const char *expected) {
    fal_error err = {0};
    gathered g = {0};
    const fal_text_reading reading = {.on_text = gather, .user = &g, .fields = fields};
    CHECK_OK(fal_text_files_read(path, &reading, &err), &err);
    assert_string_equal(g.all.text ? g.all.text : "", expected);
    fal_string_release(&g.all);
}

static void check_refused(const char *path, fal_status expected, const char *message) {
    fal_error err = {0};
    gathered g = {0};
    const fal_text_reading reading = {.on_text = gather, .user = &g};
    CHECK_STATUS(fal_text_files_read(path, &reading, &err), expected, &err, message);
    fal_string_release(&g.all);
}

static void write_text(temp_folder *t, const char *name, const char *text) {
    temp_write(t, name, text, strlen(text));
}

static void records_are_searched_for_texts(void **state) {
    (void)state;
    temp_folder t = temp_folder_make();
    write_text(
        &t, "a.jsonl",
        "{\"id\": \"no\", \"text\": \"one\"}\n"
        "\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"two\"}, {\"role\": \"assistant\", "
        "\"content\": \"three\"}]}\n"
        "{\"prompt\": {\"text\": \"four\", \"lang\": \"en\", \"replies\": [{\"text\": "
        "\"fi\\u00e9ve\"}]}}\n"
        "  \t\n"
        "[\"no\", {\"content\": [{\"text\": \"six\"}, 7, null]}]");
    check_read(temp_path(&t, "a.jsonl"), NULL, "one|two|three|four|fiéve|six|");
    check_read(temp_path(&t, "a.jsonl"), (const char *const[]){"role", "id", NULL},
               "no|user|assistant|");
    temp_remove(&t);
}

static void plain_text_keeps_its_lines(void **state) {
    (void)state;
    temp_folder t = temp_folder_make();
    write_text(&t, "a.txt", "one\n\n  two\nthree");
    write_text(&t, "b", "{\"text\": \"as it is\"}\n");
    write_text(&t, "c", "");
    check_read(temp_path(&t, "a.txt"), NULL, "one\n\n  two\nthree\n|");
    check_read(temp_path(&t, "b"), NULL, "{\"text\": \"as it is\"}\n|");
    check_read(temp_path(&t, "c"), NULL, "");
    temp_remove(&t);
}

/* No word reaches over the end of a block: white space around it would belong together. */
static void long_text_comes_in_blocks(void **state) {
    (void)state;
    temp_folder t = temp_folder_make();
    fal_string_builder text = {0};
    for (int i = 0; i < 30000; i++)
        fal_string_append_text(&text, "a line of it\na line of it\n  another\n\n");
    temp_write(&t, "long.txt", text.text, text.length);
    fal_error err = {0};
    gathered g = {0};
    const fal_text_reading reading = {.on_text = gather, .user = &g};
    CHECK_OK(fal_text_files_read(temp_path(&t, "long.txt"), &reading, &err), &err);
    assert_int_equal(g.n, 2);
    assert_int_equal(g.all.length, text.length + 2);
    const char *border = strchr(g.all.text, '|');
    assert_true(border - g.all.text > 1 << 20);
    assert_memory_equal(border - 3, "it\n|a line", 10);
    fal_string_release(&g.all);
    fal_string_release(&text);
    temp_remove(&t);
}

static void folders_are_read_in_order(void **state) {
    (void)state;
    temp_folder t = temp_folder_make(), inner = {0};
    write_text(&t, "b.jsonl", "{\"text\": \"second\"}\n");
    write_text(&t, "a.txt", "first");
    write_text(&t, ".hidden", "hidden");
    memcpy(inner.path, t.path, strlen(t.path));
    memcpy(inner.path + strlen(t.path), "/c", 2);
    assert_int_equal(mkdir(inner.path, 0777), 0);
    write_text(&inner, "d.txt", "third");
    check_read(t.path, NULL, "first\n|second|third\n|");
    temp_remove(&inner);
    temp_remove(&t);
}

static bool refuse(void *user, const char *path, uint64_t n_done, uint64_t n_total) {
    (void)user;
    (void)path;
    assert_true(n_done <= n_total);
    return false;
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    temp_folder t = temp_folder_make();
    write_text(&t, "bad.jsonl", "{\"text\": \"fine\"}\n{\"text\": }\n");
    write_text(&t, "not.zst", "plain");
    write_text(&t, "a.txt", "text");
    check_refused(temp_path(&t, "bad.jsonl"), FAL_E_FORMAT, "bad.jsonl': line 2: ");
    check_refused(temp_path(&t, "not.zst"), FAL_E_FORMAT, "is not packed by zstd");
    check_refused(temp_path(&t, "absent"), FAL_E_NOT_FOUND, "absent");
    fal_error err = {0};
    gathered g = {0};
    const fal_text_reading reading = {.on_text = gather, .on_progress = refuse, .user = &g};
    CHECK_STATUS(fal_text_files_read(temp_path(&t, "a.txt"), &reading, &err), FAL_E_CANCELLED, &err,
                 "cancelled at line 1 of");
    fal_string_release(&g.all);
    temp_remove(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_searched_for_texts),
        cmocka_unit_test(plain_text_keeps_its_lines),
        cmocka_unit_test(long_text_comes_in_blocks),
        cmocka_unit_test(folders_are_read_in_order),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
