/* PyTorch files: those that torch.save made (tests/golden/torch) and archives whose parts are wrong one at a time. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "formats/torch_file.h"
#include "zip_bytes.h"

/* ---- files made by PyTorch ---- */

typedef struct golden {
    fal_mapping mapping;
    fal_checkpoint_list list;
    fal_error err;
} golden;

static fal_status open_golden(golden *g, const char *path) {
    *g = (golden){0};
    CHECK_OK(fal_mapping_open(&g->mapping, path, &g->err), &g->err);
    return fal_torch_file_read(&g->list, g->mapping.data, g->mapping.length, "m.bin", &g->err);
}

static void close_golden(golden *g) {
    fal_checkpoint_list_release(&g->list);
    fal_mapping_release(&g->mapping);
}

#define GOLDEN FAL_SOURCE_DIR "/tests/golden/torch/"

/* Name, type, shape and the first number, as make_torch_files.py made them. */
static const struct {
    const char *name, *type;
    int n_dims;
    int64_t shape[2];
    uint64_t bytes;
    float first;
} expected[] = {
    {"matrix", "f32",  2, {2, 3},  24, 0.0f},
    {"half",   "f16",  2, {2, 2},  8,  1.0f},
    {"brain",  "bf16", 1, {3, 1},  6,  1.0f},
    {"whole",  "f32",  1, {12, 1}, 48, 0.0f},
    {"tail",   "f32",  1, {4, 1},  16, 8.0f},
    {"tied",   "f32",  2, {2, 3},  24, 0.0f},
    {"scalar", "f32",  0, {1, 1},  4,  7.0f},
    {"column", "f32",  2, {1, 3},  12, 0.0f},
};

static void reads_what_pytorch_saved(void **state) {
    (void)state;
    golden g;
    CHECK_OK(open_golden(&g, GOLDEN "state.bin"), &g.err);
    assert_int_equal(g.list.count, 11);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const fal_checkpoint_row *row =
            fal_checkpoint_list_find(&g.list, fal_slice_of(expected[i].name));
        assert_non_null(row);
        const fal_checkpoint_tensor *t = &row->face;
        assert_string_equal(t->type->name, expected[i].type);
        assert_int_equal(t->n_dims, expected[i].n_dims);
        assert_int_equal(t->shape[0], expected[i].shape[0]);
        assert_int_equal(t->shape[1], expected[i].shape[1]);
        assert_int_equal(t->bytes, expected[i].bytes);
        assert_null(row->copy);
        float first;
        t->type->decode(t->data, &first, 1);
        assert_true(first == expected[i].first);
    }
    const fal_checkpoint_tensor *half =
        &fal_checkpoint_list_find(&g.list, fal_slice_of("half"))->face;
    const uint16_t *bits = half->data;
    const float halves[] = {1.0f, -2.0f, 0.5f, 65504.0f};
    for (int i = 0; i < 4; i++)
        assert_true(fal_f32_from_f16(bits[i]) == halves[i]);
    assert_int_equal(fal_checkpoint_list_find(&g.list, fal_slice_of("empty"))->face.bytes, 0);
    assert_true(fal_checkpoint_list_find(&g.list, fal_slice_of("positions"))->is_skipped);
    assert_true(fal_checkpoint_list_find(&g.list, fal_slice_of("double"))->is_skipped);
    close_golden(&g);
}

static void skips_what_is_no_tensor(void **state) {
    (void)state;
    golden g;
    CHECK_OK(open_golden(&g, GOLDEN "plain_dictionary.bin"), &g.err);
    assert_int_equal(g.list.count, 1);
    assert_string_equal(g.list.rows[0].name, "flat");
    close_golden(&g);
}

