/* Body of curves.h. Long runs are thinned out for the picture, never in the table. */
#include "train/curves.h"

#include "base/gnuplot.h"

#include <math.h>

enum {
    MAX_POINTS = 4000, /* of a curve in the picture */
    SMOOTHED = 20      /* a bold line is the mean over a 20th of the run before */
};

static void append_number(fal_string_builder *out, double value) {
    if (isfinite(value))
        fal_string_append_format(out, "\t%.9g", value);
    else
        fal_string_append_text(out, "\tNaN");
}

void fal_curves_append_line(fal_string_builder *out, const fal_train_step *step) {
    fal_string_append_format(out, "%lld\t%lld", (long long)step->step, (long long)step->n_tokens);
    append_number(out, step->loss);
    append_number(out, step->validation_loss);
    append_number(out, step->gradient_norm);
    append_number(out, step->learning_rate);
    fal_string_append_text(out, "\n");
}

static void append_table(fal_string_builder *out, const char *tsv_path, int64_t every) {
    fal_gnuplot_append_path(out, tsv_path);
    fal_string_append_format(out, " every %lld::1 ", (long long)every);
}

fal_status fal_curves_draw(const char *tsv_path, int64_t n_steps, const char *svg_path,
                           fal_error *err) {
    int64_t every = 1 + n_steps / MAX_POINTS;
    fal_string_builder out = {0};
    fal_string_append_text(&out, "set terminal svg size 860,900 noenhanced font 'sans-serif,13' "
                                 "background rgb 'white';"
                                 "set datafile separator tab; set datafile missing 'NaN';"
                                 "set grid xtics ytics lt 1 lw 0.5 lc rgb '#dddddd';"
                                 "set border 3; set tics nomirror; set format y '%g';"
                                 "set lmargin 12; set multiplot layout 3,1;"
                                 "set ylabel 'loss, nats per token'; set key top right;");
    /* Steps begin at 1: mean of the last losses, kept between points. */
    fal_string_append_format(&out, "s=NaN; a=%.6g; m(x)=(s=s==s?s+a*(x-s):x,s);",
                             SMOOTHED / (SMOOTHED + (double)n_steps / (double)every));
    fal_string_append_text(&out, "plot ");
    append_table(&out, tsv_path, every);
    fal_string_append_text(&out, "using 1:3 with lines lw 1 lc rgb '#a9c4de' title 'training',");
    append_table(&out, tsv_path, every);
    fal_string_append_text(&out,
                           "using 1:(m($3)) with lines lw 2 lc rgb '#1f5f9f' title 'its mean',");
    append_table(&out, tsv_path, 1);
    fal_string_append_text(&out, "using 1:4 with linespoints pt 7 ps 0.6 lw 2 lc rgb '#a03020' "
                                 "title 'validation'; unset key; set logscale y;"
                                 "set ylabel 'norm of the gradient';plot ");
    append_table(&out, tsv_path, every);
    fal_string_append_text(&out, "using 1:5 with lines lw 1 lc rgb '#1f5f9f'; unset logscale y;"
                                 "set yrange [0:*]; set ylabel 'learning rate';"
                                 "set xlabel 'step';plot ");
    append_table(&out, tsv_path, every);
    fal_string_append_text(&out, "using 1:6 with lines lw 2 lc rgb '#1f5f9f'");
    fal_status status = fal_string_status(&out, err);
    if (status == FAL_OK) status = fal_gnuplot_draw(out.text, svg_path, err);
    fal_string_release(&out);
    return status;
}
