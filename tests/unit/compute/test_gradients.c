/* The gradient of every operation of training against central differences of the operation written once more in double:
 * on ref and on the cpu's kernel sets. What the operations make, in plain order, is checked elsewhere against ref. */
#include "opcheck.h"

enum {
    MOST = 400,   /* numbers of a subject */
    N_TOKENS = 7, /* in sequences of 4 and 3 */
    N_COLS = 6,
    N_OUT = 5,
    HEADS = 4,
    KV_HEADS = 2,
    DIM = 4
};

static const double STEP = 1e-5, BOUND = 1e-4;
static const int64_t starts[] = {0, 4, 7};
static const float slopes[HEADS] = {0.5f, 0.25f, 0.125f, 0.0625f};
static const int32_t rows[N_TOKENS] = {2, 0, 2, 1, 2, 0, 0},
                     targets[N_TOKENS] = {0, 4, 2, 3, 1, 0, 5};
static const float weights[N_TOKENS] = {1.0f, 0.5f, 0.0f, 2.0f, 1.0f, 1.0f, 0.25f};

/* What the outputs are multiplied by to make a loss of them. */
static double factor(int i) {
    return (double)((i * 7 + 3) % 11 - 5) / 4.0;
}

/* An operation as a function of all its inputs, one behind the other. */
typedef struct subject {
    const char *name;
    int n;
    double (*loss)(const double *x);
    void (*differentiate)(fal_queue *q, const float *x, float *gradient);
} subject;

/* A view of numbers in a row. */
static fal_tensor view(const float *numbers, int64_t n_rows, int64_t n_cols) {
    union {
        const float *in;
        void *out;
    } address = {numbers};

    return (fal_tensor){address.out, fal_type_by_name("f32"), n_rows, n_cols,
                        (size_t)n_cols * sizeof(float)};
}

static fal_tensor factors(float *numbers, int64_t n_rows, int64_t n_cols) {
    for (int i = 0; i < n_rows * n_cols; i++)
        numbers[i] = (float)factor(i);
    return view(numbers, n_rows, n_cols);
}

/* ---- y = x w^T + bias ---- */

enum {
    LINEAR_X = N_TOKENS * N_COLS,
    LINEAR_W = N_OUT * N_COLS,
    LINEAR_N = LINEAR_X + LINEAR_W + N_OUT
};

static double linear_loss(const double *x) {
    const double *w = x + LINEAR_X, *bias = w + LINEAR_W;
    double loss = 0.0;
    for (int i = 0; i < N_TOKENS * N_OUT; i++) {
        double y = bias[i % N_OUT];
        for (int k = 0; k < N_COLS; k++)
            y += x[i / N_OUT * N_COLS + k] * w[i % N_OUT * N_COLS + k];
        loss += factor(i) * y;
    }
    return loss;
}

static void differentiate_linear(fal_queue *q, const float *x, float *gradient) {
    float dy[N_TOKENS * N_OUT];
    fal_tensor d = factors(dy, N_TOKENS, N_OUT);
    q->ops->product(q, view(gradient, N_TOKENS, N_COLS), d, false,
                    view(x + LINEAR_X, N_OUT, N_COLS), false, false);
    q->ops->product(q, view(gradient + LINEAR_X, N_OUT, N_COLS), d, true, view(x, N_TOKENS, N_COLS),
                    false, true);
    q->ops->bias_gradient(q, view(gradient + LINEAR_X + LINEAR_W, 1, N_OUT), d);
}

/* ---- rows ---- */

enum {
    ROWS_N = N_TOKENS * N_COLS,
    NORM_N = ROWS_N + 2 * N_COLS
};

static double norm_loss(const double *x) {
    double loss = 0.0;
    for (int t = 0; t < N_TOKENS; t++) {
        const double *row = x + t * N_COLS, *weight = x + ROWS_N, *bias = weight + N_COLS;
        double mean = 0.0, variance = 0.0;
        for (int i = 0; i < N_COLS; i++)
            mean += row[i] / N_COLS;
        for (int i = 0; i < N_COLS; i++)
            variance += (row[i] - mean) * (row[i] - mean) / N_COLS;
        for (int i = 0; i < N_COLS; i++)
            loss += factor(t * N_COLS + i)
                    * ((row[i] - mean) / sqrt(variance + 1e-5) * weight[i] + bias[i]);
    }
    return loss;
}

