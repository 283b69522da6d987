/* train/plan.h: determinism, packing, batches, shares, the last step, and what a plan of a million documents takes. */
#include "base/alloc.h"
#include "train/plan.h"
#include "unit/train/made_documents.h"

#include <time.h>

static const fal_plan_source sources[] = {
    {0, 1},
    {1, 1},
    {2, 1}
};
static const double weights[] = {50, 45, 5};

static fal_plan_options mixed(uint64_t seed, int64_t n_tokens, int length, int n_sequences) {
    return (fal_plan_options){.seed = seed,
                              .n_tokens = n_tokens,
                              .sequence_length = length,
                              .n_sequences = n_sequences,
                              .group_weights = weights,
                              .n_groups = 3,
                              .sources = sources,
                              .n_sources = 3};
}

/* Options for documents of source 0 alone. */
static fal_plan_options plain(uint64_t seed, int64_t n_tokens, int length, int n_sequences) {
    fal_plan_options o = mixed(seed, n_tokens, length, n_sequences);
    o.n_groups = o.n_sources = 1;
    return o;
}

static fal_plan *open_plan(const fal_documents *d, const fal_plan_options *o) {
    fal_plan *plan;
    fal_error err = {0};
    CHECK_OK(fal_plan_open(&plan, d, o, &err), &err);
    return plan;
}

/* Short chats, long documents, web text. */
static fal_documents make_mix(int n_chats) {
    fal_documents d = {0};
    fal_random random = fal_random_seeded(3, 0);
    for (int i = 0; i < n_chats; i++)
        add_document(&d, 0, chat_length(&random, 250, 2048));
    for (int i = 0; i < n_chats / 20; i++)
        add_document(&d, 1, chat_length(&random, 1500, 2048));
    for (int i = 0; i < n_chats / 10; i++)
        add_document(&d, 2, chat_length(&random, 600, 9000));
    return d;
}

static int64_t n_sequences(const fal_plan *plan, const fal_plan_options *o) {
    return fal_plan_n_steps(plan) * o->n_sequences;
}

static void a_plan_depends_on_documents_weights_and_seed_alone(void **state) {
    (void)state;
    fal_documents d = make_mix(400);
    fal_plan_options o = mixed(11, 300000, 2048, 4);
    fal_plan *first = open_plan(&d, &o), *second = open_plan(&d, &o);
    assert_int_equal(fal_plan_n_steps(first), fal_plan_n_steps(second));
    assert_true(fal_plan_hash(first) == fal_plan_hash(second));
    for (int64_t i = 0; i < n_sequences(first, &o); i++) {
        fal_packed a = fal_plan_sequence(first, i), b = fal_plan_sequence(second, i);
        assert_int_equal(a.n_passages, b.n_passages);
        assert_memory_equal(a.passages, b.passages, (size_t)a.n_passages * sizeof *a.passages);
    }
    fal_plan_close(second);
    const fal_plan_options others[] = {mixed(12, 300000, 2048, 4), mixed(11, 400000, 2048, 4),
                                       mixed(11, 300000, 1024, 4), mixed(11, 300000, 2048, 2)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        second = open_plan(&d, &others[i]);
        assert_true(fal_plan_hash(first) != fal_plan_hash(second));
        fal_plan_close(second);
    }
    d.items[5].hash++;
    second = open_plan(&d, &o);
    assert_true(fal_plan_hash(first) != fal_plan_hash(second));
    fal_plan_close(second);
    fal_plan_close(first);
    fal_documents_release(&d);
}

