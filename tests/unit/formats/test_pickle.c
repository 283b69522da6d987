/* The pickle reader: what it describes, what it refuses by name, and that nothing it is given can hurt. */
#include "base/alloc.h"
#include "check.h"
#include "formats/pickle.h"

#include <stdlib.h>

static const fal_pickle_name allowed[] = {
    {"a",           "function",    FAL_PICKLE_IS_FUNCTION  },
    {"a",           "class",       FAL_PICKLE_IS_CLASS     },
    {"collections", "OrderedDict", FAL_PICKLE_IS_DICTIONARY},
};

/* A pickle written as a string literal; its last zero does not belong to it. */
#define READ(out, literal, err) read_literal(out, literal, sizeof literal - 1, err)

static void *block; /* ends exactly behind the pickle */

static fal_status read_literal(fal_pickle **out, const char *bytes, size_t length, fal_error *err) {
    free(block);
    block = malloc(length ? length : 1);
    memcpy(block, bytes, length);
    return fal_pickle_read(out, block, length, allowed, 3, err);
}

static int release_block(void **state) {
    (void)state;
    free(block);
    block = NULL;
    return 0;
}

static void reads_scalars(void **state) {
    (void)state;

    static const struct {
        const char *bytes;
        size_t length;
        fal_pickle_kind kind;
        int64_t number;
    } cases[] = {
        {"\x80\x02N.",                                4,  FAL_PICKLE_NONE,    0        },
        {"\x88.",                                     2,  FAL_PICKLE_BOOL,    1        },
        {"\x89.",                                     2,  FAL_PICKLE_BOOL,    0        },
        {"J\xfe\xff\xff\xff.",                        6,  FAL_PICKLE_INTEGER, -2       },
        {"K\xff.",                                    3,  FAL_PICKLE_INTEGER, 255      },
        {"M\x01\x02.",                                4,  FAL_PICKLE_INTEGER, 513      },
        {"\x8a\x00.",                                 3,  FAL_PICKLE_INTEGER, 0        },
        {"\x8a\x01\xff.",                             4,  FAL_PICKLE_INTEGER, -1       },
        {"\x8a\x02\xff\x00.",                         5,  FAL_PICKLE_INTEGER, 255      },
        {"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 11, FAL_PICKLE_INTEGER, INT64_MIN},
        {"G12345678.",                                10, FAL_PICKLE_REAL,    0        },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fal_pickle *p;
        fal_error err;
        CHECK_OK(read_literal(&p, cases[i].bytes, cases[i].length, &err), &err);
        assert_int_equal(fal_pickle_root(p)->kind, cases[i].kind);
        assert_true(fal_pickle_root(p)->number == cases[i].number);
        fal_pickle_close(p);
    }
}

static void expect_text(const fal_pickle_value *v, fal_pickle_kind kind, const char *text) {
    assert_non_null(v);
    assert_int_equal(v->kind, kind);
    assert_true(fal_slice_equals(v->text, text));
}

static void reads_text_of_every_width(void **state) {
    (void)state;
    fal_pickle *p;
    fal_error err;
    CHECK_OK(READ(&p,
                  "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00("
                  "X\x02\x00\x00\x00"
                  "ab\x8c\x01"
                  "c\x8d\x01\x00\x00\x00\x00\x00\x00\x00"
                  "dB\x01\x00\x00\x00"
                  "eC\x01"
                  "f\x8e\x00\x00\x00\x00\x00\x00\x00\x00t.",
                  &err),
             &err);
    const fal_pickle_value *root = fal_pickle_root(p);
    assert_int_equal(root->kind, FAL_PICKLE_TUPLE);
    assert_int_equal(root->count, 6);
    expect_text(fal_pickle_item(p, root, 0), FAL_PICKLE_TEXT, "ab");
    expect_text(fal_pickle_item(p, root, 1), FAL_PICKLE_TEXT, "c");
    expect_text(fal_pickle_item(p, root, 2), FAL_PICKLE_TEXT, "d");
    expect_text(fal_pickle_item(p, root, 3), FAL_PICKLE_BYTES, "e");
    expect_text(fal_pickle_item(p, root, 4), FAL_PICKLE_BYTES, "f");
    expect_text(fal_pickle_item(p, root, 5), FAL_PICKLE_BYTES, "");
    assert_null(fal_pickle_item(p, root, 6));
    fal_pickle_close(p);
}

/* [(1,), (1, 2), (1, 2, 3), (), {1: 2, 3: 4, 5: 6}, [7], [8, 9]] */
static void reads_containers(void **state) {
    (void)state;
    fal_pickle *p;
    fal_error err;
    CHECK_OK(READ(&p,
                  "](K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87)"
                  "}(K\x01K\x02K\x03K\x04uK\x05K\x06s]K\x07"
                  "a](K\x08K\x09"
                  "ee.",
                  &err),
             &err);
    const fal_pickle_value *root = fal_pickle_root(p);

    static const struct {
        fal_pickle_kind kind;
        int count, first;
    } items[] = {
        {FAL_PICKLE_TUPLE,      1, 1},
        {FAL_PICKLE_TUPLE,      2, 1},
        {FAL_PICKLE_TUPLE,      3, 1},
        {FAL_PICKLE_TUPLE,      0, 0},
        {FAL_PICKLE_DICTIONARY, 6, 1},
        {FAL_PICKLE_LIST,       1, 7},
        {FAL_PICKLE_LIST,       2, 8}
    };

    assert_int_equal(root->kind, FAL_PICKLE_LIST);
    assert_int_equal(root->count, 7);
    for (int i = 0; i < 7; i++) {
        const fal_pickle_value *v = fal_pickle_item(p, root, i);
        assert_int_equal(v->kind, items[i].kind);
        assert_int_equal(v->count, items[i].count);
        int32_t cursor = v->first;
        const fal_pickle_value *item;
        int n = 0;
        while (fal_pickle_next(p, &cursor, &item))
            assert_int_equal(item->number, items[i].first + n++);
        assert_int_equal(n, items[i].count);
    }
    fal_pickle_close(p);
}

static void remembers_and_shares(void **state) {
    (void)state;
    fal_pickle *p;
    fal_error err;
    CHECK_OK(
        READ(&p, "(K\x05q\x00K\x06r\x01\x00\x00\x00K\x07\x94h\x00j\x01\x00\x00\x00h\x02t.", &err),
        &err);
    const fal_pickle_value *root = fal_pickle_root(p);
    assert_int_equal(root->count, 6);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(fal_pickle_item(p, root, i), fal_pickle_item(p, root, i + 3));
    fal_pickle_close(p);
    /* A list that holds itself. */
    CHECK_OK(READ(&p,
                  "]q\x00h\x00"
                  "a.",
                  &err),
             &err);
    assert_ptr_equal(fal_pickle_item(p, fal_pickle_root(p), 0), fal_pickle_root(p));
    fal_pickle_close(p);
}

static void describes_calls_without_making_them(void **state) {
    (void)state;
    fal_pickle *p;
    fal_error err;
    CHECK_OK(READ(&p, "ca\nfunction\nK\x01K\x02\x86R}b.", &err), &err);
    const fal_pickle_value *root = fal_pickle_root(p);
    assert_int_equal(root->kind, FAL_PICKLE_CALL);
    assert_int_equal(root->row, 0);
    assert_int_equal(root->count, 2);
    assert_int_equal(fal_pickle_item(p, root, 1)->number, 2);
    fal_pickle_close(p);
    CHECK_OK(READ(&p,
                  "\x8c\x01"
                  "a\x8c\x05"
                  "class\x93.",
                  &err),
             &err);
    assert_int_equal(fal_pickle_root(p)->kind, FAL_PICKLE_NAME);
    assert_int_equal(fal_pickle_root(p)->row, 1);
    fal_pickle_close(p);
    CHECK_OK(READ(&p, "ccollections\nOrderedDict\n)R(K\x01K\x02u}b.", &err), &err);
    assert_int_equal(fal_pickle_root(p)->kind, FAL_PICKLE_DICTIONARY);
    assert_int_equal(fal_pickle_root(p)->count, 2);
    fal_pickle_close(p);
    CHECK_OK(READ(&p, "K\x01K\x02\x86Q.", &err), &err);
    assert_int_equal(fal_pickle_root(p)->kind, FAL_PICKLE_PERSISTENT);
    assert_int_equal(fal_pickle_root(p)->count, 2);
    fal_pickle_close(p);
}

typedef struct refusal {
    const char *bytes;
    size_t length;
    fal_status status;
    const char *words;
} refusal;

#define REFUSAL(literal, status, words) \
    { literal, sizeof literal - 1, status, words }

static const refusal refusals[] = {
    REFUSAL("\x80\x02"
            "cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
            FAL_E_UNSUPPORTED, "it refers to 'os.system', which is not allowed"),
    REFUSAL("cposix\nsystem\n.", FAL_E_UNSUPPORTED, "'posix.system'"),
    REFUSAL("\x8c\x08"
            "builtins\x8c\x04"
            "eval\x93.",
            FAL_E_UNSUPPORTED, "'builtins.eval'"),
    REFUSAL("ca\nother\n.", FAL_E_UNSUPPORTED, "'a.other'"),
    REFUSAL("cb\x1b[31m\nx y\n.", FAL_E_UNSUPPORTED, "'b?[31m.x?y'"),
    REFUSAL("ca\nclass\n)R.", FAL_E_UNSUPPORTED, "it calls 'a.class' with 0 arguments"),
    REFUSAL("ccollections\nOrderedDict\nN\x85R.", FAL_E_UNSUPPORTED,
            "it calls 'collections.OrderedDict' with 1"),
    REFUSAL("i", FAL_E_UNSUPPORTED, "pickle operation 0x69"),     /* INST: a call by itself */
    REFUSAL("\x81.", FAL_E_UNSUPPORTED, "pickle operation 0x81"), /* NEWOBJ */
    REFUSAL("\x80\x01.", FAL_E_UNSUPPORTED, "protocol 1"),
    REFUSAL("\x80\x06.", FAL_E_UNSUPPORTED, "protocol 6"),
    REFUSAL("\x8a\x0a.", FAL_E_UNSUPPORTED, "a number of 10 bytes"),
    REFUSAL("", FAL_E_FORMAT, "1 bytes wanted at offset 0"),
    REFUSAL("N", FAL_E_FORMAT, "1 bytes wanted at offset 1"),
    REFUSAL(".", FAL_E_FORMAT, "offset 0: a value is taken where none is"),
    REFUSAL("NN.", FAL_E_FORMAT, "1 values and 0 bytes are left"),
    REFUSAL("N.N", FAL_E_FORMAT, "0 values and 1 bytes are left"),
    REFUSAL("(.", FAL_E_FORMAT, "a value is taken where none is"),
    REFUSAL("ca\nfunction", FAL_E_FORMAT, "bytes wanted"),
    REFUSAL("ca\nfunction\nNR.", FAL_E_FORMAT, "arguments that are no tuple"),
    REFUSAL("N)R.", FAL_E_FORMAT, "a call of a value that is no function"),
    REFUSAL("NN\x93.", FAL_E_FORMAT, "a class whose name is no text"),
    REFUSAL("NQ.", FAL_E_FORMAT, "a persistent id that is no tuple"),
    REFUSAL("N\x86.", FAL_E_FORMAT, "a tuple of 2 values, the stack has 1"),
    REFUSAL("(N\x86.", FAL_E_FORMAT, "a mark where a value is needed"),
    REFUSAL("Nt.", FAL_E_FORMAT, "no mark on the stack"),
    REFUSAL("(Ne.", FAL_E_FORMAT, "a container that is not on the stack"),
    REFUSAL("((Ne.", FAL_E_FORMAT, "a container that is not on the stack"),
    REFUSAL("N(Ne.", FAL_E_FORMAT, "items for a value that is no list"),
    REFUSAL("](Nu.", FAL_E_FORMAT, "items for a value that is no dictionary"),
    REFUSAL("}(Nu.", FAL_E_FORMAT, "a dictionary's key without a value"),
    REFUSAL(")Na.", FAL_E_FORMAT, "items for a value that is no list"),
    REFUSAL("}b.", FAL_E_FORMAT, "attributes without an object"),
    REFUSAL("q\x00.", FAL_E_FORMAT, "nothing to remember"),
    REFUSAL("h\x00.", FAL_E_FORMAT, "memo entry 0 was never set"),
    REFUSAL("Nq\x02h\x01.", FAL_E_FORMAT, "memo entry 1 was never set"),
    REFUSAL("Nr\xff\xff\xff\x7f.", FAL_E_LIMIT, "memo entry 2147483647 in a pickle of 7 bytes"),
    REFUSAL("X\xff\xff\xff\xff"
            "abc.",
            FAL_E_FORMAT, "4294967295 bytes wanted at offset 5"),
    REFUSAL("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
            "abc.",
            FAL_E_FORMAT, "bytes wanted at offset 9"),
};

static void refuses_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        fal_pickle *p;
        fal_error err;
        long live = fal_alloc_live();
        CHECK_STATUS(read_literal(&p, r->bytes, r->length, &err), r->status, &err, r->words);
        assert_null(p);
        assert_int_equal(fal_alloc_live(), live);
    }
}

