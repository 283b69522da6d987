/* The encoders against the reference quantizers: errors at most theirs for every type, over rows of several kinds, with
 * and without importance; and what was decoded encodes to itself. */
#include "base/half.h"
#include "base/random.h"
#include "check.h"
#include "quant/type.h"
#include "unit/quant/reference.h"

#include <math.h>
#include <string.h>

enum {
    ROW = 4096,
    SHORT_ROW = 1024, /* where every weight is looked at */
    N_ROWS = 6
};

typedef enum row_kind {
    GAUSSIAN,
    STUDENT, /* with three degrees of freedom */
    LAPLACE,
    OUTLIERS, /* one in a hundred is twenty times as large */
    SHIFTED,  /* a mean beside zero */
    BF16,     /* Gaussian, rounded: ties and equal weights */
    N_KINDS
} row_kind;

static const char *const kind_names[N_KINDS] = {"gaussian", "student", "laplace",
                                                "outliers", "shifted", "bf16"};

static float row[ROW], importance[ROW], decoded[ROW], reference[ROW], again[ROW];
static _Alignas(64) unsigned char blocks[ROW * 2], more_blocks[ROW * 2];

static double draw(fal_random *random, row_kind kind) {
    double normal = fal_random_normal(random), sum = 0.0, unit;
    switch (kind) {
    case STUDENT:
        for (int k = 0; k < 3; k++)
            sum += pow(fal_random_normal(random), 2.0);
        return normal / sqrt(sum / 3.0);
    case LAPLACE:
        unit = fal_random_unit(random) - 0.5;
        return (unit < 0.0 ? 1.0 : -1.0) * log(1.0 - 2.0 * fabs(unit) + 1e-300);
    case OUTLIERS: return fal_random_unit(random) < 0.01 ? 20.0 * normal : normal;
    case SHIFTED: return normal + 0.7;
    case BF16: return (double)fal_f32_from_bf16(fal_bf16_from_f32((float)normal));
    case GAUSSIAN:
    case N_KINDS: break;
    }
    return normal;
}

static void fill(fal_random *random, row_kind kind) {
    for (int i = 0; i < ROW; i++) {
        row[i] = 0.02f * (float)draw(random, kind);
        if (kind == BF16) row[i] = fal_f32_from_bf16(fal_bf16_from_f32(row[i]));
        importance[i] = (float)exp(fal_random_normal(random));
    }
}

/* weights -> blocks -> decoded */
static void round_trip(const fal_type *type, const float *weights, const float *q, int n,
                       float *back) {
    type->encode(weights, q, blocks, n / type->weights_per_block);
    type->decode(blocks, back, n / type->weights_per_block);
}

static double error_of(const float *back, const float *q) {
    double sum = 0.0;
    for (int i = 0; i < ROW; i++) {
        double e = (double)back[i] - (double)row[i];
        sum += (q ? (double)q[i] : 1.0) * e * e;
    }
    return sum;
}

static void check_type(const fal_type *type, row_kind kind, bool is_weighted) {
    fal_random random = fal_random_seeded(31 + (uint64_t)kind, 0);
    double ours = 0.0, theirs = 0.0;
    const float *q = is_weighted ? importance : NULL;
    for (int k = 0; k < N_ROWS; k++) {
        fill(&random, kind);
        assert_true(reference_round_trip(type->name, row, q, ROW, reference));
        round_trip(type, row, q, ROW, decoded);
        ours += error_of(decoded, q);
        theirs += error_of(reference, q);
    }
    /* Sums in f32 against sums in double: what differs by less is equal. */
    if (!(ours <= theirs * 1.00001))
        print_error("%s, %s rows%s: error %.5f of the reference's\n", type->name, kind_names[kind],
                    is_weighted ? " with importance" : "", sqrt(ours / theirs));
    assert_true(ours <= theirs * 1.00001);
}

static void errors_are_at_most_the_references(void **state) {
    (void)state;
    int n_types = 0;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!type->is_quantized || !type->in_files) continue;
        n_types++;
        for (int kind = 0; kind < N_KINDS; kind++) {
            check_type(type, (row_kind)kind, false);
            check_type(type, (row_kind)kind, true);
        }
    }
    assert_int_equal(n_types, 12);
}