static void differentiate_norm(fal_queue *q, const float *x, float *gradient) {
    float dy[ROWS_N];
    q->ops->layer_norm_gradient(
        q, view(gradient, N_TOKENS, N_COLS), view(gradient + ROWS_N, 1, N_COLS),
        view(gradient + ROWS_N + N_COLS, 1, N_COLS), factors(dy, N_TOKENS, N_COLS),
        view(x, N_TOKENS, N_COLS), view(x + ROWS_N, 1, N_COLS), 1e-5f);
}

static double gelu_erf_loss(const double *x) {
    double loss = 0.0;
    for (int i = 0; i < ROWS_N; i++)
        loss += factor(i) * x[i] * erfc(-x[i] * sqrt(0.5)) / 2.0;
    return loss;
}

static double gelu_tanh_loss(const double *x) {
    double loss = 0.0, inner = sqrt(2.0 / acos(-1.0));
    for (int i = 0; i < ROWS_N; i++)
        loss +=
            factor(i) * x[i] * (1.0 + tanh(inner * (x[i] + 0.044715 * x[i] * x[i] * x[i]))) / 2.0;
    return loss;
}

static void differentiate_gelu_erf(fal_queue *q, const float *x, float *gradient) {
    float dy[ROWS_N];
    q->ops->gelu_erf_gradient(q, view(gradient, N_TOKENS, N_COLS), factors(dy, N_TOKENS, N_COLS),
                              view(x, N_TOKENS, N_COLS));
}

static void differentiate_gelu_tanh(fal_queue *q, const float *x, float *gradient) {
    float dy[ROWS_N];
    q->ops->gelu_tanh_gradient(q, view(gradient, N_TOKENS, N_COLS), factors(dy, N_TOKENS, N_COLS),
                               view(x, N_TOKENS, N_COLS));
}

static double angle(int token, int pair) {
    return 0.7 * token + 1.3 * pair;
}

/* One head as wide as the row, turned and 1.25 times as long. */
static double rope_loss(const double *x) {
    double loss = 0.0;
    for (int t = 0; t < N_TOKENS; t++) {
        for (int i = 0; i < N_COLS / 2; i++) {
            double a = x[t * N_COLS + i], b = x[t * N_COLS + N_COLS / 2 + i];
            double cosine = 1.25 * cos(angle(t, i)), sine = 1.25 * sin(angle(t, i));
            loss += factor(t * N_COLS + i) * (a * cosine - b * sine)
                    + factor(t * N_COLS + N_COLS / 2 + i) * (b * cosine + a * sine);
        }
    }
    return loss;
}

static void differentiate_rope(fal_queue *q, const float *x, float *gradient) {
    float table[ROWS_N];
    (void)x;
    for (int t = 0; t < N_TOKENS; t++) {
        for (int i = 0; i < N_COLS / 2; i++) {
            table[t * N_COLS + i] = (float)(1.25 * cos(angle(t, i)));
            table[t * N_COLS + N_COLS / 2 + i] = (float)(1.25 * sin(angle(t, i)));
        }
    }
    q->ops->rope_gradient(q, factors(gradient, N_TOKENS, N_COLS), view(table, N_TOKENS, N_COLS), 1);
}

enum {
    TABLE_N = 3 * N_COLS
};

static double embed_loss(const double *x) {
    double loss = 0.0;
    for (int i = 0; i < ROWS_N; i++)
        loss += factor(i) * x[rows[i / N_COLS] * N_COLS + i % N_COLS];
    return loss;
}

static void differentiate_embed(fal_queue *q, const float *x, float *gradient) {
    float dy[ROWS_N];
    (void)x;
    q->ops->embed_gradient(q, view(gradient, 3, N_COLS), factors(dy, N_TOKENS, N_COLS), rows);
}

/* ---- loss ---- */

static const double SCALE = 0.125, Z_LOSS = 0.01;

static double cross_entropy_loss(const double *x) {
    double loss = 0.0;
    for (int t = 0; t < N_TOKENS; t++) {
        double sum = 0.0;
        for (int i = 0; i < N_COLS; i++)
            sum += exp(x[t * N_COLS + i]);
        double nll = log(sum) - x[t * N_COLS + targets[t]];
        loss += SCALE * (double)weights[t] * (nll + Z_LOSS * log(sum) * log(sum));
    }
    return loss;
}

static void differentiate_cross_entropy(fal_queue *q, const float *x, float *gradient) {
    float nll[N_TOKENS];
    q->ops->cross_entropy(q, view(gradient, N_TOKENS, N_COLS), nll, view(x, N_TOKENS, N_COLS),
                          targets, weights, SCALE, Z_LOSS);
}

/* ---- attention ---- */

enum {
    Q_COLS = HEADS * DIM,
    KV_COLS = KV_HEADS * DIM,
    Q_N = N_TOKENS * Q_COLS,
    KV_N = N_TOKENS * KV_COLS,
    ATTENTION_N = Q_N + 2 * KV_N
};

