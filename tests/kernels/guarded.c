/* Body of guarded.h. */
#include "guarded.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MARGIN_BYTE = 0xa5,
    KEPT = 32
};

/* Maps that were closed, for the next ones of their size: mapping is what takes time here. */
static struct {
    unsigned char *map;
    size_t map_bytes;
} kept[KEPT];

static void *map_nothing(size_t bytes) {
    int zero = open("/dev/zero", O_RDWR);
    void *map = zero < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE, zero, 0);
    if (zero >= 0) close(zero);
    return map;
}

static unsigned char *map_pages(size_t map_bytes, size_t page) {
    for (int i = 0; i < KEPT; i++) {
        if (!kept[i].map || kept[i].map_bytes != map_bytes) continue;
        unsigned char *map = kept[i].map;
        kept[i].map = NULL;
        return map;
    }
    unsigned char *map = map_nothing(map_bytes);
    if ((void *)map != MAP_FAILED
        && mprotect(map + page, map_bytes - 2 * page, PROT_READ | PROT_WRITE) == 0)
        return map;
    perror("kernelcheck: guarded memory");
    exit(1);
}

fal_guarded fal_guarded_open(size_t bytes, fal_placement placement) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t odd = placement == FAL_AT_END_ODD ? 1 : 0;
    size_t pages = (bytes + odd + page - 1) / page;
    fal_guarded g = {.bytes = bytes, .inside_bytes = (pages ? pages : 1) * page};
    g.map_bytes = g.inside_bytes + 2 * page;
    g.map = map_pages(g.map_bytes, page);
    g.inside = g.map + page;
    memset(g.inside, MARGIN_BYTE, g.inside_bytes);
    g.data = placement == FAL_AT_START ? g.inside : g.inside + g.inside_bytes - bytes - odd;
    return g;
}

void fal_guarded_close(fal_guarded *g) {
    for (int i = 0; i < KEPT; i++) {
        if (kept[i].map) continue;
        kept[i].map = g->map;
        kept[i].map_bytes = g->map_bytes;
        return;
    }
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