static void shares_follow_the_weights(void **state) {
    (void)state;
    fal_documents d = make_mix(600);
    fal_plan_options o = mixed(5, 3000000, 2048, 4);
    fal_plan *plan = open_plan(&d, &o);
    int64_t n_tokens = 0;
    for (int s = 0; s < 3; s++) {
        fal_plan_share share = fal_plan_source_share(plan, s);
        n_tokens += share.n_tokens;
        CHECK_NEAR(share.share, weights[s] / 100, 0.01);
        CHECK_NEAR(share.epochs
                       * (s == 0   ? 600
                          : s == 1 ? 30
                                   : 60)
                       / (double)share.n_documents,
                   share.epochs, 1e-9);
        assert_true(share.n_loss_tokens <= share.n_tokens);
        assert_true(share.n_loss_tokens >= share.n_tokens * 9 / 10);
    }
    assert_int_equal(n_tokens, fal_plan_n_tokens(plan));
    assert_true(n_tokens >= 3000000 && n_tokens < 3000000 + 5 * 2048);
    /* and at every step, but for what one window shuffles */
    int64_t taken[3] = {0}, total = 0;
    for (int64_t i = 0; i < n_sequences(plan, &o); i++) {
        fal_packed packed = fal_plan_sequence(plan, i);
        for (int k = 0; k < packed.n_passages; k++)
            taken[d.items[packed.passages[k].document].source] += packed.passages[k].n_tokens;
        total += packed.n_tokens;
        for (int s = 0; s < 3; s++)
            assert_true(fabs((double)taken[s] - (double)total * weights[s] / 100) < 40 * 2048.0);
    }
    fal_plan_close(plan);
    fal_documents_release(&d);
}

static void chats_are_packed_with_little_padding(void **state) {
    (void)state;
    fal_documents d = {0};
    fal_random random = fal_random_seeded(9, 0);
    for (int i = 0; i < 20000; i++)
        add_document(&d, 0, chat_length(&random, 350, 2048));
    fal_plan_options o = plain(1, 0, 2048, 8);
    fal_plan *plan = open_plan(&d, &o);
    assert_true(fal_plan_padding(plan) >= 0 && fal_plan_padding(plan) <= 0.02);
    fal_plan_close(plan);
    fal_documents_release(&d);
}

static void one_epoch_has_everything_once(void **state) {
    (void)state;
    fal_documents d = make_mix(300);
    for (int64_t i = 0; i < d.count; i++)
        d.items[i].source = 0;
    fal_plan_options o = plain(2, 0, 512, 1);
    fal_plan *plan = open_plan(&d, &o);
    uint8_t *seen = calloc((size_t)d.n_tokens, 1);
    assert_non_null(seen);
    for (int64_t i = 0; i < n_sequences(plan, &o); i++) {
        fal_packed packed = fal_plan_sequence(plan, i);
        int32_t n_tokens = 0;
        for (int k = 0; k < packed.n_passages; k++) {
            const fal_passage *p = &packed.passages[k];
            n_tokens += p->n_tokens;
            for (int32_t t = 0; t < p->n_tokens; t++)
                assert_int_equal(seen[d.items[p->document].first_token + p->first + t]++, 0);
        }
        assert_int_equal(packed.n_tokens, n_tokens);
        assert_true(n_tokens <= 512);
    }
    for (int64_t i = 0; i < d.count; i++) {
        int64_t left_out = d.items[i].n_tokens % 512 == 1; /* is only foretold */
        for (int64_t t = 0; t < d.items[i].n_tokens - left_out; t++)
            assert_int_equal(seen[d.items[i].first_token + t], 1);
    }
    assert_true(fal_plan_source_share(plan, 0).epochs == 1);
    free(seen);
    fal_plan_close(plan);
    fal_documents_release(&d);
}

static void the_last_step_is_whole(void **state) {
    (void)state;
    fal_documents d = {0};
    add_document(&d, 0, 5);
    add_document(&d, 0, 6);
    fal_plan_options o = plain(2, 0, 8, 7);
    fal_plan *plan = open_plan(&d, &o);
    assert_int_equal(fal_plan_n_steps(plan), 1);
    for (int i = 0; i < 7; i++)
        assert_true(fal_plan_sequence(plan, i).n_tokens >= 5);
    fal_plan_close(plan);
    fal_documents_release(&d);
}

