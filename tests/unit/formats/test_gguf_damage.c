/* Damaged GGUF files: every check of the reader has a file that it must refuse, by status and by words. */
#include "base/alloc.h"
#include "gguf_bytes.h"

typedef struct damage {
    const char *name;
    void (*build)(gguf_bytes *g);
    fal_status status;
    const char *words;
} damage;

static void build_text(gguf_bytes *g) {
    fal_string_append_text(&g->b, "{\"not\": \"gguf\"}");
}

static void build_forerunner(gguf_bytes *g) {
    fal_string_append_text(&g->b, "tjgg 0123456789 0123456789");
}

static void build_version_0(gguf_bytes *g) {
    put_header(g, 0, 0, 0);
}

static void build_version_4(gguf_bytes *g) {
    put_header(g, 4, 0, 0);
}

static void build_big_endian(gguf_bytes *g) {
    put_header(g, 3 << 24, 0, 0);
}

static void build_too_many_tensors(gguf_bytes *g) {
    put_header(g, 3, 2, 0);
    put_tensor(g, "x", 1, (const uint64_t[]){1}, 0, 0);
}

static void build_huge_tensor_count(gguf_bytes *g) {
    put_header(g, 3, UINT64_MAX, 0);
}

static void build_huge_value_count(gguf_bytes *g) {
    put_header(g, 3, 0, UINT64_MAX / 8);
}

static void build_value_count_of_v1(gguf_bytes *g) {
    put_header(g, 1, 0, UINT32_MAX);
}

static void build_duplicate_key(gguf_bytes *g) {
    put_header(g, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_key(g, "x", FAL_GGUF_U8);
        put(g, 0, 1);
    }
}

static void build_empty_key(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_key(g, "", FAL_GGUF_U64);
    put(g, 0, 8);
}

static void build_key_with_newline(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_key(g, "a\nb", FAL_GGUF_U8);
    put(g, 0, 1);
}

static void build_key_with_zero(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_bytes(g, "a\0b", 3);
    put(g, FAL_GGUF_U8, 4);
    put(g, 0, 1);
}

static void build_key_not_utf8(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_key(g, "a\xff", FAL_GGUF_U8);
    put(g, 0, 1);
}

static void build_long_key(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_length(g, 65536);
    put_data(g, 65536 + 16);
}

static void build_huge_key(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_length(g, UINT64_MAX);
    put_data(g, 16);
}

static void build_value_type(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_text(g, "x");
    put(g, 13, 4);
    put(g, 0, 8);
}

static void build_element_type(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_text(g, "x");
    put(g, FAL_GGUF_ARRAY, 4);
    put(g, 99, 4);
    put(g, 0, 8);
}

static void build_nested_array(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_ARRAY, 1);
    put(g, 0, 8);
}

static void build_array_too_long(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_F64, 3);
    put(g, 0, 8);
    put(g, 0, 8);
}

static void build_array_overflow(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_U32, UINT64_C(1) << 62);
    put(g, 0, 8);
}

static void build_strings_too_many(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_STRING, UINT64_C(1) << 61);
    put(g, 0, 8);
}

static void build_string_in_array_too_long(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_STRING, 2);
    put_text(g, "a");
    put_length(g, 100);
    put(g, 0, 8);
}

static void build_string_too_long(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_key(g, "x", FAL_GGUF_STRING);
    put_length(g, UINT64_MAX - 1);
    put(g, 0, 8);
}

static void build_bool_2(gguf_bytes *g) {
    put_header(g, 3, 0, 1);
    put_array(g, "x", FAL_GGUF_BOOL, 2);
    put(g, 1, 1);
    put(g, 2, 1);
}

static void build_alignment(gguf_bytes *g, fal_gguf_value_type type, uint64_t alignment,
                            int n_bytes) {
    put_header(g, 3, 0, 1);
    put_key(g, "general.alignment", type);
    put(g, alignment, n_bytes);
}

static void build_alignment_0(gguf_bytes *g) {
    build_alignment(g, FAL_GGUF_U32, 0, 4);
}

static void build_alignment_4(gguf_bytes *g) {
    build_alignment(g, FAL_GGUF_U32, 4, 4);
}

static void build_alignment_24(gguf_bytes *g) {
    build_alignment(g, FAL_GGUF_U32, 24, 4);
}

