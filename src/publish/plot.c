/* Body of plot.h. */
#include "publish/plot.h"

#include "base/gnuplot.h"

/* The points of one family and their words; at an angle, since files of nearly one size are the rule. */
static void append_series(fal_string_builder *out, const char *tsv_path, const char *condition,
                          const char *title, const char *colour, bool above) {
    fal_gnuplot_append_path(out, tsv_path);
    fal_string_append_format(
        out, " every ::1 using (%s ? $2 : NaN):5 with points pt 7 ps 0.8 lc rgb '%s' title '%s',",
        condition, colour, title);
    fal_gnuplot_append_path(out, tsv_path);
    fal_string_append_format(
        out,
        " every ::1 using (%s ? $2 : NaN):5:1 with labels %s rotate by 50 font ',11' tc rgb '%s' notitle",
        condition, above ? "left offset 0.3,0.7" : "right offset -0.3,-0.7", colour);
}

static void append_commands(fal_string_builder *out, const char *tsv_path, bool log_scale) {
    fal_string_append_text(out, "set terminal svg size 860,560 noenhanced font 'sans-serif,13' "
                                "background rgb 'white';"
                                "set datafile separator tab; set key top right;"
                                "set grid xtics ytics lt 1 lw 0.5 lc rgb '#dddddd';"
                                "set border 3; set tics nomirror; set format y '%g';"
                                "set offsets graph 0.04, graph 0.1, graph 0.15, graph 0.15;"
                                "set xlabel 'File size, GB';"
                                "set ylabel 'KL divergence from the unquantized model, nats';");
    if (log_scale) fal_string_append_text(out, "set logscale y;");
    fal_string_append_text(out, "plot ");
    append_series(out, tsv_path, "strstrt(strcol(1), '_K') > 0", "K-quants", "#1f5f9f", true);
    fal_string_append_text(out, ",");
    append_series(out, tsv_path, "strstrt(strcol(1), '_K') == 0", "others", "#a03020", false);
}

fal_status fal_plot_quality(const char *tsv_path, const char *svg_path, bool log_scale,
                            fal_error *err) {
    fal_string_builder commands = {0};
    append_commands(&commands, tsv_path, log_scale);
    fal_status status = fal_string_status(&commands, err);
    if (status == FAL_OK) status = fal_gnuplot_draw(commands.text, svg_path, err);
    fal_string_release(&commands);
    return status;
}
