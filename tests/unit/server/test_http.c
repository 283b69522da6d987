/* The daemon and its exchanges, driven by raw sockets: answers now, later and in chunks, clients that are slow, leave or say
 * too much, and the ways it ends. Handlers here stand for those of the routes. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "check.h"
#include "server/http_daemon.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    STREAM_BYTES = 6 << 20,
    PIECE_BYTES = 9973
};

static void sleep_ms(long ms) {
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* ---- the server's side ---- */

typedef struct site {
    fal_http *http;
    atomic_int n_released, n_ended, n_left, n_waiting, last_code;
    atomic_size_t most_backlog;
    atomic_bool wakes; /* a thread wakes what waits, again and again */
    pthread_mutex_t lock;
    fal_exchange *waiting[512]; /* under the lock */
    size_t n;
} site;

/* One exchange that waits. */
typedef struct waiting_answer {
    site *site;
    fal_exchange *x;
    int n_proceeds;
    size_t n_written;
    bool is_stream, is_silent;
} waiting_answer;

static unsigned char byte_at(size_t position) {
    return (unsigned char)("0123456789abcdefghijklmnopqrstuvwxyz"[position % 36]);
}

static void write_stream(waiting_answer *w, fal_exchange *x) {
    char piece[PIECE_BYTES];
    while (w->n_written < STREAM_BYTES && fal_exchange_backlog(x) <= FAL_EXCHANGE_BACKLOG) {
        size_t n = STREAM_BYTES - w->n_written;
        if (n > sizeof piece) n = sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)byte_at(w->n_written + i);
        fal_exchange_write(x, piece, n);
        w->n_written += n;
        if (fal_exchange_backlog(x) > atomic_load(&w->site->most_backlog))
            atomic_store(&w->site->most_backlog, fal_exchange_backlog(x));
    }
    if (w->n_written == STREAM_BYTES) fal_exchange_end_stream(x);
}

static void proceed(void *user, fal_exchange *x) {
    waiting_answer *w = user;
    w->n_proceeds++;
    if (w->is_stream)
        write_stream(w, x);
    else if (!w->is_silent && w->n_proceeds == 3)
        fal_exchange_answer(x, 200, "text/plain", "later", 5);
}

static void release(void *user) {
    waiting_answer *w = user;
    site *s = w->site;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        if (s->waiting[i] == w->x) s->waiting[i] = s->waiting[--s->n];
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->n_released, 1);
    atomic_fetch_sub(&s->n_waiting, 1);
    fal_free(w);
}

static const fal_later later = {proceed, release};

static void on_begin(void *user, fal_exchange *x) {
    (void)user;
    if (strcmp(fal_exchange_path(x), "/refused") == 0)
        fal_exchange_answer(x, 403, "text/plain", "no", 2);
}

static void wait_for_it(site *s, fal_exchange *x) {
    const char *path = fal_exchange_path(x);
    waiting_answer *w = fal_alloc(1, sizeof *w);
    assert_non_null(w);
    bool is_kept = strcmp(path, "/kept") == 0;
    *w = (waiting_answer){
        s, x, 0, 0, strcmp(path, "/stream") == 0, is_kept || strcmp(path, "/never") == 0};
    if (is_kept) assert_true(fal_exchange_count(x, 100));
    if (w->is_stream) fal_exchange_begin_stream(x, "text/plain");
    fal_exchange_wait(x, &later, w);
    pthread_mutex_lock(&s->lock);
    s->waiting[s->n++] = x;
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->n_waiting, 1);
}

static void on_serve(void *user, fal_exchange *x) {
    size_t length = 0;
    const char *body = fal_exchange_body(x, &length);
    if (strcmp(fal_exchange_path(x), "/echo") == 0)
        fal_exchange_answer(x, 200, "text/plain", body, length);
    else
        wait_for_it(user, x);
}

static void on_end(void *user, fal_exchange *x, int code, uint64_t n_bytes, bool is_left) {
    site *s = user;
    (void)x;
    (void)n_bytes;
    atomic_store(&s->last_code, code);
    atomic_fetch_add(&s->n_left, is_left);
    atomic_fetch_add(&s->n_ended, 1);
}

static void *wake_all(void *user) {
    site *s = user;
    while (atomic_load(&s->wakes)) {
        pthread_mutex_lock(&s->lock);
        for (size_t i = 0; i < s->n; i++)
            fal_exchange_wake(s->waiting[i], false);
        pthread_mutex_unlock(&s->lock);
        sleep_ms(1);
    }
    return NULL;
}

