/* Speeds of products and encoders, one JSON line each. Rates are of the best of several runs on one thread. */
#include "base/cpu.h"
#include "kernelcheck.h"
#include "quant/type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 8192,
    BYTES_FOR_ONE = 64 << 20, /* of weights with one token: beyond the caches */
    ROWS_FOR_MANY = 256,
    MANY_TOKENS = 512,
    SHORT_ROWS = 64,
    SHORT_COLUMNS = 4608,
    SHORT_CALLS = 2000 /* at most */
};

static void *get_memory(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory) exit(1);
    return memory;
}

static void fill_rows(const fal_type *type, unsigned char *rows, int64_t n_rows, size_t row_bytes) {
    fal_random random = fal_random_seeded(7, 0);
    float row[COLUMNS];
    for (int64_t i = 0; i < n_rows; i++) {
        if (i >= 8) { /* encoders are slow, and speed does not depend on the numbers */
            memcpy(rows + (size_t)i * row_bytes, rows + (size_t)(i % 8) * row_bytes, row_bytes);
            continue;
        }
        for (int j = 0; j < COLUMNS; j++) {
            row[j] = (float)fal_random_normal(&random);
        }
        if (type->encode)
            type->encode(row, NULL, rows + (size_t)i * row_bytes,
                         COLUMNS / type->weights_per_block);
        else
            for (size_t j = 0; j < row_bytes; j++) {
                rows[(size_t)i * row_bytes + j] = (unsigned char)(fal_random_u64(&random) & 0x3f);
            }
    }
}

static double best_seconds(fal_matmul_kernel *kernel, const fal_product *p, int n_runs) {
    double best = 1e30;
    for (int i = 0; i < n_runs; i++) {
        double begin = fal_seconds();
        kernel(p);
        double seconds = fal_seconds() - begin;
        if (seconds < best) best = seconds;
    }
    return best;
}

static void bench_matmul(const char *name, const fal_type *type, const fal_kernel_set *const *sets,
                         int n_sets, int64_t n_tokens) {
    size_t row_bytes = 0, x_row_bytes = 0;
    if (fal_type_row_bytes(type, COLUMNS, &row_bytes, NULL) != FAL_OK
        || fal_type_row_bytes(type->partner, COLUMNS, &x_row_bytes, NULL) != FAL_OK)
        return;
    int64_t n_rows = n_tokens == 1 ? (int64_t)((size_t)BYTES_FOR_ONE / row_bytes) : ROWS_FOR_MANY;
    unsigned char *w = get_memory((size_t)n_rows * row_bytes);
    unsigned char *x = get_memory((size_t)n_tokens * x_row_bytes);
    float *y = get_memory((size_t)(n_rows * n_tokens) * sizeof *y);
    fill_rows(type, w, n_rows, row_bytes);
    fill_rows(type->partner, x, n_tokens, x_row_bytes);
    double portable = 0.0;
    for (int i = 0; i < n_sets; i++) {
        fal_product p = {w, row_bytes, n_rows, x, x_row_bytes, n_tokens, COLUMNS, y, n_rows};
        bool is_slow = sets[i] == &fal_kernels_portable;
        if (is_slow) p.n_rows = n_rows / 16;
        double seconds =
            best_seconds(fal_kernel_set_matmul(sets[i], type->name), &p, is_slow ? 1 : 4);
        double rate = (double)p.n_rows * (double)COLUMNS * (double)n_tokens / seconds;
        if (is_slow) portable = rate;
        printf("{\"kernel\": \"%s\", \"set\": \"%s\", \"n_tokens\": %lld, "
               "\"weights_per_second\": %.4g, \"gb_per_s\": %.2f, \"ratio\": %.1f}\n",
               name, sets[i]->name, (long long)n_tokens, rate,
               (double)p.n_rows * (double)row_bytes / seconds * 1e-9, rate / portable);
        fflush(stdout);
    }
    free(w);
    free(x);
    free(y);
}