static void refuses_other_files_of_pytorch_by_name(void **state) {
    (void)state;
    golden g;
    CHECK_STATUS(open_golden(&g, GOLDEN "transposed.bin"), FAL_E_UNSUPPORTED, &g.err,
                 "tensor 'matrix': stride 1 is 3 where contiguous rows have 1");
    close_golden(&g);
    CHECK_STATUS(open_golden(&g, GOLDEN "nested.bin"), FAL_E_FORMAT, &g.err,
                 "no tensors at the top");
    close_golden(&g);
    CHECK_STATUS(open_golden(&g, GOLDEN "before_1_6.bin"), FAL_E_UNSUPPORTED, &g.err, "before 1.6");
    close_golden(&g);
    CHECK_STATUS(open_golden(&g, GOLDEN "README.md"), FAL_E_FORMAT, &g.err, "no zip archive");
    close_golden(&g);
}

static void survives_any_changed_byte(void **state) {
    (void)state;
    golden g;
    CHECK_OK(open_golden(&g, GOLDEN "state.bin"), &g.err);
    size_t length = g.mapping.length;
    uint8_t *data = malloc(length);
    memcpy(data, g.mapping.data, length);
    close_golden(&g);
    long live = fal_alloc_live();
    for (size_t i = 0; i < length; i++) {
        uint8_t was = data[i];
        data[i] = (uint8_t)(was ^ (1u << i % 8));
        fal_checkpoint_list list = {0};
        if (fal_torch_file_read(&list, data, length, "m.bin", NULL) == FAL_OK) {
            for (size_t k = 0; k < list.count; k++) {
                const fal_checkpoint_tensor *t = &list.rows[k].face;
                if (t->bytes)
                    assert_in_range((const uint8_t *)t->data - data + (ptrdiff_t)t->bytes, 1,
                                    length);
            }
        }
        fal_checkpoint_list_release(&list);
        data[i] = was;
        assert_int_equal(fal_alloc_live(), live);
    }
    free(data);
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    golden g;
    CHECK_OK(open_golden(&g, GOLDEN "state.bin"), &g.err);
    fal_checkpoint_list_release(&g.list);
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    int n = 0;
    while (status == FAL_E_MEMORY) {
        fal_checkpoint_list list = {0};
        fal_alloc_fail_at(++n);
        status = fal_torch_file_read(&list, g.mapping.data, g.mapping.length, "m.bin", NULL);
        fal_alloc_fail_at(0);
        fal_checkpoint_list_release(&list);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    assert_true(n > 20);
    close_golden(&g);
}

/* ---- archives with one wrong part ---- */

/* The arguments of a tensor, each as the operations that push it. */
typedef struct pickled_tensor {
    const char *key, *class, *storage, *count, *offset, *size, *stride;
} pickled_tensor;

#define TEXT_a \
    "\x8c\x01" \
    "a"
static const pickled_tensor good = {TEXT_a,           "FloatStorage",  "0", "K\x06", "K\x00",
                                    "K\x02K\x03\x86", "K\x03K\x01\x86"};

static void put_pickle(fal_string_builder *b, const pickled_tensor *t) {
    fal_string_append(b, "\x80\x02}", 3);
    fal_string_append_text(b, t->key);
    fal_string_append_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    fal_string_append_text(b, "\x8c\x07"
                              "storagectorch\n");
    fal_string_append_text(b, t->class);
    fal_string_append_format(b, "\n\x8c%c%s", (int)strlen(t->storage), t->storage);
    fal_string_append_text(b, "\x8c\x03"
                              "cpu");
    fal_string_append_text(b, t->count);
    fal_string_append_text(b, "tQ");
    fal_string_append(b, t->offset, 2); /* K and a byte, which may be zero */
    fal_string_append_text(b, t->size);
    fal_string_append_text(b, t->stride);
    fal_string_append(b, "\x89Nt", 3);
    fal_string_append_text(b, "Rs.");
}

static fal_status read_made(const pickled_tensor *t, zip_options options, const char *byte_order,
                            fal_error *err) {
    fal_string_builder pickle = {0};
    zip_bytes z = {.options = options};
    put_pickle(&pickle, t);
    zip_add(&z, "m/data.pkl", pickle.text, pickle.length);
    zip_add(&z, "m/data/0", "000011112222333344445555", 24);
    if (byte_order) zip_add(&z, "m/byteorder", byte_order, strlen(byte_order));
    size_t length;
    const void *data = zip_finish(&z, &length);
    fal_checkpoint_list list = {0};
    fal_status status = fal_torch_file_read(&list, data, length, "m.bin", err);
    if (status == FAL_OK) {
        assert_int_equal(list.count, 1);
        assert_memory_equal(list.rows[0].face.data, "000011112222333344445555",
                            list.rows[0].face.bytes);
    }
    fal_checkpoint_list_release(&list);
    zip_release(&z);
    fal_string_release(&pickle);
    return status;
}

static void reads_a_made_archive(void **state) {
    (void)state;
    fal_error err;
    CHECK_OK(read_made(&good, (zip_options){0}, NULL, &err), &err);
    CHECK_OK(read_made(&good, (zip_options){.is_zip64 = true}, "little", &err), &err);
    pickled_tensor t = good;
    t.size = "ctorch\nSize\nK\x02K\x03\x86\x85R";
    CHECK_OK(read_made(&t, (zip_options){0}, NULL, &err), &err);
    t = good;
    t.class = "HalfStorage";
    CHECK_OK(read_made(&t, (zip_options){0}, NULL, &err), &err);
}

static void refuses_wrong_tensors_by_name(void **state) {
    (void)state;

    const struct {
        pickled_tensor tensor;
        fal_status status;
        const char *words;
    } cases[] = {
        {{"K\x01", good.class, "0", good.count, good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "name is no text"                           },
        {{"\x8c\x02"
          "a\n",
          good.class, "0", good.count, good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "no text of one line"                       },
        {{TEXT_a, "EvilStorage", "0", good.count, good.offset, good.size, good.stride},
         FAL_E_UNSUPPORTED, "'torch.EvilStorage'"                       },
        {{TEXT_a, "Size", "0", good.count, good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "tensor 'a': its storage is not described"  },
        {{TEXT_a, good.class, "1", good.count, good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "its storage is not in the archive"         },
        {{TEXT_a, good.class, "../data.pkl", good.count, good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "its storage is not in the archive"         },
        {{TEXT_a, good.class, "0", "K\x07", good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "7 numbers, the archive's entry 6"          },
        {{TEXT_a, good.class, "0", "J\xff\xff\xff\xff", good.offset, good.size, good.stride},
         FAL_E_FORMAT,      "not described"                             },
        {{TEXT_a, good.class, "0", good.count, "K\x01", good.size, good.stride},
         FAL_E_FORMAT,      "6 numbers at 1 of a storage of 6"          },
        {{TEXT_a, good.class, "0", good.count, "K\xff", good.size, good.stride},
         FAL_E_FORMAT,      "6 numbers at 255"                          },
        {{TEXT_a, good.class, "0", good.count, "N)", good.size, good.stride},
         FAL_E_FORMAT,      "size and stride are no tuples"             },
        {{TEXT_a, good.class, "0", good.count, good.offset, "K\x02\x85", good.stride},
         FAL_E_FORMAT,      "tuples of one length"                      },
        {{TEXT_a, good.class, "0", good.count, good.offset, "N", good.stride},
         FAL_E_FORMAT,      "size and stride are no tuples"             },
        {{TEXT_a, good.class, "0", good.count, good.offset, "NN\x86", good.stride},
         FAL_E_FORMAT,      "size 0 is no number"                       },
        {{TEXT_a, good.class, "0", good.count, good.offset, good.size, "NN\x86"},
         FAL_E_FORMAT,      "stride 1 is no number"                     },
        {{TEXT_a, good.class, "0", good.count, good.offset, "K\x03K\x02\x86", good.stride},
         FAL_E_UNSUPPORTED, "stride 0 is 3 where contiguous rows have 2"},
        {{TEXT_a, good.class, "0", good.count, good.offset, "J\xff\xff\xff\xffK\x02\x86",
          good.stride},
         FAL_E_FORMAT,      "size 0 is no number"                       },
        {{TEXT_a, good.class, "0", good.count, good.offset,
          "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03\x86", good.stride},
         FAL_E_FORMAT,      "product of the sizes"                      },
        {{TEXT_a, good.class, "0", good.count, good.offset, "(K\x01K\x01K\x01K\x02K\x03t",
          "(K\x06K\x06K\x06K\x03K\x01t"},
         FAL_E_UNSUPPORTED, "5 dimensions, at most 4"                   },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fal_error err;
        CHECK_STATUS(read_made(&cases[i].tensor, (zip_options){0}, NULL, &err), cases[i].status,
                     &err, cases[i].words);
    }
}

static void refuses_wrong_archives_by_name(void **state) {
    (void)state;
    fal_error err;
    CHECK_STATUS(read_made(&good, (zip_options){.method = 8}, NULL, &err), FAL_E_UNSUPPORTED, &err,
                 "data.pkl is compressed");
    CHECK_STATUS(read_made(&good, (zip_options){.is_unaligned = true}, NULL, &err),
                 FAL_E_UNSUPPORTED, &err, "its storage is not aligned to 4 bytes");
    CHECK_STATUS(read_made(&good, (zip_options){0}, "big", &err), FAL_E_UNSUPPORTED, &err,
                 "byte order");
}

static fal_status read_archive(zip_bytes *z, fal_error *err) {
    size_t length;
    const void *data = zip_finish(z, &length);
    fal_checkpoint_list list = {0};
    fal_status status = fal_torch_file_read(&list, data, length, "m.bin", err);
    fal_checkpoint_list_release(&list);
    zip_release(z);
    return status;
}

static void refuses_archives_of_something_else(void **state) {
    (void)state;
    fal_error err;
    zip_bytes z = {0};
    zip_add(&z, "data.pkl", "N.", 2);
    CHECK_STATUS(read_archive(&z, &err), FAL_E_FORMAT, &err, "the archive has no data.pkl");
    zip_add(&z, "a/data.pkl", "N.", 2);
    zip_add(&z, "b/data.pkl", "N.", 2);
    CHECK_STATUS(read_archive(&z, &err), FAL_E_FORMAT, &err, "two entries named data.pkl");
    zip_add(&z, "a/data.pkl", "N.", 2);
    CHECK_STATUS(read_archive(&z, &err), FAL_E_FORMAT, &err, "its top is no dictionary");
    zip_add(&z, "a/data.pkl", "}.", 2);
    CHECK_STATUS(read_archive(&z, &err), FAL_E_FORMAT, &err, "no tensors at the top");
    static const char attack[] = "\x80\x02}X\x01\x00\x00\x00"
                                 "acos\nsystem\nX\x04\x00\x00\x00true\x85Rs.";
    zip_add(&z, "a/data.pkl", attack, sizeof attack - 1);
    CHECK_STATUS(read_archive(&z, &err), FAL_E_UNSUPPORTED, &err,
                 "it refers to 'os.system', which is not allowed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_pytorch_saved),
        cmocka_unit_test(skips_what_is_no_tensor),
        cmocka_unit_test(refuses_other_files_of_pytorch_by_name),
        cmocka_unit_test(survives_any_changed_byte),
        cmocka_unit_test(survives_any_failing_allocation),
        cmocka_unit_test(reads_a_made_archive),
        cmocka_unit_test(refuses_wrong_tensors_by_name),
        cmocka_unit_test(refuses_wrong_archives_by_name),
        cmocka_unit_test(refuses_archives_of_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
