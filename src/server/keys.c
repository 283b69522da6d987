/* Body of keys.h. */
#include "server/keys.h"

#include "base/alloc.h"
#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHORTEST_KEY = 8,
    LONGEST_KEY = 512
};

typedef struct key_digest {
    char hex[FAL_SHA256_HEX];
} key_digest;

typedef struct known_key {
    key_digest digest;
    uint64_t keyholder;
} known_key;

struct fal_keys {
    known_key *items;
    size_t count, capacity;
};

static key_digest digest_of(const char *key, size_t length) {
    key_digest digest;
    fal_sha256 s = fal_sha256_begin();
    fal_sha256_add(&s, key, length);
    fal_sha256_end(&s, digest.hex);
    return digest;
}

/* Stands in names of files, so it is a digest of its own and no part of the one that admits. */
static uint64_t keyholder_of(const key_digest *digest) {
    char words[FAL_SHA256_HEX + 16];
    int length = snprintf(words, sizeof words, "keyholder %s", digest->hex);
    key_digest own = digest_of(words, (size_t)length);
    own.hex[16] = '\0';
    uint64_t number = strtoull(own.hex, NULL, 16);
    return number ? number : 1;
}

static fal_status add_key(fal_keys *keys, const char *key, size_t length, int line,
                          const char *name, fal_error *err) {
    if (length < SHORTEST_KEY || length > LONGEST_KEY)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "%s: key %zu, in line %d, has %zu bytes; from %d to %d are possible", name,
                        keys->count + 1, line, length, SHORTEST_KEY, LONGEST_KEY);
    if (!fal_grow((void **)&keys->items, &keys->capacity, keys->count + 1, sizeof *keys->items))
        return fal_fail_memory(err, sizeof *keys->items);
    known_key *known = &keys->items[keys->count++];
    known->digest = digest_of(key, length);
    known->keyholder = keyholder_of(&known->digest);
    return FAL_OK;
}

static fal_status read_keys(fal_keys *keys, const char *text, const char *name, fal_error *err) {
    static const char between[] = " \t\r\n,";
    for (int line = 1; *text;) {
        size_t length = strcspn(text, *text == '#' ? "\n" : between);
        if (length && *text != '#') FAL_TRY(add_key(keys, text, length, line, name, err));
        text += length;
        for (; *text && strchr(between, *text); text++)
            line += *text == '\n';
    }
    if (!keys->count) return fal_fail(err, FAL_E_ARGUMENT, "%s: holds no key", name);
    return FAL_OK;
}

fal_status fal_keys_open(fal_keys **out, const char *text, const char *name, fal_error *err) {
    *out = NULL;
    fal_keys *keys = fal_alloc(1, sizeof *keys);
    if (!keys) return fal_fail_memory(err, sizeof *keys);
    fal_status status = read_keys(keys, text, name, err);
    if (status == FAL_OK)
        *out = keys;
    else
        fal_keys_close(keys);
    return status;
}

void fal_keys_close(fal_keys *keys) {
    if (!keys) return;
    fal_free(keys->items);
    fal_free(keys);
}

size_t fal_keys_count(const fal_keys *keys) {
    return keys->count;
}

/* Digests are compared, so nothing that takes longer or shorter tells how much of a key is right. */
bool fal_keys_find(const fal_keys *keys, const char *key, uint64_t *keyholder) {
    key_digest shown = digest_of(key, strlen(key));
    *keyholder = 0;
    for (size_t i = 0; i < keys->count; i++) {
        unsigned difference = 0;
        for (size_t b = 0; b < sizeof shown.hex; b++)
            difference |= (unsigned)(shown.hex[b] ^ keys->items[i].digest.hex[b]) & 0xffu;
        uint64_t is_same = difference == 0;
        /* A key that stands twice is one keyholder, so no bit is added to another's. */
        *keyholder |= (0 - is_same) & keys->items[i].keyholder;
    }
    return *keyholder != 0;
}
