/* Body of extension_figures.h. */
#include "publish/extension_figures.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/gnuplot.h"
#include "base/string_builder.h"
#include "eval/small_world.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ARMS = 16
};

/* The next arm from index on that was trained on the common data, and steps index behind it; NULL: none is left. */
static const fal_extension_arm *next_arm(int *index) {
    const fal_extension_arm *arm;
    while ((arm = fal_extension_arm_at(*index)) != NULL) {
        ++*index;
        if (arm->has_long_data) return arm;
    }
    return NULL;
}

static fal_status write_table(fal_string_builder *b, const char *folder, const char *name,
                              fal_error *err) {
    char *path = fal_path_join(folder, name);
    fal_status status = path ? fal_string_status(b, err) : fal_fail_memory(err, 0);
    if (status == FAL_OK) status = fal_file_write(path, b->text, b->length, err);
    fal_free(path);
    fal_string_release(b);
    return status;
}

/* ---- tables ---- */

static double curve_at(const json_t *seeds, const char *arm, int step) {
    double mean = 0;
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        const json_t *by_arm = json_object_get(json_array_get(seeds, i), "arms");
        const json_t *curve = json_object_get(json_object_get(by_arm, arm), "curve");
        mean +=
            json_number_value(json_array_get(curve, (size_t)step)) / (double)json_array_size(seeds);
    }
    return mean;
}

static void append_curves(fal_string_builder *b, const fal_extension_preset *preset,
                          const json_t *seeds) {
    const fal_extension_arm *arm;
    const double kept = 0.8; /* of the running mean at each step: about five steps show */
    double smooth[MOST_ARMS] = {0};
    int n_tokens = preset->extend_sequences * preset->n_context * FAL_EXTENSION_FACTOR;
    fal_string_append_text(b, "tokens");
    for (int i = 0; (arm = next_arm(&i)) != NULL;)
        fal_string_append_format(b, "\t%s", arm->name);
    for (int step = 0; step < preset->extend_steps; step++) {
        fal_string_append_format(b, "\n%lld", (long long)n_tokens * (step + 1));
        for (int i = 0, k = 0; (arm = next_arm(&i)) != NULL; k++) {
            double loss = curve_at(seeds, arm->name, step);
            smooth[k] = step == 0 ? loss : kept * smooth[k] + (1 - kept) * loss;
            fal_string_append_format(b, "\t%.5f", smooth[k]);
        }
    }
    fal_string_append_text(b, "\n");
}

static void append_scores(fal_string_builder *b, const json_t *seeds) {
    const fal_extension_arm *arm;
    fal_string_append_text(b, "method\tscore\tlow\thigh\tbefore\trelative\n");
    for (int i = 0; (arm = next_arm(&i)) != NULL;) {
        fal_interval score = fal_extension_over_seeds(seeds, fal_extension_score, arm->name);
        if (!isfinite(score.low)) score.low = score.high = score.mean;
        fal_string_append_format(
            b, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n", arm->name, score.mean, score.low, score.high,
            fal_extension_over_seeds(seeds, fal_extension_first_score, arm->name).mean,
            fal_extension_over_seeds(seeds, fal_extension_relative_score, arm->name).mean);
    }
}

static void append_subtasks(fal_string_builder *b, const fal_extension_preset *preset,
                            const json_t *seeds) {
    const fal_extension_arm *arm;
    const fal_world_task_row *task;
    fal_string_append_text(b, "method\ttask\tlength\tbefore\tafter\n");
    for (int i = 0; (arm = fal_extension_arm_at(i)) != NULL; i++) {
        for (int t = 0; (task = fal_world_task_at(t)) != NULL; t++) {
            for (int k = 0; k < FAL_EXTENSION_LENGTHS; k++)
                fal_string_append_format(
                    b, "%s\t%s\t%d\t%.4f\t%.4f\n", arm->name, task->name, preset->n_context << k,
                    fal_extension_subtask_mean(seeds, arm->name, "before", task->name, k),
                    fal_extension_subtask_mean(seeds, arm->name, "after", task->name, k));
        }
    }
}

fal_status fal_extension_write_tables(const fal_extension_preset *preset, const json_t *seeds,
                                      const char *folder, fal_error *err) {
    fal_string_builder curves = {0}, scores = {0}, subtasks = {0};
    append_curves(&curves, preset, seeds);
    append_scores(&scores, seeds);
    append_subtasks(&subtasks, preset, seeds);
    fal_status status = write_table(&curves, folder, "curves.tsv", err);
    if (status == FAL_OK) status = write_table(&scores, folder, "scores.tsv", err);
    if (status == FAL_OK) status = write_table(&subtasks, folder, "subtasks.tsv", err);
    fal_string_release(&curves);
    fal_string_release(&scores);
    fal_string_release(&subtasks);
    return status;
}

