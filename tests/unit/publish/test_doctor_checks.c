/* Every check of doctor: found in a file that was damaged for it, and nothing found in healthy ones. */
#define _GNU_SOURCE /* truncate */
#include "base/alloc.h"
#include "base/file.h"
#include "formats/gguf_edit.h"
#include "golden/golden_files.h"
#include "golden/tiny_model.h"
#include "publish/doctor.h"
#include "publish/scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch[GOLDEN_PATH_SIZE];
static fal_error error;

static int make_scratch(void **state) {
    (void)state;
    golden_scratch_make(scratch);
    return 0;
}

static int remove_scratch(void **state) {
    (void)state;
    golden_scratch_remove(scratch);
    return 0;
}

/* The path of a file in the scratch folder; valid until the next call. */
static const char *path_of(const char *name) {
    static char path[GOLDEN_PATH_SIZE];
    golden_join(path, scratch, name);
    return path;
}

static const char *write_tiny(const tiny_model *t, const char *name) {
    const char *path = path_of(name);
    tiny_model_write(t, path);
    return path;
}

static const fal_finding *find(const fal_diagnosis *d, const char *check) {
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->findings[i].check->name, check) == 0) return &d->findings[i];
    return NULL;
}

/* `check` finds something whose text holds the fragment, with this severity, and nobody else finds anything worse than a
 * note but those in `also` (NULL-terminated). */
static void expect(const char *path, const char *check, fal_severity severity, bool is_repairable,
                   const char *fragment, const char *const *also) {
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    const fal_finding *f = find(&d, check);
    if (!f) fail_msg("%s: %s found nothing", path, check);
    assert_int_equal(f->severity, severity);
    assert_int_equal(f->is_repairable, is_repairable);
    if (!strstr(f->text, fragment)) fail_msg("\"%s\" does not hold \"%s\"", f->text, fragment);
    assert_null(strchr(f->text, '\n'));
    assert_int_equal(fal_diagnosis_is_healthy(&d), severity == FAL_SEVERITY_NOTE);
    for (size_t i = 0; i < d.count; i++) {
        const char *name = d.findings[i].check->name;
        bool is_expected = strcmp(name, check) == 0 || d.findings[i].severity == FAL_SEVERITY_NOTE;
        for (const char *const *a = also; a && *a; a++)
            is_expected |= strcmp(name, *a) == 0;
        if (!is_expected) fail_msg("%s: %s says: %s", path, name, d.findings[i].text);
    }
    fal_diagnosis_release(&d);
}

static void expect_healthy(const char *path) {
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    if (d.count) fail_msg("%s: %s: %s", path, d.findings[0].check->name, d.findings[0].text);
    assert_true(fal_diagnosis_is_healthy(&d));
    assert_true(d.scanned_bytes > 0);
    fal_diagnosis_release(&d);
}

/* Removes a key, or sets one. */
static void damage(const char *path, const char *key, bool is_set, uint32_t value) {
    fal_gguf_writer *w;
    const char *removed[] = {key, NULL};
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    if (is_set) fal_gguf_set_u32(w, key, value);
    CHECK_OK(fal_gguf_edit(path, w, is_set ? NULL : removed, NULL, NULL, &error), &error);
    fal_gguf_writer_close(w);
}

static uint64_t offset_of(const char *path, const char *tensor) {
    fal_gguf *f;
    CHECK_OK(fal_gguf_open(&f, path, &error), &error);
    const fal_gguf_tensor *t = fal_gguf_tensor_find(f, tensor);
    assert_non_null(t);
    uint64_t offset = t->offset;
    fal_gguf_close(f);
    return offset;
}

static void poke(const char *path, uint64_t at, const void *bytes, size_t length) {
    int file = open(path, O_WRONLY);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, length, (off_t)at), (ssize_t)length);
    close(file);
}

/* ---- healthy files ---- */

static void test_healthy(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    expect_healthy(write_tiny(&t, "falcon.gguf"));
    t.has_two_norms = false;
    expect_healthy(write_tiny(&t, "falcon-7b.f32.gguf"));
}

static void test_healthy_golden(void **state) {
    (void)state;
    static golden_model models[GOLDEN_MAX_FOLDERS];
    size_t n = golden_find(FAL_SOURCE_DIR "/tests/golden/models", models, GOLDEN_MAX_FOLDERS);
    assert_true(n >= 5);
    for (size_t i = 0; i < n; i++) {
        char path[GOLDEN_PATH_SIZE];
        golden_convert(&models[i], "f16", scratch, path);
        expect_healthy(path);
    }
}

