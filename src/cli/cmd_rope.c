/* rope: the methods of context extension side by side. The formulas are model/rope.c's. */
#include "base/alloc.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/text_output.h"
#include "model/rope.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double two_pi = 6.28318530717958647692;

typedef struct rope_options {
    int head_dim, trained_context, context_now;
    double base, factor;
    const char *method, *svg;
    bool full, force, json;
} rope_options;

#define AT(member) offsetof(rope_options, member)

static const fal_option rows[] = {
    FAL_ROW_COUNT("head-dim", 0, AT(head_dim), "N", 4, 4096, "dimensions of a head (64)"),
    FAL_ROW_NUMBER("base", 0, AT(base), "B", 1.0001, 1e15, "base of the frequencies (10000)"),
    FAL_ROW_NUMBER("factor", 0, AT(factor), "S", 1, 1024,
                   "times the trained context is extended (4)"),
    FAL_ROW_COUNT("trained-context", 0, AT(trained_context), "N", 1, INT_MAX,
                  "tokens of training (2048)"),
    FAL_ROW_COUNT("context-now", 0, AT(context_now), "N", 1, INT_MAX,
                  "length at hand, for dynamic methods (the whole)"),
    FAL_ROW_CHOICE("method", 0, AT(method), "NAME", fal_method_choice, "only this method"),
    FAL_ROW_FLAG("full", 0, AT(full), "every pair, not only three"),
    FAL_ROW(FILE, "svg", 0, AT(svg), "FILE", "also draw wavelengths into an SVG file"),
    FAL_ROW_FLAG("force", 0, AT(force), "overwrite a picture that is there"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Options", rows, 0},
    {NULL,      NULL, 0}
};

static const fal_example examples[] = {
    {"falconer rope --factor 4 --trained-context 2048",
     "What each method makes of Falcon's 2048 tokens for 8192:"                              },
    {"falconer rope --method ntk-yarn --full",          "All frequencies of Alfred's method:"},
    {NULL,                                              NULL                                 }
};

static void set_defaults(void *values) {
    rope_options *o = values;
    o->head_dim = 64;
    o->base = 10000;
    o->factor = 4;
    o->trained_context = 2048;
}

/* A method's results. */
typedef struct result {
    const fal_rope_method *method;
    double *frequency; /* [head_dim / 2] */
    double base, gain;
} result;

enum {
    MAX_METHODS = 32
};

static fal_status compute(const rope_options *o, result *results, int *n_results, fal_error *err) {
    const fal_rope_input in = {.n_dims = o->head_dim,
                               .base = o->base,
                               .factor = o->factor,
                               .trained_context = o->trained_context,
                               .context_now = o->context_now};
    for (int i = 0; i < fal_rope_method_count() && i < MAX_METHODS; i++) {
        const fal_rope_method *method = fal_rope_method_at(i);
        if (o->method && strcmp(o->method, method->name) != 0) continue;
        result *r = &results[(*n_results)++];
        r->method = method;
        r->frequency = fal_alloc((size_t)o->head_dim / 2, sizeof *r->frequency);
        if (!r->frequency) return fal_fail_memory(err, 0);
        FAL_TRY(fal_rope_compute(method, &in, r->frequency, &r->base, &r->gain, err));
    }
    return FAL_OK;
}

static void print_question(const rope_options *o) {
    printf("head dimension %d, base %.10g, factor %.10g, trained context %d (to %.0f)\n\n",
           o->head_dim, o->base, o->factor, o->trained_context, o->factor * o->trained_context);
}

/* Tokens per turn, in at most seven columns up to ten million. */
static const char *format_wavelength(char *out, size_t size, double length) {
    snprintf(out, size, length < 1e4 ? "%.5g" : "%.0f", length);
    return out;
}

static void print_table(const rope_options *o, const result *results, int n_results) {
    const int pairs[] = {0, o->head_dim / 4, o->head_dim / 2 - 1};
    char text[40];
    print_question(o);
    printf("%-12s %9s %7s %25s  %22s\n", "", "", "", "radians per token", "tokens per turn");
    printf("%-12s %9s %7s", "method", "base", "m");
    for (int i = 0; i < 3; i++)
        printf(" %*d", i ? 8 : 7, pairs[i]);
    for (int i = 0; i < 3; i++)
        printf(" %*d", i ? 7 : 8, pairs[i]);
    putchar('\n');
    for (int r = 0; r < n_results; r++) {
        printf("%-12s %9.2f %7.5f", results[r].method->name, results[r].base, results[r].gain);
        for (int i = 0; i < 3; i++)
            printf(" %*.3g", i ? 8 : 7, results[r].frequency[pairs[i]]);
        for (int i = 0; i < 3; i++)
            printf(" %*s", i ? 7 : 8,
                   format_wavelength(text, sizeof text, two_pi / results[r].frequency[pairs[i]]));
        putchar('\n');
    }
    puts("\nm multiplies rotated queries and keys, so attention scores by its square.");
}

/* One column per method. */
static void print_full(const rope_options *o, const result *results, int n_results) {
    print_question(o);
    printf("%-5s", "pair");
    for (int r = 0; r < n_results; r++)
        printf(" %13s", results[r].method->name);
    printf("\n%-5s", "base");
    for (int r = 0; r < n_results; r++)
        printf(" %13.8g", results[r].base);
    printf("\n%-5s", "m");
    for (int r = 0; r < n_results; r++)
        printf(" %13.8g", results[r].gain);
    putchar('\n');
    for (int pair = 0; pair < o->head_dim / 2; pair++) {
        printf("%-5d", pair);
        for (int r = 0; r < n_results; r++)
            printf(" %13.7g", results[r].frequency[pair]);
        putchar('\n');
    }
}

static fal_status print_json(const rope_options *o, const result *results, int n_results,
                             fal_error *err) {
    json_t *all = json_object(), *methods = json_object();
    json_object_set_new(all, "head_dim", json_integer(o->head_dim));
    json_object_set_new(all, "base", fal_json_number(o->base));
    json_object_set_new(all, "factor", fal_json_number(o->factor));
    json_object_set_new(all, "trained_context", json_integer(o->trained_context));
    for (int r = 0; r < n_results; r++) {
        json_t *row = json_object(), *frequencies = json_array(), *wavelengths = json_array();
        for (int pair = 0; pair < o->head_dim / 2; pair++) {
            json_array_append_new(frequencies, fal_json_number(results[r].frequency[pair]));
            json_array_append_new(wavelengths,
                                  fal_json_number(two_pi / results[r].frequency[pair]));
        }
        json_object_set_new(row, "meaning", json_string(results[r].method->meaning));
        json_object_set_new(row, "base", fal_json_number(results[r].base));
        json_object_set_new(row, "m", fal_json_number(results[r].gain));
        json_object_set_new(row, "frequencies", frequencies);
        json_object_set_new(row, "wavelengths", wavelengths);
        json_object_set_new(methods, results[r].method->name, row);
    }
    json_object_set_new(all, "methods", methods);
    return fal_json_print(all, 17, err);
}

/* ---- picture ---- */

enum {
    LEFT = 70,
    TOP = 30,
    WIDTH = 560,
    HEIGHT = 360
};

/* Wavelengths over pairs, logarithmic upwards; a dotted line marks the trained and the extended context. */
static void draw_frame(fal_string_builder *svg, const rope_options *o, double low, double high) {
    fal_string_append_format(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
        "<text x=\"%d\" y=\"18\">tokens per turn of each pair of dimensions</text>\n",
        LEFT + WIDTH + 150, TOP + HEIGHT + 50, LEFT);
    for (int power = (int)ceil(low); power <= high; power++) {
        double y = TOP + HEIGHT * (1 - (power - low) / (high - low));
        fal_string_append_format(
            svg,
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
            LEFT, LEFT + WIDTH, y, y, LEFT - 6, y + 4, pow(10, power));
    }
    const double marks[] = {o->trained_context, o->trained_context * o->factor};
    for (int i = 0; i < 2; i++) {
        double y = TOP + HEIGHT * (1 - (log10(marks[i]) - low) / (high - low));
        if (y < TOP || y > TOP + HEIGHT) continue;
        fal_string_append_format(
            svg,
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#888\" "
            "stroke-dasharray=\"2 3\"/><text x=\"%d\" y=\"%.1f\" fill=\"#888\">%.0f</text>\n",
            LEFT, LEFT + WIDTH, y, y, LEFT + 4, y - 4, marks[i]);
    }
    fal_string_append_format(svg, "<text x=\"%d\" y=\"%d\">pair 0 to %d</text>\n", LEFT,
                             TOP + HEIGHT + 24, o->head_dim / 2 - 1);
}

static void draw_method(fal_string_builder *svg, const rope_options *o, const result *r, int number,
                        double low, double high) {
    static const char *const colours[] = {"#000000", "#e69f00", "#56b4e9", "#009e73",
                                          "#cc79a7", "#0072b2", "#d55e00", "#999999"};
    const char *colour = colours[number % 8];
    int n = o->head_dim / 2;
    fal_string_append_format(
        svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
    for (int pair = 0; pair < n; pair++)
        fal_string_append_format(
            svg, "%.1f,%.1f ", LEFT + (double)WIDTH * pair / (n - 1),
            TOP + HEIGHT * (1 - (log10(two_pi / r->frequency[pair]) - low) / (high - low)));
    fal_string_append_format(svg, "\"/>\n<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n",
                             LEFT + WIDTH + 12, TOP + 16 + 18 * number, colour, r->method->name);
}

static fal_status write_picture(const rope_options *o, const result *results, int n_results,
                                fal_error *err) {
    double low = HUGE_VAL, high = 0;
    for (int r = 0; r < n_results; r++)
        for (int pair = 0; pair < o->head_dim / 2; pair++) {
            double length = log10(two_pi / results[r].frequency[pair]);
            low = length < low ? length : low;
            high = length > high ? length : high;
        }
    if (high - low < 1) high = low + 1;
    fal_string_builder svg = {0};
    draw_frame(&svg, o, low, high);
    for (int r = 0; r < n_results; r++)
        draw_method(&svg, o, &results[r], r, low, high);
    fal_string_append_text(&svg, "</svg>\n");
    fal_status status = fal_text_write_file(&svg, o->svg, err);
    fal_string_release(&svg);
    return status;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const rope_options *o = parsed->values;
    result results[MAX_METHODS] = {{0}};
    int n_results = 0;
    if (o->head_dim % 2)
        return fal_fail(err, FAL_E_ARGUMENT, "rope: --head-dim %d: must be even", o->head_dim);
    if (o->force && !o->svg) return fal_fail(err, FAL_E_ARGUMENT, "rope: --force needs --svg");
    if (o->svg && fal_file_exists(o->svg) && !o->force)
        return fal_fail(err, FAL_E_ARGUMENT, "rope: '%s' is there already; --force overwrites it",
                        o->svg);
    fal_status status = compute(o, results, &n_results, err);
    if (status == FAL_OK && o->svg) status = write_picture(o, results, n_results, err);
    if (status == FAL_OK && o->json)
        status = print_json(o, results, n_results, err);
    else if (status == FAL_OK && o->full)
        print_full(o, results, n_results);
    else if (status == FAL_OK)
        print_table(o, results, n_results);
    for (int r = 0; r < n_results; r++)
        fal_free(results[r].frequency);
    return status;
}

const fal_command fal_command_rope = {
    .description =
        "Shows what each method of context extension does to rotary positions: the base of the frequencies in force, the "
        "gain m by which rotated queries and keys are multiplied, and how fast pairs of dimensions turn (radians per "
        "token) or how long a turn is (tokens). The first, the middle and the last pair are shown, with --full all.\n\n"
        "A pair whose turn is longer than the trained context has never seen all of its angles in training; methods "
        "differ in how they keep it within those it has seen. --svg draws this.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(rope_options),
    .set_defaults = set_defaults,
    .run = run};
