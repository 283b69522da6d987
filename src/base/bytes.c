/* Body of bytes.h. Assembles numbers byte by byte, so alignment and the host's byte order never matter. */
#include "base/bytes.h"

#include <string.h>

fal_reader fal_reader_open(const void *data, size_t length) {
    return (fal_reader){.data = data, .length = length};
}

size_t fal_reader_remaining(const fal_reader *r) {
    return r->length - r->position;
}

fal_slice fal_read_slice(fal_reader *r, uint64_t n) {
    if (r->failed) return (fal_slice){NULL, 0};
    if (n > fal_reader_remaining(r)) {
        r->failed = true;
        r->failed_at = r->position;
        r->wanted = n;
        return (fal_slice){NULL, 0};
    }
    fal_slice slice = {(const char *)r->data + r->position, (size_t)n};
    r->position += (size_t)n;
    return slice;
}

static uint64_t read_little_endian(fal_reader *r, int n_bytes) {
    fal_slice slice = fal_read_slice(r, (uint64_t)n_bytes);
    uint64_t value = 0;
    for (size_t i = slice.length; i-- > 0;)
        value = value << 8 | (uint8_t)slice.data[i];
    return value;
}

uint8_t fal_read_u8(fal_reader *r) {
    return (uint8_t)read_little_endian(r, 1);
}

uint16_t fal_read_u16(fal_reader *r) {
    return (uint16_t)read_little_endian(r, 2);
}

uint32_t fal_read_u32(fal_reader *r) {
    return (uint32_t)read_little_endian(r, 4);
}

uint64_t fal_read_u64(fal_reader *r) {
    return read_little_endian(r, 8);
}

float fal_read_f32(fal_reader *r) {
    uint32_t bits = fal_read_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double fal_read_f64(fal_reader *r) {
    uint64_t bits = fal_read_u64(r);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

fal_status fal_reader_status(const fal_reader *r, fal_error *err) {
    if (!r->failed) return FAL_OK;
    return fal_fail(
        err, FAL_E_FORMAT, "%llu bytes wanted at offset %zu, but only %zu of %zu bytes are left",
        (unsigned long long)r->wanted, r->failed_at, r->length - r->failed_at, r->length);
}

fal_slice fal_slice_of(const char *text) {
    return (fal_slice){text, strlen(text)};
}

bool fal_slice_equals(fal_slice slice, const char *text) {
    return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

static char folded(char c, bool ignore_case) {
    return ignore_case && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool fal_slice_contains(fal_slice text, const char *mark, bool ignore_case) {
    size_t n = strlen(mark);
    for (size_t i = 0; i + n <= text.length; i++) {
        size_t k = 0;
        while (k < n && folded(text.data[i + k], ignore_case) == folded(mark[k], ignore_case))
            k++;
        if (k == n) return true;
    }
    return false;
}
