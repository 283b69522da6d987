/* Body of extension_report.h: the Markdown file, section by section. */
#include "publish/extension_report.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"
#include "eval/small_world.h"
#include "publish/extension_claims.h"
#include "publish/extension_figures.h"

#include <math.h>

static void append_interval(fal_string_builder *b, fal_interval i, int digits) {
    fal_string_append_format(b, " %.*f", digits, i.mean);
    if (isfinite(i.low)) fal_string_append_format(b, " ± %.*f", digits, i.high - i.mean);
    fal_string_append_text(b, " |");
}

static void append_number(fal_string_builder *b, const json_t *seeds, fal_extension_number *number,
                          const char *arm, int digits) {
    append_interval(b, fal_extension_over_seeds(seeds, number, arm), digits);
}

static void append_figure(fal_string_builder *b, const char *title, const char *name,
                          bool has_figures) {
    if (has_figures)
        fal_string_append_format(b, "![%s](%s.svg)\n\n", title, name);
    else
        fal_string_append_format(
            b, "(%s.svg was not drawn: gnuplot is missing. %s.tsv has its numbers.)\n\n", name,
            name);
}

static void append_beginning(fal_string_builder *b, const fal_extension_preset *p,
                             const json_t *seeds) {
    fal_extension_cost cost = fal_extension_cost_of(p, 0);
    size_t n = json_array_size(seeds);
    fal_string_append_format(
        b,
        "# Extending the context of a small Falcon\n\n"
        "A Falcon of %.2f million parameters learns the text of a small generated world at a context of %d tokens. Each "
        "method then extends it to %d: from the same weights, with the same %d steps on the same batches. The numbers are "
        "means over %zu seed%s, each with weights and data of its own; ± is half the width of the 95 %% interval "
        "(Student's t over seeds) of a method's distance from the mean of the compared methods in the same seed.\n\n",
        (double)cost.n_parameters / 1e6, p->n_context, FAL_EXTENSION_FACTOR * p->n_context,
        p->extend_steps, n, n == 1 ? "" : "s");
}

static void append_claim(fal_string_builder *b, const fal_claim_result *r) {
    static const char *const marks[] = {"", "**", "**"};
    fal_string_append_format(b, "| %s | %s | %s%s%s | %s |\n", r->source, r->claim,
                             marks[r->verdict], fal_verdict_name(r->verdict), marks[r->verdict],
                             r->evidence);
}

static void append_claim_table(fal_string_builder *b) {
    fal_string_append_text(
        b, "| who says it | claim | verdict | differences by seed: mean [95 % interval] |\n"
           "| --- | --- | --- | --- |\n");
}

static void append_claims(fal_string_builder *b, const json_t *seeds) {
    int counts[3] = {0};
    fal_string_append_text(b, "## What is claimed, at this scale\n\n");
    if (!fal_extension_gate_of(seeds).is_passed)
        fal_string_append_text(
            b,
            "**The experiment is void: its text asks too little of a long context (see below), and "
            "nothing is decided.**\n\n");
    append_claim_table(b);
    for (int i = 0; i < FAL_CLAIM_COUNT; i++) {
        fal_claim_result r = fal_extension_judge(seeds, i);
        counts[r.verdict]++;
        append_claim(b, &r);
    }
    fal_string_append_format(
        b,
        "\n%d confirmed, %d refuted, %d undecided. The card is that of Alfred-40B-1023. A claim is confirmed or refuted only "
        "where the interval of each of its differences says so. A verdict holds for models of this size, this text and this "
        "budget; the card speaks of 7B and 40B models. That reading comprehension suffers from the extension is not asked "
        "here: these models do not read.\n\n",
        counts[FAL_VERDICT_CONFIRMED], counts[FAL_VERDICT_REFUTED], counts[FAL_VERDICT_UNDECIDED]);
}