static void batches_foretell_within_documents(void **state) {
    (void)state;
    fal_documents d = {0};
    add_document(&d, 0, 3);
    add_document(&d, 0, 12); /* 10 and 2 */
    d.parts[d.items[0].first_token + 1] = FAL_LOSS_NONE;
    d.parts[d.items[0].first_token + 2] = FAL_LOSS_ANSWER;
    fal_plan_options o = plain(1, 0, 10, 1);
    fal_plan *plan = open_plan(&d, &o);
    fal_batch_buffer buffer;
    fal_error err = {0};
    CHECK_OK(fal_batch_buffer_open(&buffer, 20, &err), &err);
    assert_int_equal(fal_plan_n_steps(plan), 2);
    fal_batch batch = fal_plan_fill(plan, 0, 2, &buffer);
    assert_int_equal(batch.n_tokens, 15);
    assert_int_equal(batch.n_sequences, 3);
    int n_loss_tokens = 0;
    for (int64_t s = 0; s < 3; s++) {
        int64_t begin = batch.starts[s], end = batch.starts[s + 1];
        int32_t document = batch.tokens[begin] / 1000, n = document == 0 ? 3 : 12;
        for (int64_t i = begin; i < end; i++) {
            int32_t place = batch.tokens[i] % 1000;
            bool is_last = place == n - 1;
            assert_int_equal(batch.positions[i], i - begin);
            assert_int_equal(batch.tokens[i] / 1000, document);
            assert_int_equal(batch.targets[i], is_last ? 0 : batch.tokens[i] + 1);
            bool counts = !is_last && !(document == 0 && place == 0);
            assert_true(batch.weights[i] == (counts ? 1 : 0));
            assert_int_equal(buffer.parts[i], !counts         ? FAL_LOSS_NONE
                                              : document == 0 ? FAL_LOSS_ANSWER
                                                              : FAL_LOSS_TEXT);
            n_loss_tokens += counts;
        }
    }
    assert_int_equal(batch.starts[3], 15);
    assert_int_equal(n_loss_tokens, 12);
    assert_int_equal(
        fal_plan_sequence(plan, 0).n_loss_tokens + fal_plan_sequence(plan, 1).n_loss_tokens, 12);
    assert_int_equal(fal_plan_source_share(plan, 0).n_loss_tokens, 12);
    fal_batch_buffer_release(&buffer);
    fal_plan_close(plan);
    fal_documents_release(&d);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Runs that were begun go on only with the same plan, however packing is made faster. */
static void plans_stay_what_they_were(void **state) {
    (void)state;
    fal_documents d = {0};
    fal_random random = fal_random_seeded(4, 0);
    for (int i = 0; i < 900; i++)
        add_document(&d, i % 3, 2 + (int64_t)(fal_random_u64(&random) % (200u << i % 3)));
    const fal_plan_options steps[] = {mixed(11, 300000, 2048, 4), mixed(7, 100000, 512, 300)};
    const uint64_t hashes[] = {0x4f89fcbcb710abba, 0x5c80524eb0056795};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        fal_plan *plan = open_plan(&d, &steps[i]);
        assert_true(fal_plan_hash(plan) == hashes[i]);
        fal_plan_close(plan);
    }
    fal_documents_release(&d);
}

static void a_step_of_a_million_sequences_is_planned_quickly(void **state) {
    (void)state;
    fal_documents d = {0};
    fal_random random = fal_random_seeded(1, 0);
    for (int i = 0; i < 1000; i++)
        add_document(&d, 0,
                     17 + (int)(fal_random_u64(&random) % 15)); /* each of them fills a bin */
    fal_plan_options o = plain(1, 0, 31, 1 << 20);
    double begin = seconds();
    fal_plan *plan = open_plan(&d, &o);
    assert_true(seconds() - begin < 20);
    assert_int_equal(fal_plan_n_steps(plan), 1);
    fal_plan_close(plan);
    o = plain(1, 0, 1 << 24, 1 << 20);
    fal_error err = {0};
    CHECK_STATUS(fal_plan_open(&plan, &d, &o, &err), FAL_E_LIMIT, &err,
                 "1048576 sequences of 16777216 tokens per step");
    fal_documents_release(&d);
}

