/* Importance matrices on disk: the classic form byte by byte, GGUF as llama.cpp lays it out, and damage of both. */
#include "base/alloc.h"
#include "check.h"
#include "formats/gguf_write.h"
#include "formats/importance.h"
#include "temp_folder.h"

enum {
    MAX_BYTES = 512
};

/* A classic file under construction. */
typedef struct classic {
    uint8_t bytes[MAX_BYTES];
    size_t length;
} classic;

static void put_i32(classic *c, int32_t value) {
    for (int i = 0; i < 4; i++)
        c->bytes[c->length++] = (uint8_t)((uint32_t)value >> (8 * i));
}

static void put_text(classic *c, const char *text) {
    put_i32(c, (int32_t)strlen(text));
    memcpy(c->bytes + c->length, text, strlen(text));
    c->length += strlen(text);
}

static void put_f32(classic *c, float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_i32(c, bits);
}

static void put_entry(classic *c, const char *name, int32_t n_chunks, int32_t n_values,
                      float first) {
    put_text(c, name);
    put_i32(c, n_chunks);
    put_i32(c, n_values);
    for (int32_t i = 0; i < n_values; i++)
        put_f32(c, first + (float)i);
}

/* Two entries out of order, 4 and 2 chunks. */
static classic whole(void) {
    classic c = {.length = 0};
    put_i32(&c, 2);
    put_entry(&c, "blk.1.b.weight", 4, 3, 8);
    put_entry(&c, "blk.0.a.weight", 2, 2, 0);
    put_i32(&c, 4);
    put_text(&c, "text.txt");
    return c;
}

static fal_status parse(const classic *c, fal_importance *out, fal_error *err) {
    return fal_importance_parse(out, c->bytes, c->length, err);
}

static void test_classic(void **state) {
    (void)state;
    fal_error err = {0};
    classic c = whole();
    fal_importance m = {0};
    CHECK_OK(parse(&c, &m, &err), &err);
    assert_int_equal(m.count, 2);
    assert_string_equal(m.entries[0].name, "blk.0.a.weight");
    assert_int_equal(m.n_chunks, 4);
    assert_int_equal(m.chunk_size, 0);
    assert_string_equal(m.dataset, "text.txt");
    const float *a = fal_importance_find(&m, "blk.0.a.weight", 2),
                *b = fal_importance_find(&m, "blk.1.b.weight", 3);
    assert_true(a && b);
    CHECK_NEAR(a[0], 0, 0);
    CHECK_NEAR(a[1], 0.5, 0);
    CHECK_NEAR(b[0], 2, 0);
    CHECK_NEAR(b[2], 2.5, 0);
    assert_int_equal(fal_importance_entry_find(&m, "blk.1.b.weight")->n_chunks, 4);
    assert_null(fal_importance_find(&m, "blk.1.b.weight", 2));
    assert_null(fal_importance_find(&m, "blk.1.b", 3));
    assert_null(fal_importance_find(&m, "zzz", 3));
    fal_importance_release(&m);
    assert_null(fal_importance_find(&m, "blk.1.b.weight", 3));
}

/* Cut anywhere it is refused, but where an older form of the file ends. */
static void test_truncations(void **state) {
    (void)state;
    classic c = whole();
    size_t length = c.length, before_end = length - 4 - 4 - strlen("text.txt");
    for (c.length = 0; c.length < length; c.length++) {
        fal_error err = {0};
        fal_importance m = {0};
        /* A copy of its own size, so that a sanitizer sees a read beyond it. */
        uint8_t *copy = malloc(c.length + 1);
        assert_non_null(copy);
        memcpy(copy, c.bytes, c.length);
        fal_status status = fal_importance_parse(&m, copy, c.length, &err);
        free(copy);
        bool is_older = c.length == before_end || c.length == before_end + 4;
        assert_int_equal(status, is_older ? FAL_OK : FAL_E_FORMAT);
        assert_int_equal(m.count, is_older ? 2 : 0);
        assert_null(m.dataset);
        if (!is_older) assert_true(err.message[0] && !strchr(err.message, '\n'));
        fal_importance_release(&m);
    }
}