static site *open_site(fal_http_limits limits) {
    fal_error err = {0};
    site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    const fal_http_options o = {
        .limits = limits, .calls = {on_begin, on_serve, on_end},
             .user = s
    };
    CHECK_OK(fal_http_open(&s->http, &o, &err), &err);
    CHECK_OK(fal_http_start(s->http, &err), &err);
    return s;
}

static void close_site(site *s) {
    fal_http_close(s->http);
    assert_int_equal(atomic_load(&s->n_waiting), 0);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Waits up to ten seconds until the counter has the value. */
static void expect_count(const atomic_int *counter, int value) {
    for (int i = 0; i < 2000 && atomic_load(counter) != value; i++)
        sleep_ms(5);
    assert_int_equal(atomic_load(counter), value);
}

/* ---- the client's side ---- */

static int dial(const site *s) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fal_http_port(s->http)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void say(int fd, const char *text) {
    size_t length = strlen(text);
    assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

/* Reads until the text has the fragment, or to the end; returns how many bytes came. out is terminated. */
static size_t hear(int fd, char *out, size_t size, const char *fragment) {
    size_t n = 0;
    out[0] = '\0';
    while (n + 1 < size && !(fragment && strstr(out, fragment))) {
        ssize_t got = recv(fd, out + n, size - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        out[n] = '\0';
    }
    return n;
}

static void ask(const site *s, const char *request, const char *expected) {
    char answer[2000];
    int fd = dial(s);
    say(fd, request);
    hear(fd, answer, sizeof answer, NULL);
    if (!strstr(answer, expected)) fail_msg("'%s' lacks '%s'", answer, expected);
    close(fd);
}

/* ---- tests ---- */

static void test_connections_serve_request_after_request(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    char answer[1000];
    int fd = dial(s);
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhallo");
        hear(fd, answer, sizeof answer, "hallo");
        assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(answer, "X-Request-Id: "));
        assert_non_null(strstr(answer, "\r\n\r\nhallo"));
    }
    close(fd);
    ask(s,
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
        "\r\n\r\nabcdefg");
    expect_count(&s->n_ended, 4);
    assert_int_equal(atomic_load(&s->n_left), 0);
    close_site(s);
}

static void test_answers_come_later(void **state) {
    enum {
        CLIENTS = 200
    };

    (void)state;
    site *s = open_site((fal_http_limits){0});
    pthread_t waker[2];
    int fds[CLIENTS];
    char answer[1000];
    atomic_store(&s->wakes, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&waker[i], NULL, wake_all, s), 0);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial(s);
        say(fds[i], "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (int i = 0; i < CLIENTS; i++) {
        hear(fds[i], answer, sizeof answer, "\r\n\r\nlater");
        assert_non_null(strstr(answer, "\r\n\r\nlater"));
        close(fds[i]);
    }
    expect_count(&s->n_released, CLIENTS);
    expect_count(&s->n_ended, CLIENTS);
    atomic_store(&s->wakes, false);
    for (int i = 0; i < 2; i++)
        pthread_join(waker[i], NULL);
    close_site(s);
}

/* Checks the chunks of a stream as far as they come; returns how many bytes of it there were. */
static size_t check_chunks(const char *text, size_t length) {
    size_t n = 0;
    const char *at = strstr(text, "\r\n\r\n"), *end = text + length;
    assert_non_null(at);
    at += 4;
    while (at < end) {
        char *behind = NULL;
        size_t size = strtoul(at, &behind, 16);
        if (!size) break;
        at = behind + 2;
        for (size_t i = 0; i < size && at + i < end; i++, n++)
            if ((unsigned char)at[i] != byte_at(n)) fail_msg("byte %zu differs", n);
        at += size + 2;
    }
    return n;
}

