/* Body of gnuplot.h: gnuplot gets its commands as an argument and gives the picture through a pipe. */
#include "base/file.h"
#include "base/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* In single quotes nothing but a quote means anything, and two of them mean one. But of a file's name the beginning does:
 * "<" runs a command, "-", "+" and "~" stand for something else. */
void fal_gnuplot_append_path(fal_string_builder *out, const char *path) {
    const char *text = path;
    fal_string_append_text(out, *path == '/' ? "'" : "'./");
    for (; *text; text++)
        fal_string_append(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    fal_string_append_text(out, "'");
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
    /* Not what a person has in .gnuplot. */
    static char program[] = "gnuplot", by_default[] = "-d", with_commands[] = "-e";
    char *const arguments[] = {program, by_default, with_commands, commands, NULL};
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

fal_status fal_gnuplot_draw(char *commands, const char *path, fal_error *err) {
    fal_string_builder picture = {0};
    fal_status status = draw(&picture, commands, err);
    if (status == FAL_OK) status = fal_file_write(path, picture.text, picture.length, err);
    fal_string_release(&picture);
    return status;
}