static void check_damage(const classic *c, const char *fragment) {
    fal_error err = {0};
    fal_importance m = {0};
    CHECK_STATUS(parse(c, &m, &err), FAL_E_FORMAT, &err, fragment);
    assert_int_equal(m.count, 0);
}

static classic one_entry(const char *name, int32_t n_chunks, int32_t n_values, float first) {
    classic c = {.length = 0};
    put_i32(&c, 1);
    put_entry(&c, name, n_chunks, n_values, first);
    return c;
}

static void test_damage(void **state) {
    (void)state;
    classic c = {.length = 0};
    put_i32(&c, 0);
    check_damage(&c, "0 entries");
    c.length = 0;
    put_i32(&c, -1);
    check_damage(&c, "-1 entries");
    c.length = 0;
    put_i32(&c, INT32_MAX);
    check_damage(&c, "2147483647 entries in 4 bytes");
    c = one_entry("a\nb", 1, 1, 1);
    check_damage(&c, "entry 0: a name with the control character");
    c = one_entry("\xff", 1, 1, 1);
    check_damage(&c, "not UTF-8");
    c = one_entry("", 1, 2, 1);
    check_damage(&c, "entry 0: a name of 0 bytes");
    c = one_entry("a", -2, 1, 1);
    check_damage(&c, "entry 'a': -2 chunks");
    c = one_entry("a", 1, 1, -1);
    check_damage(&c, "entry 'a': value 0 is -1");
    c = one_entry("a", 1, 2, NAN);
    check_damage(&c, "entry 'a': value 0 is nan");
    c = one_entry("a", 1, 1, 1);
    c.bytes[4 + 4 + 1 + 4 + 3] = 0x7f;
    check_damage(&c, "4 bytes are left");
    c = one_entry("a", 1, 0, 1);
    put_i32(&c, 5);
    check_damage(&c, "entry 'a': 0 values");
    c.length = 0;
    put_i32(&c, 2);
    put_entry(&c, "a", 1, 1, 1);
    put_entry(&c, "a", 1, 1, 1);
    check_damage(&c, "'a' stands twice");
    c = whole();
    c.bytes[c.length++] = 0;
    check_damage(&c, "8 bytes, but 9 are left");
}

/* No chunks told: the values are the means. */
static void test_no_chunks(void **state) {
    (void)state;
    fal_error err = {0};
    fal_importance m = {0};
    classic c = one_entry("a", 0, 2, 3);
    CHECK_OK(parse(&c, &m, &err), &err);
    CHECK_NEAR(fal_importance_find(&m, "a", 2)[1], 4, 0);
    fal_importance_release(&m);
}

static fal_importance made(void) {
    fal_error err = {0};
    fal_importance m = {.n_chunks = 7, .chunk_size = 100};
    static float values[3][5] = {
        {1.25f, 0, 3e-30f, 1e30f, 7 },
        {2,     3, 5,      7,     11},
        {0.1f,  0, 0,      0,     0 }
    };
    static char names[3][24] = {"blk.0.ffn_up.weight", "blk.0.attn_qkv.weight", "output.weight"};
    for (int i = 0; i < 3; i++) {
        const fal_importance_entry e = {names[i], values[i], 5, 7, 700};
        CHECK_OK(fal_importance_add(&m, &e, &err), &err);
        CHECK_STATUS(fal_importance_add(&m, &e, &err), FAL_E_ARGUMENT, &err, "stands twice");
    }
    CHECK_OK(fal_importance_set_dataset(&m, "calibration.txt", 15, &err), &err);
    assert_string_equal(m.entries[0].name, "blk.0.attn_qkv.weight");
    return m;
}

