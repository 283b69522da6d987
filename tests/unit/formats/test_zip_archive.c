/* Zip archives: stored entries are found where they lie, and every damage is refused. */
#include "formats/zip_archive.h"
#include "zip_bytes.h"

static const void *make_archive(zip_bytes *z, zip_options options, size_t *length) {
    *z = (zip_bytes){.options = options};
    zip_add(z, "folder/first", "0123456789", 10);
    zip_add(z, "second", "", 0);
    return zip_finish(z, length);
}

static void finds_entries_where_they_lie(void **state) {
    (void)state;
    const zip_options kinds[] = {{0}, {.is_zip64 = true}, {.comment = "a comment of some length"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        zip_bytes z;
        size_t length;
        const char *data = make_archive(&z, kinds[i], &length);
        fal_zip_archive *archive;
        fal_error err;
        CHECK_OK(fal_zip_open(&archive, data, length, &err), &err);
        assert_int_equal(fal_zip_count(archive), 2);
        const fal_zip_entry *e = fal_zip_find(archive, fal_slice_of("folder/first"));
        assert_ptr_equal(e, fal_zip_at(archive, 0));
        assert_true(e->is_stored);
        assert_int_equal(e->bytes, 10);
        assert_memory_equal(e->data, "0123456789", 10);
        assert_int_equal(((const char *)e->data - data) % 64, 0);
        assert_int_equal(fal_zip_find(archive, fal_slice_of("second"))->bytes, 0);
        assert_null(fal_zip_find(archive, fal_slice_of("third")));
        fal_zip_close(archive);
        zip_release(&z);
    }
    fal_zip_close(NULL);
}

static void marks_what_it_cannot_reach(void **state) {
    (void)state;
    const zip_options kinds[] = {{.method = 8}, {.flags = 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        zip_bytes z;
        size_t length;
        const void *data = make_archive(&z, kinds[i], &length);
        fal_zip_archive *archive;
        fal_error err;
        CHECK_OK(fal_zip_open(&archive, data, length, &err), &err);
        assert_false(fal_zip_at(archive, 0)->is_stored);
        assert_null(fal_zip_at(archive, 0)->data);
        fal_zip_close(archive);
        zip_release(&z);
    }
}

static void refuses_damage_by_name(void **state) {
    (void)state;

    static const struct {
        zip_options options;
        fal_status status;
        const char *words;
    } cases[] = {
        {{.packed_difference = 1},                     FAL_E_FORMAT,      "entry 0: 10 bytes stored as 11"            },
        {{.has_other_name = true},                     FAL_E_FORMAT,      "entry 0: the local header has another name"},
        {{.count_difference = 1},                      FAL_E_FORMAT,      "3 entries in a directory of 116 bytes"     },
        {{.count_difference = 1000},                   FAL_E_FORMAT,      "1002 entries in a directory of"            },
        {{.count_difference = 1000, .is_zip64 = true},
         FAL_E_FORMAT,                                                    "1002 entries in a directory of"            },
        {{.disk = 1},                                  FAL_E_UNSUPPORTED, "several disks"                             },
        {{.disk = 1, .is_zip64 = true},                FAL_E_UNSUPPORTED, "several disks"                             },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zip_bytes z;
        size_t length;
        const void *data = make_archive(&z, cases[i].options, &length);
        fal_zip_archive *archive;
        fal_error err;
        CHECK_STATUS(fal_zip_open(&archive, data, length, &err), cases[i].status, &err,
                     cases[i].words);
        assert_null(archive);
        zip_release(&z);
    }
}

static void refuses_a_name_twice(void **state) {
    (void)state;
    zip_bytes z = {0};
    zip_add(&z, "same", "a", 1);
    zip_add(&z, "same", "b", 1);
    size_t length;
    const void *data = zip_finish(&z, &length);
    fal_zip_archive *archive;
    fal_error err;
    CHECK_STATUS(fal_zip_open(&archive, data, length, &err), FAL_E_FORMAT, &err,
                 "entry 1: its name is there twice");
    zip_release(&z);
}

/* A change of any byte never makes the reader leave the file; an entry that is shown can be read. */
static void survives_any_changed_or_missing_byte(void **state) {
    (void)state;
    for (int is_zip64 = 0; is_zip64 <= 1; is_zip64++) {
        zip_bytes z;
        size_t length;
        make_archive(&z, (zip_options){.is_zip64 = is_zip64}, &length);
        char *data = z.copy;
        for (size_t i = 0; i < 3 * length; i++) {
            static const uint8_t changes[] = {0x01, 0x80, 0xff};
            char was = data[i / 3];
            data[i / 3] = (char)(was ^ changes[i % 3]);
            fal_zip_archive *archive;
            if (fal_zip_open(&archive, data, length, NULL) == FAL_OK) {
                for (int e = 0; e < fal_zip_count(archive); e++) {
                    const fal_zip_entry *entry = fal_zip_at(archive, e);
                    for (uint64_t k = 0; entry->is_stored && k < entry->bytes; k++) {
                        assert_in_range((const char *)entry->data + k - data, 0, length - 1);
                    }
                }
            }
            fal_zip_close(archive);
            data[i / 3] = was;
        }
        for (size_t cut = 0; cut < length; cut++) {
            void *prefix = malloc(cut ? cut : 1);
            memcpy(prefix, data, cut);
            fal_zip_archive *archive;
            assert_int_equal(fal_zip_open(&archive, prefix, cut, NULL), FAL_E_FORMAT);
            free(prefix);
        }
        zip_release(&z);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_entries_where_they_lie),
        cmocka_unit_test(marks_what_it_cannot_reach),
        cmocka_unit_test(refuses_damage_by_name),
        cmocka_unit_test(refuses_a_name_twice),
        cmocka_unit_test(survives_any_changed_or_missing_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
