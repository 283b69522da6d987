/* /health tells the truth: a computing thread that does not come back makes it say so, though sockets are still served; when the
 * thread is back, so is health. */
#include "base/cpu.h"
#include "check.h"
#include "server/engine.h"
#include "server/server.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_bool is_blocked;

static void pause_briefly(void) {
    const struct timespec pause = {0, 5000000};
    nanosleep(&pause, NULL);
}

/* Called on the computing thread, which does not get past it while it is blocked. */
static void block(void *user, bool more) {
    (void)more;
    (void)user;
    while (atomic_load(&is_blocked))
        pause_briefly();
}

/* The answer to a GET; out is terminated. */
static void get(const fal_server *server, const char *path, char *out, size_t size) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fal_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[200];
    size_t n = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    for (ssize_t got; n + 1 < size && (got = recv(fd, out + n, size - 1 - n, 0)) > 0;)
        n += (size_t)got;
    out[n] = '\0';
    close(fd);
}

static void expect(const fal_server *server, const char *path, const char *code,
                   const char *status) {
    char answer[2000], wanted[60];
    snprintf(wanted, sizeof wanted, "{\"status\":\"%s\",", status);
    for (double began = fal_seconds(); fal_seconds() - began < 20; pause_briefly()) {
        get(server, path, answer, sizeof answer);
        if (strncmp(answer + strlen("HTTP/1.1 "), code, 3) == 0 && strstr(answer, wanted)) return;
    }
    fail_msg("%s never told %s %s: %s", path, code, status, answer);
}

static void test_health_tells_the_truth(void **state) {
    (void)state;
    fal_error err = {0};
    fal_model *model;
    fal_engine *engine;
    fal_server *server;
    fal_job *job;
    const fal_model_options one_thread = {.n_threads = 1};
    const fal_engine_options how = {.max_step_s = 1, .n_parallel = 2};
    const int32_t prompt[] = {5, 6, 7};
    const fal_job_options asked = {.prompt = prompt,
                                   .n_prompt = 3,
                                   .max_new_tokens = 20,
                                   .ignore_end = true,
                                   .on_event = block};
    CHECK_OK(
        fal_model_open(&model, FAL_SOURCE_DIR "/models/fledgling-Q8_0.gguf", &one_thread, &err),
        &err);
    CHECK_OK(fal_engine_open(&engine, model, &how, &err), &err);
    const fal_server_model served = {"fledgling", model, engine};
    const fal_server_options options = {.models = &served, .n_models = 1};
    CHECK_OK(fal_server_open(&server, &options, &err), &err);
    expect(server, "/health", "200", "ok");
    expect(server, "/ready", "200", "ready");
    atomic_store(&is_blocked, true);
    CHECK_OK(fal_job_start(&job, engine, &asked, &err), &err);
    expect(server, "/health", "503", "stuck");
    expect(server, "/ready", "503", "stuck");
    atomic_store(&is_blocked, false);
    expect(server, "/health", "200", "ok");
    expect(server, "/ready", "200", "ready");
    fal_job_release(job);
    fal_server_close(server);
    fal_engine_close(engine);
    fal_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_health_tells_the_truth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