static void test_quick(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    const fal_doctor_options quick = {.quick = true};
    fal_diagnosis d;
    const uint32_t infinity = 0x7f800000;
    poke(path, offset_of(path, "token_embd.weight"), &infinity, 4);
    CHECK_OK(fal_doctor_examine(&d, path, &quick, &error), &error);
    assert_int_equal(d.count, 0);
    assert_int_equal(d.scanned_bytes, 0);
    fal_diagnosis_release(&d);
}

static void test_no_file(void **state) {
    (void)state;
    fal_diagnosis d;
    CHECK_STATUS(fal_doctor_examine(&d, path_of("nothing.gguf"), NULL, &error), FAL_E_NOT_FOUND,
                 &error, "nothing.gguf");
    fal_diagnosis_release(&d);
    CHECK_STATUS(fal_doctor_examine(&d, scratch, NULL, &error), FAL_E_ARGUMENT, &error, "folder");
    fal_diagnosis_release(&d);
}

/* ---- the file ---- */

static void test_truncated(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    uint64_t whole = offset_of(path, "output_norm.bias");
    assert_int_equal(truncate(path, (off_t)whole - 100), 0);
    expect(path, "truncated", FAL_SEVERITY_ERROR, false, "tensors are not whole", NULL);
    /* Within the header there is no telling how much is missing. */
    assert_int_equal(truncate(path, 700), 0);
    expect(path, "damaged", FAL_SEVERITY_ERROR, false, "", NULL);
    assert_int_equal(truncate(path, 0), 0);
    expect(path, "damaged", FAL_SEVERITY_ERROR, false, "", NULL);
}

static void test_damaged(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    poke(path, 0, "G", 1);
    poke(path, 1, "X", 1);
    expect(path, "damaged", FAL_SEVERITY_ERROR, false, "not a GGUF file", NULL);
}

static void test_interrupted(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    write_tiny(&t, "falcon.gguf.header-backup");
    expect(write_tiny(&t, "falcon.gguf"), "interrupted-repair", FAL_SEVERITY_ERROR, true, "backup",
           NULL);
}

static void test_family(void **state) {
    (void)state;
    static const char *const also[] = {"vocabulary", NULL};
    tiny_model t = tiny_model_whole();
    t.architecture = "mamba";
    expect(write_tiny(&t, "falcon.gguf"), "family", FAL_SEVERITY_NOTE, false, "mamba", NULL);
    t = tiny_model_whole();
    t.without_key = "general.architecture";
    expect(write_tiny(&t, "falcon.gguf"), "family", FAL_SEVERITY_ERROR, false,
           "general.architecture", also);
}

static void test_metadata(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.without_key = "falcon.block_count";
    expect(write_tiny(&t, "falcon.gguf"), "metadata", FAL_SEVERITY_ERROR, false,
           "falcon.block_count", NULL);
    t = tiny_model_whole();
    t.n_heads = 5;
    expect(write_tiny(&t, "falcon.gguf"), "metadata", FAL_SEVERITY_ERROR, false, "heads", NULL);
}

/* ---- the vocabulary ---- */

static void test_token_ids(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    damage(path, "tokenizer.ggml.eos_token_id", true, 28);
    expect(path, "token-ids", FAL_SEVERITY_ERROR, true, "eos_token_id' is 28", NULL);
    damage(path, "tokenizer.ggml.eos_token_id", true, 27);
    expect_healthy(path);
}

static void test_vocabulary(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.without_key = "tokenizer.ggml.merges";
    expect(write_tiny(&t, "falcon.gguf"), "vocabulary", FAL_SEVERITY_ERROR, false, "merges", NULL);
}

static void test_embedding(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.n_unnamed_rows = 3;
    expect(write_tiny(&t, "falcon.gguf"), "embedding-rows", FAL_SEVERITY_WARNING, false,
           "28 tokens, but 31 rows", NULL);
    t.n_unnamed_rows = -3;
    expect(write_tiny(&t, "falcon.gguf"), "embedding-rows", FAL_SEVERITY_ERROR, false,
           "28 tokens, but 25 rows", NULL);
}

static void test_control_types(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    damage(path, "tokenizer.ggml.token_type", false, 0);
    expect(path, "control-types", FAL_SEVERITY_WARNING, true, "<|endoftext|>", NULL);
}

static void test_end_of_text(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    damage(path, "tokenizer.ggml.eos_token_id", false, 0);
    expect(path, "end-of-text", FAL_SEVERITY_WARNING, true, "eos_token_id", NULL);
}

