/* Devices, queues, and the plan column: what a model with wrong tensors is told. */
#include "opcheck.h"

static fal_tensor shaped(const char *type_name, int64_t n_rows, int64_t n_cols) {
    const fal_type *type = fal_type_by_name(type_name);
    size_t bytes = (size_t)(n_cols / type->weights_per_block + 1) * (size_t)type->bytes_per_block;
    return (fal_tensor){NULL, type, n_rows, n_cols, bytes};
}

static void expect(fal_queue *q, fal_status status, const char *fragment) {
    fal_error err = {0};
    CHECK_STATUS(fal_queue_wait(q, &err), status, &err, fragment);
}

static fal_queue *open_plan(fal_device *device) {
    fal_queue *q;
    fal_error err;
    CHECK_OK(fal_queue_open_plan(&q, device, &err), &err);
    return q;
}

static void devices_are_found_by_name(void **state) {
    (void)state;
    fal_device *device;
    fal_error err;
    CHECK_OK(fal_device_open(&device, NULL, 3, &err), &err);
    assert_string_equal(device->backend->name, "cpu");
    assert_string_equal(device->backend->kernel_set(device),
                        fal_kernel_set_for(fal_cpu_level_get())->name);
    assert_int_equal(device->n_threads, 3);
    fal_device_close(device);
    CHECK_OK(fal_device_open(&device, "ref", 0, &err), &err);
    assert_int_equal(device->n_threads, 1);
    fal_device_close(device);
    fal_device_close(NULL);
    fal_queue_close(NULL);
    CHECK_STATUS(fal_device_open(&device, "tpu", 0, &err), FAL_E_NOT_FOUND, &err, "cpu, ref");
    assert_null(device);
    CHECK_STATUS(fal_device_open(&device, "cpu", -1, &err), FAL_E_ARGUMENT, &err, "-1");
    CHECK_STATUS(fal_device_open(&device, "cpu", 100000, &err), FAL_E_ARGUMENT, &err, "100000");
    assert_null(device);
}

static void opening_survives_short_memory(void **state) {
    (void)state;
    long live = fal_alloc_live();
    int n_failures = 0;
    for (long n = 1;; n++) {
        fal_device *device;
        fal_queue *q = NULL, *plan = NULL;
        fal_alloc_fail_at(n);
        fal_status status = fal_device_open(&device, "cpu", 2, NULL);
        if (status == FAL_OK) status = fal_queue_open(&q, device, NULL);
        if (status == FAL_OK) status = fal_queue_open_plan(&plan, device, NULL);
        fal_alloc_fail_at(0);
        fal_queue_close(plan);
        fal_queue_close(q);
        fal_device_close(device);
        assert_int_equal(fal_alloc_live(), live);
        if (status == FAL_OK) break;
        assert_int_equal(status, FAL_E_MEMORY);
        n_failures++;
    }
    assert_true(n_failures >= 6);
}

static void a_queue_keeps_the_first_failure(void **state) {
    (void)state;
    opened o = open_cpu(FAL_CPU_PORTABLE, 1);
    fal_tensor x = matrix("f32", 2, 8), y = matrix("f32", 2, 8);
    memset(x.data, 0x11, 2 * x.row_bytes);
    o.q->layer = 7;
    o.q->ops->add(o.q, y, x, fal_tensor_columns(x, 0, 7));
    o.q->layer = 8;
    o.q->ops->rope(o.q, x, x, 3);
    o.q->ops->add(o.q, y, x, x); /* does nothing any more */
    assert_true(fal_queue_has_failed(o.q));
    assert_int_equal(*(const unsigned char *)y.data, 0);
    expect(o.q, FAL_E_BUG, "layer 7, add: second input of shape [2, 7], must be [2, 8]");
    assert_false(fal_queue_has_failed(o.q));
    o.q->ops->add(o.q, y, x, x);
    assert_int_equal(fal_tensor_f32_row(y, 0)[0] == 2.0f * fal_tensor_f32_row(x, 0)[0], 1);
    o.q->layer = -1;
    o.q->ops->rope(o.q, x, x, 3);
    fal_error err;
    assert_int_equal(fal_queue_wait(o.q, &err), FAL_E_BUG);
    assert_ptr_equal(strstr(err.message, "rope: "), err.message);
    close_opened(o);
    release(x), release(y);
}