static void senseless_options_are_refused(void **state) {
    (void)state;
    fal_documents d = {0};
    fal_plan *plan;
    fal_error err = {0};
    fal_plan_options o = plain(1, 0, 10, 1);
    CHECK_STATUS(fal_plan_open(&plan, &d, &o, &err), FAL_E_ARGUMENT, &err, "no documents");
    add_document(&d, 0, 10);
    o.n_sequences = 0;
    CHECK_STATUS(fal_plan_open(&plan, &d, &o, &err), FAL_E_ARGUMENT, &err, "0 sequences per step");
    o = plain(1, -1, 10, 1);
    CHECK_STATUS(fal_plan_open(&plan, &d, &o, &err), FAL_E_ARGUMENT, &err, "-1 tokens");
    o = plain(1, INT64_MAX, 10, 1);
    CHECK_STATUS(fal_plan_open(&plan, &d, &o, &err), FAL_E_LIMIT, &err, "at most 1000000000000");
    assert_null(plan);
    fal_documents_release(&d);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    fal_documents d = make_mix(40);
    fal_plan_options o = mixed(1, 0, 512, 3);
    long live = fal_alloc_live();
    fal_error err = {0};
    fal_status status = FAL_E_MEMORY;
    for (long n = 1; status == FAL_E_MEMORY; n++) {
        fal_plan *plan;
        fal_alloc_fail_at(n);
        status = fal_plan_open(&plan, &d, &o, &err);
        fal_alloc_fail_at(0);
        fal_plan_close(plan);
        assert_int_equal(fal_alloc_live(), live);
    }
    assert_int_equal(status, FAL_OK);
    for (long n = 1; n <= 6; n++) {
        fal_batch_buffer buffer;
        fal_alloc_fail_at(n);
        CHECK_STATUS(fal_batch_buffer_open(&buffer, 8, &err), FAL_E_MEMORY, &err, "");
        fal_alloc_fail_at(0);
        assert_int_equal(fal_alloc_live(), live);
    }
    fal_documents_release(&d);
}

static void a_million_documents_are_planned_quickly(void **state) {
    (void)state;
    fal_documents d = {0};
    static const int32_t tokens[32] = {0};
    static const uint8_t parts[32] = {0};
    fal_random random = fal_random_seeded(1, 0);
    fal_error err = {0};
    for (int i = 0; i < 1000000; i++)
        CHECK_OK(fal_documents_append(&d, tokens, parts,
                                      4 + (int64_t)(fal_random_u64(&random) % 29), i % 3, i + 1,
                                      (uint64_t)i, &err),
                 &err);
    fal_plan_options o = mixed(1, 0, 128, 8);
    double begin = seconds();
    fal_plan *plan = open_plan(&d, &o);
    double took = seconds() - begin;
    assert_true(took < 20); /* sanitizers, other work and all; half a second as it is installed */
    fal_plan_close(plan);
    fal_documents_release(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_depends_on_documents_weights_and_seed_alone),
        cmocka_unit_test(shares_follow_the_weights),
        cmocka_unit_test(chats_are_packed_with_little_padding),
        cmocka_unit_test(one_epoch_has_everything_once),
        cmocka_unit_test(the_last_step_is_whole),
        cmocka_unit_test(batches_foretell_within_documents),
        cmocka_unit_test(plans_stay_what_they_were),
        cmocka_unit_test(a_step_of_a_million_sequences_is_planned_quickly),
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_million_documents_are_planned_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