static void build_alignment_type(gguf_bytes *g) {
    build_alignment(g, FAL_GGUF_U64, 32, 8);
}

static void build_tensor(gguf_bytes *g, int n_dims, const uint64_t *dims, uint32_t type,
                         uint64_t offset) {
    put_header(g, 3, 1, 0);
    put_tensor(g, "x", n_dims, dims, type, offset);
    put_padding(g, 32);
    put_data(g, 64);
}

static void build_no_dims(gguf_bytes *g) {
    build_tensor(g, 0, NULL, 0, 0);
}

static void build_five_dims(gguf_bytes *g) {
    build_tensor(g, 5, (const uint64_t[]){1, 1, 1, 1, 1}, 0, 0);
}

static void build_zero_dim(gguf_bytes *g) {
    build_tensor(g, 2, (const uint64_t[]){0, 1}, 0, 0);
}

static void build_negative_dim(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){UINT64_C(1) << 63}, 0, 0);
}

static void build_dims_overflow(gguf_bytes *g) {
    build_tensor(g, 3, (const uint64_t[]){UINT64_C(1) << 31, UINT64_C(1) << 31, 4}, 0, 0);
}

static void build_row_overflow(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){UINT64_C(1) << 62}, 0, 0);
}

static void build_bytes_overflow(gguf_bytes *g) {
    build_tensor(g, 2, (const uint64_t[]){UINT64_C(1) << 31, UINT64_C(1) << 31}, 0, 0);
}

static void build_row_not_block(gguf_bytes *g) {
    build_tensor(g, 2, (const uint64_t[]){16, 2}, 2, 0);
}

static void build_offset_unaligned(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){1}, 0, 4);
}

static void build_offset_outside(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){1}, 0, 64);
}

static void build_offset_wraps(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){1}, 0, UINT64_MAX - 31);
}

static void build_data_outside(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){17}, 0, 0);
}

static void build_unknown_type_outside(gguf_bytes *g) {
    build_tensor(g, 1, (const uint64_t[]){1}, 999, 96);
}

static void build_no_data_section(gguf_bytes *g) {
    put_header(g, 3, 1, 0);
    put_tensor(g, "x", 1, (const uint64_t[]){1}, 0, 0);
}

static void build_two_tensors(gguf_bytes *g, const char *second, uint64_t offset) {
    put_header(g, 3, 2, 0);
    put_tensor(g, "x", 1, (const uint64_t[]){9}, 0, 0);
    put_tensor(g, second, 1, (const uint64_t[]){1}, 0, offset);
    put_padding(g, 32);
    put_data(g, 96);
}

static void build_overlap(gguf_bytes *g) {
    build_two_tensors(g, "y", 32);
}

static void build_same_data(gguf_bytes *g) {
    build_two_tensors(g, "y", 0);
}

static void build_duplicate_tensor(gguf_bytes *g) {
    build_two_tensors(g, "x", 64);
}

static void build_long_tensor_name(gguf_bytes *g) {
    build_two_tensors(g, "a234567890123456789012345678901234567890123456789012345678901234", 64);
}

static void build_empty_tensor_name(gguf_bytes *g) {
    build_two_tensors(g, "", 64);
}

