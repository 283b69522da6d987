/* SHA-256 against values of the standard and of another program; the same whatever pieces the bytes come in. */
#include "base/digest.h"
#include "unit/formats/temp_folder.h"

static void digest(char *hex, const char *data, size_t length, size_t piece) {
    fal_sha256 s = fal_sha256_begin();
    for (size_t at = 0; at < length; at += piece)
        fal_sha256_add(&s, data + at, length - at < piece ? length - at : piece);
    fal_sha256_end(&s, hex);
}

static void gives_the_standards_values(void **state) {
    (void)state;

    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"",                                                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc",                                                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"                                                            },
    };

    char hex[FAL_SHA256_HEX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        digest(hex, cases[i].text, strlen(cases[i].text), 64);
        assert_string_equal(hex, cases[i].hex);
    }
}

/* One million times 'a', the third value of the standard, in pieces that meet every place of a block. */
static void pieces_do_not_matter(void **state) {
    (void)state;

    enum {
        N = 1000000
    };

    char *text = test_malloc(N), hex[FAL_SHA256_HEX];
    memset(text, 'a', N);
    static const size_t pieces[] = {1, 7, 63, 64, 65, 1000, N};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        digest(hex, text, N, pieces[i]);
        assert_string_equal(hex,
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    test_free(text);
}

static bool stop(void *user, uint64_t n_bytes) {
    *(uint64_t *)user += n_bytes;
    return false;
}

static void reads_files(void **state) {
    (void)state;
    temp_folder folder = temp_folder_make();
    fal_error err = {0};
    char hex[FAL_SHA256_HEX];
    uint64_t n_bytes = 0;
    temp_write(&folder, "file", "abc", 3);
    temp_write(&folder, "empty", "", 0);
    CHECK_OK(fal_sha256_file(hex, temp_path(&folder, "file"), NULL, NULL, &err), &err);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_OK(fal_sha256_file(hex, temp_path(&folder, "empty"), NULL, NULL, &err), &err);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STATUS(fal_sha256_file(hex, temp_path(&folder, "file"), stop, &n_bytes, &err),
                 FAL_E_CANCELLED, &err, "file");
    assert_int_equal(n_bytes, 3);
    CHECK_STATUS(fal_sha256_file(hex, temp_path(&folder, "absent"), NULL, NULL, &err),
                 FAL_E_NOT_FOUND, &err, "absent");
    CHECK_STATUS(fal_sha256_file(hex, folder.path, NULL, NULL, &err), FAL_E_ARGUMENT, &err,
                 "folder");
    temp_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_the_standards_values),
                                       cmocka_unit_test(pieces_do_not_matter),
                                       cmocka_unit_test(reads_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
