/* Body of plot.h: gnuplot gets its commands as an argument and gives the picture through a pipe. */
#include "publish/plot.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/string_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* In single quotes nothing but a quote means anything, and two of them mean one. */
static void append_quoted(fal_string_builder *out, const char *text) {
    fal_string_append_text(out, "'");
    for (; *text; text++)
        fal_string_append(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    fal_string_append_text(out, "'");
}

/* The points of one family and their words; at an angle, since files of nearly one size are the rule. */
static void append_series(fal_string_builder *out, const char *tsv_path, const char *condition,
                          const char *title, const char *colour, bool above) {
    append_quoted(out, tsv_path);
    fal_string_append_format(
        out, " every ::1 using (%s ? $2 : NaN):5 with points pt 7 ps 0.8 lc rgb '%s' title '%s',",
        condition, colour, title);
    append_quoted(out, tsv_path);
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

/* Reads the pipe to its end. */
static fal_status read_pipe(int pipe_end, fal_string_builder *out, fal_error *err) {
    char part[4096];
    for (;;) {
        ssize_t n = read(pipe_end, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fal_fail_errno(err, "cannot read from", "gnuplot");
        if (n == 0) return fal_string_status(out, err);
        fal_string_append(out, part, (size_t)n);
    }
}

/* Starts gnuplot with its output in the pipe; 0, or an error number. */
static int start(pid_t *child, int ends[2], char *commands) {
    static char program[] = "gnuplot", with_commands[] = "-e";
    char *const arguments[] = {program, with_commands, commands, NULL};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed) return failed;
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (!failed)
        failed =
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed) failed = posix_spawnp(child, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static fal_status draw(fal_string_builder *picture, char *commands, fal_error *err) {
    int ends[2], state = 0;
    if (pipe(ends) != 0) return fal_fail_errno(err, "cannot make a pipe to", "gnuplot");
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t child = 0;
    int failed = start(&child, ends, commands);
    close(ends[1]);
    fal_status status = FAL_OK;
    if (!failed) {
        status = read_pipe(ends[0], picture, err);
        while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
        }
    }
    close(ends[0]);
    if (failed)
        return fal_fail(err, FAL_E_UNSUPPORTED, "no plot: gnuplot cannot be started (%s)",
                        strerror(failed));
    if (status == FAL_OK && (!WIFEXITED(state) || WEXITSTATUS(state) != 0 || picture->length == 0))
        status = fal_fail(err, FAL_E_UNSUPPORTED, "no plot: gnuplot failed");
    return status;
}

fal_status fal_plot_quality(const char *tsv_path, const char *svg_path, bool log_scale,
                            fal_error *err) {
    fal_string_builder commands = {0}, picture = {0};
    append_commands(&commands, tsv_path, log_scale);
    fal_status status = fal_string_status(&commands, err);
    if (status == FAL_OK) status = draw(&picture, commands.text, err);
    if (status == FAL_OK) status = fal_file_write(svg_path, picture.text, picture.length, err);
    fal_string_release(&commands);
    fal_string_release(&picture);
    return status;
}
