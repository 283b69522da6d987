/* Split sets of GGUF files: any part opens the whole set, and every disagreement between parts is named. */
#include "base/alloc.h"
#include "gguf_bytes.h"
#include "temp_folder.h"

/* A part with one f32 tensor of n numbers, each byte of which is `fill`. */
typedef struct part {
    int number, count, total; /* as its keys say */
    const char *tensor;
    int n, fill;
} part;

static void put_part(gguf_bytes *g, const part *p) {
    put_header(g, 3, 1, 4);
    put_key(g, "general.name", FAL_GGUF_STRING);
    put_text(g, p->tensor);
    put_key(g, "split.no", FAL_GGUF_U16);
    put(g, (uint64_t)p->number, 2);
    put_key(g, "split.count", FAL_GGUF_U16);
    put(g, (uint64_t)p->count, 2);
    put_key(g, "split.tensors.count", FAL_GGUF_I32);
    put(g, (uint64_t)p->total, 4);
    put_tensor(g, p->tensor, 1, (const uint64_t[]){(uint64_t)p->n}, 0, 0);
    put_padding(g, 32);
    for (int i = 0; i < 4 * p->n; i++)
        put(g, (uint64_t)p->fill, 1);
}

static void write_part(temp_folder *folder, const char *name, part p) {
    gguf_bytes g = {0};
    put_part(&g, &p);
    temp_write(folder, name, g.b.text, g.b.length);
    release_bytes(&g);
}

static temp_folder make_set(void) {
    temp_folder folder = temp_folder_make();
    write_part(&folder, "m-00001-of-00003.gguf", (part){0, 3, 3, "a", 5, 1});
    write_part(&folder, "m-00002-of-00003.gguf", (part){1, 3, 3, "b", 6, 2});
    write_part(&folder, "m-00003-of-00003.gguf", (part){2, 3, 3, "c", 7, 3});
    return folder;
}

static void opens_from_any_part(void **state) {
    (void)state;
    static const char *const names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
                                        "m-00003-of-00003.gguf"};
    temp_folder folder = make_set();
    for (int i = 0; i < 3; i++) {
        fal_error err;
        fal_gguf *f;
        const char *path = temp_path(&folder, names[i]);
        CHECK_OK(fal_gguf_open(&f, path, &err), &err);
        assert_string_equal(fal_gguf_path(f), path);
        assert_int_equal(fal_gguf_tensor_count(f), 3);
        fal_gguf_string name;
        CHECK_OK(fal_gguf_get_string(f, "general.name", &name, &err), &err);
        assert_memory_equal(name.data, "a", 1);
        uint64_t bytes = 0;
        for (int t = 0; t < 3; t++) {
            const fal_gguf_tensor *tensor = fal_gguf_tensor_at(f, t);
            assert_int_equal(tensor->shape[0], 5 + t);
            assert_int_equal(((const uint8_t *)tensor->data)[tensor->bytes - 1], 1 + t);
            assert_int_equal(tensor->offset % 32, 0);
            bytes += tensor->offset + tensor->bytes;
        }
        assert_int_equal(fal_gguf_file_bytes(f), bytes);
        fal_gguf_close(f);
    }
    temp_remove(&folder);
}

static void expect(temp_folder *folder, const char *name, fal_status status, const char *words) {
    fal_error err = {0};
    fal_gguf *f;
    long live = fal_alloc_live();
    CHECK_STATUS(fal_gguf_open(&f, temp_path(folder, name), &err), status, &err, words);
    assert_null(f);
    assert_int_equal(fal_alloc_live(), live);
}

static void names_a_missing_part(void **state) {
    (void)state;
    temp_folder folder = make_set();
    assert_int_equal(remove(temp_path(&folder, "m-00002-of-00003.gguf")), 0);
    expect(&folder, "m-00001-of-00003.gguf", FAL_E_NOT_FOUND, "part 2 of 3 is missing: ");
    expect(&folder, "m-00003-of-00003.gguf", FAL_E_NOT_FOUND, "m-00002-of-00003.gguf");
    temp_remove(&folder);
}

static void refuses_parts_that_disagree(void **state) {
    (void)state;
    temp_folder folder = make_set();
    const char *first = "m-00001-of-00003.gguf", *second = "m-00002-of-00003.gguf";
    write_part(&folder, second, (part){2, 3, 3, "b", 6, 2});
    expect(&folder, first, FAL_E_FORMAT,
           "m-00002-of-00003.gguf: it says it is part 3 of 3, its name says part 2 of 3");
    write_part(&folder, second, (part){1, 4, 3, "b", 6, 2});
    expect(&folder, first, FAL_E_FORMAT, "it says it is part 2 of 4");
    write_part(&folder, second, (part){1, 3, 3, "a", 6, 2});
    expect(&folder, first, FAL_E_FORMAT,
           "m-00002-of-00003.gguf: tensor 'a': the name is there twice");
    temp_write(&folder, second, "GGUF", 4);
    expect(&folder, first, FAL_E_FORMAT, "m-00002-of-00003.gguf: 4 bytes wanted");
    write_part(&folder, second, (part){1, 3, 3, "b", 6, 2});
    write_part(&folder, first, (part){0, 3, 4, "a", 5, 1});
    expect(&folder, second, FAL_E_FORMAT,
           "the parts hold 3 tensors, key 'split.tensors.count' says 4");
    temp_remove(&folder);
}

static void refuses_names_that_do_not_fit(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_part(&folder, "whole.gguf", (part){0, 3, 3, "a", 5, 1});
    expect(&folder, "whole.gguf", FAL_E_FORMAT,
           "one of 3 parts, but its name does not end in -00001-of-00003.gguf");
    write_part(&folder, "m-00000-of-00003.gguf", (part){0, 3, 3, "a", 5, 1});
    expect(&folder, "m-00000-of-00003.gguf", FAL_E_FORMAT, "its name says part 0 of 3");
    write_part(&folder, "m-0000a-of-00003.gguf", (part){0, 3, 3, "a", 5, 1});
    expect(&folder, "m-0000a-of-00003.gguf", FAL_E_FORMAT, "its name does not end in");
    write_part(&folder, "m-00001-of-00002.gguf", (part){0, 3, 3, "a", 5, 1});
    expect(&folder, "m-00001-of-00002.gguf", FAL_E_FORMAT,
           "it says it is part 1 of 3, its name says part 1 of 2");
    temp_remove(&folder);
}

/* A set of one is a file like any other, whatever it is called. */
static void opens_a_set_of_one(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    write_part(&folder, "m.gguf", (part){0, 1, 1, "a", 5, 1});
    fal_error err;
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, temp_path(&folder, "m.gguf"), &err), &err);
    assert_int_equal(fal_gguf_tensor_count(f), 1);
    fal_gguf_close(f);
    temp_remove(&folder);
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    temp_folder folder = make_set();
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    for (int n = 1; status == FAL_E_MEMORY; n++) {
        fal_gguf *f;
        fal_alloc_fail_at(n);
        status = fal_gguf_open(&f, temp_path(&folder, "m-00002-of-00003.gguf"), NULL);
        fal_alloc_fail_at(0);
        fal_gguf_close(f);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_from_any_part),
        cmocka_unit_test(names_a_missing_part),
        cmocka_unit_test(refuses_parts_that_disagree),
        cmocka_unit_test(refuses_names_that_do_not_fit),
        cmocka_unit_test(opens_a_set_of_one),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
