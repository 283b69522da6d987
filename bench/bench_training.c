/* falconer-bench-training: trains a fresh model of a known shape for some steps on random tokens and prints as JSON how fast
 * a step is (forward, backward, clipping, AdamW) and how much memory it takes. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/random.h"
#include "model/training_pass.h"
#include "train/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct shape {
    const char *name;
    int n_vocab, d_model, n_layers, head_dim, n_kv_heads, length, n_sequences;
    const char *meaning;
} shape;

static const shape shapes[] = {
#define TRAINING_SHAPE(name, n_vocab, d_model, n_layers, head_dim, n_kv_heads, length, \
                       n_sequences, meaning)                                           \
    {#name, n_vocab, d_model, n_layers, head_dim, n_kv_heads, length, n_sequences, meaning},
#include "training_shapes.def"
#undef TRAINING_SHAPE
};

enum {
    N_SHAPES = sizeof shapes / sizeof shapes[0],
    MOST_STEPS = 10000
};

typedef struct options {
    const shape *shape;
    const char *device;
    int n_threads, n_steps, recompute;
} options;

static void print_help(void) {
    printf(
        "Usage: falconer-bench-training [--shape NAME] [--steps N] [--threads N] [--device NAME] "
        "[--recompute 0|1|2]\n"
        "Trains a fresh model on random tokens and prints as JSON how fast and in how much memory.\n"
        "Recompute: 0 keeps everything, 1 makes norms and gelu again, 2 whole layers.\n\nShapes:\n");
    for (int i = 0; i < N_SHAPES; i++)
        printf("  %-4s %s\n", shapes[i].name, shapes[i].meaning);
}

static bool read_option(options *o, const char *name, const char *value) {
    char *end;
    for (int i = 0; strcmp(name, "--shape") == 0 && i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, value) != 0) continue;
        o->shape = &shapes[i];
        return true;
    }
    if (strcmp(name, "--device") == 0) {
        o->device = value;
        return true;
    }
    long number = strtol(value, &end, 10);
    if (*end || end == value || number < 0) return false;
    if (strcmp(name, "--threads") == 0 && number <= 1024)
        o->n_threads = (int)number;
    else if (strcmp(name, "--steps") == 0 && number >= 2 && number <= MOST_STEPS)
        o->n_steps = (int)number;
    else if (strcmp(name, "--recompute") == 0 && number <= FAL_RECOMPUTE_LAYER)
        o->recompute = (int)number;
    else
        return false;
    return true;
}

static fal_params params_of(const shape *s) {
    fal_params p = {.n_layers = s->n_layers,
                    .n_heads = s->d_model / s->head_dim,
                    .n_kv_heads = s->n_kv_heads,
                    .head_dim = s->head_dim,
                    .d_model = s->d_model,
                    .d_ff = 4 * s->d_model,
                    .n_vocab = s->n_vocab,
                    .n_context = s->length,
                    .norm_epsilon = 1e-5f,
                    .features = FAL_FEATURE_ROPE | FAL_FEATURE_PARALLEL,
                    .has_tied_head = true};
    if (s->n_kv_heads > 1) p.features |= FAL_FEATURE_TWO_NORMS;
    p.rope = (fal_rope_settings){.method = fal_rope_method_by_name("none"),
                                 .base = 10000,
                                 .factor = 1,
                                 .trained_context = s->length,
                                 .attention_factor = 1};
    return p;
}

/* Arrays of one batch. */
typedef struct drawn {
    int32_t *tokens, *positions, *targets;
    float *weights, *nll;
    int64_t *starts;
    fal_batch batch;
} drawn;

static fal_status draw(drawn *d, const shape *s, fal_error *err) {
    int64_t n = (int64_t)s->length * s->n_sequences;
    size_t count = (size_t)n;
    fal_random random = fal_random_seeded(1, 0);
    d->tokens = fal_alloc(count, sizeof *d->tokens);
    d->positions = fal_alloc(count, sizeof *d->positions);
    d->targets = fal_alloc(count, sizeof *d->targets);
    d->weights = fal_alloc(count, sizeof *d->weights);
    d->nll = fal_alloc(count, sizeof *d->nll);
    d->starts = fal_alloc((size_t)s->n_sequences + 1, sizeof *d->starts);
    if (!d->tokens || !d->positions || !d->targets || !d->weights || !d->nll || !d->starts)
        return fal_fail(err, FAL_E_MEMORY, "a batch of %lld tokens", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        d->tokens[i] = (int32_t)(fal_random_u64(&random) % (uint64_t)s->n_vocab);
        d->targets[i] = (int32_t)(fal_random_u64(&random) % (uint64_t)s->n_vocab);
        d->positions[i] = (int32_t)(i % s->length);
        d->weights[i] = 1;
    }
    for (int i = 0; i <= s->n_sequences; i++)
        d->starts[i] = (int64_t)i * s->length;
    d->batch =
        (fal_batch){n, d->tokens, d->positions, d->targets, d->weights, d->starts, s->n_sequences};
    return FAL_OK;
}

static void discard(drawn *d) {
    fal_free(d->tokens);
    fal_free(d->positions);
    fal_free(d->targets);
    fal_free(d->weights);
    fal_free(d->nll);
    fal_free(d->starts);
}

typedef struct measured {
    fal_trainable *model;
    fal_training_pass *pass;
    fal_optimizer *optimizer;
    drawn drawn;
    double *seconds;    /* [n_steps] of each step */
    double cpu_seconds; /* of all threads, in the step that took least */
    double loss, first_loss;
} measured;

