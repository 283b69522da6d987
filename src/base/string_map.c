/* Body of string_map.h: open addressing with linear probing, at most half full. The hash is seeded by the
 * map's own address, so that no file can hold keys that are known to collide. */
#include "base/string_map.h"

#include "base/alloc.h"

#include <string.h>

typedef struct slot {
    fal_slice key;
    uint64_t hash;
    int32_t value; /* -1: empty */
} slot;

struct fal_string_map {
    slot *slots;
    size_t n_slots, n_used; /* n_slots is a power of two */
};

static uint64_t hash_bytes(const fal_string_map *map, fal_slice key) {
    uint64_t h = (uint64_t)(uintptr_t)map * 0x9e3779b97f4a7c15u ^ key.length;
    size_t i = 0;
    for (; i + 8 <= key.length; i += 8) {
        uint64_t word;
        memcpy(&word, key.data + i, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (; i < key.length; i++)
        h = (h ^ (uint8_t)key.data[i]) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static slot *alloc_slots(size_t n) {
    slot *slots = fal_alloc(n, sizeof *slots);
    for (size_t i = 0; slots && i < n; i++)
        slots[i].value = -1;
    return slots;
}

fal_string_map *fal_string_map_open(size_t n_expected) {
    size_t n = 16;
    while (n / 2 < n_expected) {
        if (!fal_multiply_size(n, 2, &n)) return NULL;
    }
    fal_string_map *map = fal_alloc(1, sizeof *map);
    if (!map) return NULL;
    map->slots = alloc_slots(n);
    map->n_slots = n;
    if (!map->slots) {
        fal_free(map);
        return NULL;
    }
    return map;
}

void fal_string_map_close(fal_string_map *map) {
    if (!map) return;
    fal_free(map->slots);
    fal_free(map);
}

/* The slot that holds key, or the empty one where it belongs. */
static slot *probe(slot *slots, size_t n_slots, fal_slice key, uint64_t hash) {
    for (size_t i = (size_t)hash & (n_slots - 1);; i = (i + 1) & (n_slots - 1)) {
        slot *s = &slots[i];
        if (s->value < 0) return s;
        if (s->hash == hash && s->key.length == key.length
            && (key.length == 0 || memcmp(s->key.data, key.data, key.length) == 0))
            return s;
    }
}

static bool grow(fal_string_map *map) {
    size_t n;
    if (!fal_multiply_size(map->n_slots, 2, &n)) return false;
    slot *slots = alloc_slots(n);
    if (!slots) return false;
    for (size_t i = 0; i < map->n_slots; i++) {
        const slot *s = &map->slots[i];
        if (s->value >= 0) *probe(slots, n, s->key, s->hash) = *s;
    }
    fal_free(map->slots);
    map->slots = slots;
    map->n_slots = n;
    return true;
}

fal_status fal_string_map_add(fal_string_map *map, fal_slice key, int32_t value, bool *inserted,
                              fal_error *err) {
    if ((map->n_used + 1) * 2 > map->n_slots && !grow(map))
        return fal_fail_memory(err, map->n_slots * sizeof(slot));
    uint64_t hash = hash_bytes(map, key);
    slot *s = probe(map->slots, map->n_slots, key, hash);
    *inserted = s->value < 0;
    if (*inserted) {
        *s = (slot){key, hash, value};
        map->n_used++;
    }
    return FAL_OK;
}

int32_t fal_string_map_find(const fal_string_map *map, fal_slice key) {
    return probe(map->slots, map->n_slots, key, hash_bytes(map, key))->value;
}