static void test_a_stream_is_as_fast_as_its_client(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    char *text = malloc(2 * STREAM_BYTES);
    pthread_t waker;
    atomic_store(&s->wakes, true);
    assert_int_equal(pthread_create(&waker, NULL, wake_all, s), 0);
    int fd = dial(s);
    say(fd, "GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    sleep_ms(300); /* nothing is taken: what is written must stay bounded */
    size_t length = hear(fd, text, 2 * STREAM_BYTES, NULL);
    assert_int_equal(check_chunks(text, length), STREAM_BYTES);
    assert_true(length > 5 && memcmp(text + length - 5, "0\r\n\r\n", 5) == 0);
    assert_in_range(atomic_load(&s->most_backlog), PIECE_BYTES, FAL_EXCHANGE_BACKLOG + PIECE_BYTES);
    close(fd);
    atomic_store(&s->wakes, false);
    pthread_join(waker, NULL);
    expect_count(&s->n_ended, 1);
    assert_int_equal(atomic_load(&s->n_left), 0);
    free(text);
    close_site(s);
}

/* A backlog that was taken calls proceed without anybody's waking. */
static void test_a_taken_backlog_goes_on(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    char *text = malloc(2 * STREAM_BYTES);
    int fd = dial(s);
    say(fd, "GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect_count(&s->n_waiting, 1);
    pthread_mutex_lock(&s->lock);
    fal_exchange_wake(s->waiting[0], false);
    pthread_mutex_unlock(&s->lock);
    size_t length = hear(fd, text, 2 * STREAM_BYTES, NULL);
    assert_int_equal(check_chunks(text, length), STREAM_BYTES);
    close(fd);
    free(text);
    close_site(s);
}

static void test_who_leaves_is_released(void **state) {
    static const char *const requests[] = {"GET /never HTTP/1.1\r\nHost: h\r\n\r\n",
                                           "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"};
    (void)state;
    site *s = open_site((fal_http_limits){0});
    struct linger hard = {1, 0};
    for (int i = 0; i < 8; i++) {
        int fd = dial(s);
        say(fd, requests[i / 4]);
        expect_count(&s->n_waiting, 1);
        if (i & 1) setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        if (i & 2)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        expect_count(&s->n_released, i + 1);
        expect_count(&s->n_ended, i + 1);
        if (i & 2) close(fd);
    }
    assert_int_equal(atomic_load(&s->n_left), 8);
    close_site(s);
}

static void test_one_that_leaves_disturbs_nobody(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    char answer[1000];
    int stays = dial(s), leaves = dial(s);
    say(stays, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    say(leaves, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_count(&s->n_waiting, 2);
    close(leaves);
    expect_count(&s->n_released, 1);
    for (int i = 0; i < 3; i++) {
        pthread_mutex_lock(&s->lock);
        fal_exchange_wake(s->waiting[0], false);
        pthread_mutex_unlock(&s->lock);
        sleep_ms(50);
    }
    hear(stays, answer, sizeof answer, "later");
    assert_non_null(strstr(answer, "\r\n\r\nlater"));
    close(stays);
    close_site(s);
}

static void test_closing_releases_what_waits(void **state) {
    (void)state;
    long live = fal_alloc_live();
    site *s = open_site((fal_http_limits){0});
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(s);
        say(fds[i], i & 1 ? "GET /never HTTP/1.1\r\nHost: h\r\n\r\n"
                          : "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    int half = dial(s);
    say(half, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf");
    expect_count(&s->n_waiting, 20);
    close_site(s); /* asserts that nothing waits any more */
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    close(half);
    assert_int_equal(fal_alloc_live(), live);
}

static void test_draining_ends_what_runs_and_takes_nothing(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    char answer[1000];
    int runs = dial(s), idle = dial(s);
    say(runs, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_count(&s->n_waiting, 1);
    fal_http_drain(s->http);
    assert_int_equal(recv(idle, answer, sizeof answer, 0), 0); /* cut */
    assert_int_equal(dial(s), -1);
    assert_int_equal(fal_http_n_exchanges(s->http), 1);
    for (int i = 0; i < 3; i++) {
        fal_exchange_wake(s->waiting[0], false);
        sleep_ms(50);
    }
    hear(runs, answer, sizeof answer, NULL);
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nlater"));
    expect_count(&s->n_ended, 1);
    close(runs);
    close(idle);
    close_site(s);
}

static void test_bodies_have_limits(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){.body_bytes = 100});
    char request[1000];
    snprintf(
        request, sizeof request,
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 101\r\n\r\n%0101d",
        0);
    ask(s, request, "HTTP/1.1 413 ");
    snprintf(
        request, sizeof request,
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100\r\n\r\n%0100d",
        0);
    ask(s, request, "HTTP/1.1 200 ");
    snprintf(
        request, sizeof request,
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "60\r\n%096d\r\n60\r\n%096d\r\n0\r\n\r\n",
        0, 0);
    ask(s, request, "HTTP/1.1 413 ");
    /* Asked before it is sent: the answer comes at once. */
    ask(s,
        "POST /refused HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
        "Content-Length: 90\r\n\r\n",
        "HTTP/1.1 403 ");
    /* Refused, but short: read to its end, and the connection goes on. */
    int fd = dial(s);
    char answer[1000];
    for (int i = 0; i < 2; i++) {
        say(fd, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
        hear(fd, answer, sizeof answer, "\r\n\r\nno");
        assert_non_null(strstr(answer, "HTTP/1.1 403 "));
    }
    close(fd);
    close_site(s);
}

static void test_all_bodies_together_have_a_limit(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){.body_bytes = 100, .bodies_bytes = 150});
    char request[1000];
    int slow = dial(s);
    say(slow, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
              "0123456789012345678901234567890123456789012345678901234567890123456789012345");
    sleep_ms(100);
    snprintf(
        request, sizeof request,
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100\r\n\r\n%0100d",
        0);
    ask(s, request, "HTTP/1.1 503 ");
    close(slow);
    expect_count(&s->n_ended, 2);
    ask(s, request, "HTTP/1.1 200 ");
    close_site(s);
}

static void test_what_is_kept_counts_among_the_bodies(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){.body_bytes = 100, .bodies_bytes = 150});
    char request[1000];
    snprintf(
        request, sizeof request,
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100\r\n\r\n%0100d",
        0);
    int silent = dial(s), kept = dial(s);
    say(silent, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_count(&s->n_waiting, 1);
    ask(s, request, "HTTP/1.1 200 ");
    say(kept, "GET /kept HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_count(&s->n_waiting, 2);
    ask(s, request, "HTTP/1.1 503 ");
    close(kept);
    expect_count(&s->n_waiting, 1);
    ask(s, request, "HTTP/1.1 200 ");
    close(silent);
    close_site(s);
}

static void test_slow_clients_are_cut_off(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){.idle_seconds = 1, .body_seconds = 1});
    char answer[1000];
    int silent = dial(s), header = dial(s), body = dial(s);
    say(header, "GET /echo HTTP/1.1\r\n");
    say(body, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    double started = fal_seconds();
    bool is_cut = false;
    /* A byte now and then does not keep them. */
    while (!is_cut && fal_seconds() - started < 10) {
        sleep_ms(100);
        send(header, "x", 1, MSG_NOSIGNAL);
        send(body, "x", 1, MSG_NOSIGNAL);
        is_cut = recv(header, answer, sizeof answer, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
    }
    assert_true(is_cut);
    assert_int_equal(recv(silent, answer, sizeof answer, 0), 0);
    hear(body, answer, sizeof answer, "too long");
    assert_non_null(strstr(answer, "HTTP/1.1 408 "));
    expect_count(&s->n_ended, 1);
    close(silent);
    close(header);
    close(body);
    close_site(s);
}

static void test_what_cannot_be_opened_is_told(void **state) {
    (void)state;
    site *s = open_site((fal_http_limits){0});
    fal_error err = {0};
    fal_http *other;
    fal_http_options o = {.port = fal_http_port(s->http)};
    CHECK_STATUS(fal_http_open(&other, &o, &err), FAL_E_IO, &err, "listening at");
    o = (fal_http_options){.host = "no.such.host.invalid"};
    CHECK_STATUS(fal_http_open(&other, &o, &err), FAL_E_ARGUMENT, &err, "no.such.host.invalid");
    o = (fal_http_options){.tls_certificate = "none", .tls_key = "none"};
    CHECK_STATUS(fal_http_open(&other, &o, &err), FAL_E_ARGUMENT, &err, "PEM");
    char path[300];
    snprintf(path, sizeof path, "/tmp/%0200d", 0);
    o = (fal_http_options){.socket_path = path};
    CHECK_STATUS(fal_http_open(&other, &o, &err), FAL_E_ARGUMENT, &err, "205 bytes");
    close_site(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_serve_request_after_request),
        cmocka_unit_test(test_answers_come_later),
        cmocka_unit_test(test_a_stream_is_as_fast_as_its_client),
        cmocka_unit_test(test_a_taken_backlog_goes_on),
        cmocka_unit_test(test_who_leaves_is_released),
        cmocka_unit_test(test_one_that_leaves_disturbs_nobody),
        cmocka_unit_test(test_closing_releases_what_waits),
        cmocka_unit_test(test_draining_ends_what_runs_and_takes_nothing),
        cmocka_unit_test(test_bodies_have_limits),
        cmocka_unit_test(test_all_bodies_together_have_a_limit),
        cmocka_unit_test(test_what_is_kept_counts_among_the_bodies),
        cmocka_unit_test(test_slow_clients_are_cut_off),
        cmocka_unit_test(test_what_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
