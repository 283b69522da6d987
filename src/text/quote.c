/* Body of quote.h. */
#include "text/quote.h"

#include "base/utf8.h"

#include <string.h>

enum {
    MAX_QUOTED = 64
};

fal_quoted fal_quote(fal_slice text) {
    fal_quoted quoted = {{0}};
    size_t n = 0, i = 0;
    while (i < text.length) {
        uint32_t code_point = 0;
        int length = fal_utf8_decode(text.data + i, text.length - i, &code_point);
        size_t step = length == 0 ? 1 : (size_t)length;
        if (n + step > MAX_QUOTED) break;
        bool control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
        if (length == 0 || control) {
            quoted.text[n++] = '?';
        } else {
            memcpy(quoted.text + n, text.data + i, step);
            n += step;
        }
        i += step;
    }
    if (i < text.length) memcpy(quoted.text + n, "...", 3);
    return quoted;
}