/* A whole block of a model passes without data. */
static void the_plan_accepts_what_fits(void **state) {
    (void)state;
    opened o = open_cpu(FAL_CPU_PORTABLE, 1);
    fal_queue *q = open_plan(o.device);
    fal_tensor x = shaped("f32", 4, 4608), qkv = shaped("f32", 4, 4608 + 128),
               norm = shaped("f32", 1, 4608);
    fal_tensor table = shaped("f32", 4, 64), cells = shaped("f16", 100, 64);
    fal_segment segment = {cells, cells, 0, 4, 96};
    fal_attention a = {&segment, 1, 72, 1, 64, 0.125f, NULL};
    q->ops->embed(q, x, shaped("q4_k", 1000, 4608), NULL);
    q->ops->layer_norm(q, x, x, norm, norm, 1e-5f);
    for (int i = 0; i < fal_type_count(); i++) {
        if (fal_type_at(i)->in_files)
            q->ops->linear(q, qkv, x, shaped(fal_type_at(i)->name, 4608 + 128, 4608), FAL_NONE);
    }
    q->ops->rope_table(q, table, NULL, NULL, 1.0);
    q->ops->rope(q, fal_tensor_columns(qkv, 0, 4608), table, 72);
    q->ops->store(q, &a, fal_tensor_columns(qkv, 4608, 64), fal_tensor_columns(qkv, 4672, 64));
    q->ops->attention(q, x, fal_tensor_columns(qkv, 0, 4608), &a);
    q->ops->gelu_erf(q, x, x);
    q->ops->gelu_tanh(q, x, x);
    q->ops->add(q, x, x, x);
    expect(q, FAL_OK, "");
    fal_queue_close(q);
    close_opened(o);
}

static void the_plan_refuses_wrong_weights(void **state) {
    (void)state;
    opened o = open_cpu(FAL_CPU_PORTABLE, 1);
    fal_queue *q = open_plan(o.device);
    fal_tensor x = shaped("f32", 2, 4544), y = shaped("f32", 2, 100);
    q->layer = 3;
    q->ops->linear(q, y, x, shaped("q5_k", 100, 4544), FAL_NONE);
    expect(q, FAL_E_FORMAT,
           "layer 3, linear: weights are q5_k with 4544 columns, not a multiple of 256");
    q->ops->linear(q, y, x, shaped("f16", 101, 4544), FAL_NONE);
    expect(q, FAL_E_FORMAT, "weights of shape [101, 4544], must be [100, 4544]");
    q->ops->linear(q, y, x, shaped("f16", 100, 4543), FAL_NONE);
    expect(q, FAL_E_FORMAT, "weights of shape [100, 4543], must be [100, 4544]");
    q->ops->linear(q, y, x, FAL_NONE, FAL_NONE);
    expect(q, FAL_E_FORMAT, "weights missing");
    q->ops->linear(q, y, x, shaped("q8_1", 100, 4544), FAL_NONE);
    expect(q, FAL_E_FORMAT, "q8_1");
    q->ops->linear(q, y, x, shaped("f16", 100, 4544), shaped("f32", 1, 99));
    expect(q, FAL_E_FORMAT, "bias of shape [1, 99], must be [1, 100]");
    q->ops->linear(q, y, x, shaped("f16", 100, 4544), shaped("f16", 1, 100));
    expect(q, FAL_E_FORMAT, "bias of type f16");
    q->ops->linear(q, y, x, shaped("f16", -1, 4544), FAL_NONE);
    expect(q, FAL_E_FORMAT, "no shape");
    fal_tensor narrow = shaped("f16", 100, 4544);
    narrow.row_bytes = 9087;
    q->ops->linear(q, y, x, narrow, FAL_NONE);
    expect(q, FAL_E_FORMAT, "rows of 9088 bytes lie 9087 bytes apart");
    q->ops->embed(q, x, shaped("f16", 100, 4000), NULL);
    expect(q, FAL_E_FORMAT, "must have 4544 columns");
    q->ops->layer_norm(q, x, x, shaped("f32", 1, 4545), FAL_NONE, 1e-5f);
    expect(q, FAL_E_FORMAT, "layer_norm: weight of shape [1, 4545], must be [1, 4544]");
    q->ops->layer_norm(q, x, x, FAL_NONE, FAL_NONE, 1e-5f);
    expect(q, FAL_E_FORMAT, "weight missing");
    q->ops->layer_norm(q, x, x, shaped("f32", 1, 4544), shaped("f32", 2, 4544), 1e-5f);
    expect(q, FAL_E_FORMAT, "bias of shape [2, 4544]");
    q->ops->layer_norm(q, x, x, shaped("f32", 1, 4544), FAL_NONE, NAN);
    expect(q, FAL_E_FORMAT, "epsilon of nan");
    q->ops->layer_norm(q, x, x, shaped("f32", 1, 4544), FAL_NONE, -1e-5f);
    expect(q, FAL_E_FORMAT, "epsilon of -1e-05");
    fal_queue_close(q);
    close_opened(o);
}