static fal_status step(measured *m, int64_t number, fal_error *err) {
    double norm, n = (double)m->drawn.batch.n_tokens;
    FAL_TRY(fal_optimizer_clear_gradients(m->optimizer, err));
    FAL_TRY(fal_training_pass_run(m->pass, &m->drawn.batch, 1 / n, m->drawn.nll, err));
    FAL_TRY(fal_optimizer_gradient_norm(m->optimizer, &norm, err));
    FAL_TRY(fal_optimizer_update(m->optimizer, 1e-3, norm > 1 ? 1 / norm : 1, number, err));
    m->loss = 0;
    for (int64_t i = 0; i < m->drawn.batch.n_tokens; i++)
        m->loss += (double)m->drawn.nll[i] / n;
    return FAL_OK;
}

/* Of all threads: what a busy neighbour does not change much. */
static double read_cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + 1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Model arithmetic of a token forward and backward: 6 for each weight that is multiplied, and causal attention. */
static double flops_of(const fal_params *p, int length) {
    double d = p->d_model, heads = (double)p->n_heads * p->head_dim;
    double kv = 2.0 * p->n_kv_heads * p->head_dim;
    double weights = p->n_layers * (d * (heads + kv) + heads * d + 2 * d * p->d_ff);
    return 6 * (weights + d * p->n_vocab) + 6.0 * p->n_layers * heads * length;
}

static void print_result(const options *o, const measured *m, const fal_device *device,
                         uint64_t pass_bytes) {
    const fal_params *p = fal_trainable_params(m->model);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double n = (double)m->drawn.batch.n_tokens, best = m->seconds[0],
           median = m->seconds[(o->n_steps - 1) / 2];
    printf(
        "{\"program\": \"falconer\", \"shape\": \"%s\", \"device\": \"%s\", \"kernels\": \"%s\", "
        "\"threads\": %d, \"steps\": %d, \"tokens_per_step\": %.0f, "
        "\"tokens_per_second\": %.1f, \"median_tokens_per_second\": %.1f, "
        "\"tokens_per_cpu_second\": %.1f, "
        "\"gflop_per_second\": %.1f, \"pass_bytes\": %llu, \"peak_bytes\": %lld, "
        "\"first_loss\": %.4f, \"loss\": %.4f}\n",
        o->shape->name, device->backend->name, device->backend->kernel_set(device),
        device->n_threads, o->n_steps, n, n / best, n / median, n / m->cpu_seconds,
        flops_of(p, o->shape->length) * n / best * 1e-9, (unsigned long long)pass_bytes,
        (long long)usage.ru_maxrss * 1024, m->first_loss, m->loss);
}

/* The first step, in which scratch memory is taken, does not count. */
static fal_status measure(const options *o, measured *m, fal_device *device, fal_error *err) {
    fal_params params = params_of(o->shape);
    const fal_arch *arch = fal_arch_by_name("falcon");
    fal_training_pass_options pass_options = {.max_tokens =
                                                  (int64_t)o->shape->length * o->shape->n_sequences,
                                              .recompute = (fal_recompute)o->recompute};
    fal_optimizer_options optimizer_options = {
        .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
    const fal_trainable_options model_options = {.device = device};
    uint64_t pass_bytes;
    FAL_TRY(draw(&m->drawn, o->shape, err));
    FAL_TRY(fal_trainable_open_fresh(&m->model, arch, &params, &model_options, err));
    FAL_TRY(fal_training_pass_open(&m->pass, m->model, device, &pass_options, err));
    FAL_TRY(fal_optimizer_open(&m->optimizer, m->model, device, &optimizer_options, err));
    FAL_TRY(
        fal_training_pass_bytes(arch, &params, &model_options, &pass_options, &pass_bytes, err));
    m->seconds = fal_alloc((size_t)o->n_steps, sizeof *m->seconds);
    if (!m->seconds) return fal_fail_memory(err, 0);
    for (int i = 0; i <= o->n_steps; i++) {
        double begin = fal_seconds(), cpu_begin = read_cpu_seconds();
        FAL_TRY(step(m, i + 1, err));
        double cpu_seconds = read_cpu_seconds() - cpu_begin;
        if (i == 0) {
            m->first_loss = m->loss;
            continue;
        }
        m->seconds[i - 1] = fal_seconds() - begin;
        if (i == 1 || cpu_seconds < m->cpu_seconds) m->cpu_seconds = cpu_seconds;
    }
    qsort(m->seconds, (size_t)o->n_steps, sizeof *m->seconds, compare_seconds);
    print_result(o, m, device, pass_bytes);
    return FAL_OK;
}

int main(int argc, char **argv) {
    options o = {.shape = &shapes[0], .n_steps = 5};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        }
        if (i + 1 < argc && read_option(&o, argv[i], argv[i + 1])) continue;
        fprintf(stderr, "falconer-bench-training: '%s' is no option or value; see --help\n",
                argv[i]);
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_error err = {0};
    fal_device *device = NULL;
    measured m = {0};
    fal_status status = fal_device_open(&device, o.device, o.n_threads, &err);
    if (status == FAL_OK) status = measure(&o, &m, device, &err);
    if (status != FAL_OK) fprintf(stderr, "falconer-bench-training: %s\n", err.message);
    fal_free(m.seconds);
    fal_optimizer_close(m.optimizer);
    fal_training_pass_close(m.pass);
    fal_trainable_close(m.model);
    fal_device_close(device);
    discard(&m.drawn);
    return fal_status_exit_code(status);
}
