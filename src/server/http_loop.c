/* The socket thread: waits for sockets, for exchanges that were woken and for clients that leave, and cuts those off who
 * take too long. A suspended connection is not looked at by the library, so its socket is watched here. */
#include "base/cpu.h"
#include "server/http_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void fal_http_ring(fal_http *http) {
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(http->wakeup, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

/* ---- clients that leave ---- */

void fal_http_watch(fal_http *http, fal_connection *c) {
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};
    epoll_ctl(http->epoll, EPOLL_CTL_ADD, c->socket, &event);
}

void fal_http_unwatch(fal_http *http, const fal_connection *c) {
    epoll_ctl(http->epoll, EPOLL_CTL_DEL, c->socket, NULL);
}

/* Shuts the socket down, so that the library sees the end of it and closes it. */
static void cut(fal_connection *c) {
    c->is_cut = true;
    shutdown(c->socket, SHUT_RDWR);
}

void fal_exchange_leave(fal_exchange *x) {
    if (x->is_left) return;
    x->is_left = true;
    fal_exchange_release_later(x);
    fal_exchange_go_on(x);
    cut(x->connection);
}

/* Whether the library has the whole answer: nobody is waited for, and the library sees for itself whether it arrives. */
static bool is_handed_over(const fal_exchange *x) {
    return x->is_queued && (!x->is_stream || (x->is_ended && x->n_taken == x->out.length));
}

/* Who waits for an answer has left; who has it all may go. A whole request may still be in the socket; sweep looks at it
 * again. */
static void hang_up(fal_connection *c) {
    const fal_exchange *x = c->exchange;
    c->hung_up = fal_seconds();
    if (x && x->later && !is_handed_over(x)) fal_exchange_leave(c->exchange);
}

/* ---- who was woken ---- */

static fal_exchange *take_woken(fal_http *http) {
    pthread_mutex_lock(&http->lock);
    fal_exchange *x = http->first_woken;
    if (x) {
        http->first_woken = x->next_woken;
        x->is_woken = false;
        http->n_woken--;
    }
    pthread_mutex_unlock(&http->lock);
    return x;
}

static size_t count_woken(fal_http *http) {
    pthread_mutex_lock(&http->lock);
    size_t n = http->n_woken;
    pthread_mutex_unlock(&http->lock);
    return n;
}

/* Once each: who is woken again meanwhile comes again after the sockets. */
static void run_woken(fal_http *http) {
    for (size_t n = count_woken(http); n > 0; n--) {
        fal_exchange *x = take_woken(http);
        if (!x) return;
        if (x->later) x->later->proceed(x->user, x);
        fal_exchange_go_on(x);
    }
}

/* ---- who takes too long ---- */

/* The library takes no answer in the middle of a body, so this one is written past it. */
static void tell_timeout(const fal_http *http, const fal_connection *c) {
    static const char body[] =
        "{\"error\":\"the body took too long\",\"error_type\":\"timeout\"}\n";
    char answer[400];
    if (http->is_tls) return;
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          sizeof body - 1, body);
    send(c->socket, answer, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void sweep(fal_http *http) {
    enum {
        GRACE_SECONDS = 1 /* for what came before the end */
    };

    double now = fal_seconds();
    bool is_draining = atomic_load(&http->is_draining);
    if (now - http->swept < 0.5) return;
    http->swept = now;
    for (fal_connection *c = http->connections; c; c = c->next) {
        const fal_exchange *x = c->exchange;
        if (c->is_cut) continue;
        bool is_idle = now - c->since > http->limits.idle_seconds;
        /* The library may miss the end when it comes together with the last bytes. */
        bool is_gone = c->hung_up > 0 && now - c->hung_up > GRACE_SECONDS;
        if (!x && (is_draining || is_idle || is_gone)) cut(c);
        if (!x || x->is_served || x->is_queued) continue;
        if (is_gone) cut(c);
        if (now - x->begun <= http->limits.body_seconds) continue;
        tell_timeout(http, c);
        cut(c);
    }
}

/* ---- the loop ---- */

/* Whether the thread is going to sleep; not while somebody is woken. */
static bool note_sleep(fal_http *http, bool sleeps) {
    pthread_mutex_lock(&http->lock);
    http->sleeps = sleeps && http->n_woken == 0;
    bool is_noted = http->sleeps;
    pthread_mutex_unlock(&http->lock);
    return is_noted;
}

static int pause_of(fal_http *http) {
    enum {
        SWEEP_MS = 500
    };

    MHD_UNSIGNED_LONG_LONG wait = SWEEP_MS;
    if (!note_sleep(http, true)) return 0;
    if (MHD_get_timeout(http->daemon, &wait) == MHD_YES && wait < SWEEP_MS) return (int)wait;
    return http->connections ? SWEEP_MS : -1;
}

static void take_events(fal_http *http, const struct epoll_event *events, int n) {
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == http->daemon) continue;
        if (events[i].data.ptr == http) {
            uint64_t rung;
            while (read(http->wakeup, &rung, sizeof rung) < 0 && errno == EINTR)
                continue;
        } else {
            hang_up(events[i].data.ptr);
        }
    }
}

static void stop_listening(fal_http *http) {
    http->is_quiet = true;
    MHD_quiesce_daemon(http->daemon);
    fal_listening_close(http);
}

static void note_processor_time(fal_http *http) {
    struct timespec spent = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    atomic_store(&http->processor_ns,
                 (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec);
}

void *fal_http_loop(void *argument) {
    enum {
        MAX_EVENTS = 64
    };

    fal_http *http = argument;
    struct epoll_event events[MAX_EVENTS];
    while (!atomic_load(&http->is_stopping)) {
        int n = epoll_wait(http->epoll, events, MAX_EVENTS, pause_of(http));
        note_sleep(http, false);
        if (n > 0) take_events(http, events, n);
        run_woken(http);
        MHD_run(http->daemon);
        if (atomic_load(&http->is_draining) && !http->is_quiet) stop_listening(http);
        sweep(http);
        note_processor_time(http);
    }
    /* The library cannot be stopped while something is suspended. */
    for (fal_connection *c = http->connections; c; c = c->next)
        if (c->exchange) fal_exchange_leave(c->exchange);
    MHD_run(http->daemon);
    return NULL;
}
