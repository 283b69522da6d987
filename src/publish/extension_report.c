/* Body of extension_report.h: the Markdown file, the tables behind its figures, and the figures. */
#include "publish/extension_report.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/gnuplot.h"
#include "base/string_builder.h"
#include "eval/small_world.h"
#include "publish/extension_results.h"

#include <math.h>
#include <string.h>

/* The number of one arm over all seeds. */
static fal_interval over_seeds(const json_t *seeds, fal_extension_number *number, const char *arm) {
    double values[FAL_MAX_SEEDS];
    int n = (int)json_array_size(seeds);
    if (n > FAL_MAX_SEEDS) n = FAL_MAX_SEEDS;
    for (int i = 0; i < n; i++)
        values[i] = number(json_array_get(seeds, (size_t)i), arm);
    return fal_interval_of(values, n);
}

static void append_interval(fal_string_builder *b, fal_interval i, int digits) {
    if (isfinite(i.low))
        fal_string_append_format(b, " %.*f ± %.*f |", digits, i.mean, digits, i.high - i.mean);
    else
        fal_string_append_format(b, " %.*f |", digits, i.mean);
}

/* ---- what lies behind the figures ---- */

static double curve_at(const json_t *seed, const char *arm, size_t step) {
    const json_t *curve =
        json_object_get(json_object_get(json_object_get(seed, "arms"), arm), "curve");
    return json_number_value(json_array_get(curve, step));
}

/* Steps down, arms across; means over seeds, smoothed like a running mean of about ten steps. */
static fal_status write_curves(const fal_extension_preset *preset, const json_t *seeds,
                               const char *path, fal_error *err) {
    fal_string_builder b = {0};
    const fal_extension_arm *arm;
    double smooth[16] = {0};
    fal_string_append_text(&b, "tokens");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        fal_string_append_format(&b, "\t%s", arm->name);
    double n_tokens = (double)preset->extend_sequences * preset->n_context * FAL_EXTENSION_FACTOR;
    for (int step = 0; step < preset->extend_steps; step++) {
        fal_string_append_format(&b, "\n%.0f", n_tokens * (step + 1));
        for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
            double mean = 0;
            for (size_t k = 0; k < json_array_size(seeds); k++)
                mean += curve_at(json_array_get(seeds, k), arm->name, (size_t)step)
                        / (double)json_array_size(seeds);
            smooth[i] = step == 0 ? mean : 0.8 * smooth[i] + 0.2 * mean;
            fal_string_append_format(&b, "\t%.5f", smooth[i]);
        }
    }
    fal_string_append_text(&b, "\n");
    fal_status status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_file_write(path, b.text, b.length, err);
    fal_string_release(&b);
    return status;
}

static fal_status write_scores(const json_t *seeds, const char *path, fal_error *err) {
    fal_string_builder b = {0};
    const fal_extension_arm *arm;
    fal_string_append_text(&b, "method\tscore\tlow\thigh\tbefore\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_interval after = over_seeds(seeds, fal_extension_score, arm->name);
        fal_string_append_format(&b, "%s\t%.2f\t%.2f\t%.2f\t%.2f\n", arm->name, after.mean,
                                 isfinite(after.low) ? after.low : after.mean,
                                 isfinite(after.high) ? after.high : after.mean,
                                 over_seeds(seeds, fal_extension_first_score, arm->name).mean);
    }
    fal_status status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_file_write(path, b.text, b.length, err);
    fal_string_release(&b);
    return status;
}

#define FIGURE                                                                              \
    "set terminal svg size 860,520 noenhanced font 'sans-serif,13' background rgb 'white';" \
    "set datafile separator tab; set border 3; set tics nomirror;"                          \
    "set grid ytics lt 1 lw 0.5 lc rgb '#dddddd';"

static fal_status draw_curves(const char *tsv, const char *svg, fal_error *err) {
    fal_string_builder b = {0};
    const fal_extension_arm *arm;
    fal_string_append_text(&b, FIGURE "set key outside right; set xlabel 'Tokens of fine-tuning';"
                                      "set ylabel 'Training loss, nats per weighted token';plot ");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_gnuplot_append_path(&b, tsv);
        fal_string_append_format(&b, " every ::1 using 1:%d with lines lw 2 title '%s',", i + 2,
                                 arm->name);
    }
    fal_status status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_gnuplot_draw(b.text, svg, err);
    fal_string_release(&b);
    return status;
}

