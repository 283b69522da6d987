/* falconer-bench: makes a synthetic model (or takes a file), and prints as JSON how fast it computes, how fast it reads
 * its weights against what this machine's memory gives, how much memory it takes and how long it takes to open. */
#include <falconer/version.h>

#include "base/cpu.h"
#include "measurements.h"
#include "synthetic_model.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef struct options {
    const char *shape, *type, *file, *device;
    int layers, threads;
    bool keep;
    measuring_plan plan;
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
        printf("  %-13s %s\n", row->name, row->meaning);
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
        {"--shape",      &o->shape,        NULL,                NULL,     "whose sizes; falcon-7b"                          },
        {"--layers",     NULL,             &o->layers,          NULL,     "how many of its layers; 4, 0 for all"            },
        {"--type",       &o->type,         NULL,                NULL,     "number type or mix; q4_0"                        },
        {"--file",       &o->file,         NULL,                NULL,     "measure this file, or make it if it is not there"},
        {"--keep",       NULL,             NULL,                &o->keep, "keep the file that was made"                     },
        {"--prompt",     NULL,             &o->plan.prompt,     NULL,     "tokens of the prompt; 512"                       },
        {"--generate",   NULL,             &o->plan.generate,   NULL,     "tokens to generate; 32"                          },
        {"--depth",      NULL,             &o->plan.depth,      NULL,     "tokens before the second generation; 2048"       },
        {"--batch",      NULL,             &o->plan.batch,      NULL,
         "up to so many sequences in one step; 0, at most 256"                                                              },
        {"--neighbours", NULL,             &o->plan.neighbours, NULL,
         "threads of others to generate beside; 0"                                                                          },
        {"--kv-type",    &o->plan.kv_type, NULL,                NULL,     "number type of the cache: f16, q8_0, f32"        },
        {"--repeat",     NULL,             &o->plan.repeat,     NULL,     "how often; the best counts; 3"                   },
        {"--threads",    NULL,             &o->threads,         NULL,     "0 for the usable cores"                          },
        {"--device",     &o->device,       NULL,                NULL,     "cpu or ref"                                      },
        {NULL,           NULL,             NULL,                NULL,     NULL                                              },
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
    if (o->plan.batch > 1 << MOST_BATCHES || o->plan.repeat < 1) {
        fprintf(stderr, "falconer-bench: --batch is at most %d, --repeat at least 1\n",
                1 << MOST_BATCHES);
        return fal_status_exit_code(FAL_E_ARGUMENT);
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

/* {"2": tokens per second, "4": ...} of all sequences in a step. */
static json_t *batches_of(const measurements *found) {
    json_t *batches = json_object();
    for (int i = 0; i < MOST_BATCHES && found->batch_rates[i] > 0; i++) {
        char count[16];
        snprintf(count, sizeof count, "%d", 2 << i);
        json_object_set_new(batches, count, json_real(rounded(found->batch_rates[i], 0.01)));
    }
    return batches;
}

static json_t *describe_speed(const measuring_plan *plan, const measurements *found) {
    return json_pack(
        "{s:i, s:f, s:i, s:f, s:i, s:f, s:f, s:o, s:i, s:f, s:f}", "prompt_tokens", plan->prompt,
        "prompt_tokens_per_second", rounded(found->prompt_rate, 0.01), "generated_tokens",
        plan->generate, "generated_tokens_per_second", rounded(found->generate_rate, 0.01), "depth",
        plan->depth, "prompt_tokens_per_second_at_depth", rounded(found->deep_prompt_rate, 0.01),
        "generated_tokens_per_second_at_depth", rounded(found->deep_generate_rate, 0.01),
        "tokens_per_second_by_sequences", batches_of(found), "neighbours", plan->neighbours,
        "generated_tokens_per_second_beside_neighbours", rounded(found->neighbour_rate, 0.01),
        "share_of_cores_beside_neighbours", rounded(found->neighbour_share, 0.001));
}

static json_t *describe_memory(const options *o, const measurements *found,
                               const fal_model *model) {
    double weight_rate = found->generate_rate * weight_bytes_per_token(fal_model_gguf(model));
    double share = found->read_rate > 0 ? weight_rate / found->read_rate : 0.0;
    json_int_t cache = (json_int_t)fal_model_kv_bytes(model, 8192, o->plan.kv_type);
    return json_pack("{s:f, s:f, s:f, s:I, s:I, s:I}", "weight_bytes_per_second",
                     rounded(weight_rate, 1e6), "read_bytes_per_second",
                     rounded(found->read_rate, 1e6), "share_of_bandwidth", rounded(share, 0.001),
                     "peak_bytes", (json_int_t)memory_field("VmHWM"), "own_bytes",
                     (json_int_t)found->own_bytes, "kv_bytes_at_8192", cache);
}

static void print_result(const options *o, const measurements *found, double load_seconds,
                         const fal_model *model) {
    const fal_model_info *info = fal_model_info_get(model);
    json_t *out = json_pack(
        "{s:s, s:o, s:{s:s, s:i, s:I, s:I, s:o}, s:i, s:s}", "version", FAL_VERSION, "machine",
        describe_machine(info), "model", "name", info->name, "n_layers", info->n_layers,
        "n_parameters", (json_int_t)info->n_parameters, "weight_bytes",
        (json_int_t)info->weight_bytes, "tensors_by_type", types_by_count(fal_model_gguf(model)),
        "n_threads", info->n_threads, "device", info->device);
    json_object_set_new(out, "load_seconds", json_real(rounded(load_seconds, 1e-4)));
    json_object_set_new(out, "first_token_seconds",
                        json_real(rounded(load_seconds + found->first_token_seconds, 1e-4)));
    json_object_set_new(out, "speed", describe_speed(&o->plan, found));
    json_object_set_new(out, "memory", describe_memory(o, found, model));
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(out);
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

static fal_status open_and_measure(const options *o, const char *path, fal_error *err) {
    const fal_model_options model_options = {.n_threads = o->threads, .device = o->device};
    fal_model *model;
    measurements found;
    double start = fal_seconds();
    FAL_TRY(fal_model_open(&model, path, &model_options, err));
    double load_seconds = fal_seconds() - start;
    fal_status status = measure_model(&found, model, &o->plan, err);
    if (status == FAL_OK) print_result(o, &found, load_seconds, model);
    fal_model_close(model);
    return status;
}

int main(int argc, char **argv) {
    options o = {.shape = "falcon-7b", .type = "q4_0", .layers = 4};
    o.plan = (measuring_plan){.prompt = 512, .generate = 32, .depth = 2048, .repeat = 3};
    int code = read_options(&o, argc, argv);
    if (code >= 0) return code;
    fal_error err = {FAL_OK, ""};
    char path[1000] = "", folder[1000] = "";
    bool made = false;
    fal_status status = provide_file(&o, path, sizeof path, folder, &made, &err);
    if (status == FAL_OK) status = open_and_measure(&o, path, &err);
    if (made && !o.keep) unlink(path);
    if (*folder && !o.keep) rmdir(folder);
    if (status == FAL_OK && made && o.keep) fprintf(stderr, "kept %s\n", path);
    if (status != FAL_OK) fprintf(stderr, "falconer-bench: %s\n", err.message);
    return fal_status_exit_code(status);
}