static void test_chat(void **state) {
    (void)state;
    static const char *const without_template[] = {"chat-template", NULL};
    static const char *const without_end[] = {"end-of-turn", NULL};
    tiny_model t = tiny_model_whole();
    t.has_chat_tokens = true;
    const char *path = write_tiny(&t, "falcon.gguf");
    expect(path, "end-of-turn", FAL_SEVERITY_WARNING, true, "<end_message> (31)", without_template);
    expect(path, "chat-template", FAL_SEVERITY_WARNING, true, "tokenizer.chat_template",
           without_end);
    damage(path, "tokenizer.ggml.eos_token_id", true, 31);
    expect(path, "chat-template", FAL_SEVERITY_WARNING, true, "tokenizer.chat_template", NULL);
}

static void test_pretokenizer(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.without_key = "tokenizer.ggml.pre";
    expect(write_tiny(&t, "falcon.gguf"), "pretokenizer", FAL_SEVERITY_WARNING, true,
           "the rule is 'falcon'", NULL);
}

/* ---- context ---- */

static void test_lost_context(void **state) {
    (void)state;
    static const char *const chat[] = {"chat-template", "end-of-turn", NULL};
    static const char *const weights[] = {"weights", NULL};
    tiny_model t = tiny_model_whole();
    t.has_chat_tokens = true;
    expect(write_tiny(&t, "Alfred.gguf"), "lost-context", FAL_SEVERITY_ERROR, true,
           "method ntk-yarn, base 10000, factor 4, 8192 tokens", chat);
    t = tiny_model_whole();
    t.n_layers = 60;
    t.d_model = 4096;
    t.n_heads = 32;
    t.n_kv_heads = 8;
    expect(write_tiny(&t, "falcon.gguf"), "lost-context", FAL_SEVERITY_ERROR, true, "base 500042",
           weights);
}

static void test_context_length(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.own_rope_method = "ntk-yarn";
    t.extra_f32[0].key = "falcon.rope.freq_base";
    t.extra_f32[0].value = 85498.797f;
    t.extra_f32[1].key = "falcon.rope.scaling.attn_factor";
    t.extra_f32[1].value = 1.13862944f;
    t.extra_f32[2].key = "falconer.rope.base";
    t.extra_f32[2].value = 10000;
    t.extra_f32[3].key = "falconer.rope.factor";
    t.extra_f32[3].value = 4;
    t.extra_u32 = "falcon.rope.scaling.original_context_length";
    t.extra_value = 2048;
    expect(write_tiny(&t, "falcon.gguf"), "context-length", FAL_SEVERITY_WARNING, true,
           "2048 tokens are stored, the rope settings are good for 8192", NULL);
    t.context_length = 8192;
    expect_healthy(write_tiny(&t, "falcon.gguf"));
}

/* ---- types ---- */

/* A file of matrices only: q4_k, q5_0 and q6_k by their numbers of rows of 256. */
static const char *write_types(const char *name, int n_q4_k, int n_q5_0, int n_q6_k,
                               bool tells_fallback) {
    static const char zeros[256 * 256];

    const struct {
        const char *type;
        int n_rows;
    } rows[] = {
        {"q4_k", n_q4_k},
        {"q5_0", n_q5_0},
        {"q6_k", n_q6_k}
    };

    fal_gguf_writer *w;
    const char *path = path_of(name);
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    fal_gguf_set_string(w, "general.architecture", "mamba", 5);
    if (tells_fallback) fal_gguf_set_f32(w, "falconer.quantize.k_share", 0.3f);
    for (size_t i = 0; i < 3; i++) {
        const int64_t shape[2] = {rows[i].n_rows, 256};
        if (rows[i].n_rows)
            CHECK_OK(fal_gguf_add_tensor(w, rows[i].type, fal_type_by_name(rows[i].type), 2, shape,
                                         &error),
                     &error);
    }
    CHECK_OK(fal_gguf_writer_begin(w, path, &error), &error);
    for (size_t i = 0; i < 3; i++) {
        size_t bytes;
        CHECK_OK(fal_type_row_bytes(fal_type_by_name(rows[i].type), 256 * rows[i].n_rows, &bytes,
                                    &error),
                 &error);
        CHECK_OK(fal_gguf_write_data(w, zeros, bytes, &error), &error);
    }
    CHECK_OK(fal_gguf_writer_commit(w, &error), &error);
    fal_gguf_writer_close(w);
    return path;
}

