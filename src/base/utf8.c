/* Body of utf8.h: refuses overlong forms, surrogates and code points beyond U+10FFFF, as Unicode asks. */
#include "base/utf8.h"

/* How many bytes the lead byte announces; 0: not a lead byte. */
static int announced_length(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

/* The second byte's range narrows for a few leads, which is where overlong forms and surrogates are caught. */
static bool second_byte_fits(unsigned char lead, unsigned char second) {
    unsigned char low = 0x80, high = 0xbf;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    return second >= low && second <= high;
}

/* How many of the bytes at text fit together, up to the length that the lead announces. */
static int fitting_bytes(const unsigned char *text, size_t length, int announced) {
    if (announced == 0) return 0;
    int n = 1;
    while (n < announced && (size_t)n < length) {
        bool fits = n == 1 ? second_byte_fits(text[0], text[1]) : (text[n] & 0xc0) == 0x80;
        if (!fits) return 0;
        n++;
    }
    return n;
}

int fal_utf8_decode(const char *text, size_t length, uint32_t *code_point) {
    const unsigned char *bytes = (const unsigned char *)text;
    if (length == 0) return 0;
    int n = announced_length(bytes[0]);
    if (n == 0 || fitting_bytes(bytes, length, n) != n) return 0;
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t value = bytes[0] & lead_mask[n];
    for (int i = 1; i < n; i++)
        value = value << 6 | (bytes[i] & 0x3fu);
    *code_point = value;
    return n;
}

int fal_utf8_encode(uint32_t code_point, char out[4]) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    int n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (char)(lead[n] | code_point);
    return n;
}

bool fal_utf8_is_valid(const char *text, size_t length) {
    uint32_t code_point;
    for (size_t i = 0; i < length;) {
        int n = fal_utf8_decode(text + i, length - i, &code_point);
        if (n == 0) return false;
        i += (size_t)n;
    }
    return true;
}

size_t fal_utf8_incomplete_tail(const char *text, size_t length) {
    for (size_t tail = 1; tail <= 3 && tail <= length; tail++) {
        const unsigned char *bytes = (const unsigned char *)text + length - tail;
        if ((bytes[0] & 0xc0) == 0x80) continue;
        int announced = announced_length(bytes[0]);
        return (size_t)announced > tail && fitting_bytes(bytes, tail, announced) == (int)tail ? tail
                                                                                              : 0;
    }
    return 0;
}