/* YaRN's numbers mean something else at another context: once more with those that mean the same. */
static void append_matched_claims(fal_string_builder *b, const json_t *seeds) {
    fal_string_append_text(
        b,
        "YaRN leaves pairs alone that turn more than 32 times within the trained context. In Falcon these are 9 of 32; at a "
        "shorter context fewer turn so often, and yarn is not quite what the card tried. yarn-matched leaves as large a "
        "share alone as in Falcon. What is claimed of YaRN, asked of it:\n\n");
    append_claim_table(b);
    for (int i = 0; i < FAL_CLAIM_COUNT; i++) {
        fal_claim_result r;
        if (fal_extension_judge_matched(seeds, i, &r)) append_claim(b, &r);
    }
    fal_string_append_text(b, "\n");
}

static void append_gate(fal_string_builder *b, const json_t *seeds) {
    fal_extension_gate gate = fal_extension_gate_of(seeds);
    fal_string_append_format(
        b,
        "## Is the text hard enough?\n\nBeyond the trained context and with no fine-tuning the loss is %.3f without "
        "extension and %.3f with the best method (%s): a gap of %.3f, where %.2f is asked for. ",
        gate.none, gate.best, gate.best_arm, gate.none - gate.best, FAL_EXTENSION_GATE_GAP);
    bool has_long_model = isfinite(gate.long_model);
    if (has_long_model)
        fal_string_append_format(
            b,
            "A model trained at the long context from the start, with as many tokens, reaches %.3f "
            "where the best method of its seed reaches %.3f. ",
            gate.long_model, gate.best_beside);
    const char *measures = has_long_model ? "these measures" : "this measure";
    fal_string_append_format(b,
                             gate.is_passed ? "By %s the experiment is valid.\n\n"
                                            : "**By %s the experiment is void: the text asks too "
                                              "little of a long context.**\n\n",
                             measures);
}

/* ---- losses ---- */

static void append_losses(fal_string_builder *b, const json_t *seeds, bool has_figures) {
    const fal_extension_arm *arm;
    fal_string_append_text(b, "## Training losses\n\n");
    append_figure(b, "Training loss curves for extension methods", "curves", has_figures);
    fal_string_append_text(
        b,
        "Nats per weighted token; the lower panel shows how far the closer ones are from NTK, as all methods see the same batches.\n\n"
        "| method | first gradient norm | first step | first tenth | second tenth | last fifth |\n"
        "| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        if (!arm->has_long_data) continue;
        fal_string_append_format(b, "| %s |", arm->name);
        append_number(b, seeds, fal_extension_norm, arm->name, 3);
        append_number(b, seeds, fal_extension_start_loss, arm->name, 4);
        append_number(b, seeds, fal_extension_early_loss, arm->name, 4);
        append_number(b, seeds, fal_extension_passing_loss, arm->name, 4);
        append_number(b, seeds, fal_extension_late_loss, arm->name, 4);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(
        b,
        "\nLosses of documents that no model has seen, beyond the trained context, with no fine-tuning and after it; of "
        "the answers in them alone; and of documents that fit the trained context:\n\n"
        "| method | with no fine-tuning | after | answers, with none | answers, after | short documents, after |\n"
        "| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_number(b, seeds, fal_extension_first_loss, arm->name, 4);
        append_number(b, seeds, fal_extension_final_loss, arm->name, 4);
        append_number(b, seeds, fal_extension_first_answers, arm->name, 4);
        append_number(b, seeds, fal_extension_final_answers, arm->name, 4);
        append_number(b, seeds, fal_extension_short_loss, arm->name, 4);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\n");
}

/* ---- scores ---- */

static void append_subtasks(fal_string_builder *b, const json_t *seeds, const char *arm) {
    const fal_world_task_row *task;
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            fal_string_append_format(
                b, " %.0f |", 100 * fal_extension_subtask_mean(seeds, arm, "after", task->name, k));
    }
}

/* The models before extension, which were asked at the trained context only. */
static void append_base(fal_string_builder *b, const json_t *seeds) {
    const fal_world_task_row *task;
    fal_string_append_text(b, "| before extension |");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++) {
        double mean = 0;
        for (size_t k = 0; k < json_array_size(seeds); k++) {
            const json_t *base = json_object_get(json_array_get(seeds, k), "base");
            const json_t *score = json_object_get(json_object_get(base, "scores"), task->name);
            mean += json_number_value(json_array_get(score, 0)) / (double)json_array_size(seeds);
        }
        fal_string_append_format(b, " %.0f | | |", 100 * mean);
    }
    fal_string_append_text(b, "\n");
}