static void check_round_trip(const char *name, int64_t chunk_size, int64_t n_tokens) {
    fal_error err = {0};
    temp_folder folder = temp_folder_make();
    fal_importance m = made(), again = {0};
    CHECK_OK(fal_importance_write(&m, temp_path(&folder, name), &err), &err);
    CHECK_OK(fal_importance_read(&again, temp_path(&folder, name), &err), &err);
    assert_int_equal(temp_count(&folder), 1);
    assert_int_equal(again.count, m.count);
    assert_int_equal(again.n_chunks, 7);
    assert_int_equal(again.chunk_size, chunk_size);
    assert_string_equal(again.dataset, "calibration.txt");
    for (size_t i = 0; i < m.count; i++) {
        const fal_importance_entry *a = &m.entries[i], *b = &again.entries[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(b->n_values, 5);
        assert_int_equal(b->n_chunks, 7);
        assert_int_equal(b->n_tokens, n_tokens);
        for (int k = 0; k < 5; k++)
            CHECK_NEAR(b->mean_squares[k], a->mean_squares[k], 2e-7 * (double)a->mean_squares[k]);
    }
    fal_importance_release(&again);
    fal_importance_release(&m);
    unlink(temp_path(&folder, name));
    rmdir(folder.path);
}

static void test_round_trips(void **state) {
    (void)state;
    check_round_trip("matrix.dat", 0, 0);
    check_round_trip("matrix", 0, 0);
    check_round_trip("matrix.gguf", 100, 700);
}

/* ---- GGUF ---- */

typedef struct gguf_case {
    const char *type, *sums_name, *counts_name;
    int64_t n_counts;
    float sums[6], counts[4];
} gguf_case;

/* Written as llama.cpp does: sums [matrices, columns], counts [matrices, 1]. */
static fal_status read_case(const gguf_case *g, fal_importance *out, fal_error *err) {
    temp_folder folder = temp_folder_make();
    const char *path = temp_path(&folder, "matrix.gguf");
    fal_error failure = {0};
    fal_gguf_writer *w;
    const fal_type *f32 = fal_type_by_id(FAL_TYPE_F32);
    const int64_t sums[] = {2, 3}, counts[] = {g->n_counts, 1};
    CHECK_OK(fal_gguf_writer_open(&w, &failure), &failure);
    fal_gguf_set_string(w, "general.type", g->type, strlen(g->type));
    fal_gguf_set_u32(w, "imatrix.chunk_size", 10);
    CHECK_OK(fal_gguf_add_tensor(w, g->counts_name, f32, 2, counts, &failure), &failure);
    CHECK_OK(fal_gguf_add_tensor(w, g->sums_name, f32, 2, sums, &failure), &failure);
    CHECK_OK(fal_gguf_writer_begin(w, path, &failure), &failure);
    CHECK_OK(fal_gguf_write_data(w, g->counts, (size_t)g->n_counts * sizeof(float), &failure),
             &failure);
    CHECK_OK(fal_gguf_write_data(w, g->sums, sizeof g->sums, &failure), &failure);
    CHECK_OK(fal_gguf_writer_commit(w, &failure), &failure);
    fal_gguf_writer_close(w);
    fal_status status = fal_importance_read(out, path, err);
    unlink(path);
    rmdir(folder.path);
    return status;
}

static gguf_case good_case(void) {
    return (gguf_case){
        "imatrix", "blk.2.up.weight.in_sum2", "blk.2.up.weight.counts",
        2,         {2,  4,  6, 8, 10, 12},
                 {20, 8}
    };
}

static void test_gguf(void **state) {
    (void)state;
    fal_error err = {0};
    fal_importance m = {0};
    gguf_case g = good_case();
    CHECK_OK(read_case(&g, &m, &err), &err);
    const float *values = fal_importance_find(&m, "blk.2.up.weight", 6);
    assert_non_null(values);
    CHECK_NEAR(values[0], 0.1, 1e-7);
    CHECK_NEAR(values[3], 1, 0);
    CHECK_NEAR(values[5], 1.5, 0);
    assert_int_equal(m.entries[0].n_tokens, 20);
    assert_int_equal(m.entries[0].n_chunks, 2);
    assert_null(m.dataset);
    fal_importance_release(&m);
    /* An expert that no token went to. */
    g.counts[1] = 0;
    CHECK_OK(read_case(&g, &m, &err), &err);
    CHECK_NEAR(m.entries[0].mean_squares[4], 1, 0);
    CHECK_NEAR(m.entries[0].mean_squares[1], 0.2, 1e-7);
    fal_importance_release(&m);
    g.n_counts = 1;
    g.counts[0] = 2;
    CHECK_OK(read_case(&g, &m, &err), &err);
    CHECK_NEAR(m.entries[0].mean_squares[5], 6, 0);
    fal_importance_release(&m);
}

static void check_gguf_damage(gguf_case g, const char *fragment) {
    fal_error err = {0};
    fal_importance m = {0};
    CHECK_STATUS(read_case(&g, &m, &err), FAL_E_FORMAT, &err, fragment);
    assert_true(strstr(err.message, "matrix.gguf") != NULL);
    assert_int_equal(m.count, 0);
}

static void test_gguf_damage(void **state) {
    (void)state;
    gguf_case g = good_case();
    g.type = "model";
    check_gguf_damage(g, "'general.type' is not 'imatrix'");
    g = good_case();
    g.counts_name = "x.counts";
    check_gguf_damage(g, "tensor 'blk.2.up.weight.counts' is missing");
    g = good_case();
    g.sums_name = "blk.2.up.weight.in_sum";
    check_gguf_damage(g, "no tensor ends in '.in_sum2'");
    g = good_case();
    g.sums_name = ".in_sum2";
    check_gguf_damage(g, "names no matrix");
    g = good_case();
    g.counts[0] = -1;
    check_gguf_damage(g, "a count of -1");
    g.counts[0] = NAN;
    check_gguf_damage(g, "a count of nan");
    g = good_case();
    g.sums[4] = INFINITY;
    check_gguf_damage(g, "value 4 is inf");
    g = good_case();
    g.n_counts = 4;
    check_gguf_damage(g, "6 values for 4 counts");
}

/* ---- failures that are no damage ---- */

static void test_refusals(void **state) {
    (void)state;
    fal_error err = {0};
    temp_folder folder = temp_folder_make();
    fal_importance m = {0};
    CHECK_STATUS(fal_importance_read(&m, temp_path(&folder, "none"), &err), FAL_E_NOT_FOUND, &err,
                 "none");
    CHECK_STATUS(fal_importance_write(&m, temp_path(&folder, "a.dat"), &err), FAL_E_ARGUMENT, &err,
                 "without entries");
    temp_write(&folder, "empty", "", 0);
    CHECK_STATUS(fal_importance_read(&m, temp_path(&folder, "empty"), &err), FAL_E_FORMAT, &err,
                 "empty");
    unlink(temp_path(&folder, "empty"));
    m = made();
    m.entries[0].mean_squares[1] = 3e38f;
    static const char *const names[] = {"a.dat", "a.gguf"};
    for (size_t i = 0; i < 2; i++) {
        CHECK_STATUS(fal_importance_write(&m, temp_path(&folder, names[i]), &err), FAL_E_LIMIT,
                     &err, "value 1 is");
    }
    m.entries[0].mean_squares[1] = 1;
    m.entries[1].n_chunks = (int64_t)INT32_MAX + 1;
    CHECK_STATUS(fal_importance_write(&m, temp_path(&folder, "a.dat"), &err), FAL_E_LIMIT, &err,
                 "blk.0.ffn_up.weight: 2147483648");
    assert_int_equal(temp_count(&folder), 0);
    fal_importance_release(&m);
    assert_int_equal(rmdir(folder.path), 0);
}

static void test_short_memory(void **state) {
    (void)state;
    classic c = whole();
    long before = fal_alloc_live();
    for (long n = 1;; n++) {
        fal_error err = {0};
        fal_importance m = {0};
        fal_alloc_fail_at(n);
        fal_status status = parse(&c, &m, &err);
        fal_alloc_fail_at(0);
        if (status == FAL_OK) {
            assert_true(n > 3);
            fal_importance_release(&m);
            break;
        }
        assert_int_equal(status, FAL_E_MEMORY);
        assert_int_equal(fal_alloc_live(), before);
    }
    assert_int_equal(fal_alloc_live(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classic),     cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_no_chunks),
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_gguf_damage), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_short_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