/* Rows that the caches hold, by a few tokens: the best of many short calls, which is what neighbours leave alone. */
static void bench_short(const char *name, const fal_type *type, const fal_kernel_set *const *sets,
                        int n_sets) {
    static const int64_t n_tokens[] = {1, 2, 3, 4, 8, 16, 64};
    size_t row_bytes = 0, x_row_bytes = 0;
    if (fal_type_row_bytes(type, SHORT_COLUMNS, &row_bytes, NULL) != FAL_OK
        || fal_type_row_bytes(type->partner, SHORT_COLUMNS, &x_row_bytes, NULL) != FAL_OK)
        return;
    unsigned char *w = get_memory(SHORT_ROWS * row_bytes), *x = get_memory(64 * x_row_bytes);
    static float y[64 * SHORT_ROWS];
    memset(w, 0x11, SHORT_ROWS * row_bytes);
    memset(x, 0, 64 * x_row_bytes);
    for (int i = 0; i < n_sets; i++) {
        if (sets[i] == &fal_kernels_portable) continue;
        printf("{\"kernel\": \"%s\", \"set\": \"%s\", \"rows\": %d, \"columns\": %d, "
               "\"us_per_token\": {",
               name, sets[i]->name, SHORT_ROWS, SHORT_COLUMNS);
        for (size_t j = 0; j < sizeof n_tokens / sizeof n_tokens[0]; j++) {
            fal_product p = {w,           row_bytes,     SHORT_ROWS, x,         x_row_bytes,
                             n_tokens[j], SHORT_COLUMNS, y,          SHORT_ROWS};
            double seconds = best_seconds(fal_kernel_set_matmul(sets[i], type->name), &p,
                                          SHORT_CALLS / (int)n_tokens[j]);
            printf("%s\"%lld\": %.2f", j > 0 ? ", " : "", (long long)n_tokens[j],
                   seconds * 1e6 / (double)n_tokens[j]);
        }
        printf("}}\n");
        fflush(stdout);
    }
    free(w);
    free(x);
}

static void bench_encode(const char *name, const fal_type *type, const fal_kernel_set *const *sets,
                         int n_sets) {
    enum {
        REPEATS = 200
    };

    static float x[COLUMNS];
    static unsigned char blocks[COLUMNS * 2];
    fal_random random = fal_random_seeded(7, 1);
    for (int i = 0; i < COLUMNS; i++) {
        x[i] = (float)fal_random_normal(&random);
    }
    double portable = 0.0;
    for (int i = 0; i < n_sets; i++) {
        fal_encode_kernel *kernel = fal_kernel_set_encoder(sets[i], type->name);
        double begin = fal_seconds();
        for (int j = 0; j < REPEATS; j++) {
            kernel(x, blocks, COLUMNS);
        }
        double rate = (double)COLUMNS * REPEATS / (fal_seconds() - begin);
        if (i == 0) portable = rate;
        printf("{\"kernel\": \"%s\", \"set\": \"%s\", \"numbers_per_second\": %.4g, "
               "\"gb_per_s\": %.2f, \"ratio\": %.1f}\n",
               name, sets[i]->name, rate, rate * sizeof *x * 1e-9, rate / portable);
    }
}

/* Weights to blocks, of Gaussian rows; ratio is against portable. */
static void bench_quantize(const char *name, const fal_type *type,
                           const fal_kernel_set *const *sets, int n_sets, bool has_importance) {
    enum {
        N = 1 << 17,
        REPEATS = 5
    };

    static float x[N], importance[N];
    static _Alignas(64) unsigned char blocks[N * 2];
    fal_random random = fal_random_seeded(7, 1);
    for (int i = 0; i < N; i++) {
        x[i] = 0.02f * (float)fal_random_normal(&random);
        importance[i] = 0.1f + (float)fal_random_unit(&random);
    }
    double portable = 0.0;
    for (int i = 0; i < n_sets; i++) {
        double best = 1e30;
        for (int j = 0; j < REPEATS; j++) {
            double begin = fal_seconds();
            fal_kernel_set_quantizer(sets[i], type->name)(x, has_importance ? importance : NULL,
                                                          blocks, N / type->weights_per_block);
            double seconds = fal_seconds() - begin;
            if (seconds < best) best = seconds;
        }
        double rate = (double)N / best;
        if (i == 0) portable = rate;
        printf("{\"kernel\": \"%s\", \"set\": \"%s\", \"importance\": %s, "
               "\"weights_per_second\": %.4g, \"ratio\": %.1f}\n",
               name, sets[i]->name, has_importance ? "true" : "false", rate, rate / portable);
        fflush(stdout);
    }
}

void kernelcheck_bench(const fal_kernel_set *const *sets, int n_sets, const char *filter) {
    static const char *const names[] = {
#define FAL_KERNEL(name, signature, meaning) #name,
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_matmul = strncmp(names[i], "matmul_", 7) == 0;
        bool is_encode = strncmp(names[i], "encode_", 7) == 0;
        if (strncmp(names[i], "quantize_", 9) == 0 && strstr(names[i], filter)) {
            const fal_type *to = fal_type_by_name(names[i] + 9);
            for (int with = 0; to && with < 2; with++)
                bench_quantize(names[i], to, sets, n_sets, with);
        }
        if (!strstr(names[i], filter) || (!is_matmul && !is_encode)) continue;
        const fal_type *type = fal_type_by_name(names[i] + 7);
        if (!type) continue;
        if (is_encode) bench_encode(names[i], type, sets, n_sets);
        if (!is_matmul) continue;
        bench_short(names[i], type, sets, n_sets);
        bench_matmul(names[i], type, sets, n_sets, 1);
        bench_matmul(names[i], type, sets, n_sets, MANY_TOKENS);
    }
}