/* Rows that the searches find easy or impossible. */
static void fill_edge(int edge, fal_random *random) {
    fill(random, GAUSSIAN);
    for (int i = 0; i < ROW; i++) {
        float noise = row[i] * 50.0f;
        switch (edge) {
        case 0: row[i] = 0.0f; break;
        case 1: row[i] = noise * 1e-6f; break;  /* scales become subnormal */
        case 2: row[i] = noise * 3e-8f; break;  /* and zero */
        case 3: row[i] = noise * 1e30f; break;  /* saturates */
        case 4: row[i] = noise * 1e-41f; break; /* is subnormal itself */
        case 5: row[i] = 0.37f; break;
        case 6: row[i] = -0.37f; break;
        case 7: row[i] = (float)((int)(fal_random_u64(random) % 3) - 1) * 0.0123f; break;
        case 8: row[i] = i / 16 % 3 == 0 ? 0.0f : noise; break;
        case 9: row[i] = i % 256 == 9 ? 5000.0f : noise; break;
        case 10: row[i] = 10.0f + 0.01f * noise; break;
        default: row[i] = fal_f32_from_f16(fal_f16_from_f32(noise * 0.01f)); break;
        }
    }
}

static void check_stable(const fal_type *type, const float *q, const char *what) {
    round_trip(type, row, q, SHORT_ROW, decoded);
    round_trip(type, decoded, q, SHORT_ROW, again);
    for (int i = 0; i < SHORT_ROW; i++) {
        if (decoded[i] != again[i])
            print_error("%s, %s rows%s: weight %d, %g became %g\n", type->name, what,
                        q ? " with importance" : "", i, (double)decoded[i], (double)again[i]);
        assert_true(decoded[i] == again[i]);
    }
}

static void what_was_decoded_encodes_to_itself(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!type->is_quantized || !type->in_files) continue;
        fal_random random = fal_random_seeded(47, (uint64_t)i);
        for (int kind = 0; kind < N_KINDS; kind++) {
            fill(&random, (row_kind)kind);
            check_stable(type, NULL, kind_names[kind]);
            check_stable(type, importance, kind_names[kind]);
        }
        for (int edge = 0; edge < 12; edge++) {
            char what[16] = {'e', 'd', 'g', 'e', ' ', (char)('a' + edge)};
            fill_edge(edge, &random);
            check_stable(type, NULL, what);
            check_stable(type, importance, what);
        }
    }
}

/* Importance moves the error to where it counts less. */
static void important_columns_err_less(void **state) {
    (void)state;
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!type->is_quantized || !type->in_files || strcmp(type->name, "q8_0") == 0) continue;
        fal_random random = fal_random_seeded(53, (uint64_t)i);
        double with = 0.0, without = 0.0;
        for (int k = 0; k < 4; k++) {
            fill(&random, GAUSSIAN);
            for (int c = 0; c < ROW; c++)
                importance[c] = c % 8 == 3 ? 100.0f : 1.0f;
            round_trip(type, row, importance, ROW, decoded);
            with += error_of(decoded, importance);
            round_trip(type, row, NULL, ROW, decoded);
            without += error_of(decoded, importance);
        }
        assert_true(with < without * 0.97);
    }
}

/* Importance of any size or of none: its scale changes nothing, and no weight is lost where it is zero. */
static void importance_may_be_anything(void **state) {
    (void)state;
    fal_random random = fal_random_seeded(59, 0);
    for (int i = 0; i < fal_type_count(); i++) {
        const fal_type *type = fal_type_at(i);
        if (!type->is_quantized || !type->in_files) continue;
        static const float sizes[] = {0.0f, -1.0f, NAN, INFINITY, 1e-44f, 3e38f};
        size_t bytes = (size_t)(ROW / type->weights_per_block * type->bytes_per_block);
        fill(&random, GAUSSIAN);
        round_trip(type, row, importance, ROW, decoded);
        memcpy(more_blocks, blocks, bytes);
        for (int c = 0; c < ROW; c++)
            importance[c] *= 1024.0f;
        round_trip(type, row, importance, ROW, decoded);
        assert_memory_equal(blocks, more_blocks, bytes);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (int step = 1; step <= 2; step++) {
                for (int c = 0; c < ROW; c += step)
                    importance[c] = sizes[s];
                round_trip(type, row, importance, ROW, decoded);
                assert_true(error_of(decoded, NULL) < 0.5 * ROW * 0.02 * 0.02);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_at_most_the_references),
        cmocka_unit_test(what_was_decoded_encodes_to_itself),
        cmocka_unit_test(important_columns_err_less),
        cmocka_unit_test(importance_may_be_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