static void append_subtask_table(fal_string_builder *b, const fal_extension_preset *p,
                                 const json_t *seeds) {
    const fal_extension_arm *arm;
    const fal_world_task_row *task;
    fal_string_append_text(b, "Right answers in percent, after fine-tuning:\n\n| method |");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            fal_string_append_format(b, " %s %d |", task->name, p->n_context << k);
    }
    fal_string_append_text(b, "\n| --- |");
    for (int i = 0; i < FAL_WORLD_TASK_COUNT * FAL_EXTENSION_LENGTHS; i++)
        fal_string_append_text(b, " --- |");
    fal_string_append_text(b, "\n");
    append_base(b, seeds);
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_subtasks(b, seeds, arm->name);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\n");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++)
        fal_string_append_format(b, "- %s: %s (chance %.0f %%)\n", task->name, task->meaning,
                                 100 * task->chance);
    fal_string_append_text(b, "\n");
}

static void append_scores(fal_string_builder *b, const json_t *seeds, bool has_figures) {
    const fal_extension_arm *arm;
    fal_string_append_text(b, "## Performance on long tasks\n\n");
    append_figure(b, "Aggregated scores on long context benchmarks", "scores", has_figures);
    fal_string_append_text(
        b,
        "Four tasks at three lengths; an answer is right as a whole or not at all. Each of the twelve subtasks is counted "
        "from chance (0) to all right (100), and the score is their mean. The last column counts each from the worst (0) "
        "to the best (100) of the compared methods instead, which enlarges noise where they hardly differ.\n\n"
        "| method | score | with no fine-tuning | at the trained context | relative |\n| --- | --- | --- | --- | --- |\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_number(b, seeds, fal_extension_score, arm->name, 1);
        append_number(b, seeds, fal_extension_first_score, arm->name, 1);
        append_number(b, seeds, fal_extension_short_score, arm->name, 1);
        if (fal_extension_arm_is_compared(arm))
            append_number(b, seeds, fal_extension_relative_score, arm->name, 1);
        else
            fal_string_append_text(b, " |");
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\n");
}

/* ---- how it was made ---- */

static double total_seconds(const json_t *seeds) {
    double seconds = 0;
    for (size_t i = 0; i < json_array_size(seeds); i++)
        seconds += json_number_value(json_object_get(json_array_get(seeds, i), "seconds"));
    return seconds;
}

static double mean_pretraining_loss(const json_t *seeds) {
    double sum = 0;
    for (size_t i = 0; i < json_array_size(seeds); i++)
        sum += json_number_value(
            json_object_get(json_object_get(json_array_get(seeds, i), "pretraining"), "loss"));
    return sum / (double)json_array_size(seeds);
}

static void append_model(fal_string_builder *b, const fal_extension_preset *p,
                         const json_t *seeds) {
    fal_string_append_format(
        b,
        "## How it was made\n\n"
        "**Model.** Falcon-40B's block: %d layer%s of width %d, %d heads of %d, %d kv head%s, tied embeddings of %d words. "
        "The base of the rotary embedding is %g, which makes as large a share of the pairs turn less than once within %d "
        "tokens as 10000 does within Falcon's 2048.\n\n"
        "**Text.** Documents of a small generated world: prose, facts that are stated and asked back at distances even on "
        "a logarithmic scale, objects moved about, firms and where they lie. A word is a token.\n\n"
        "**Pretraining.** %d steps of %d × %d tokens, the first %d of them as documents of %d and as many again of %d; AdamW, rate %g after a warm-up; answers weigh %d. "
        "The loss ends at %.3f.\n\n",
        p->n_layers, p->n_layers == 1 ? "" : "s", p->d_model, p->n_heads, p->d_model / p->n_heads,
        p->n_kv_heads, p->n_kv_heads == 1 ? "" : "s", FAL_WORLD_WORDS, p->base, p->n_context,
        p->pretrain_steps, p->pretrain_sequences, p->n_context, p->short_steps, p->n_context / 4,
        p->n_context / 2, FAL_EXTENSION_PRETRAIN_RATE, FAL_EXTENSION_ANSWER_WEIGHT,
        mean_pretraining_loss(seeds));
    fal_string_append_format(
        b,
        "**Extension.** %d steps of %d × %d tokens, peak rate %g, cosine, gradients clipped at norm 1. By tokens 50 %% "
        "is short chat, 45 %% long documents, 5 %% text; answers carry the loss, text all of it, and so do the prompts of "
        "every other long document. The first gradient norm is the mean over %d batches of its own, not clipped.\n\n"
        "**Measures.** %d examples of each task at each length, the asked fact at even depths; losses on %d documents.\n\n",
        p->extend_steps, p->extend_sequences, FAL_EXTENSION_FACTOR * p->n_context,
        FAL_EXTENSION_RATE, p->n_norm_batches, p->n_examples, p->n_documents);
}

static void append_cost(fal_string_builder *b, const fal_extension_preset *p, const json_t *seeds,
                        const char *command) {
    fal_extension_cost all = {0};
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_int_t seed = json_integer_value(json_object_get(json_array_get(seeds, i), "seed"));
        fal_extension_cost cost = fal_extension_cost_of(p, (uint64_t)seed);
        all.n_steps += cost.n_steps;
        all.n_trained += cost.n_trained;
        all.n_evaluated += cost.n_evaluated;
        all.flops += cost.flops;
    }
    const char *device = json_string_value(json_object_get(json_array_get(seeds, 0), "device"));
    fal_string_append_format(
        b,
        "**Cost.** %lld steps on %.1f million tokens, and %.1f million tokens more for measuring: %.3g floating-point "
        "operations (6 a parameter and token, and 6 × layers × width × length a token for attention). It took %.0f minutes "
        "of computing on `%s`, all seeds together.\n\n",
        (long long)all.n_steps, (double)all.n_trained / 1e6, (double)all.n_evaluated / 1e6,
        all.flops, total_seconds(seeds) / 60, device ? device : "?");
    fal_string_append_format(
        b,
        "To repeat it: `%s`. seed-N.json has what each seed gave, curves.tsv, scores.tsv and "
        "subtasks.tsv what the figures and tables show.\n\n",
        command);
}

