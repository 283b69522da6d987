/* Small products and transposition: every set against double precision, one chain of additions for each number whatever is
 * beside it, memory that ends where it must. */
#include "kernelcheck.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ROWS = 20,
    MAX_COLUMNS = 50,
    MAX_TERMS = 70
};

static float *floats_of(const fal_guarded *g) {
    return (float *)(void *)g->data;
}

static fal_placement placement_of(int turn) {
    return turn % 2 ? FAL_AT_START : FAL_AT_END;
}

typedef struct tile_shape {
    int n_rows, n_cols, n_terms;
    bool is_transposed, is_added;
} tile_shape;

/* Memory that ends with the last number that is there. */
static fal_guarded random_floats(fal_kernelcheck *c, int64_t n, int turn) {
    fal_guarded g = fal_guarded_open((size_t)n * sizeof(float), placement_of(turn));
    kernelcheck_fill(c, FAL_INPUT_NOISE, floats_of(&g), n);
    return g;
}

/* Row and column [i, j] alone, and its bits compared. */
static void check_alone(fal_kernelcheck *c, fal_tile_kernel *kernel, const fal_tile *all,
                        const float *before, int i, int j) {
    fal_tile one = *all;
    float y = before[i * all->y_stride + j];
    one.a += i * all->a_row;
    one.b += j;
    one.y = &y;
    one.n_rows = one.n_cols = 1;
    kernel(&one);
    if (memcmp(&y, &all->y[i * all->y_stride + j], sizeof y) != 0)
        kernelcheck_fail(c, "other bits for [%d, %d] alone", i, j);
}

static void check_tile(fal_kernelcheck *c, tile_shape s, int turn) {
    fal_tile_kernel *kernel;
    kernelcheck_find(c, c->set, &kernel);
    kernelcheck_case(c, "[%d, %d] of %d terms%s%s", s.n_rows, s.n_cols, s.n_terms,
                     s.is_transposed ? ", transposed" : "", s.is_added ? ", added" : "");
    int64_t b_stride = s.n_cols + turn % 3, y_stride = s.n_cols + turn % 5,
            a_stride = (s.is_transposed ? s.n_rows : s.n_terms) + turn % 2;
    int64_t a_lines = s.is_transposed ? s.n_terms : s.n_rows;
    int64_t a_last = s.is_transposed ? s.n_rows : s.n_terms;
    fal_guarded a = random_floats(c, (a_lines - 1) * a_stride + a_last, turn);
    fal_guarded b = random_floats(c, (s.n_terms - 1) * b_stride + s.n_cols, turn);
    fal_guarded y = random_floats(c, (s.n_rows - 1) * y_stride + s.n_cols, turn);
    float before[MAX_ROWS * (MAX_COLUMNS + 5)];
    memcpy(before, y.data, y.bytes);
    fal_tile t = {.a = floats_of(&a),
                  .a_row = s.is_transposed ? 1 : a_stride,
                  .a_column = s.is_transposed ? a_stride : 1,
                  .b = floats_of(&b),
                  .b_stride = b_stride,
                  .y = floats_of(&y),
                  .y_stride = y_stride,
                  .n_rows = s.n_rows,
                  .n_cols = s.n_cols,
                  .n_terms = s.n_terms,
                  .is_added = s.is_added};
    kernel(&t);
    for (int i = 0; i < s.n_rows; i++) {
        for (int64_t j = s.n_cols; j < y_stride && i + 1 < s.n_rows; j++) {
            if (t.y[i * y_stride + j] != before[i * y_stride + j])
                kernelcheck_fail(c, "wrote behind row %d", i);
        }
        for (int j = 0; j < s.n_cols; j++) {
            double sum = s.is_added ? (double)before[i * y_stride + j] : 0.0, size = fabs(sum);
            for (int k = 0; k < s.n_terms; k++) {
                double term =
                    (double)t.a[i * t.a_row + k * t.a_column] * (double)t.b[k * b_stride + j];
                sum += term;
                size += fabs(term);
            }
            double found = (double)t.y[i * y_stride + j];
            if (!kernelcheck_is_near(found, sum, (double)FLT_EPSILON * size * (2 + s.n_terms) / 2))
                kernelcheck_fail(c, "[%d, %d] is %.9g, not %.9g", i, j, found, sum);
            if ((i + j) % 3 == 0) check_alone(c, kernel, &t, before, i, j);
        }
    }
    kernelcheck_margins(c, &a, "a");
    kernelcheck_margins(c, &b, "b");
    kernelcheck_margins(c, &y, "the result");
    fal_guarded_close(&a);
    fal_guarded_close(&b);
    fal_guarded_close(&y);
}

void check_fal_tile_kernel(fal_kernelcheck *c) {
    const int rows[] = {1, 2, 3, 4, 5, 6, 7, 11, 12, 17, MAX_ROWS};
    const int columns[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, MAX_COLUMNS};
    const int terms[] = {1, 2, 13, MAX_TERMS};
    int turn = 0;
    for (int i = 0; i < 11; i++) {
        for (int j = 0; j < 10; j++) {
            for (int k = 0; k < 4; k++, turn++)
                check_tile(
                    c,
                    (tile_shape){rows[i], columns[j], terms[k], turn % 2 == 0, turn / 2 % 2 == 0},
                    turn / 4);
        }
    }
}

void check_fal_transpose_kernel(fal_kernelcheck *c) {
    const int sizes[] = {1, 2, 7, 8, 9, 16, 19, 33};
    fal_transpose_kernel *kernel;
    kernelcheck_find(c, c->set, &kernel);
    for (int turn = 0; turn < 64; turn++) {
        int n_rows = sizes[turn / 8], n_cols = sizes[turn % 8];
        int64_t x_stride = n_cols + turn % 3, y_stride = n_rows + turn % 2;
        kernelcheck_case(c, "[%d, %d]", n_rows, n_cols);
        fal_guarded x = random_floats(c, (n_rows - 1) * x_stride + n_cols, turn);
        fal_guarded y = random_floats(c, (n_cols - 1) * y_stride + n_rows, turn);
        kernel(floats_of(&y), y_stride, floats_of(&x), x_stride, n_rows, n_cols);
        for (int i = 0; i < n_rows; i++) {
            for (int j = 0; j < n_cols; j++) {
                if (floats_of(&y)[j * y_stride + i] != floats_of(&x)[i * x_stride + j])
                    kernelcheck_fail(c, "[%d, %d] is not in its place", j, i);
            }
        }
        kernelcheck_margins(c, &x, "the rows");
        kernelcheck_margins(c, &y, "the columns");
        fal_guarded_close(&x);
        fal_guarded_close(&y);
    }
}
