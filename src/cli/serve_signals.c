/* Body of serve_signals.h: the handler writes the signal's number into a pipe. */
#include "cli/serve_signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static int ends[2] = {-1, -1};

static void collect(int signal) {
    int kept = errno;
    unsigned char number = (unsigned char)signal;
    /* A full pipe has enough of them. */
    if (write(ends[1], &number, 1) < 0) errno = kept;
    errno = kept;
}

fal_status fal_signals_collect(fal_error *err) {
    static const int collected[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = collect, .sa_flags = SA_RESTART};
    if (pipe(ends) != 0) return fal_fail_errno(err, "opening", "a pipe for signals");
    for (int i = 0; i < 2; i++)
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof collected / sizeof *collected; i++)
        sigaction(collected[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return FAL_OK;
}

int fal_signals_next(int ms) {
    unsigned char number = 0;
    struct pollfd readable = {.fd = ends[0], .events = POLLIN};
    if (poll(&readable, 1, ms) <= 0) return 0;
    return read(ends[0], &number, 1) == 1 ? number : 0;
}