static const damage damages[] = {
    {"text",                 build_text,                     FAL_E_FORMAT,      "not a GGUF file: it begins with 7b 22 6e 6f"},
    {"forerunner",           build_forerunner,               FAL_E_UNSUPPORTED, "before GGUF"                                },
    {"version 0",            build_version_0,                FAL_E_FORMAT,      "version 0"                                  },
    {"version 4",            build_version_4,                FAL_E_UNSUPPORTED, "version 4, 1 to 3"                          },
    {"big endian",           build_big_endian,               FAL_E_UNSUPPORTED, "big-endian"                                 },
    {"too many tensors",     build_too_many_tensors,         FAL_E_FORMAT,      "2 tensors in the 33 bytes"                  },
    {"huge tensor count",    build_huge_tensor_count,        FAL_E_FORMAT,      "18446744073709551615 tensors"               },
    {"huge value count",     build_huge_value_count,         FAL_E_FORMAT,      "2305843009213693951 keys"                   },
    {"value count of v1",    build_value_count_of_v1,        FAL_E_FORMAT,      "4294967295 keys"                            },
    {"duplicate key",        build_duplicate_key,            FAL_E_FORMAT,      "key 'x' is there twice"                     },
    {"empty key",            build_empty_key,                FAL_E_FORMAT,      "key 0: a name of 0 bytes"                   },
    {"newline in key",       build_key_with_newline,         FAL_E_FORMAT,      "control character 0x0a"                     },
    {"zero in key",          build_key_with_zero,            FAL_E_FORMAT,      "control character 0x00"                     },
    {"key not UTF-8",        build_key_not_utf8,             FAL_E_FORMAT,      "not UTF-8"                                  },
    {"long key",             build_long_key,                 FAL_E_FORMAT,      "a name of 65536 bytes, 1 to 65535"          },
    {"huge key",             build_huge_key,                 FAL_E_FORMAT,      "18446744073709551615 bytes wanted"          },
    {"value type",           build_value_type,               FAL_E_FORMAT,      "value type 13"                              },
    {"element type",         build_element_type,             FAL_E_FORMAT,      "value type 99"                              },
    {"nested array",         build_nested_array,             FAL_E_UNSUPPORTED, "key 'x': an array of arrays"                },
    {"array too long",       build_array_too_long,           FAL_E_FORMAT,      "3 elements of 8 bytes in the 16 bytes"      },
    {"array overflow",       build_array_overflow,           FAL_E_FORMAT,      "4611686018427387904 elements"               },
    {"too many strings",     build_strings_too_many,         FAL_E_FORMAT,      "2305843009213693952 strings"                },
    {"long string in array", build_string_in_array_too_long, FAL_E_FORMAT,
     "key 'x': 100 bytes wanted"                                                                                             },
    {"long string",          build_string_too_long,          FAL_E_FORMAT,
     "key 'x': 18446744073709551614 bytes wanted"                                                                            },
    {"bool 2",               build_bool_2,                   FAL_E_FORMAT,      "a bool of value 2"                          },
    {"alignment 0",          build_alignment_0,              FAL_E_FORMAT,      "'general.alignment': 0"                     },
    {"alignment 4",          build_alignment_4,              FAL_E_FORMAT,      "'general.alignment': 4"                     },
    {"alignment 24",         build_alignment_24,             FAL_E_FORMAT,      "'general.alignment': 24"                    },
    {"alignment's type",     build_alignment_type,           FAL_E_FORMAT,      "'general.alignment': value type 10"         },
    {"no dimensions",        build_no_dims,                  FAL_E_FORMAT,      "tensor 'x': 0 dimensions"                   },
    {"five dimensions",      build_five_dims,                FAL_E_FORMAT,      "tensor 'x': 5 dimensions, 1 to 4"           },
    {"dimension 0",          build_zero_dim,                 FAL_E_FORMAT,      "tensor 'x': dimension 1 is 0"               },
    {"dimension negative",   build_negative_dim,             FAL_E_FORMAT,
     "tensor 'x': dimension 0 is -9223372036854775808"                                                                       },
    {"dimensions overflow",  build_dims_overflow,            FAL_E_FORMAT,      "product of the dimensions"                  },
    {"row overflow",         build_row_overflow,             FAL_E_FORMAT,      "a row exceeds"                              },
    {"bytes overflow",       build_bytes_overflow,           FAL_E_FORMAT,      "its data exceeds"                           },
    {"row no multiple",      build_row_not_block,            FAL_E_FORMAT,      "tensor 'x'"                                 },
    {"offset unaligned",     build_offset_unaligned,         FAL_E_FORMAT,      "offset 4 is not a multiple of 32"           },
    {"offset outside",       build_offset_outside,           FAL_E_FORMAT,
     "4 bytes at offset 64 of the data, which has 64"                                                                        },
    {"offset wraps",         build_offset_wraps,             FAL_E_FORMAT,      "at offset 18446744073709551584"             },
    {"data outside",         build_data_outside,             FAL_E_FORMAT,
     "68 bytes at offset 0 of the data, which has 64"                                                                        },
    {"unknown type outside", build_unknown_type_outside,     FAL_E_FORMAT,      "0 bytes at offset 96"                       },
    {"no data",              build_no_data_section,          FAL_E_FORMAT,      "of the data, which has 0"                   },
    {"overlap",              build_overlap,                  FAL_E_FORMAT,      "tensor 'y' at offset"                       },
    {"same data",            build_same_data,                FAL_E_FORMAT,      "overlaps tensor 'y'"                        },
    {"duplicate tensor",     build_duplicate_tensor,         FAL_E_FORMAT,
     "tensor 'x': the name is there twice"                                                                                   },
    {"long tensor name",     build_long_tensor_name,         FAL_E_FORMAT,
     "tensor 1: a name of 64 bytes, 1 to 63"                                                                                 },
    {"empty tensor name",    build_empty_tensor_name,        FAL_E_FORMAT,      "tensor 1: a name of 0 bytes"                },
};