static void expect_kept(const char *path) {
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    const fal_finding *f = find(&d, "promised-type");
    if (f) fail_msg("%s: %s", path, f->text);
    fal_diagnosis_release(&d);
}

static void test_promised_type(void **state) {
    (void)state;
    static const char *const both[] = {"promised-type", NULL};
    /* As Falcon-7B's Q4_K_M: what is not divisible falls back. */
    expect(write_types("falcon-7b.Q4_K_M.gguf", 30, 60, 10, false), "promised-type",
           FAL_SEVERITY_WARNING, false, "Q4_K_M, but 60 % of the parameters in matrices are q5_0",
           NULL);
    expect(write_types("falcon-7b.Q4_K_M.gguf", 30, 60, 10, true), "promised-type",
           FAL_SEVERITY_NOTE, false, "40 % are K-quants", NULL);
    expect(write_types("lightonai_alfred-40b-1023_Q6_K.gguf", 85, 0, 15, false), "promised-type",
           FAL_SEVERITY_WARNING, false, "Q6_K", NULL);
    expect_kept(write_types("alfred-40b-1023.Q4_K_M.gguf", 70, 5, 25, false));
    expect_kept(write_types("alfred-40b-1023-q5_0.gguf", 10, 60, 30, false));
    expect_kept(write_types("q4_kilo-Q4.gguf", 10, 60, 30, false));
    const char *path = write_types("plain.gguf", 10, 60, 30, false);
    damage(path, "general.file_type", true, 15);
    expect(path, "promised-type", FAL_SEVERITY_WARNING, false, "general.file_type says Q4_K_M",
           both);
    damage(path, "general.file_type", true, 8);
    expect_kept(path);
    tiny_model t = tiny_model_whole();
    t.name = "Falcon 7B Q8_0";
    expect(write_tiny(&t, "falcon.gguf"), "promised-type", FAL_SEVERITY_WARNING, false,
           "general.name says Q8_0, but 100 % of the parameters in matrices are f32", NULL);
}

static void test_number_types(void **state) {
    (void)state;
    static const char *const weights[] = {"weights", NULL};
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    /* The type of the first tensor stands behind its name and shape, in front of its offset. */
    char *bytes;
    size_t length;
    CHECK_OK(fal_file_read(&bytes, &length, path, 1 << 20, &error), &error);
    for (size_t i = 0; i + 17 < length; i++) {
        if (memcmp(bytes + i, "token_embd.weight", 17) != 0) continue;
        poke(path, i + 17 + 4 + 16, &(uint32_t){19}, 4);
        break;
    }
    fal_free(bytes);
    expect(path, "number-types", FAL_SEVERITY_ERROR, false, "'token_embd.weight' of iq1_s",
           weights);
}

/* ---- weights ---- */

static void test_weights(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    t.without_tensor = "blk.1.ffn_up.weight";
    expect(write_tiny(&t, "falcon.gguf"), "weights", FAL_SEVERITY_ERROR, false,
           "blk.1.ffn_up.weight", NULL);
}

static void test_not_finite(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    uint64_t at = offset_of(path, "blk.1.ffn_up.weight");
    poke(path, at + 4 * (3 * TINY_D_MODEL + 7), &(uint32_t){0xff800000}, 4);
    poke(path, at + 4 * (5 * TINY_D_MODEL + 1), &(uint32_t){0x7fc00001}, 4);
    expect(path, "not-finite", FAL_SEVERITY_ERROR, false,
           "'blk.1.ffn_up.weight': 2 weights are not finite, the first at row 3, column 7", NULL);
}

static void test_zeros(void **state) {
    (void)state;

    enum {
        N_ROWS = 700,
        ROW_BYTES = 4096
    };

    float row[ROW_BYTES / 4];
    fal_gguf_writer *w;
    const char *path = path_of("holes.gguf");
    CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
    fal_gguf_set_string(w, "general.architecture", "mamba", 5);
    const int64_t shape[2] = {N_ROWS, ROW_BYTES / 4};
    CHECK_OK(fal_gguf_add_tensor(w, "holes", fal_type_by_id(0), 2, shape, &error), &error);
    CHECK_OK(fal_gguf_writer_begin(w, path, &error), &error);
    for (int r = 0; r < N_ROWS; r++) {
        for (size_t i = 0; i < ROW_BYTES / 4; i++)
            row[i] = r >= 100 && r < 500 ? 0 : 1;
        CHECK_OK(fal_gguf_write_data(w, row, ROW_BYTES, &error), &error);
    }
    CHECK_OK(fal_gguf_writer_commit(w, &error), &error);
    fal_gguf_writer_close(w);
    expect(path, "zeros", FAL_SEVERITY_WARNING, false, "'holes'", NULL);
    for (int r = 100; r < 500; r += 10)
        poke(path, offset_of(path, "holes") + (uint64_t)r * ROW_BYTES, &(uint32_t){1}, 4);
    fal_diagnosis d;
    CHECK_OK(fal_doctor_examine(&d, path, NULL, &error), &error);
    assert_null(find(&d, "zeros"));
    fal_diagnosis_release(&d);
}