/* A million marks are more than any writer needs. */
static void bounds_the_stack(void **state) {
    (void)state;
    size_t length = (1 << 20) + 10;
    char *marks = malloc(length);
    memset(marks, '(', length);
    fal_pickle *p;
    fal_error err;
    CHECK_STATUS(fal_pickle_read(&p, marks, length, allowed, 3, &err), FAL_E_LIMIT, &err,
                 "values on the stack");
    free(marks);
}

/* Deep nesting is no danger: nothing recurses. */
static void reads_deep_nesting(void **state) {
    (void)state;

    enum {
        DEPTH = 500000
    };

    char *bytes = malloc(DEPTH + 2);
    bytes[0] = 'N';
    memset(bytes + 1, 0x85, DEPTH);
    bytes[DEPTH + 1] = '.';
    fal_pickle *p;
    fal_error err;
    CHECK_OK(fal_pickle_read(&p, bytes, DEPTH + 2, allowed, 3, &err), &err);
    assert_int_equal(fal_pickle_root(p)->kind, FAL_PICKLE_TUPLE);
    fal_pickle_close(p);
    free(bytes);
}

static void survives_any_failing_allocation(void **state) {
    (void)state;
    long live = fal_alloc_live();
    fal_status status = FAL_E_MEMORY;
    int n = 0;
    while (status == FAL_E_MEMORY) {
        fal_pickle *p;
        fal_alloc_fail_at(++n);
        status = READ(&p, "}(K\x01q\x00K\x02K\x03K\x04K\x05K\x06K\x07K\x08K\x09K\x0au.", NULL);
        fal_alloc_fail_at(0);
        fal_pickle_close(p);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_scalars),
        cmocka_unit_test(reads_text_of_every_width),
        cmocka_unit_test(reads_containers),
        cmocka_unit_test(remembers_and_shares),
        cmocka_unit_test(describes_calls_without_making_them),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(bounds_the_stack),
        cmocka_unit_test(reads_deep_nesting),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, release_block);
}
