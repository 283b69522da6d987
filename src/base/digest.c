/* Body of digest.h. Plain C: the compiler unrolls and keeps the rounds in registers. Source: FIPS 180-4. */
#include "base/digest.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK_BYTES = 64,
    LENGTH_AT = 56, /* where the last block holds the length in bits */
    PIECE_BYTES = 1 << 22
};

/* Fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static uint32_t read_big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void expand(uint32_t w[64], const uint8_t *block) {
    for (int i = 0; i < 16; i++)
        w[i] = read_big_endian(block + (size_t)4 * (size_t)i);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3)
               + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

static void add_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    expand(w, block);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5],
             g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t x = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (g ^ (e & (f ^ g)))
                     + round_constants[i] + w[i];
        uint32_t y = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)));
        h = g;
        g = f;
        f = e;
        e = d + x;
        d = c;
        c = b;
        b = a;
        a = x + y;
    }
    const uint32_t added[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += added[i];
}

fal_sha256 fal_sha256_begin(void) {
    /* Fractional parts of the square roots of the first 8 primes. */
    return (fal_sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                  0x1f83d9ab, 0x5be0cd19}
    };
}

void fal_sha256_add(fal_sha256 *s, const void *data, size_t length) {
    const uint8_t *bytes = data;
    size_t held = (size_t)(s->length % BLOCK_BYTES);
    s->length += length;
    if (held > 0) {
        size_t n = BLOCK_BYTES - held < length ? BLOCK_BYTES - held : length;
        memcpy(s->block + held, bytes, n);
        bytes += n;
        length -= n;
        if (held + n < BLOCK_BYTES) return;
        add_block(s->state, s->block);
    }
    for (; length >= BLOCK_BYTES; bytes += BLOCK_BYTES, length -= BLOCK_BYTES)
        add_block(s->state, bytes);
    if (length > 0) memcpy(s->block, bytes, length);
}

void fal_sha256_end(fal_sha256 *s, char *hex) {
    static const uint8_t padding[BLOCK_BYTES] = {0x80};
    uint64_t bits = s->length * 8;
    size_t held = (size_t)(s->length % BLOCK_BYTES);
    fal_sha256_add(s, padding, held < LENGTH_AT ? LENGTH_AT - held : 64 + LENGTH_AT - held);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    fal_sha256_add(s, length, sizeof length);
    for (size_t i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)s->state[i]);
}

fal_status fal_sha256_file(char *hex, const char *path, fal_on_digest *on_bytes, void *user,
                           fal_error *err) {
    fal_mapping map;
    FAL_TRY(fal_mapping_open(&map, path, err));
    fal_sha256 s = fal_sha256_begin();
    fal_status status = FAL_OK;
    for (size_t at = 0; at < map.length && status == FAL_OK;) {
        size_t n = map.length - at < PIECE_BYTES ? map.length - at : PIECE_BYTES;
        fal_mapping_will_need(&map, at + n, PIECE_BYTES);
        fal_sha256_add(&s, (const char *)map.data + at, n);
        at += n;
        if (on_bytes && !on_bytes(user, n))
            status = fal_fail(err, FAL_E_CANCELLED, "cancelled while reading '%s'", path);
    }
    fal_mapping_release(&map);
    if (status == FAL_OK) fal_sha256_end(&s, hex);
    return status;
}