/* Random blocks: the scan finds what decoding finds, whatever the number of threads. */
static void test_scan_all_types(void **state) {
    (void)state;

    enum {
        N_ROWS = 600,
        N_COLS = 512
    };

    static float weights[N_COLS];
    uint32_t random = 1;
    for (int k = 0; k < fal_type_count(); k++) {
        const fal_type *type = fal_type_at(k);
        if (!type->in_files) continue;
        size_t row_bytes;
        CHECK_OK(fal_type_row_bytes(type, N_COLS, &row_bytes, &error), &error);
        char *row = malloc(row_bytes);
        int64_t first = -1;
        fal_gguf_writer *w;
        const char *path = path_of("random.gguf");
        CHECK_OK(fal_gguf_writer_open(&w, &error), &error);
        CHECK_OK(fal_gguf_add_tensor(w, "t", type, 2, (const int64_t[]){N_ROWS, N_COLS}, &error),
                 &error);
        CHECK_OK(fal_gguf_writer_begin(w, path, &error), &error);
        for (int r = 0; r < N_ROWS; r++) {
            for (size_t i = 0; i < row_bytes; i++) {
                random = random * 1664525u + 1013904223u;
                /* Small bytes make finite numbers of every width. */
                row[i] = (char)(r < 400 ? random >> 28 : random >> 24);
            }
            CHECK_OK(fal_gguf_write_data(w, row, row_bytes, &error), &error);
            type->decode(row, weights, N_COLS / type->weights_per_block);
            for (int c = 0; c < N_COLS && first < 0; c++)
                if (!isfinite(weights[c]))
                    first = (int64_t)r * N_COLS + c - c % type->weights_per_block;
        }
        CHECK_OK(fal_gguf_writer_commit(w, &error), &error);
        fal_gguf_writer_close(w);
        free(row);
        fal_gguf *f;
        const fal_copy_progress silent = {0};
        CHECK_OK(fal_gguf_open(&f, path, &error), &error);
        fal_scanned results[3];
        for (int n = 0; n < 3; n++) {
            uint64_t n_bytes;
            CHECK_OK(fal_scan_file(f, n + 1, &silent, &results[n], &n_bytes, &error), &error);
            assert_int_equal(n_bytes, N_ROWS * row_bytes);
        }
        fal_gguf_close(f);
        assert_int_equal(results[0].first, first);
        assert_true(first >= 400 * N_COLS);
        assert_memory_equal(&results[0], &results[1], sizeof results[0]);
        assert_memory_equal(&results[0], &results[2], sizeof results[0]);
    }
}

static bool stop(void *user, uint64_t n_done, uint64_t n_total) {
    (void)user, (void)n_done, (void)n_total;
    return false;
}

static void test_cancelled(void **state) {
    (void)state;
    tiny_model t = tiny_model_whole();
    const char *path = write_tiny(&t, "falcon.gguf");
    const fal_doctor_options options = {
        .progress = {stop, NULL}
    };
    fal_diagnosis d;
    CHECK_STATUS(fal_doctor_examine(&d, path, &options, &error), FAL_E_CANCELLED, &error,
                 "stopped");
    fal_diagnosis_release(&d);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),       TEST(test_healthy_golden), TEST(test_quick),
        TEST(test_no_file),       TEST(test_truncated),      TEST(test_damaged),
        TEST(test_interrupted),   TEST(test_family),         TEST(test_metadata),
        TEST(test_token_ids),     TEST(test_vocabulary),     TEST(test_embedding),
        TEST(test_control_types), TEST(test_end_of_text),    TEST(test_chat),
        TEST(test_pretokenizer),  TEST(test_lost_context),   TEST(test_context_length),
        TEST(test_promised_type), TEST(test_number_types),   TEST(test_weights),
        TEST(test_not_finite),    TEST(test_zeros),          TEST(test_scan_all_types),
        TEST(test_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