static void refuses_every_damage_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage *d = &damages[i];
        gguf_bytes g = {0};
        fal_error err = {0};
        fal_gguf *f = (fal_gguf *)&g;
        d->build(&g);
        long live = fal_alloc_live();
        fal_status status = open_all(&f, &g, &err);
        if (status != d->status || !strstr(err.message, d->words)) {
            fail_msg("%s: %s (%s)", d->name, fal_status_words(status), err.message);
        }
        assert_null(f);
        assert_int_equal(fal_alloc_live(), live);
        release_bytes(&g);
    }
}

static void refuses_a_file_cut_at_any_byte(void **state) {
    (void)state;
    for (int version = 1; version <= 3; version++) {
        gguf_bytes g = {0};
        fal_error err;
        fal_gguf *f;
        put_small_file(&g, version);
        for (size_t length = 0; length < g.b.length; length++) {
            if (open_prefix(&f, &g, length, &err) != FAL_E_FORMAT) fail_msg("cut at %zu", length);
            assert_null(f);
        }
        CHECK_OK(open_all(&f, &g, &err), &err);
        fal_gguf_close(f);
        release_bytes(&g);
    }
}

/* Whatever the answer is, no byte outside the file is read, and what opens can be walked. */
static void survives_any_changed_byte(void **state) {
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f};
    for (int version = 1; version <= 3; version++) {
        gguf_bytes g = {0};
        fal_error err;
        put_small_file(&g, version);
        for (size_t i = 0; i < g.b.length * sizeof changes; i++) {
            char *byte = &g.b.text[i / sizeof changes], was = *byte;
            *byte = (char)(was ^ changes[i % sizeof changes]);
            fal_gguf *f;
            if (open_all(&f, &g, &err) == FAL_OK) {
                unsigned sum = 0;
                for (int t = 0; t < fal_gguf_tensor_count(f); t++) {
                    const fal_gguf_tensor *tensor = fal_gguf_tensor_at(f, t);
                    for (uint64_t k = 0; k < tensor->bytes; k++)
                        sum += ((const uint8_t *)tensor->data)[k];
                }
                assert_true(sum < 100000);
            }
            fal_gguf_close(f);
            *byte = was;
        }
        release_bytes(&g);
    }
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    gguf_bytes g = {0};
    put_small_file(&g, 3);
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    int n = 0;
    while (status == FAL_E_MEMORY) {
        fal_error err;
        fal_gguf *f;
        fal_alloc_fail_at(++n);
        status = open_all(&f, &g, &err);
        fal_alloc_fail_at(0);
        fal_gguf_close(f);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    assert_true(n > 10);
    release_bytes(&g);
}

static void refuses_files_that_cannot_be_read(void **state) {
    (void)state;
    fal_error err;
    fal_gguf *f;
    CHECK_STATUS(fal_gguf_open(&f, "/nowhere/model.gguf", &err), FAL_E_NOT_FOUND, &err,
                 "/nowhere/model.gguf");
    assert_null(f);
    CHECK_STATUS(fal_gguf_open(&f, FAL_SOURCE_DIR "/CMakeLists.txt", &err), FAL_E_FORMAT, &err,
                 "CMakeLists.txt: not a GGUF file");
    assert_null(f);
    fal_gguf_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_damage_by_name),
        cmocka_unit_test(refuses_a_file_cut_at_any_byte),
        cmocka_unit_test(survives_any_changed_byte),
        cmocka_unit_test(survives_any_failing_allocation),
        cmocka_unit_test(refuses_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
