/* The socket that listens: TCP on one address, or a Unix socket in the file system. */
#include "base/alloc.h"
#include "server/http_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 511 /* connections that the system keeps until they are accepted */
};

bool fal_http_is_loopback(const char *host) {
    return !host || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0
           || strncmp(host, "127.", 4) == 0;
}

static fal_status listen_at(fal_http *http, const struct sockaddr *address, socklen_t length,
                            const char *name, fal_error *err) {
    int one = 1;
    http->listening = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (http->listening < 0) return fal_fail_errno(err, "opening a socket for", name);
    if (address->sa_family != AF_UNIX)
        setsockopt(http->listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(http->listening, address, length) != 0 || listen(http->listening, BACKLOG) != 0)
        return fal_fail_errno(err, "listening at", name);
    return FAL_OK;
}

static int port_of(int socket) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};

    socklen_t length = sizeof address;
    if (getsockname(socket, &address.any, &length) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static fal_status listen_at_host(fal_http *http, const char *host, int port, fal_error *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16], name[300];
    snprintf(service, sizeof service, "%d", port);
    snprintf(name, sizeof name, "%.256s port %d", host, port);
    int failure = getaddrinfo(host, service, &hints, &found);
    if (failure)
        return fal_fail(err, FAL_E_ARGUMENT, "host '%.256s': %s", host, gai_strerror(failure));
    fal_status status = listen_at(http, found->ai_addr, found->ai_addrlen, name, err);
    freeaddrinfo(found);
    if (status == FAL_OK) http->port = port_of(http->listening);
    return status;
}

/* A socket that nobody listens at any more is left over from a process that was killed. */
static void remove_leftover(const struct sockaddr_un *address) {
    struct stat found;
    if (stat(address->sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return;
    if (connect(probe, (const struct sockaddr *)address, sizeof *address) != 0
        && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}

static fal_status listen_at_path(fal_http *http, const char *path, fal_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return fal_fail(err, FAL_E_ARGUMENT, "the path of a Unix socket has %zu bytes, at most %zu",
                        length, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length);
    remove_leftover(&address);
    FAL_TRY(listen_at(http, (const struct sockaddr *)&address, sizeof address, path, err));
    http->socket_path = fal_copy_string(path, length);
    return http->socket_path ? FAL_OK : fal_fail_memory(err, length);
}

fal_status fal_listening_open(fal_http *http, const fal_http_options *o, fal_error *err) {
    if (o->socket_path) return listen_at_path(http, o->socket_path, err);
    return listen_at_host(http, o->host ? o->host : "127.0.0.1", o->port, err);
}

void fal_listening_close(fal_http *http) {
    if (http->listening >= 0) close(http->listening);
    http->listening = -1;
    if (http->socket_path) unlink(http->socket_path);
    fal_free(http->socket_path);
    http->socket_path = NULL;
}
