/* The facts for people: aligned, largest first, units spelled out. */
#include "cli/inspect_print.h"

#include "cli/terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void heading(const char *title) {
    printf("\n%s%s%s\n", fal_style_of(stdout, FAL_STYLE_BOLD), title,
           fal_style_of(stdout, FAL_STYLE_PLAIN));
}

__attribute__((format(printf, 2, 3))) static void line(const char *name, const char *format, ...) {
    char text[1100];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("  %-17s", name);
    fal_terminal_write(stdout, text, strlen(text));
    putchar('\n');
}

static void count_line(const char *name, int64_t value) {
    if (value) line(name, "%" PRId64, value);
}

static void print_model(const fal_inspected *in) {
    char count[32];
    heading("Model");
    line("architecture", "%s%s", in->architecture[0] ? in->architecture : "not told",
         in->is_known || !fal_gguf_tensor_count(in->gguf) ? "" : " (cannot be run)");
    if (in->params_error.status != FAL_OK) line("", "%s", in->params_error.message);
    if (in->name[0]) line("name", "%s", in->name);
    if (in->n_parameters > 0) {
        fal_format_count(count, sizeof count, in->n_parameters);
        line("parameters", "%s", count);
    }
    count_line("layers", in->n_layers);
    if (in->n_heads)
        line("heads", "%" PRId64 " of %" PRId64 ", %" PRId64 " for keys and values", in->n_heads,
             in->key_length, in->n_kv_heads);
    count_line("width", in->d_model);
    count_line("ffn width", in->d_ff);
    count_line("vocabulary", in->n_vocab);
}

static void print_type(const fal_inspected *in, const fal_type_share *t) {
    char count[32], size[32];
    fal_format_bytes(size, sizeof size, (double)t->bytes);
    fal_format_count(count, sizeof count, t->n_parameters);
    printf("  %-8s %8d %12s %7.2f%% %12.3f %12s\n", t->name, t->n_tensors, count,
           100 * t->n_parameters / in->n_parameters, fal_bits_per_weight(t->n_parameters, t->bytes),
           size);
}

static void print_types(const fal_inspected *in) {
    if (!in->n_types) return;
    heading("Number types");
    printf("  %-8s %8s %12s %8s %12s %12s\n", "type", "tensors", "parameters", "share",
           "bits/weight", "size");
    for (int i = 0; i < in->n_types; i++)
        print_type(in, &in->types[i]);
    const fal_type_share all = {"all", fal_gguf_tensor_count(in->gguf), in->n_parameters,
                                in->weight_bytes};
    print_type(in, &all);
}

static void format_value(const fal_gguf *f, const fal_gguf_value *v, char *out, size_t size);

/* The keys about rope as they stand in the file. */
static void print_rope_keys(const fal_inspected *in) {
    for (int i = 0; i < fal_gguf_value_count(in->gguf); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(in->gguf, i);
        const char *rope = strstr(v->key, ".rope.");
        char text[200];
        if (!rope || strcmp(rope, ".rope.dimension_count") == 0) continue;
        format_value(in->gguf, v, text, sizeof text);
        line("", "%s = %s", v->key, text);
    }
}

static void print_context(const fal_inspected *in) {
    if (!in->n_context && !in->is_known) return;
    heading("Context");
    count_line("tokens", in->n_context);
    if (in->is_known) line("positions", "%s", fal_inspected_positions(in));
    if (in->has_rope) {
        const fal_rope_settings *rope = &in->params.rope;
        line("method", "%s", rope->method->name);
        count_line("trained for", rope->trained_context);
        if (rope->factor > 1) line("factor", "%.6g", rope->factor);
        if (fabs(in->rope_base - rope->base) > 1e-9 * rope->base)
            line("base", "%.8g, in force %.8g", rope->base, in->rope_base);
        else
            line("base", "%.8g", rope->base);
        line("gain m", "%.8g", in->rope_gain);
    }
    if (in->restored[0]) line("restored", "%s", in->restored);
    print_rope_keys(in);
}

static void token_line(const fal_inspected *in, const char *name, int32_t id) {
    size_t length = 0;
    const char *piece = fal_tokenizer_piece(in->tokenizer, id, &length);
    if (piece) line(name, "%d %.*s", (int)id, (int)length, piece);
}

static void print_tokenizer(const fal_inspected *in) {
    heading("Tokenizer");
    if (!in->tokenizer) {
        line("", "%s", in->tokenizer_error.message);
        return;
    }
    int32_t n = fal_tokenizer_n_vocab(in->tokenizer);
    int n_control = 0;
    for (int32_t id = 0; id < n; id++)
        n_control += fal_tokenizer_is_control(in->tokenizer, id);
    const fal_gguf_value *merges = fal_gguf_find(in->gguf, "tokenizer.ggml.merges");
    line("tokens", "%d, of which %d for control", (int)n, n_control);
    if (merges) line("merges", "%" PRIu64, merges->count);
    line("splitting rule", "%s", fal_tokenizer_pretokenizer(in->tokenizer));
    token_line(in, "begin", fal_tokenizer_bos(in->tokenizer));
    token_line(in, "end", fal_tokenizer_eos(in->tokenizer));
    line("chat format", "%s%s",
         fal_chat_format_name(fal_chat_format_detect(in->tokenizer, in->gguf)),
         fal_gguf_find(in->gguf, "tokenizer.chat_template") ? " (the file has a template)" : "");
}

