/* falconer-bench: makes a synthetic model (or takes a file), and prints as JSON how fast it computes, how fast it reads
 * its weights against what this machine's memory gives, how much memory it takes and how long it takes to open. */
#include <falconer/session.h>
#include <falconer/version.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/random.h"
#include "base/thread.h"
#include "synthetic_model.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef struct options {
    const char *shape, *type, *file, *device;
    int layers, prompt, generate, depth, threads, repeat;
    bool keep;
} options;

typedef struct option_row {
    const char *name;
    const char **text;
    int *number;
    bool *flag;
    const char *meaning;
} option_row;

static void print_help(const option_row *rows) {
    printf("Usage: falconer-bench [options]\n"
           "Measures a synthetic model, or the GGUF file given, and prints JSON.\n\n");
    for (const option_row *row = rows; row->name; row++)
        printf("  %-12s %s\n", row->name, row->meaning);
    printf("\nShapes:");
    for (int i = 0; synthetic_shape_at(i); i++)
        printf(" %s", synthetic_shape_at(i)->name);
    printf("\nTypes:");
    for (int i = 0; synthetic_recipe_at(i); i++)
        printf(" %s", synthetic_recipe_at(i));
    printf("\n");
}

/* True if the value was taken from text. */
static bool store(const option_row *row, const char *text) {
    char *end;
    if (row->text) {
        *row->text = text;
        return true;
    }
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < 0 || value > 1 << 20) return false;
    *row->number = (int)value;
    return true;
}

/* Fails with the exit code of a wrong argument; 0 after help; -1: go on. */
static int read_options(options *o, int argc, char **argv) {
    const option_row rows[] = {
        {"--shape",    &o->shape,  NULL,         NULL,     "whose sizes; falcon-7b"                          },
        {"--layers",   NULL,       &o->layers,   NULL,     "how many of its layers; 4, 0 for all"            },
        {"--type",     &o->type,   NULL,         NULL,     "number type or mix; q4_0"                        },
        {"--file",     &o->file,   NULL,         NULL,     "measure this file, or make it if it is not there"},
        {"--keep",     NULL,       NULL,         &o->keep, "keep the file that was made"                     },
        {"--prompt",   NULL,       &o->prompt,   NULL,     "tokens of the prompt; 512"                       },
        {"--generate", NULL,       &o->generate, NULL,     "tokens to generate; 32"                          },
        {"--depth",    NULL,       &o->depth,    NULL,     "tokens before the second generation; 2048"       },
        {"--repeat",   NULL,       &o->repeat,   NULL,     "how often; the best counts; 3"                   },
        {"--threads",  NULL,       &o->threads,  NULL,     "0 for the usable cores"                          },
        {"--device",   &o->device, NULL,         NULL,     "cpu or ref"                                      },
        {NULL,         NULL,       NULL,         NULL,     NULL                                              },
    };
    for (int i = 1; i < argc; i++) {
        const option_row *row = rows;
        while (row->name && strcmp(row->name, argv[i]) != 0)
            row++;
        if (strcmp(argv[i], "--help") == 0) {
            print_help(rows);
            return 0;
        }
        bool good = row->name && row->flag;
        if (good) *row->flag = true;
        if (row->name && !row->flag && i + 1 < argc) good = store(row, argv[++i]);
        if (!good) {
            fprintf(stderr, "falconer-bench: '%s' is no option or value; see --help\n", argv[i]);
            return fal_status_exit_code(FAL_E_ARGUMENT);
        }
    }
    return -1;
}

/* A field of a file of the kernel's: "VmHWM:", "model name". Empty if there is none. */
static void read_field(const char *path, const char *field, char *out, size_t size) {
    char line[512];
    FILE *file = fopen(path, "r");
    out[0] = '\0';
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, field, strlen(field)) != 0) continue;
        const char *value = strchr(line, ':');
        if (!value) continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (file) fclose(file);
}

static double memory_field(const char *field) {
    char text[64];
    read_field("/proc/self/status", field, text, sizeof text);
    return strtod(text, NULL) * 1024;
}

typedef struct reading {
    const fal_gguf *file;
    atomic_uint_least64_t sum;
} reading;