/* One query of one head by the keys from `first` on. */
static double attend(const double *x, int head, int first, int at) {
    const double *query = x + at * Q_COLS + head * DIM;
    int column = head / (HEADS / KV_HEADS) * DIM;
    double shares[N_TOKENS], total = 0.0, loss = 0.0;
    for (int key = first; key <= at; key++) {
        double score = 0.0;
        for (int i = 0; i < DIM; i++)
            score += 0.5 * query[i] * x[Q_N + key * KV_COLS + column + i];
        shares[key] = exp(score + (double)slopes[head] * (key - at));
        total += shares[key];
    }
    for (int i = 0; i < DIM; i++) {
        double out = 0.0;
        for (int key = first; key <= at; key++)
            out += shares[key] / total * x[Q_N + KV_N + key * KV_COLS + column + i];
        loss += factor(at * Q_COLS + head * DIM + i) * out;
    }
    return loss;
}

static double attention_loss(const double *x) {
    double loss = 0.0;
    for (int at = 0; at < N_TOKENS; at++) {
        for (int head = 0; head < HEADS; head++)
            loss += attend(x, head, at < (int)starts[1] ? 0 : (int)starts[1], at);
    }
    return loss;
}

static void differentiate_attention(fal_queue *q, const float *x, float *gradient) {
    float dy[Q_N], y[Q_N], sums[N_TOKENS * HEADS];
    fal_packing p = {starts, 2, HEADS, KV_HEADS, DIM, 0.5f, slopes};
    fal_tensor query = view(x, N_TOKENS, Q_COLS), key = view(x + Q_N, N_TOKENS, KV_COLS),
               value = view(x + Q_N + KV_N, N_TOKENS, KV_COLS), out = view(y, N_TOKENS, Q_COLS),
               log_sums = view(sums, N_TOKENS, HEADS);
    q->ops->packed_attention(q, out, log_sums, query, key, value, &p);
    q->ops->packed_attention_gradient(
        q, view(gradient, N_TOKENS, Q_COLS), view(gradient + Q_N, N_TOKENS, KV_COLS),
        view(gradient + Q_N + KV_N, N_TOKENS, KV_COLS), factors(dy, N_TOKENS, Q_COLS), out,
        log_sums, query, key, value, &p);
}

/* ---- all of them ---- */

static const subject subjects[] = {
    {"product and bias", LINEAR_N,    linear_loss,        differentiate_linear       },
    {"layer_norm",       NORM_N,      norm_loss,          differentiate_norm         },
    {"gelu_erf",         ROWS_N,      gelu_erf_loss,      differentiate_gelu_erf     },
    {"gelu_tanh",        ROWS_N,      gelu_tanh_loss,     differentiate_gelu_tanh    },
    {"rope",             ROWS_N,      rope_loss,          differentiate_rope         },
    {"embed",            TABLE_N,     embed_loss,         differentiate_embed        },
    {"cross_entropy",    ROWS_N,      cross_entropy_loss, differentiate_cross_entropy},
    {"packed_attention", ATTENTION_N, attention_loss,     differentiate_attention    }
};

static void check_subject(const subject *s, opened o) {
    float x[MOST], gradient[MOST] = {0.0f};
    double moved[MOST], expected[MOST], square = 0.0;
    fal_random random = fal_random_seeded(51, 0);
    for (int i = 0; i < s->n; i++)
        moved[i] = (double)(x[i] = (float)fal_random_normal(&random));
    for (int i = 0; i < s->n; i++) {
        moved[i] = (double)x[i] + STEP;
        double above = s->loss(moved);
        moved[i] = (double)x[i] - STEP;
        expected[i] = (above - s->loss(moved)) / (2.0 * STEP);
        moved[i] = (double)x[i];
        square += expected[i] * expected[i];
    }
    s->differentiate(o.q, x, gradient);
    check_no_failure(o.q);
    double size = sqrt(square / s->n);
    for (int i = 0; i < s->n; i++) {
        double bound = BOUND * fmax(size, fabs(expected[i]));
        if (!(fabs((double)gradient[i] - expected[i]) <= bound))
            fail_msg("%s on %s: gradient %d is %.9g, not %.9g", s->name, o.device->backend->name, i,
                     (double)gradient[i], expected[i]);
    }
    close_opened(o);
}

static void gradients_are_those_of_differences(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        check_subject(&subjects[i], open_ref());
        for (int level = 0; level < n_levels(); level++)
            check_subject(&subjects[i], open_cpu((fal_cpu_level)level, 2));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
