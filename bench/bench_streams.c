/* falconer-bench-streams: a client of falconer serve that costs next to nothing. Asks for streamed answers, all of a round
 * at once from one thread, only counts what comes, and prints times as JSON. bench/serve.py runs it. */
#include "base/alloc.h"
#include "base/cpu.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MOST_STREAMS = 1024,
    MOST_TOKENS = 4096,
    TAIL = 4096 /* bytes of a line that is not whole yet */
};

typedef struct stream {
    int socket; /* -1: over */
    double started_at, last_at;
    char head[16], tail[TAIL];
    size_t n_head, n_tail;
    int n_tokens;
    bool is_whole;
} stream;

typedef struct measuring {
    int port, n_streams, n_tokens, n_rounds;
    stream *streams;           /* [n_streams] */
    struct pollfd *polled;     /* [n_streams] */
    double *firsts, *betweens; /* seconds */
    size_t n_firsts, n_betweens;
    int n_errors;
    double
        fairness; /* of the worst round: how long the first stream took that ended, of the last one */
} measuring;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void ask(const measuring *m, stream *s, int number) {
    char body[512], request[1024];
    int n_body = snprintf(
        body, sizeof body,
        "{\"prompt\": \"You are a butler. The gentleman of the house has asked for his tea and wants to hear what day it "
        "is. Number %d. \", \"max_tokens\": %d, \"stream\": true, \"temperature\": 1, \"seed\": %d, \"ignore_eos\": true}",
        number, m->n_tokens, number);
    int n = snprintf(
        request, sizeof request,
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
        n_body, body);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)m->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    *s = (stream){.socket = socket(AF_INET, SOCK_STREAM, 0)};
    if (s->socket < 0 || connect(s->socket, (const struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect");
    setsockopt(s->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->started_at = fal_seconds();
    if (send(s->socket, request, (size_t)n, MSG_NOSIGNAL) != n) fail("cannot send");
}

static void note_token(measuring *m, stream *s, double now) {
    if (s->n_tokens++ == 0)
        m->firsts[m->n_firsts++] = now - s->started_at;
    else if (m->n_betweens < (size_t)m->n_rounds * (size_t)m->n_streams * MOST_TOKENS)
        m->betweens[m->n_betweens++] = now - s->last_at;
    s->last_at = now;
}

/* Events in whole lines. */
static void count_events(measuring *m, stream *s, const char *text, double now) {
    for (const char *at = text; (at = strstr(at, "data: ")); at += 6) {
        if (at[6] == '{' && s->n_tokens < MOST_TOKENS) note_token(m, s, now);
        if (strncmp(at + 6, "[DONE]", 6) == 0) s->is_whole = true;
    }
}

/* Whether there is more to come. */
static bool take(measuring *m, stream *s) {
    static char text[TAIL + (1 << 16) + 1];
    memcpy(text, s->tail, s->n_tail);
    ssize_t n = recv(s->socket, text + s->n_tail, 1 << 16, 0);
    if (n <= 0) return false;
    double now = fal_seconds();
    for (ssize_t i = 0; i < n && s->n_head < sizeof s->head - 1; i++)
        s->head[s->n_head++] = text[s->n_tail + (size_t)i];
    size_t length = s->n_tail + (size_t)n;
    text[length] = '\0';
    /* An event stands on one line; what follows the last of them waits for its rest. */
    char *rest = strrchr(text, '\n');
    rest = rest ? rest + 1 : text;
    s->n_tail = length - (size_t)(rest - text);
    if (s->n_tail > TAIL) return false;
    memcpy(s->tail, rest, s->n_tail);
    *rest = '\0';
    count_events(m, s, text, now);
    return true;
}

static void end_stream(measuring *m, stream *s, double *shortest, double *longest) {
    double seconds = s->last_at - s->started_at;
    if (!s->is_whole || !strstr(s->head, " 200") || s->n_tokens == 0) m->n_errors++;
    if (seconds < *shortest) *shortest = seconds;
    if (seconds > *longest) *longest = seconds;
    close(s->socket);
    s->socket = -1;
}

static void run_round(measuring *m, int first) {
    double shortest = 1e9, longest = 0;
    int n_left = m->n_streams;
    for (int i = 0; i < m->n_streams; i++)
        ask(m, &m->streams[i], first + i);
    while (n_left > 0) {
        for (int i = 0; i < m->n_streams; i++)
            m->polled[i] = (struct pollfd){.fd = m->streams[i].socket, .events = POLLIN};
        if (poll(m->polled, (nfds_t)m->n_streams, -1) < 0) fail("cannot wait");
        for (int i = 0; i < m->n_streams; i++) {
            if (m->polled[i].fd < 0 || m->polled[i].revents == 0 || take(m, &m->streams[i]))
                continue;
            end_stream(m, &m->streams[i], &shortest, &longest);
            n_left--;
        }
    }
    if (longest > 0 && shortest / longest < m->fairness) m->fairness = shortest / longest;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 50th, 95th and 99th, in milliseconds. */
static json_t *percentiles(double *seconds, size_t n) {
    static const double shares[] = {0.5, 0.95, 0.99};
    json_t *out = json_array();
    qsort(seconds, n, sizeof *seconds, compare);
    for (size_t i = 0; n > 0 && i < sizeof shares / sizeof shares[0]; i++)
        json_array_append_new(out, json_real(1e3 * seconds[(size_t)(shares[i] * (double)(n - 1))]));
    return out;
}

static bool is_between(int n, int low, int high) {
    return n >= low && n <= high;
}

int main(int argc, char **argv) {
    int numbers[5] = {0};
    for (int i = 0; i < 5 && i + 1 < argc; i++)
        numbers[i] = (int)strtol(argv[i + 1], NULL, 10);
    measuring m = {.port = numbers[0],
                   .n_streams = numbers[1],
                   .n_tokens = numbers[2],
                   .n_rounds = numbers[3],
                   .fairness = 1};
    if (argc != 6 || !is_between(m.port, 1, 65535) || !is_between(m.n_streams, 1, MOST_STREAMS)
        || !is_between(m.n_tokens, 1, MOST_TOKENS) || !is_between(m.n_rounds, 1, 1000)) {
        fprintf(
            stderr,
            "Usage: falconer-bench-streams PORT STREAMS TOKENS ROUNDS FIRST\n"
            "Asks for STREAMS answers of TOKENS at once, ROUNDS times; FIRST: the number of the first prompt.\n");
        return 2;
    }
    size_t n_answers = (size_t)m.n_streams * (size_t)m.n_rounds;
    m.streams = fal_alloc((size_t)m.n_streams, sizeof *m.streams);
    m.polled = fal_alloc((size_t)m.n_streams, sizeof *m.polled);
    m.firsts = fal_alloc(n_answers, sizeof *m.firsts);
    m.betweens = fal_alloc(n_answers * MOST_TOKENS, sizeof *m.betweens);
    if (!m.streams || !m.polled || !m.firsts || !m.betweens) fail("no memory");
    double started_at = fal_seconds();
    for (int i = 0; i < m.n_rounds; i++)
        run_round(&m, numbers[4] + i * m.n_streams);
    double seconds = fal_seconds() - started_at;
    json_t *out = json_pack("{s:f, s:o, s:o, s:f, s:i}", "seconds", seconds, "first_token_ms",
                            percentiles(m.firsts, m.n_firsts), "between_tokens_ms",
                            percentiles(m.betweens, m.n_betweens), "fairness", m.fairness, "errors",
                            m.n_errors);
    json_dumpf(out, stdout, JSON_REAL_PRECISION(5));
    printf("\n");
    json_decref(out);
    fal_free(m.betweens);
    fal_free(m.firsts);
    fal_free(m.polled);
    fal_free(m.streams);
    return 0;
}