/* Eight sums, so that additions do not wait for each other and only memory is waited for. */
static void read_part(void *argument, int thread, int n_threads) {
    reading *r = argument;
    uint64_t sums[8] = {0};
    for (int i = 0; i < fal_gguf_tensor_count(r->file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(r->file, i);
        size_t lines = (size_t)(t->bytes / 64), begin = lines * (size_t)thread / (size_t)n_threads;
        size_t end = lines * (size_t)(thread + 1) / (size_t)n_threads;
        const char *at = (const char *)t->data + begin * 64;
        for (size_t line = begin; line < end; line++, at += 64) {
            uint64_t words[8];
            memcpy(words, at, sizeof words);
            for (int j = 0; j < 8; j++)
                sums[j] += words[j];
        }
    }
    for (int j = 0; j < 8; j++)
        atomic_fetch_add(&r->sum, sums[j]);
}

/* Bytes per second of plainly reading all weights where they lie, with as many threads. *best is raised if this time it
 * is more: neighbours take bandwidth away, so it is asked before and after. */
static fal_status measure_bandwidth(const fal_model *model, double *best, fal_error *err) {
    fal_pool *pool;
    const fal_gguf *file = fal_model_gguf(model);
    reading r = {.file = file};
    double bytes = 0;
    for (int i = 0; i < fal_gguf_tensor_count(file); i++)
        bytes += (double)fal_gguf_tensor_at(file, i)->bytes;
    FAL_TRY(fal_pool_open(&pool, fal_model_info_get(model)->n_threads, err));
    for (int i = 0; i < 8; i++) {
        double start = fal_seconds();
        fal_pool_run(pool, read_part, &r);
        double rate = bytes / (fal_seconds() - start);
        if (i > 0 && rate > *best) *best = rate; /* the first run brings the file into memory */
    }
    fal_pool_close(pool);
    return FAL_OK;
}

/* Bytes of weights that one generated token needs: all but the rows of the embedding that were not asked for. */
static double bytes_per_token(const fal_gguf *file) {
    bool has_output = fal_gguf_tensor_find(file, "output.weight") != NULL;
    double bytes = 0;
    for (int i = 0; i < fal_gguf_tensor_count(file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(file, i);
        bool is_embedding = strcmp(t->name, "token_embd.weight") == 0;
        if (!is_embedding || !has_output) bytes += (double)t->bytes;
    }
    return bytes;
}

typedef struct bench {
    const options *options;
    fal_session *session;
    int32_t *tokens; /* random ids, as many as the longest run needs */
    double load_seconds, bandwidth;
    double prompt_rate, generate_rate, depth_rate; /* tokens per second */
} bench;

/* Best rate of feeding n tokens at once to an empty timeline. */
static fal_status measure_prompt(bench *b, double *rate, fal_error *err) {
    size_t n = (size_t)b->options->prompt;
    for (int i = 0; n > 0 && i < b->options->repeat; i++) {
        fal_session_rewind(b->session, 0);
        double start = fal_seconds();
        FAL_TRY(fal_session_feed(b->session, b->tokens, n, NULL, err));
        double this_rate = (double)n / (fal_seconds() - start);
        if (this_rate > *rate) *rate = this_rate;
    }
    return FAL_OK;
}

/* Best rate of feeding token after token behind `depth` tokens. */
static fal_status measure_generation(bench *b, int depth, double *rate, fal_error *err) {
    int n = b->options->generate;
    fal_session_rewind(b->session, 0);
    if (depth > 0) FAL_TRY(fal_session_feed(b->session, b->tokens, (size_t)depth, NULL, err));
    for (int i = 0; n > 0 && i < b->options->repeat; i++) {
        fal_session_rewind(b->session, (size_t)depth);
        double start = fal_seconds();
        for (int j = 0; j < n; j++)
            FAL_TRY(fal_session_feed(b->session, &b->tokens[depth + j], 1, NULL, err));
        double this_rate = (double)n / (fal_seconds() - start);
        if (this_rate > *rate) *rate = this_rate;
    }
    return FAL_OK;
}

static json_t *describe_machine(const fal_model_info *info) {
    char processor[256];
    struct utsname system = {0};
    read_field("/proc/cpuinfo", "model name", processor, sizeof processor);
    uname(&system);
    return json_pack("{s:s, s:i, s:s, s:s, s:s}", "processor", processor, "usable_cores",
                     fal_usable_cores(), "kernel_set", info->kernel_set, "system", system.sysname,
                     "architecture", system.machine);
}

static json_t *types_by_count(const fal_gguf *file) {
    json_t *types = json_object();
    for (int i = 0; i < fal_gguf_tensor_count(file); i++) {
        const char *name = fal_gguf_tensor_at(file, i)->type_name;
        json_int_t n = json_integer_value(json_object_get(types, name));
        json_object_set_new(types, name, json_integer(n + 1));
    }
    return types;
}

static double rounded(double value, double unit) {
    return (double)(int64_t)(value / unit + 0.5) * unit;
}

static void print_result(const bench *b, const fal_model *model) {
    const fal_model_info *info = fal_model_info_get(model);
    const options *o = b->options;
    double weight_rate = b->generate_rate * bytes_per_token(fal_model_gguf(model));
    json_t *out = json_pack(
        "{s:s, s:o, s:{s:s, s:i, s:I, s:I, s:o}, s:i, s:s}", "version", FAL_VERSION, "machine",
        describe_machine(info), "model", "name", info->name, "n_layers", info->n_layers,
        "n_parameters", (json_int_t)info->n_parameters, "weight_bytes",
        (json_int_t)info->weight_bytes, "tensors_by_type", types_by_count(fal_model_gguf(model)),
        "n_threads", info->n_threads, "device", info->device);
    json_t *speed = json_pack("{s:i, s:f, s:i, s:f, s:i, s:f}", "prompt_tokens", o->prompt,
                              "prompt_tokens_per_second", rounded(b->prompt_rate, 0.01),
                              "generated_tokens", o->generate, "generated_tokens_per_second",
                              rounded(b->generate_rate, 0.01), "depth", o->depth,
                              "generated_tokens_per_second_at_depth", rounded(b->depth_rate, 0.01));
    json_t *memory = json_pack(
        "{s:f, s:f, s:f, s:I, s:I, s:I}", "weight_bytes_per_second", rounded(weight_rate, 1e6),
        "read_bytes_per_second", rounded(b->bandwidth, 1e6), "share_of_bandwidth",
        b->bandwidth > 0 ? rounded(weight_rate / b->bandwidth, 0.001) : 0.0, "peak_bytes",
        (json_int_t)memory_field("VmHWM"), "own_bytes", (json_int_t)memory_field("RssAnon"),
        "kv_bytes_at_8192", (json_int_t)fal_model_kv_bytes(model, 8192, NULL));
    json_object_set_new(out, "load_seconds", json_real(rounded(b->load_seconds, 1e-4)));
    json_object_set_new(out, "speed", speed);
    json_object_set_new(out, "memory", memory);
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(out);
}

static fal_status measure(bench *b, fal_model *model, fal_error *err) {
    const options *o = b->options;
    size_t n = (size_t)(o->prompt > o->depth ? o->prompt : o->depth) + (size_t)o->generate + 1;
    fal_status status = FAL_OK;
    fal_random random = fal_random_seeded(2, 0);
    int n_vocab = fal_model_info_get(model)->n_vocab;
    b->tokens = fal_alloc(n, sizeof *b->tokens);
    if (!b->tokens) FAL_TRY_OUT(fal_fail_memory(err, n));
    for (size_t i = 0; i < n; i++)
        b->tokens[i] = (int32_t)(fal_random_u64(&random) % (uint64_t)n_vocab);
    FAL_TRY_OUT(measure_bandwidth(model, &b->bandwidth, err));
    fal_session_options session = {.n_context = (int)n};
    FAL_TRY_OUT(fal_session_open(&b->session, model, &session, err));
    FAL_TRY_OUT(measure_prompt(b, &b->prompt_rate, err));
    FAL_TRY_OUT(measure_generation(b, 0, &b->generate_rate, err));
    if (o->depth > 0) FAL_TRY_OUT(measure_generation(b, o->depth, &b->depth_rate, err));
    FAL_TRY_OUT(measure_bandwidth(model, &b->bandwidth, err));
    print_result(b, model);
out:
    fal_session_close(b->session);
    fal_free(b->tokens);
    return status;
}

/* Where the model is: the file given, or one in a fresh folder, whose path is then in `folder`. */
static fal_status provide_file(const options *o, char *path, size_t size, char *folder, bool *made,
                               fal_error *err) {
    const synthetic_shape *shape = synthetic_shape_by_name(o->shape);
    const char *above = getenv("TMPDIR");
    if (!shape) return fal_fail(err, FAL_E_ARGUMENT, "no shape is called '%s'", o->shape);
    if (o->file) {
        snprintf(path, size, "%s", o->file);
        if (access(path, F_OK) == 0) return FAL_OK;
    } else {
        snprintf(folder, size, "%s/falconer-bench-XXXXXX", above && *above ? above : "/tmp");
        if (!mkdtemp(folder)) return fal_fail(err, FAL_E_IO, "cannot make the folder '%s'", folder);
        snprintf(path, size, "%.900s/model.gguf", folder);
    }
    *made = true;
    fprintf(stderr, "making %s\n", path);
    return synthetic_model_write(path, shape, o->layers, o->type, err);
}

int main(int argc, char **argv) {
    options o = {.shape = "falcon-7b", .type = "q4_0", .layers = 4, .prompt = 512, .generate = 32};
    o.depth = 2048;
    o.repeat = 3;
    int code = read_options(&o, argc, argv);
    if (code >= 0) return code;
    bench b = {.options = &o};
    fal_error err = {FAL_OK, ""};
    fal_model *model = NULL;
    char path[1000] = "", folder[1000] = "";
    bool made = false;
    fal_status status = provide_file(&o, path, sizeof path, folder, &made, &err);
    if (status == FAL_OK) {
        fal_model_options model_options = {.n_threads = o.threads, .device = o.device};
        double start = fal_seconds();
        status = fal_model_open(&model, path, &model_options, &err);
        b.load_seconds = fal_seconds() - start;
    }
    if (status == FAL_OK) status = measure(&b, model, &err);
    fal_model_close(model);
    if (made && !o.keep) unlink(path);
    if (*folder && !o.keep) rmdir(folder);
    if (status == FAL_OK && made && o.keep) fprintf(stderr, "kept %s\n", path);
    if (status != FAL_OK) fprintf(stderr, "falconer-bench: %s\n", err.message);
    return fal_status_exit_code(status);
}
