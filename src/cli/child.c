/* Body of child.h: fork, and a pipe for the answer: a status, its message, and the result. */
#include "cli/child.h"

#include "base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WAIT_MILLISECONDS = 200
};

/* What stands in front of the result, which is aligned for whatever it may be. */
typedef struct answer {
    _Alignas(max_align_t) fal_error error;
} answer;

/* ---- the child ---- */

static bool write_all(int to, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = write(to, bytes, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* Leaves by _exit: what the parent has open and not yet written is the parent's. */
__attribute__((noreturn)) static void be_child(int to, char *buffer, size_t n_bytes, fal_task *task,
                                               void *argument) {
    answer *head = (answer *)buffer;
    signal(SIGPIPE, SIG_IGN);
    head->error.status = task(argument, buffer + sizeof *head, &head->error);
    _exit(write_all(to, buffer, sizeof *head + n_bytes) ? 0 : 1);
}

/* ---- the parent ---- */

/* Reads up to length bytes, asking between waits whether to go on; what was read says if that was all. */
static fal_status read_answer(int from, char *bytes, size_t length, size_t *n_read,
                              fal_on_wait *on_wait, void *user, fal_error *err) {
    *n_read = 0;
    while (*n_read < length) {
        struct pollfd waiting = {.fd = from, .events = POLLIN};
        int n_ready = poll(&waiting, 1, WAIT_MILLISECONDS);
        if (on_wait && !on_wait(user)) return fal_fail(err, FAL_E_CANCELLED, "cancelled");
        if (n_ready < 0 && errno != EINTR)
            return fal_fail_errno(err, "cannot wait for", "a child process");
        if (n_ready <= 0) continue;
        ssize_t n = read(from, bytes + *n_read, length - *n_read);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fal_fail_errno(err, "cannot read from", "a child process");
        if (n == 0) return FAL_OK;
        *n_read += (size_t)n;
    }
    return FAL_OK;
}

static fal_status fail_ended(int state, fal_error *err) {
    if (WIFSIGNALED(state))
        return fal_fail(err, FAL_E_IO, "a child process was ended by signal %d%s", WTERMSIG(state),
                        WTERMSIG(state) == SIGKILL ? ", perhaps for lack of memory" : "");
    return fal_fail(err, FAL_E_IO, "a child process ended without an answer (exit code %d)",
                    WIFEXITED(state) ? WEXITSTATUS(state) : -1);
}

static fal_status be_parent(pid_t child, int from, char *buffer, size_t length,
                            fal_on_wait *on_wait, void *user, fal_error *err) {
    size_t n_read;
    int state = 0;
    fal_status status = read_answer(from, buffer, length, &n_read, on_wait, user, err);
    if (status != FAL_OK) kill(child, SIGKILL);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    if (status == FAL_OK && n_read < length) status = fail_ended(state, err);
    return status;
}

static fal_status run(char *buffer, size_t n_bytes, fal_task *task, void *argument,
                      fal_on_wait *on_wait, void *user, fal_error *err) {
    int ends[2];
    if (pipe(ends) != 0) return fal_fail_errno(err, "cannot make a pipe to", "a child process");
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        be_child(ends[1], buffer, n_bytes, task, argument);
    }
    int number = errno;
    close(ends[1]);
    fal_status status;
    if (child < 0) {
        status = fal_fail(err, FAL_E_IO, "cannot start a child process: %s", strerror(number));
    } else {
        status = be_parent(child, ends[0], buffer, sizeof(answer) + n_bytes, on_wait, user, err);
    }
    close(ends[0]);
    return status;
}

fal_status fal_child_run(void *result, size_t n_bytes, fal_task *task, void *argument,
                         fal_on_wait *on_wait, void *user, fal_error *err) {
    size_t total;
    char *buffer = fal_add_size(sizeof(answer), n_bytes, &total) ? fal_alloc(total, 1) : NULL;
    if (!buffer) return fal_fail_memory(err, n_bytes);
    fal_status status = run(buffer, n_bytes, task, argument, on_wait, user, err);
    const fal_error *failure = &((answer *)buffer)->error;
    if (status == FAL_OK && failure->status != FAL_OK) {
        status = failure->status;
        if (err) *err = *failure;
    } else if (status == FAL_OK) {
        memcpy(result, buffer + sizeof(answer), n_bytes);
    }
    fal_free(buffer);
    return status;
}