static void append_methods(fal_string_builder *b) {
    const fal_extension_arm *arm;
    fal_string_append_format(b, "The methods, with the factor s = %d:\n\n", FAL_EXTENSION_FACTOR);
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        fal_string_append_format(b, "- %s: %s\n", arm->name, arm->meaning);
}

static fal_status write_text(const fal_extension_preset *preset, const json_t *seeds,
                             const char *folder, const char *command, bool has_figures,
                             fal_error *err) {
    fal_string_builder b = {0};
    char *path = fal_path_join(folder, "README.md");
    append_beginning(&b, preset, seeds);
    append_claims(&b, seeds);
    append_matched_claims(&b, seeds);
    append_gate(&b, seeds);
    append_losses(&b, seeds, has_figures);
    append_scores(&b, seeds, has_figures);
    append_subtask_table(&b, preset, seeds);
    append_model(&b, preset, seeds);
    append_cost(&b, preset, seeds, command);
    append_methods(&b);
    fal_status status = path ? fal_string_status(&b, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_file_write(path, b.text, b.length, err);
    fal_string_release(&b);
    fal_free(path);
    return status;
}

fal_status fal_extension_write_report(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, const char *command, bool *has_figures,
                                      fal_error *err) {
    FAL_TRY(fal_extension_write_tables(preset, seeds, folder, err));
    fal_status status = fal_extension_draw_figures(folder, err);
    *has_figures = status == FAL_OK;
    if (status != FAL_OK && status != FAL_E_UNSUPPORTED) return status;
    return write_text(preset, seeds, folder, command, *has_figures, err);
}