static void the_plan_refuses_impossible_activations(void **state) {
    (void)state;
    opened o = open_cpu(FAL_CPU_PORTABLE, 1);
    fal_queue *q = open_plan(o.device);
    fal_tensor x = shaped("f32", 2, 60), y = shaped("f32", 3, 100);
    q->ops->linear(q, y, x, shaped("f16", 100, 60), FAL_NONE);
    expect(q, FAL_E_BUG, "3 rows of output for 2 rows of input");
    q->ops->gelu_erf(q, y, x);
    expect(q, FAL_E_BUG, "gelu_erf: output of shape [3, 100], must be [2, 60]");
    q->ops->gelu_tanh(q, shaped("f16", 2, 60), x);
    expect(q, FAL_E_BUG, "of type f16, must be f32");
    q->ops->rope(q, x, shaped("f32", 2, 30), 7);
    expect(q, FAL_E_BUG, "60 columns are no 7 heads");
    q->ops->rope(q, x, shaped("f32", 2, 15), 4);
    expect(q, FAL_E_BUG, "60 columns are no 4 heads of an even number");
    q->ops->rope(q, x, shaped("f32", 1, 30), 2);
    expect(q, FAL_E_BUG, "table of shape [1, 30], must be [2, 30]");
    q->ops->rope_table(q, shaped("f32", 2, 15), NULL, NULL, 1.0);
    expect(q, FAL_E_BUG, "15 columns, must be even");
    fal_queue_close(q);
    close_opened(o);
}

/* One segment that fits, then each field wrong. */
static void the_plan_refuses_impossible_cells(void **state) {
    (void)state;
    opened o = open_cpu(FAL_CPU_PORTABLE, 1);
    fal_queue *q = open_plan(o.device);
    fal_tensor x = shaped("f32", 5, 256), rows = shaped("f32", 5, 64),
               cells = shaped("f16", 20, 64);
    const fal_segment good = {cells, cells, 1, 4, 16};
    fal_segment s = good;
    fal_attention a = {&s, 1, 8, 2, 32, 0.125f, NULL};
    q->ops->attention(q, x, x, &a);
    q->ops->store(q, &a, rows, rows);
    expect(q, FAL_OK, "");
    s.position = 17;
    q->ops->store(q, &a, rows, rows);
    expect(q, FAL_E_BUG, "store: 4 tokens at position 17 of 20 cells");
    s.position = -1;
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "position -1");
    s = good, s.first_token = 2;
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "a segment of 4 tokens from 2 in a step of 5");
    s = good, s.first_token = INT64_MAX;
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "in a step of 5");
    s = good, s.values = shaped("f32", 20, 64);
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "differ in kind");
    s = good, s.keys = shaped("q4_0", 20, 64);
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "not one of f16 q8_0 f32");
    s = good, s.keys = shaped("f16", 20, 32);
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "must have 64 columns");
    s = good, s.keys = FAL_NONE;
    q->ops->store(q, &a, rows, rows);
    expect(q, FAL_E_BUG, "keys in the cells missing");
    s = good, a.n_kv_heads = 3;
    q->ops->attention(q, x, x, &a);
    expect(q, FAL_E_BUG, "8 heads on 3 kv heads of dimension 32");
    a.n_kv_heads = 2;
    q->ops->attention(q, x, shaped("f32", 5, 255), &a);
    expect(q, FAL_E_BUG, "query of shape [5, 255], must be [5, 256]");
    q->ops->store(q, &a, rows, shaped("f32", 4, 64));
    expect(q, FAL_E_BUG, "values of shape [4, 64], must be [5, 64]");
    fal_queue_close(q);
    close_opened(o);
}

/* What the plan refuses no column computes: the same words, and no memory touched. */
static void every_column_refuses_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        opened o = i ? open_ref() : open_cpu(fal_cpu_level_get(), 2);
        fal_tensor x = shaped("f32", 2, 64);
        o.q->ops->linear(o.q, shaped("f32", 2, 10), x, shaped("f16", 11, 64), FAL_NONE);
        expect(o.q, FAL_E_FORMAT, "linear: weights of shape [11, 64], must be [10, 64]");
        o.q->ops->layer_norm(o.q, x, x, FAL_NONE, FAL_NONE, 1e-5f);
        expect(o.q, FAL_E_FORMAT, "weight missing");
        o.q->ops->gelu_erf(o.q, x, shaped("f32", 2, 63));
        expect(o.q, FAL_E_BUG, "gelu_erf");
        o.q->ops->rope(o.q, x, x, 2);
        expect(o.q, FAL_E_BUG, "rope");
        close_opened(o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_found_by_name),
        cmocka_unit_test(opening_survives_short_memory),
        cmocka_unit_test(a_queue_keeps_the_first_failure),
        cmocka_unit_test(the_plan_accepts_what_fits),
        cmocka_unit_test(the_plan_refuses_wrong_weights),
        cmocka_unit_test(the_plan_refuses_impossible_activations),
        cmocka_unit_test(the_plan_refuses_impossible_cells),
        cmocka_unit_test(every_column_refuses_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
