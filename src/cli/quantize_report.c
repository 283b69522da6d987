/* Body of quantize_report.h. */
#include "cli/quantize_report.h"

#include "base/file.h"
#include "cli/json_output.h"
#include "cli/terminal.h"
#include "convert/metadata.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_TYPES = 64,
    JSON_DIGITS = 6
};

/* One class of tensors in a plan: what was asked, what is used. */
typedef struct class_types {
    int n_tensors;
    int wanted[MAX_TYPES], used[MAX_TYPES]; /* tensors by index of type */
} class_types;

static int index_of(const fal_type *type) {
    for (int i = 0; i < fal_type_count() && i < MAX_TYPES; i++) {
        if (fal_type_at(i) == type) return i;
    }
    return 0;
}

static class_types count_class(const fal_source *s, const fal_plan_entry *entries,
                               fal_tensor_class class) {
    class_types c = {0};
    for (int i = 0; i < s->n_tensors; i++) {
        if (entries[i].class != class) continue;
        c.n_tensors++;
        c.wanted[index_of(entries[i].wanted)]++;
        c.used[index_of(entries[i].used)]++;
    }
    return c;
}

/* "16 q4_k, 14 q5_k" */
static void list_types(const int *counts, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < fal_type_count() && i < MAX_TYPES && used < size; i++) {
        if (counts[i] == 0) continue;
        int n = snprintf(out + used, size - used, "%s%d %s", used ? ", " : "", counts[i],
                         fal_type_at(i)->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static double bits(uint64_t bytes, int64_t n) {
    return n > 0 ? 8 * (double)bytes / (double)n : 0;
}

static void print_plan(const fal_source *s, const fal_quantize_output *output,
                       const fal_quantize_report *r) {
    const fal_plan_summary *sum = &r->summary;
    char size[32];
    fal_format_bytes(size, sizeof size, (double)r->file_bytes);
    printf("%s: %llu bytes (%s), %.3f bits per weight", output->plan.mix->name,
           (unsigned long long)r->file_bytes, size, bits(sum->bytes, sum->n_parameters));
    if (r->n_parts > 1) printf(", %d files", r->n_parts);
    printf("\n  %-14s %-34s %s\n", "tensors", "asked", "used");
    for (int class = FAL_CLASS_TOKEN_EMBD; class < FAL_CLASS_COUNT; class ++) {
        class_types c = count_class(s, r->entries, (fal_tensor_class) class);
        if (c.n_tensors == 0) continue;
        char wanted[128], used[128];
        list_types(c.wanted, wanted, sizeof wanted);
        list_types(c.used, used, sizeof used);
        printf("  %-14s %-34s %s\n", fal_tensor_class_name((fal_tensor_class) class), wanted, used);
    }
    if (sum->n_fallback_tensors > 0)
        printf(
            "  fallback: %d of %d matrices (%.1f%% of the weights) get another type than asked; %d (%.1f%%) are true "
            "K-quants; %.3f bits per weight instead of %.3f\n",
            sum->n_fallback_tensors, sum->n_matrices,
            share(sum->n_fallback_parameters, sum->n_matrix_parameters), sum->n_k_tensors,
            share(sum->n_k_parameters, sum->n_matrix_parameters),
            bits(sum->bytes, sum->n_parameters), bits(sum->wanted_bytes, sum->n_parameters));
}

static json_t *json_types(const int *counts) {
    json_t *o = json_object();
    for (int i = 0; i < fal_type_count() && i < MAX_TYPES; i++) {
        if (counts[i]) json_object_set_new(o, fal_type_at(i)->name, json_integer(counts[i]));
    }
    return o;
}

static json_t *json_plan(const fal_source *s, const fal_quantize_output *output,
                         const fal_quantize_report *r) {
    const fal_plan_summary *sum = &r->summary;
    json_t *o = json_object(), *classes = json_object();
    json_object_set_new(o, "type", json_string(output->plan.mix->name));
    json_object_set_new(o, "path", fal_json_text(output->path, strlen(output->path)));
    json_object_set_new(o, "recipe",
                        json_string(output->plan.recipe == FAL_RECIPE_2023 ? "2023" : "current"));
    json_object_set_new(o, "file_bytes", json_integer((json_int_t)r->file_bytes));
    json_object_set_new(o, "data_bytes", json_integer((json_int_t)sum->bytes));
    json_object_set_new(o, "parts", json_integer(r->n_parts));
    json_object_set_new(o, "parameters", json_integer(sum->n_parameters));
    json_object_set_new(o, "bits_per_weight", json_real(bits(sum->bytes, sum->n_parameters)));
    json_object_set_new(o, "bits_per_weight_without_fallback",
                        json_real(bits(sum->wanted_bytes, sum->n_parameters)));
    json_object_set_new(o, "matrices", json_integer(sum->n_matrices));
    json_object_set_new(o, "k_matrices", json_integer(sum->n_k_tensors));
    json_object_set_new(o, "fallback_matrices", json_integer(sum->n_fallback_tensors));
    json_object_set_new(o, "k_share",
                        json_real(share(sum->n_k_parameters, sum->n_matrix_parameters) / 100));
    for (int class = FAL_CLASS_TOKEN_EMBD; class < FAL_CLASS_COUNT; class ++) {
        class_types c = count_class(s, r->entries, (fal_tensor_class) class);
        if (c.n_tensors == 0) continue;
        json_t *row = json_object();
        json_object_set_new(row, "wanted", json_types(c.wanted));
        json_object_set_new(row, "used", json_types(c.used));
        json_object_set_new(classes, fal_tensor_class_name((fal_tensor_class) class), row);
    }
    json_object_set_new(o, "classes", classes);
    return o;
}

fal_status fal_quantize_print(fal_source *source, fal_quantize_output *outputs, size_t n_outputs,
                              const fal_quantize_options *options, bool as_json, bool quiet,
                              fal_error *err) {
    json_t *plans = json_array();
    fal_status status = FAL_OK;
    for (size_t i = 0; i < n_outputs && status == FAL_OK; i++) {
        fal_quantize_report report;
        status = fal_quantize_plan(&report, source, &outputs[i], options, err);
        if (status != FAL_OK) break;
        if (as_json) json_array_append_new(plans, json_plan(source, &outputs[i], &report));
        if (!as_json && !quiet) print_plan(source, &outputs[i], &report);
        fal_quantize_report_release(&report);
    }
    json_t *whole = json_object();
    json_object_set(whole, "outputs", plans);
    if (as_json && status == FAL_OK) {
        status = fal_json_print(whole, JSON_DIGITS, err);
    } else {
        json_decref(whole);
    }
    json_decref(plans);
    return status;
}

void fal_quantize_stem(const char *source, char *out, size_t size) {
    static const char *const ends[] = {".gguf", ".f32",  ".f16", ".bf16", ".F32",
                                       ".F16",  ".BF16", "-f16", "-bf16", "-f32"};
    size_t length = strlen(source);
    if (length >= 12 && strcmp(source + length - 12, "/config.json") == 0) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%.*s", (int)(length - 12), source);
        fal_folder_name(folder, out, size);
        return;
    }
    fal_folder_name(source, out, size);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t n = strlen(out), k = strlen(ends[i]);
        if (n > k && strcmp(out + n - k, ends[i]) == 0) out[n - k] = '\0';
    }
}
