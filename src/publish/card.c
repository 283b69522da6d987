/* Body of card.h: each row of card_values.def is written by a function here; the template says where they stand. */
#include "publish/card.h"

#include "base/alloc.h"
#include "publish/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE_TEXT = 32
};

static const int fit_contexts[] = {2048, 8192};
static const int fit_memories[] = {8, 16, 24, 32, 48, 64}; /* GiB */

void fal_card_format_size(char *out, size_t size, uint64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    int digits = unit == 0 ? 0 : value < 9.9995 ? 3 : value < 99.995 ? 2 : 1;
    snprintf(out, size, "%.*f %s", digits, value, units[unit]);
}

static void append_size(fal_string_builder *out, uint64_t bytes) {
    char text[SIZE_TEXT];
    fal_card_format_size(text, sizeof text, bytes);
    fal_string_append_text(out, text);
}

/* A count for people: "7 168", with a narrow space between thousands. */
static void append_count(fal_string_builder *out, int64_t n) {
    if (n >= 1000) {
        append_count(out, n / 1000);
        fal_string_append_format(out, ",%03d", (int)(n % 1000));
    } else {
        fal_string_append_format(out, "%d", (int)n);
    }
}

static void append_if(fal_string_builder *out, const char *text) {
    if (text) fal_string_append_text(out, text);
}

/* Text of a person's as words in a paragraph or a table, whatever it holds. */
static void append_words(fal_string_builder *out, const char *text) {
    for (const char *c = text ? text : ""; *c; c++) {
        if (*c == '<' || *c == '>' || *c == '&') {
            fal_string_append_text(out, *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : "&amp;");
            continue;
        }
        if (strchr("\\`*_[]|#~!", *c)) fal_string_append_text(out, "\\");
        fal_string_append(out, *c == '\n' ? " " : c, 1);
    }
}

/* Text as the address in an attribute of HTML. */
static void append_address(fal_string_builder *out, fal_slice text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || strchr("\"'<>`", c)) {
            fal_string_append_format(out, "%%%02X", c);
        } else {
            fal_string_append(out, text.data + i, 1);
        }
    }
}

/* ---- plain facts ---- */

static void write_front_matter(fal_string_builder *out, const fal_card *card) {
    const char *const base[] = {card->base_model, NULL}, *const license[] = {card->license, NULL},
                      *const thumbnail[] = {card->thumbnail, NULL},
                      *const relation[] = {card->base_model ? "quantized" : NULL, NULL},
                      *const tags[] = {"gguf", card->set->architecture, NULL},
                      *const library[] = {"gguf", NULL}, *const task[] = {"text-generation", NULL},
                      *const model_name[] = {card->set->name, NULL};
    const fal_key_edit edits[] = {
        {"license",             FAL_KEY_REPLACE, license,    false},
        {"thumbnail",           FAL_KEY_REPLACE, thumbnail,  false},
        {"base_model",          FAL_KEY_REPLACE, base,       false},
        {"base_model_relation", FAL_KEY_REPLACE, relation,   false},
        {"model_name",          FAL_KEY_REPLACE, model_name, false},
        {"library_name",        FAL_KEY_REPLACE, library,    false},
        {"pipeline_tag",        FAL_KEY_DEFAULT, task,       false},
        {"tags",                FAL_KEY_EXTEND,  tags,       true },
        {"model-index",         FAL_KEY_REMOVE,  NULL,       false}, /* results of other files */
        {"inference",           FAL_KEY_REMOVE,  NULL,       false}, /* settings of another page */
        {"widget",              FAL_KEY_REMOVE,  NULL,       false},
        {NULL,                  FAL_KEY_REMOVE,  NULL,       false}
    };
    fal_error err = {0};
    if (fal_front_matter_write(out, card->front, edits, &err) != FAL_OK) out->failed = true;
}

static void write_name(fal_string_builder *out, const fal_card *card) {
    fal_string_append_text(out, card->set->name);
}

static void write_base_model(fal_string_builder *out, const fal_card *card) {
    append_if(out, card->base_model);
}

static void write_thumbnail(fal_string_builder *out, const fal_card *card) {
    fal_slice own = fal_front_matter_text(card->front, "thumbnail", 0);
    append_address(out, card->thumbnail ? fal_slice_of(card->thumbnail) : own);
}