/* ---- figures ---- */

#define TERMINAL                                                        \
    "set terminal svg size 860,%d noenhanced font 'sans-serif,13' "     \
    "background rgb 'white'; set datafile separator tab; set border 3;" \
    "set tics nomirror; set grid ytics lt 1 lw 0.5 lc rgb '#dddddd';"

/* None and position interpolation lie so far above the rest that beside them nothing else could be told apart. */
static bool is_close(const fal_extension_arm *arm) {
    return strcmp(arm->name, "none") != 0 && strcmp(arm->name, "pi") != 0;
}

/* All lines of one panel; with `other`, what the close ones differ from that column by. */
static void append_panel(fal_string_builder *b, const char *tsv, int other) {
    static const char *const colours[] = {"#999999", "#c07000", "#1f5f9f", "#2a8f5a",
                                          "#a03020", "#d08090", "#7a4fa0", "#202020"};
    const int n_colours = sizeof colours / sizeof colours[0];
    const fal_extension_arm *arm;
    fal_string_append_text(b, "plot ");
    for (int i = 0, k = 0; (arm = next_arm(&i)) != NULL; k++) {
        if (other && !is_close(arm)) continue;
        fal_gnuplot_append_path(b, tsv);
        if (other)
            fal_string_append_format(b, " every ::1 using 1:($%d-$%d)", k + 2, other);
        else
            fal_string_append_format(b, " every ::1 using 1:%d", k + 2);
        fal_string_append_format(b, " with lines lw 2 dt %d lc rgb '%s' title '%s',",
                                 fal_extension_arm_is_compared(arm) ? 1 : 2, colours[k % n_colours],
                                 arm->name);
    }
    fal_string_append_text(b, ";");
}

static void append_curve_commands(fal_string_builder *b, const char *tsv) {
    const fal_extension_arm *arm;
    int ntk = 2;
    for (int i = 0; (arm = next_arm(&i)) != NULL && strcmp(arm->name, "ntk") != 0;)
        ntk++;
    fal_string_append_format(b, TERMINAL, 820);
    fal_string_append_text(b, "set key outside right; set format x '%.0s%c'; set lmargin 11;"
                              "set rmargin 18; set multiplot layout 2,1;"
                              "set ylabel 'Training loss, nats per weighted token';");
    append_panel(b, tsv, 0);
    fal_string_append_text(
        b, "unset key; set xlabel 'Tokens of fine-tuning'; set ylabel 'Loss less that of ntk';");
    append_panel(b, tsv, ntk);
    fal_string_append_text(b, "unset multiplot");
}

static void append_score_commands(fal_string_builder *b, const char *tsv) {
    fal_string_append_format(b, TERMINAL, 480);
    fal_string_append_text(b, "set key outside top center horizontal; set style fill solid 0.8;"
                              "set boxwidth 0.6; set yrange [*<0:*]; set xtics rotate by -20;"
                              "set ylabel 'Score: 0 is chance, 100 all right';plot ");
    fal_gnuplot_append_path(b, tsv);
    fal_string_append_text(
        b, " every ::1 using 0:2:xtic(1) with boxes lc rgb '#1f5f9f' title 'after fine-tuning',");
    fal_gnuplot_append_path(b, tsv);
    /* Arrows with heads at right angles: error bars would leave the bar's end out. */
    fal_string_append_text(
        b, " every ::1 using 0:3:(0):($4-$3) with vectors heads size screen 0.006,90 lw 2 "
           "lc rgb '#202020' title '95 % interval',");
    fal_gnuplot_append_path(b, tsv);
    fal_string_append_text(
        b,
        " every ::1 using ($0+0.18):5 with points pt 7 lc rgb '#d08000' title 'with no fine-tuning'");
}

typedef void append_function(fal_string_builder *b, const char *tsv);

static fal_status draw(const char *folder, const char *table, const char *figure,
                       append_function *append, fal_error *err) {
    fal_string_builder b = {0};
    char *tsv = fal_path_join(folder, table), *svg = fal_path_join(folder, figure);
    fal_status status = tsv && svg ? FAL_OK : fal_fail_memory(err, 0);
    if (status == FAL_OK) append(&b, tsv);
    if (status == FAL_OK) status = fal_string_status(&b, err);
    if (status == FAL_OK) status = fal_gnuplot_draw(b.text, svg, err);
    fal_string_release(&b);
    fal_free(tsv);
    fal_free(svg);
    return status;
}

fal_status fal_extension_draw_figures(const char *folder, fal_error *err) {
    FAL_TRY(draw(folder, "curves.tsv", "curves.svg", append_curve_commands, err));
    return draw(folder, "scores.tsv", "scores.svg", append_score_commands, err);
}
