/* Golden blocks of every type decode to the bits that tests/golden/quant/make_blocks.py derived from the published
 * layouts, as rows and one weight at a time. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/half.h"
#include "check.h"
#include "quant/type.h"
#include "unit/quant/weight_of.h"

#include <stdio.h>

typedef struct golden {
    char *file;
    size_t length;
} golden;

static int open_golden(void **state) {
    static golden g;
    fal_error err = {0};
    fal_status status = fal_file_read(
        &g.file, &g.length, FAL_SOURCE_DIR "/tests/golden/quant/blocks.bin", 1 << 20, &err);
    if (status != FAL_OK) print_error("%s\n", err.message);
    *state = &g;
    return status == FAL_OK ? 0 : -1;
}

static int close_golden(void **state) {
    fal_free(((golden *)*state)->file);
    return 0;
}

/* One type's part of the file; blocks copied to aligned memory. */
typedef struct section {
    const fal_type *type;
    uint32_t n_blocks, n_weights; /* weights of all blocks */
    void *blocks;
    float *decoded;
    fal_slice expected;
} section;

static section read_section(fal_reader *r) {
    section s = {0};
    char name[17] = {0};
    fal_slice field = fal_read_slice(r, 16);
    assert_int_equal(field.length, 16);
    memcpy(name, field.data, 16);
    s.type = fal_type_by_name(name);
    assert_non_null(s.type);
    s.n_blocks = fal_read_u32(r);
    assert_int_equal(fal_read_u32(r), s.type->bytes_per_block);
    assert_int_equal(fal_read_u32(r), s.type->weights_per_block);
    fal_slice blocks = fal_read_slice(r, (uint64_t)s.n_blocks * (uint64_t)s.type->bytes_per_block);
    s.n_weights = s.n_blocks * (uint32_t)s.type->weights_per_block;
    s.expected = fal_read_slice(r, (uint64_t)s.n_weights * 4);
    assert_false(r->failed);
    assert_true(s.n_blocks >= 8);
    s.blocks = fal_alloc_aligned(blocks.length, 1);
    s.decoded = fal_alloc(s.n_weights, sizeof(float));
    assert_non_null(s.blocks);
    assert_non_null(s.decoded);
    memcpy(s.blocks, blocks.data, blocks.length);
    return s;
}

static void release_section(section *s) {
    fal_free(s->blocks);
    fal_free(s->decoded);
}

/* The bits, with every NaN as one. */
static uint32_t canonical(float value) {
    return isnan(value) ? 0x7fc00000u : fal_bits_from_f32(value);
}

static void golden_blocks_decode_to_the_bit(void **state) {
    const golden *g = *state;
    fal_reader r = fal_reader_open(g->file, g->length);
    int n_sections = 0;
    for (; fal_reader_remaining(&r) > 0; n_sections++) {
        section s = read_section(&r);
        int n_wrong = 0, n_finite = 0;
        s.type->decode(s.blocks, s.decoded, s.n_blocks);
        fal_reader expected = fal_reader_open(s.expected.data, s.expected.length);
        for (uint32_t i = 0; i < s.n_weights; i++) {
            uint32_t wanted = fal_read_u32(&expected);
            n_finite += isfinite(s.decoded[i]) != 0;
            if (canonical(s.decoded[i]) == wanted) continue;
            if (n_wrong++ < 4) {
                print_error("%s weight %u: %08x instead of %08x\n", s.type->name, (unsigned)i,
                            (unsigned)canonical(s.decoded[i]), (unsigned)wanted);
            }
        }
        assert_int_equal(n_wrong, 0);
        /* The extreme scales must not have hidden the ordinary blocks. */
        assert_true(n_finite * 2 > (int)s.n_weights);
        release_section(&s);
    }
    assert_int_equal(n_sections, fal_type_count());
}

static void one_weight_equals_the_row(void **state) {
    const golden *g = *state;
    fal_reader r = fal_reader_open(g->file, g->length);
    while (fal_reader_remaining(&r) > 0) {
        section s = read_section(&r);
        int width = s.type->weights_per_block;
        s.type->decode(s.blocks, s.decoded, s.n_blocks);
        for (int64_t i = 0; i < (int64_t)s.n_weights; i++) {
            float one = weight_of(s.type->name, s.blocks, i / width, (int)(i % width));
            assert_int_equal(canonical(one), canonical(s.decoded[i]));
        }
        release_section(&s);
    }
}

/* A block's weights depend on that block alone, and nothing is written behind the row. */
static void blocks_decode_alone(void **state) {
    const golden *g = *state;
    fal_reader r = fal_reader_open(g->file, g->length);
    while (fal_reader_remaining(&r) > 0) {
        section s = read_section(&r);
        float one[257];
        int width = s.type->weights_per_block;
        s.type->decode(s.blocks, s.decoded, s.n_blocks);
        for (uint32_t b = 0; b < s.n_blocks; b++) {
            one[width] = 12345.0f;
            s.type->decode((const char *)s.blocks + (size_t)b * (size_t)s.type->bytes_per_block,
                           one, 1);
            for (int i = 0; i < width; i++) {
                assert_int_equal(canonical(one[i]),
                                 canonical(s.decoded[b * (uint32_t)width + (uint32_t)i]));
            }
            assert_true(one[width] == 12345.0f);
        }
        one[0] = 12345.0f;
        s.type->decode(s.blocks, one, 0);
        assert_true(one[0] == 12345.0f);
        release_section(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_blocks_decode_to_the_bit),
        cmocka_unit_test(one_weight_equals_the_row),
        cmocka_unit_test(blocks_decode_alone),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
