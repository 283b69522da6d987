/* What is measured of an open model: rates, bandwidth, times. Every rate is the best of several runs, since neighbours only
 * ever take speed away. */
#ifndef FAL_BENCH_MEASUREMENTS_H
#define FAL_BENCH_MEASUREMENTS_H

#include <falconer/session.h>

enum {
    MOST_BATCHES = 8 /* steps of 2, 4, 8, ... sequences */
};

/* Numbers of tokens; 0 leaves the part out, but for repeat. */
typedef struct measuring_plan {
    int prompt, generate, depth, batch, neighbours, repeat;
    const char *kv_type; /* NULL: the session's own */
} measuring_plan;

/* Rates in tokens per second; 0: not measured. */
typedef struct measurements {
    double
        first_token_seconds; /* a session and its first token, less what a later first token takes */
    double read_rate;        /* bytes per second of plainly reading all weights, same threads */
    double prompt_rate, generate_rate;
    double deep_prompt_rate, deep_generate_rate; /* of depth tokens in one feed, and behind them */
    double batch_rates[MOST_BATCHES]; /* of all sequences together: 2, 4, 8, ... in one step */
    double neighbour_rate;  /* of generating while so many threads of others do nothing but count */
    double neighbour_share; /* of processor time that they left to this program meanwhile */
    double own_bytes; /* of memory at the end, besides the mapped file: cache, working memory */
} measurements;

/* Fails: as the session does. */
fal_status measure_model(measurements *out, fal_model *model, const measuring_plan *plan,
                         fal_error *err);

/* Bytes of weights that one generated token needs: all but the rows of the embedding that were not asked for. */
double weight_bytes_per_token(const fal_gguf *file);

#endif
