/* train/mixture.h: shares at every prefix, whole epochs in other orders, passages of long documents, refused weights. */
#include "base/alloc.h"
#include "train/mixture.h"
#include "unit/train/made_documents.h"

static fal_mixture *open_mixture(const fal_documents *d, const fal_plan_options *o) {
    fal_mixture *m;
    fal_error err = {0};
    CHECK_OK(fal_mixture_open(&m, d, o, &err), &err);
    return m;
}

/* Draws, and checks at every prefix that no group is further from its share than the longest passage. */
static void check_shares(const fal_documents *d, const fal_plan_options *o, int n_passages) {
    fal_mixture *m = open_mixture(d, o);
    double sum = 0;
    for (int g = 0; g < o->n_groups; g++)
        sum += o->group_weights[g];
    int64_t taken[8] = {0}, total = 0, longest = 0;
    for (int64_t i = 0; i < d->count; i++)
        longest = d->items[i].n_tokens > longest ? d->items[i].n_tokens : longest;
    longest = longest > o->sequence_length ? o->sequence_length : longest;
    for (int i = 0; i < n_passages; i++) {
        fal_passage passage = fal_mixture_next(m);
        taken[o->sources[d->items[passage.document].source].group] += passage.n_tokens;
        total += passage.n_tokens;
        for (int g = 0; g < o->n_groups; g++) {
            double share = (double)taken[g] / (double)total, target = o->group_weights[g] / sum;
            assert_true(fabs(share - target) <= (double)longest / (double)total);
        }
    }
    fal_mixture_close(m);
}

static void shares_are_kept_at_every_prefix(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(1, 0);
    for (int round = 0; round < 200; round++) {
        fal_documents d = {0};
        fal_plan_source sources[8];
        double weights[8];
        int n_groups = 1 + (int)(fal_random_u64(&random) % 6);
        for (int s = 0; s < 8; s++) {
            double median = 4 + 2000 * fal_random_unit(&random) * fal_random_unit(&random);
            sources[s] = (fal_plan_source){s % n_groups, 0.1 + fal_random_unit(&random)};
            weights[s] = round == 0 ? (double[]){50, 45, 5, 1, 1, 1, 1, 1}[s]
                                    : pow(fal_random_unit(&random), 3) + 0.001;
            for (int i = 0; i < 20; i++)
                add_document(&d, s, chat_length(&random, median, 4096));
        }
        fal_plan_options o = {.seed = (uint64_t)round,
                              .sequence_length = round % 2 ? 512 : 8192,
                              .n_sequences = 1,
                              .group_weights = weights,
                              .n_groups = n_groups,
                              .sources = sources,
                              .n_sources = 8};
        check_shares(&d, &o, 3000);
        fal_documents_release(&d);
    }
}

static const fal_plan_source one_source = {0, 1};
static const double one_group[] = {1};

static fal_plan_options one(uint64_t seed, int length) {
    return (fal_plan_options){.seed = seed,
                              .sequence_length = length,
                              .n_sequences = 1,
                              .group_weights = one_group,
                              .n_groups = 1,
                              .sources = &one_source,
                              .n_sources = 1};
}

static void each_epoch_has_all_in_another_order(void **state) {
    (void)state;
    fal_documents d = {0};
    for (int i = 0; i < 50; i++)
        add_document(&d, 0, 10);
    fal_plan_options o = one(7, 64);
    fal_mixture *m = open_mixture(&d, &o);
    int64_t order[3][50];
    for (int epoch = 0; epoch < 3; epoch++) {
        bool seen[50] = {false};
        for (int i = 0; i < 50; i++) {
            order[epoch][i] = fal_mixture_next(m).document;
            assert_false(seen[order[epoch][i]]);
            seen[order[epoch][i]] = true;
        }
        assert_true(epoch == 0 || memcmp(order[epoch], order[epoch - 1], sizeof order[0]) != 0);
    }
    fal_mixture_close(m);
    fal_documents_release(&d);
}

static void long_documents_are_cut(void **state) {
    (void)state;

    static const struct {
        int64_t n_tokens;
        int n_passages;
        int32_t last;
    } cases[] = {
        {1,  1, 1 },
        {9,  1, 9 },
        {10, 1, 10},
        {11, 1, 10}, /* the eleventh is foretold by the tenth */
        {12, 2, 2 },
        {21, 2, 10},
        {22, 3, 2 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_documents d = {0};
        add_document(&d, 0, cases[i].n_tokens);
        fal_plan_options o = one(1, 10);
        fal_mixture *m = open_mixture(&d, &o);
        bool seen[4] = {false};
        for (int k = 0; k < cases[i].n_passages; k++) {
            fal_passage passage = fal_mixture_next(m);
            int place = passage.first / 10;
            assert_int_equal(passage.first % 10, 0);
            assert_false(seen[place]);
            seen[place] = true;
            assert_int_equal(passage.n_tokens,
                             place == cases[i].n_passages - 1 ? cases[i].last : 10);
        }
        fal_mixture_close(m);
        fal_documents_release(&d);
    }
}

static void sources_without_documents_leave_their_share_to_their_group(void **state) {
    (void)state;
    fal_documents d = {0};
    add_document(&d, 0, 10);
    add_document(&d, 2, 10);
    add_document(&d, 3, 10);
    static const fal_plan_source sources[] = {
        {0, 1},
        {0, 5},
        {1, 1},
        {1, 0}
    };
    static const double weights[] = {3, 1};
    fal_plan_options o = one(1, 64);
    o.group_weights = weights;
    o.n_groups = 2;
    o.sources = sources;
    o.n_sources = 4;
    fal_mixture *m = open_mixture(&d, &o);
    int n[4] = {0};
    for (int i = 0; i < 400; i++)
        n[d.items[fal_mixture_next(m).document].source]++;
    assert_int_equal(n[0], 300);
    assert_int_equal(n[2], 100);
    assert_int_equal(fal_mixture_n_tokens(m), 20);
    assert_int_equal(fal_mixture_source_at(m, 3).n_tokens, 10);
    fal_mixture_close(m);
    fal_documents_release(&d);
}

static void senseless_weights_are_refused(void **state) {
    (void)state;
    fal_documents d = {0};
    fal_plan_options o = one(1, 10);
    fal_mixture *m;
    fal_error err = {0};
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "no documents");
    add_document(&d, 0, 10);
    double weights[] = {1, 1};
    fal_plan_source sources[] = {
        {0, 1},
        {1, 1}
    };
    o.group_weights = weights;
    o.sources = sources;
    o.n_groups = o.n_sources = 2;
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err,
                 "group 1 has weight 1, and no documents of weight");
    weights[1] = -1;
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "group 1: weight -1");
    weights[1] = 0;
    sources[1].weight = NAN;
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "source 1: weight");
    sources[1] = (fal_plan_source){2, 1};
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "is of group 2");
    o.n_groups = 1;
    sources[1].group = 0;
    weights[0] = 0;
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "sum up to 0");
    weights[0] = 1;
    o.sequence_length = 0;
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "of 0 tokens");
    o.sequence_length = 10;
    add_document(&d, 2, 10);
    CHECK_STATUS(fal_mixture_open(&m, &d, &o, &err), FAL_E_ARGUMENT, &err, "is of source 2");
    fal_documents_release(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_kept_at_every_prefix),
        cmocka_unit_test(each_epoch_has_all_in_another_order),
        cmocka_unit_test(long_documents_are_cut),
        cmocka_unit_test(sources_without_documents_leave_their_share_to_their_group),
        cmocka_unit_test(senseless_weights_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
