/* Body of guarded.h. */
#include "guarded.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MARGIN_BYTE = 0xa5
};

static void *map_nothing(size_t bytes) {
    int zero = open("/dev/zero", O_RDWR);
    void *map = zero < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE, zero, 0);
    if (zero >= 0) close(zero);
    return map;
}

fal_guarded fal_guarded_open(size_t bytes, fal_placement placement) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t odd = placement == FAL_AT_END_ODD ? 1 : 0;
    size_t pages = (bytes + odd + page - 1) / page;
    fal_guarded g = {.bytes = bytes, .inside_bytes = (pages ? pages : 1) * page};
    g.map_bytes = g.inside_bytes + 2 * page;
    g.map = map_nothing(g.map_bytes);
    g.inside = g.map + page;
    if ((void *)g.map == MAP_FAILED
        || mprotect(g.inside, g.inside_bytes, PROT_READ | PROT_WRITE) != 0) {
        perror("kernelcheck: guarded memory");
        exit(1);
    }
    memset(g.inside, MARGIN_BYTE, g.inside_bytes);
    g.data = placement == FAL_AT_START ? g.inside : g.inside + g.inside_bytes - bytes - odd;
    return g;
}

void fal_guarded_close(fal_guarded *g) {
    munmap(g->map, g->map_bytes);
}

bool fal_guarded_is_intact(const fal_guarded *g) {
    for (const unsigned char *at = g->inside; at < g->data; at++) {
        if (*at != MARGIN_BYTE) return false;
    }
    for (const unsigned char *at = g->data + g->bytes; at < g->inside + g->inside_bytes; at++) {
        if (*at != MARGIN_BYTE) return false;
    }
    return true;
}