static void write_license(fal_string_builder *out, const fal_card *card) {
    fal_slice own = fal_front_matter_text(card->front, "license", 0);
    if (card->license) {
        fal_string_append_text(out, card->license);
    } else {
        fal_string_append(out, own.data, own.length);
    }
}

static void write_architecture(fal_string_builder *out, const fal_card *card) {
    fal_string_append_text(out, card->set->architecture);
}

static void write_parameters(fal_string_builder *out, const fal_card *card) {
    double n = (double)card->set->n_parameters;
    if (n >= 1e9) {
        fal_string_append_format(out, "%.4g billion", n / 1e9);
    } else if (n >= 1e6) {
        fal_string_append_format(out, "%.4g million", n / 1e6);
    } else {
        append_count(out, card->set->n_parameters);
    }
}

static void write_context(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%d", card->set->n_context);
}

static void write_file_count(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%zu", card->set->n_files);
}

static void write_calibration(fal_string_builder *out, const fal_card *card) {
    append_words(out, card->set->calibration_name);
}

static void write_recipe(fal_string_builder *out, const fal_card *card) {
    if (card->set->recipe == FAL_RECIPE_2023) fal_string_append_text(out, "2023");
}

static void write_plot(fal_string_builder *out, const fal_card *card) {
    append_if(out, card->plot);
}