static void print_memory(const fal_inspected *in) {
    int64_t contexts[FAL_MAX_CONTEXTS];
    int n = fal_inspected_contexts(in, contexts);
    if (n == 0) return;
    heading("Memory");
    printf("  %-14s %12s %6s cache %12s\n", "context", "weights", in->kv_type, "together");
    for (int i = 0; i < n; i++) {
        char weights[32], cache[32], both[32];
        double bytes = fal_inspected_cache_bytes(in, contexts[i]);
        fal_format_bytes(weights, sizeof weights, (double)in->weight_bytes);
        fal_format_bytes(cache, sizeof cache, bytes);
        fal_format_bytes(both, sizeof both, bytes + (double)in->weight_bytes);
        printf("  %-14" PRId64 " %12s %12s %12s\n", contexts[i], weights, cache, both);
    }
}

void fal_inspected_print(const fal_inspected *in) {
    char size[32];
    fal_format_bytes(size, sizeof size, (double)fal_gguf_file_bytes(in->gguf));
    fal_terminal_write(stdout, fal_gguf_path(in->gguf), strlen(fal_gguf_path(in->gguf)));
    printf("\n  GGUF version %" PRIu32 ", %s, %d tensors, %d metadata keys%s\n",
           fal_gguf_version(in->gguf), size, fal_gguf_tensor_count(in->gguf),
           fal_gguf_value_count(in->gguf),
           fal_gguf_tensor_count(in->gguf) ? "" : ": no model, only a vocabulary or metadata");
    print_model(in);
    print_types(in);
    print_context(in);
    print_tokenizer(in);
    print_memory(in);
}

/* ---- lists ---- */

static void format_shape(const fal_gguf_tensor *t, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < t->n_dims && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%" PRId64, i ? " x " : "", t->shape[i]);
}

void fal_inspected_print_tensors(const fal_inspected *in) {
    heading("Tensors (rows first)");
    for (int i = 0; i < fal_gguf_tensor_count(in->gguf); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(in->gguf, i);
        char shape[100], size[32];
        format_shape(t, shape, sizeof shape);
        fal_format_bytes(size, sizeof size, (double)t->bytes);
        printf("  %-6s %20s %12s  ", t->type_name, shape, size);
        fal_terminal_write(stdout, t->name, strlen(t->name));
        putchar('\n');
    }
}

static const char *type_words(fal_gguf_value_type type) {
    static const char *const words[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (size_t)type < sizeof words / sizeof words[0] ? words[type] : "?";
}

/* One element; strings are cut at 60 bytes and shown on one line. */
static void format_element(const fal_gguf *f, const fal_gguf_value *v, uint64_t i, char *out,
                           size_t size) {
    fal_gguf_string text = {0};
    int64_t whole = 0;
    double number = 0;
    fal_gguf_value_type type = v->type == FAL_GGUF_ARRAY ? v->element_type : v->type;
    if (type == FAL_GGUF_BOOL && fal_gguf_value_i64(f, v, i, &whole)) {
        snprintf(out, size, "%s", whole ? "true" : "false");
    } else if (type != FAL_GGUF_F32 && type != FAL_GGUF_F64
               && fal_gguf_value_i64(f, v, i, &whole)) {
        snprintf(out, size, "%" PRId64, whole);
    } else if (fal_gguf_value_f64(f, v, i, &number)) {
        snprintf(out, size, "%.8g", number);
    } else if (fal_gguf_value_string(f, v, i, &text)) {
        int n = text.length > 60 ? 60 : (int)text.length;
        snprintf(out, size, "%.*s%s", n, text.data, text.length > 60 ? "..." : "");
        for (char *c = out; *c; c++)
            if (*c == '\n' || *c == '\t') *c = ' ';
    } else {
        snprintf(out, size, "?");
    }
}

static void format_value(const fal_gguf *f, const fal_gguf_value *v, char *out, size_t size) {
    if (v->type != FAL_GGUF_ARRAY) {
        format_element(f, v, 0, out, size);
        return;
    }
    size_t used = 0;
    out[0] = '\0';
    for (uint64_t i = 0; i < v->count && i < 5 && used < size; i++) {
        char element[80];
        format_element(f, v, i, element, sizeof element);
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", element);
    }
    if (v->count > 5 && used < size) snprintf(out + used, size - used, ", ...");
}

void fal_inspected_print_metadata(const fal_inspected *in) {
    heading("Metadata");
    for (int i = 0; i < fal_gguf_value_count(in->gguf); i++) {
        const fal_gguf_value *v = fal_gguf_value_at(in->gguf, i);
        char text[500], type[64];
        format_value(in->gguf, v, text, sizeof text);
        if (v->type == FAL_GGUF_ARRAY)
            snprintf(type, sizeof type, "%s[%" PRIu64 "]", type_words(v->element_type), v->count);
        else
            snprintf(type, sizeof type, "%s", type_words(v->type));
        printf("  %-14s ", type);
        fal_terminal_write(stdout, v->key, strlen(v->key));
        fputs(" = ", stdout);
        fal_terminal_write(stdout, text, strlen(text));
        putchar('\n');
    }
}