static fal_status draw_scores(const char *tsv, const char *svg, fal_error *err) {
    fal_string_builder b = {0};
    fal_string_append_text(&b, FIGURE
                           "set key top left; set style fill solid 0.8; set boxwidth 0.6;"
                           "set yrange [0:*]; set ylabel 'Score, 0: chance, 100: all right';plot ");
    fal_gnuplot_append_path(&b, tsv);
    fal_string_append_text(
        &b, " every ::1 using 0:2:xtic(1) with boxes lc rgb '#1f5f9f' title 'after fine-tuning',");
    fal_gnuplot_append_path(&b, tsv);
    fal_string_append_text(
        &b,
        " every ::1 using 0:2:3:4 with yerrorbars lc rgb '#202020' pt 0 title '95 % interval',");
    fal_gnuplot_append_path(&b, tsv);
    fal_string_append_text(&b,
                           " every ::1 using 0:5 with points pt 7 lc rgb '#a03020' title 'before'");
    fal_status status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_gnuplot_draw(b.text, svg, err);
    fal_string_release(&b);
    return status;
}

/* ---- the text ---- */

static void append_setup(fal_string_builder *b, const fal_extension_preset *p, int n_seeds,
                         const char *command, double seconds) {
    fal_string_append_format(
        b,
        "# Extending the context of a small Falcon\n\n"
        "A Falcon of %d layers, width %d, %d heads and %d kv heads is trained on %d tokens of a generated world at a "
        "context of %d, then extended to %d by each method with the same %d steps of %d sequences, the same batches and "
        "the same start. Numbers are means over %d pretraining seed%s; ± is the half-width of the 95 %% interval over "
        "seeds (Student's t), and a claim is confirmed or refuted only where such an interval of paired differences "
        "excludes the opposite.\n\n"
        "Made by `%s`%s",
        p->n_layers, p->d_model, p->n_heads, p->n_kv_heads,
        p->pretrain_steps * p->pretrain_sequences * p->n_context, p->n_context,
        p->n_context * FAL_EXTENSION_FACTOR, p->extend_steps, p->extend_sequences, n_seeds,
        n_seeds == 1 ? "" : "s", command, seconds > 0 ? "" : ".\n\n");
    if (seconds > 0) fal_string_append_format(b, " in %.0f minutes.\n\n", seconds / 60);
    fal_string_append_format(
        b,
        "The base of the rotary embedding is %g, which makes as large a share of the pairs turn less than once within %d "
        "tokens as 10000 does within Falcon's 2048. Fine-tuning mixes 50 %% short chat, 45 %% long documents and 5 %% "
        "text by tokens; answers carry the loss, text all of it, and so do the prompts of every other long document.\n\n",
        p->base, p->n_context);
}

/* Whether the text asks for a long context at all. */
static void append_validity(fal_string_builder *b, const json_t *seeds) {
    const fal_extension_arm *arm;
    double none = over_seeds(seeds, fal_extension_first_loss, "none").mean, best = (double)INFINITY;
    for (int i = 1; (arm = fal_extension_arm_at(i)) != NULL; i++)
        best = fmin(best, over_seeds(seeds, fal_extension_first_loss, arm->name).mean);
    fal_string_append_format(
        b,
        "## Is the text hard enough?\n\nBeyond the trained context and before any fine-tuning the loss is %.3f without "
        "extension and %.3f with the best method: a gap of %.3f, where 0.05 was asked. %s",
        none, best, none - best,
        none - best >= 0.05 ? "The experiment is valid by this measure."
                            : "**The experiment is void by this measure.**");
    const json_t *first = json_array_get(seeds, 0);
    const json_t *loss = json_object_get(json_object_get(first, "long_model"), "loss");
    if (loss)
        fal_string_append_format(
            b,
            " A model trained at the long context from the start with as many tokens has losses of %.3f, %.3f and %.3f up "
            "to once, twice and four times the short context (first seed).",
            json_number_value(json_array_get(loss, 0)), json_number_value(json_array_get(loss, 1)),
            json_number_value(json_array_get(loss, 2)));
    fal_string_append_text(b, "\n\n");
}

static void append_losses(fal_string_builder *b, const json_t *seeds) {
    const fal_extension_arm *arm;
    fal_string_append_text(
        b,
        "## Losses\n\n![Training loss curves for extension methods](curves.svg)\n\n"
        "| method | first gradient norm | loss beyond the trained context, before | first tenth of training | last fifth | "
        "beyond the trained context, after | short documents, after |\n|---|---|---|---|---|---|---|\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_interval(b, over_seeds(seeds, fal_extension_norm, arm->name), 3);
        append_interval(b, over_seeds(seeds, fal_extension_first_loss, arm->name), 4);
        append_interval(b, over_seeds(seeds, fal_extension_early_loss, arm->name), 4);
        append_interval(b, over_seeds(seeds, fal_extension_late_loss, arm->name), 4);
        append_interval(b, over_seeds(seeds, fal_extension_final_loss, arm->name), 4);
        append_interval(b, over_seeds(seeds, fal_extension_short_loss, arm->name), 4);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\n");
}

static void append_subtasks(fal_string_builder *b, const json_t *seeds, const char *arm) {
    for (int task = 0; task < FAL_WORLD_TASK_COUNT; task++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++) {
            double mean = 0;
            for (size_t i = 0; i < json_array_size(seeds); i++)
                mean += fal_extension_subtask(json_array_get(seeds, i), arm, "after",
                                              fal_world_task_at(task)->name, k)
                        / (double)json_array_size(seeds);
            fal_string_append_format(b, " %.0f |", 100 * mean);
        }
    }
}