static void write_original_card(fal_string_builder *out, const fal_card *card) {
    fal_slice text = card->original;
    while (text.length > 0 && strchr(" \t\n", text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && strchr(" \t\n", text.data[text.length - 1]))
        text.length--;
    fal_string_append(out, text.data, text.length);
}

static bool is_legacy(const fal_mix *mix) {
    return fal_type_by_name(mix->type)->is_quantized && !fal_mix_is_k(mix);
}

static void write_has_legacy(fal_string_builder *out, const fal_card *card) {
    for (size_t i = 0; i < card->set->n_files && out->length == 0; i++)
        if (is_legacy(card->set->files[i].mix)) fal_string_append_text(out, "yes");
}

static void write_has_k(fal_string_builder *out, const fal_card *card) {
    for (size_t i = 0; i < card->set->n_files && out->length == 0; i++)
        if (fal_mix_is_k(card->set->files[i].mix)) fal_string_append_text(out, "yes");
}

static void write_chat_format(fal_string_builder *out, const fal_card *card) {
    if (card->set->chat_example) fal_string_append_text(out, card->set->chat_format);
}

static void write_chat_example(fal_string_builder *out, const fal_card *card) {
    append_if(out, card->set->chat_example);
}

/* ---- how it was measured ---- */

static void write_measured(fal_string_builder *out, const fal_card *card) {
    if (card->set->measuring.text_name) fal_string_append_text(out, "yes");
}

static void write_memory_measured(fal_string_builder *out, const fal_card *card) {
    for (size_t i = 0; i < card->set->n_files; i++)
        if (card->set->files[i].cost.peak_bytes == 0) return;
    if (card->set->n_files > 0) fal_string_append_text(out, "yes");
}

static void write_text_name(fal_string_builder *out, const fal_card *card) {
    append_words(out, card->set->measuring.text_name);
}

static void write_scored_tokens(fal_string_builder *out, const fal_card *card) {
    append_count(out, card->set->measuring.n_scored);
}

static void write_window(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%d", card->set->measuring.n_window);
}

static void write_reference_type(fal_string_builder *out, const fal_card *card) {
    for (const char *c = card->set->measuring.reference_type; *c; c++) {
        char upper = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        fal_string_append(out, &upper, 1);
    }
}

static void write_reference_perplexity(fal_string_builder *out, const fal_card *card) {
    const fal_measuring *m = &card->set->measuring;
    if (m->text_name)
        fal_string_append_format(out, "%.4f ± %.4f", m->reference_perplexity,
                                 m->reference_perplexity_error);
}

static void write_threads(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%d", card->set->measuring.n_threads);
}

static void write_kernels(fal_string_builder *out, const fal_card *card) {
    fal_string_append_text(out, card->set->measuring.kernel_set);
}

static void write_prompt_tokens(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%d", card->set->measuring.n_prompt);
}

static void write_answer_tokens(fal_string_builder *out, const fal_card *card) {
    fal_string_append_format(out, "%d", card->set->measuring.n_answer);
}

/* ---- tables ---- */

static double percent(double part, double whole) {
    return whole > 0 ? 100 * part / whole : 0;
}

/* By size; equal sizes stay in the order of the set, whose files lie one behind the other. */
static int by_size(const void *a, const void *b) {
    const fal_set_file *x = *(const fal_set_file *const *)a, *y = *(const fal_set_file *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The files by size, in a list of the caller's (fal_free); NULL when memory is short. */
static const fal_set_file **sorted(const fal_set *set) {
    const fal_set_file **list = fal_alloc(set->n_files + 1, sizeof *list);
    for (size_t i = 0; list && i < set->n_files; i++)
        list[i] = &set->files[i];
    if (list && set->n_files > 1) qsort(list, set->n_files, sizeof *list, by_size);
    return list;
}

static bool has_fallback(const fal_set_file *file) {
    return fal_mix_is_k(file->mix) && file->plan.n_fallback_tensors > 0;
}

static void append_fallback_row(fal_string_builder *out, const fal_set_file *file) {
    const fal_plan_summary *p = &file->plan;
    double wanted = 8 * (double)p->wanted_bytes / (double)p->n_parameters;
    fal_string_append_format(out, "| %s | %d of %d | %.1f %% | %.2f | %.2f |\n", file->mix->name,
                             p->n_k_tensors, p->n_matrices,
                             percent((double)p->n_k_parameters, (double)p->n_matrix_parameters),
                             fal_set_bits_per_weight(file), wanted);
}

static void write_fallback_table(fal_string_builder *out, const fal_card *card) {
    static const char header[] =
        "| Type | Matrices in true K-quants | Of their parameters | Bits per weight | Without fallback |\n"
        "|---|---:|---:|---:|---:|\n";
    const fal_set_file **files = sorted(card->set);
    if (!files) out->failed = true;
    for (size_t i = 0; files && i < card->set->n_files; i++) {
        if (!has_fallback(files[i])) continue;
        if (out->length == 0) fal_string_append_text(out, header);
        append_fallback_row(out, files[i]);
    }
    fal_free(files);
    if (out->length > 0) out->text[--out->length] = '\0';
}

static void append_measured_cells(fal_string_builder *out, const fal_set_file *file) {
    const fal_measured *m = &file->measured;
    const fal_cost *c = &file->cost;
    if (!m->is_there || !c->is_there) {
        fal_string_append_text(out, " | - | - | - | - | - | -");
        return;
    }
    fal_string_append_format(out, " | %.4f ± %.4f | %.6f | %.6f | %.2f %% | %.1f | %.1f",
                             m->perplexity, m->perplexity_error, m->divergence, m->divergence_99,
                             100 * m->agreement, c->prompt_speed, c->answer_speed);
}

static void append_file_row(fal_string_builder *out, const fal_set *set, const fal_set_file *file) {
    fal_string_append_format(out, "| [%s](%s) | %s | ", file->name, file->name, file->mix->name);
    append_size(out, file->bytes);
    fal_string_append_format(out, " | %.2f", fal_set_bits_per_weight(file));
    if (set->measuring.text_name) append_measured_cells(out, file);
    fal_string_append_text(out, " | ");
    append_size(out, fal_set_memory(set, file, set->n_context));
    fal_string_append_format(out, " | %s |\n", file->mix->meaning);
}

static void write_files_table(fal_string_builder *out, const fal_card *card) {
    bool measured = card->set->measuring.text_name != NULL;
    const fal_set_file **files = sorted(card->set);
    if (!files) out->failed = true;
    fal_string_append_format(
        out, "| File | Type | Size | Bits per weight%s | Memory | Character |\n",
        measured
            ? " | Perplexity | KL divergence | KL, 99 % | Same top token | Prompt, tokens/s | Answer, tokens/s"
            : "");
    fal_string_append_format(out, "|---|---|---:|---:%s|---:|---|\n",
                             measured ? "|---:|---:|---:|---:|---:|---:" : "");
    for (size_t i = 0; files && i < card->set->n_files; i++)
        append_file_row(out, card->set, files[i]);
    fal_free(files);
    if (out->length > 0) out->text[--out->length] = '\0';
}

/* A tenth of memory is left to everything else. */
static uint64_t usable(int memory_gib) {
    return ((uint64_t)memory_gib << 30) / 10 * 9;
}

static void append_fit_cell(fal_string_builder *out, const fal_set *set, int memory_gib,
                            int n_context) {
    if (n_context > set->n_context) {
        fal_string_append_text(out, " beyond the context |");
        return;
    }
    uint64_t bytes = usable(memory_gib);
    const fal_set_file *file = fal_set_best_fit(set, bytes, n_context);
    if (!file) {
        fal_string_append_text(out, " none |");
        return;
    }
    fal_string_append_format(out, " %s (", file->mix->name);
    append_size(out, bytes - fal_set_memory(set, file, n_context));
    fal_string_append_text(out, ") |");
}

static void write_fit_table(fal_string_builder *out, const fal_card *card) {
    fal_string_append_text(out, "| Memory |");
    for (size_t i = 0; i < sizeof fit_contexts / sizeof fit_contexts[0]; i++)
        fal_string_append_format(out, " %dK tokens |", fit_contexts[i] / 1024);
    fal_string_append_text(out, "\n|---:|---|---|");
    for (size_t i = 0; i < sizeof fit_memories / sizeof fit_memories[0]; i++) {
        fal_string_append_format(out, "\n| %d GB |", fit_memories[i]);
        for (size_t k = 0; k < sizeof fit_contexts / sizeof fit_contexts[0]; k++)
            append_fit_cell(out, card->set, fit_memories[i], fit_contexts[k]);
    }
}

static void write_has_fit(fal_string_builder *out, const fal_card *card) {
    const fal_set *set = card->set;
    size_t most = sizeof fit_memories / sizeof fit_memories[0] - 1;
    for (size_t k = 0; k < sizeof fit_contexts / sizeof fit_contexts[0] && out->length == 0; k++)
        if (fit_contexts[k] <= set->n_context
            && fal_set_best_fit(set, usable(fit_memories[most]), fit_contexts[k]))
            fal_string_append_text(out, "yes");
}

static void write_cache_per_1k(fal_string_builder *out, const fal_card *card) {
    append_size(out, card->set->cache_bytes_per_token * 1024);
}

static void write_working_memory(fal_string_builder *out, const fal_card *card) {
    append_size(out, fal_set_working_bytes(card->set));
}

/* What one would try first: the K-quant in the middle of the range, else the file in the middle. */
static void write_example_file(fal_string_builder *out, const fal_card *card) {
    static const char *const liked[] = {"Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_0"};
    for (size_t i = 0; i < sizeof liked / sizeof liked[0]; i++) {
        for (size_t k = 0; k < card->set->n_files; k++) {
            if (strcmp(card->set->files[k].mix->name, liked[i]) != 0) continue;
            fal_string_append_text(out, card->set->files[k].name);
            return;
        }
    }
    if (card->set->n_files > 0)
        fal_string_append_text(out, card->set->files[card->set->n_files / 2].name);
}

/* ---- the whole ---- */

typedef void write_function(fal_string_builder *out, const fal_card *card);

static const struct {
    const char *name;
    write_function *write;
} rows[] = {

#define FAL_CARD_VALUE(name, meaning) {#name, write_##name},
#include "publish/card_values.def"
#undef FAL_CARD_VALUE
};

enum {
    N_VALUES = sizeof rows / sizeof rows[0]
};

fal_status fal_card_write(fal_string_builder *out, const fal_card *card, fal_slice text,
                          const char *template_name, fal_error *err) {
    fal_template_value values[N_VALUES + 1] = {0};
    fal_string_builder texts[N_VALUES] = {0};
    fal_status status = FAL_OK;
    for (int i = 0; i < N_VALUES && status == FAL_OK; i++) {
        rows[i].write(&texts[i], card);
        status = fal_string_status(&texts[i], err);
        values[i] = (fal_template_value){
            rows[i].name, {texts[i].text ? texts[i].text : "", texts[i].length}
        };
    }
    if (status == FAL_OK) status = fal_template_fill(out, text, template_name, values, err);
    /* A section at the end that is hidden leaves the empty line before it. */
    while (out->length > 1 && out->text[out->length - 1] == '\n'
           && out->text[out->length - 2] == '\n')
        out->text[--out->length] = '\0';
    for (int i = 0; i < N_VALUES; i++)
        fal_string_release(&texts[i]);
    return status;
}

fal_status fal_card_check_template(fal_slice text, const char *template_name, fal_error *err) {
    fal_template_value values[N_VALUES + 1] = {0};
    fal_string_builder scratch = {0};
    for (int i = 0; i < N_VALUES; i++)
        values[i] = (fal_template_value){
            rows[i].name, {"", 0}
        };
    fal_status status = fal_template_fill(&scratch, text, template_name, values, err);
    fal_string_release(&scratch);
    return status;
}
