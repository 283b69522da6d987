/* kernelcheck: every inner kernel of every set against portable, and portable against double precision.
 *
 * Arguments end at, or begin behind, an unreadable page. Options: --seed N, --filter NAME (a part of a kernel's name),
 * --brief (fewer sizes, for emulated processors), --bench. The run depends on them and the seed alone. */
#include "kernelcheck.h"

#include "base/half.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PRINTED_FAILURES = 5 /* of each kernel and set */
};

static const struct {
    const char *name;
    size_t offset;
    fal_kernelcheck_part *check;
} rows[] = {

#define FAL_KERNEL(name, signature, meaning) \
    {#name, offsetof(fal_kernel_set, name), check_##signature},
#include "compute/cpu/kernels.def"
#undef FAL_KERNEL
};

enum {
    N_ROWS = sizeof rows / sizeof rows[0]
};

/* What the handler of faults prints. */
static fal_kernelcheck *current;

void kernelcheck_case(fal_kernelcheck *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->what, sizeof c->what, format, arguments);
    va_end(arguments);
    c->n_cases++;
}

void kernelcheck_fail(fal_kernelcheck *c, const char *format, ...) {
    if (++c->n_failures > PRINTED_FAILURES) return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED %s %s, %s: ", c->kernel, c->set->name, c->what);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

void kernelcheck_margins(fal_kernelcheck *c, const fal_guarded *g, const char *name) {
    if (!fal_guarded_is_intact(g)) kernelcheck_fail(c, "wrote beside %s", name);
}

bool kernelcheck_is_near(double actual, double expected, double bound) {
    if (isnan(actual) || isnan(expected)) return isnan(actual) && isnan(expected);
    return actual == expected || fabs(actual - expected) <= bound;
}

void kernelcheck_find(const fal_kernelcheck *c, const fal_kernel_set *set, void *out) {
    memcpy(out, (const char *)set + c->offset, sizeof(fal_map_kernel *));
}

const char *kernelcheck_input_name(fal_inputs inputs) {
    static const char *const names[FAL_INPUTS] = {
        "noise", "spikes", "maximum", "minimum", "alternating", "denormal", "signed zero"};
    return names[inputs];
}

static float input(fal_kernelcheck *c, fal_inputs inputs, int64_t i) {
    float noise = (float)fal_random_normal(&c->random);
    uint64_t bits = fal_random_u64(&c->random);
    const float most = 1000.0f;
    switch (inputs) {
    case FAL_INPUT_SPIKES: return bits % 61 == 0 ? 1000.0f * noise : noise;
    case FAL_INPUT_MAXIMUM: return most;
    case FAL_INPUT_MINIMUM: return -most;
    case FAL_INPUT_ALTERNATING: return i & 1 ? most : -most;
    case FAL_INPUT_DENORMAL: return fal_f32_from_bits((uint32_t)(bits & 0x807fffffu));
    case FAL_INPUT_SIGNED_ZERO: return bits & 1 ? 0.0f : -0.0f;
    case FAL_INPUT_NOISE:
    case FAL_INPUTS: break;
    }
    return noise;
}

void kernelcheck_fill(fal_kernelcheck *c, fal_inputs inputs, float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        x[i] = input(c, inputs, i);
    }
}

/* Says which case touched the unreadable page. */
static void on_fault(int number) {
    char line[320];
    (void)number;
    int n = snprintf(line, sizeof line, "FAILED %s %s, %s: touched memory that is not its own\n",
                     current ? current->kernel : "?", current ? current->set->name : "?",
                     current ? current->what : "?");
    if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0) _exit(2);
    _exit(1);
}

/* Failures of one kernel in one set. */
static long check_row(int row, const fal_kernel_set *set, uint64_t seed, bool is_brief,
                      long *n_cases) {
    fal_kernelcheck c = {.kernel = rows[row].name,
                         .offset = rows[row].offset,
                         .set = set,
                         .seed = seed,
                         .is_brief = is_brief,
                         .random = fal_random_seeded(seed, (uint64_t)row)};
    current = &c;
    rows[row].check(&c);
    current = NULL;
    if (c.n_failures)
        printf("%s %s: %ld failures in %ld cases\n", c.kernel, set->name, c.n_failures, c.n_cases);
    *n_cases += c.n_cases;
    return c.n_failures;
}

/* Kernels that a set lacks, whether the processor could run it or not. */
static long count_missing(const fal_kernel_set *set) {
    long n_missing = 0;
    for (int row = 0; row < N_ROWS; row++) {
        fal_map_kernel *kernel;
        memcpy(&kernel, (const char *)set + rows[row].offset, sizeof kernel);
        if (kernel) continue;
        printf("FAILED %s %s: the set lacks it\n", rows[row].name, set->name);
        n_missing++;
    }
    return n_missing;
}

/* The sets of the levels up to `most`, from portable up; tells which of the build's sets lie above it. */
static int find_sets(fal_cpu_level most, const fal_kernel_set **sets, bool is_told) {
    int n = 1;
    const fal_kernel_set *last = sets[0] = fal_kernel_set_for(FAL_CPU_PORTABLE);
    for (int level = FAL_CPU_PORTABLE + 1; level < FAL_CPU_LEVELS; level++) {
        const fal_kernel_set *set = fal_kernel_set_for((fal_cpu_level)level);
        if (set == last) continue; /* none of its own */
        last = set;
        if (level <= (int)most)
            sets[n++] = set;
        else if (is_told)
            printf("kernelcheck: set %s skipped, it is above level %s\n", set->name,
                   fal_cpu_level_name(most));
    }
    return n;
}

static int usage(void) {
    fprintf(stderr, "usage: kernelcheck [--seed N] [--filter NAME] [--brief] [--bench]\n");
    return 2;
}

int main(int argc, char **argv) {
    uint64_t seed = 1023;
    const char *filter = "";
    bool is_bench = false, is_brief = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--bench") == 0)
            is_bench = true;
        else if (strcmp(argv[i], "--brief") == 0)
            is_brief = true;
        else if (strcmp(argv[i], "--seed") == 0 && has_value)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--filter") == 0 && has_value)
            filter = argv[++i];
        else
            return usage();
    }
    const fal_kernel_set *sets[FAL_CPU_LEVELS];
    int n_sets = find_sets(fal_cpu_level_get(), sets, !is_bench);
    if (is_bench) {
        kernelcheck_bench(sets, n_sets, filter);
        return 0;
    }
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    printf("kernelcheck: seed %llu, sets:", (unsigned long long)seed);
    for (int i = 0; i < n_sets; i++)
        printf("%s %s", i ? "," : "", sets[i]->name);
    printf("\n");
    fflush(stdout);
    long n_cases = 0, n_failures = 0, n_kernels = 0;
    for (int level = 0; level < FAL_CPU_LEVELS; level++)
        n_failures += count_missing(fal_kernel_set_for((fal_cpu_level)level));
    if (n_failures) return 1;
    for (int row = 0; row < N_ROWS; row++) {
        if (!strstr(rows[row].name, filter)) continue;
        n_kernels++;
        for (int i = 0; i < n_sets; i++) {
            n_failures += check_row(row, sets[i], seed, is_brief, &n_cases);
        }
    }
    printf("%ld kernels, %ld cases, %ld failures\n", n_kernels, n_cases, n_failures);
    return n_failures || n_kernels == 0 ? 1 : 0;
}