static void append_scores(fal_string_builder *b, const fal_extension_preset *p,
                          const json_t *seeds) {
    const fal_extension_arm *arm;
    const fal_world_task_row *task;
    fal_string_append_text(
        b,
        "## Long benchmark\n\n![Aggregated scores on long context benchmarks](scores.svg)\n\n"
        "Four tasks, each at three lengths, are scored by whole answers. The score counts each of the twelve from chance "
        "(0) to all right (100) and takes their mean; the last column normalises as a comparison does, from the worst to "
        "the best method of each.\n\n| method | score | before fine-tuning | relative |\n|---|---|---|---|\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_interval(b, over_seeds(seeds, fal_extension_score, arm->name), 1);
        append_interval(b, over_seeds(seeds, fal_extension_first_score, arm->name), 1);
        append_interval(b, over_seeds(seeds, fal_extension_relative_score, arm->name), 1);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\nRight answers in percent, after fine-tuning:\n\n| method |");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++) {
        for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
            fal_string_append_format(b, " %s %d |", task->name, p->n_context << k);
    }
    fal_string_append_text(b, "\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        fal_string_append_format(b, "| %s |", arm->name);
        append_subtasks(b, seeds, arm->name);
        fal_string_append_text(b, "\n");
    }
    fal_string_append_text(b, "\nThe tasks:\n\n");
    for (int i = 0; (task = fal_world_task_at(i)) != NULL; i++)
        fal_string_append_format(b, "- %s: %s (chance %.0f %%)\n", task->name, task->meaning,
                                 100 * task->chance);
    fal_string_append_text(b, "\n");
}

static void append_claims(fal_string_builder *b, const json_t *seeds) {
    static const char *const words[] = {"undecided", "**confirmed**", "**refuted**"};
    fal_claim_result claims[FAL_MAX_CLAIMS];
    int n = fal_extension_judge(seeds, claims);
    fal_string_append_text(b, "## What the model card says, at this scale\n\n"
                              "| claim | verdict | mean and 95 % interval |\n|---|---|---|\n");
    for (int i = 0; i < n; i++)
        fal_string_append_format(b, "| %s | %s | %s |\n", claims[i].claim, words[claims[i].verdict],
                                 claims[i].evidence);
    fal_string_append_text(
        b,
        "\nA verdict holds for models of this size, this text and this budget; the card speaks of 7B "
        "and 40B models.\n\n## The methods\n\n");
    const fal_extension_arm *arm;
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++)
        fal_string_append_format(b, "- %s: %s\n", arm->name, arm->meaning);
}

static fal_status write_text(const fal_extension_preset *preset, const json_t *seeds,
                             const char *path, const char *command, double seconds,
                             fal_error *err) {
    fal_string_builder b = {0};
    append_setup(&b, preset, (int)json_array_size(seeds), command, seconds);
    append_validity(&b, seeds);
    append_claims(&b, seeds);
    fal_string_append_text(&b, "\n");
    append_losses(&b, seeds);
    append_scores(&b, preset, seeds);
    fal_status status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_file_write(path, b.text, b.length, err);
    fal_string_release(&b);
    return status;
}

fal_status fal_extension_write_report(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, const char *command, double seconds,
                                      bool *has_figures, fal_error *err) {
    char *curves = fal_path_join(folder, "curves.tsv"),
         *scores = fal_path_join(folder, "scores.tsv"),
         *curves_svg = fal_path_join(folder, "curves.svg"),
         *scores_svg = fal_path_join(folder, "scores.svg"),
         *text = fal_path_join(folder, "README.md");
    fal_status status = FAL_OK;
    *has_figures = false;
    if (!curves || !scores || !curves_svg || !scores_svg || !text) {
        status = fal_fail(err, FAL_E_MEMORY, "out of memory");
        goto out;
    }
    FAL_TRY_OUT(write_curves(preset, seeds, curves, err));
    FAL_TRY_OUT(write_scores(seeds, scores, err));
    FAL_TRY_OUT(write_text(preset, seeds, text, command, seconds, err));
    status = draw_curves(curves, curves_svg, err);
    if (status == FAL_OK) status = draw_scores(scores, scores_svg, err);
    *has_figures = status == FAL_OK;
    if (status == FAL_E_UNSUPPORTED)
        status = FAL_OK; /* the tables are there to be drawn elsewhere */
out:
    fal_free(curves);
    fal_free(scores);
    fal_free(curves_svg);
    fal_free(scores_svg);
    fal_free(text);
    return status;
}
