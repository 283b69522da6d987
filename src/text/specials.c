/* Body of specials.h. There are few such tokens, and they share few first bytes: a list per first byte is enough. */
#include "text/specials.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

typedef struct named_token {
    fal_slice text;
    int32_t id;
} named_token;

static int compare_tokens(const void *a, const void *b) {
    const named_token *left = a, *right = b;
    int first = (uint8_t)left->text.data[0] - (uint8_t)right->text.data[0];
    if (first) return first;
    if (left->text.length != right->text.length)
        return left->text.length > right->text.length ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

fal_status fal_specials_collect(fal_specials_list *out, const fal_vocabulary *v,
                                fal_token_type type, fal_error *err) {
    *out = (fal_specials_list){.vocabulary = v};
    for (size_t i = 0; i < v->n_tokens; i++)
        out->n += v->types[i] == (int32_t)type;
    named_token *found = fal_alloc(out->n, sizeof *found);
    out->ids = fal_alloc(out->n, sizeof *out->ids);
    if (!found || !out->ids) {
        fal_free(found);
        fal_specials_release(out);
        return fal_fail_memory(err, 0);
    }
    size_t n = 0;
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->types[i] == (int32_t)type) found[n++] = (named_token){v->tokens[i], (int32_t)i};
    }
    qsort(found, n, sizeof *found, compare_tokens);
    for (size_t i = 0; i < n; i++) {
        out->ids[i] = found[i].id;
        out->starts[(uint8_t)found[i].text.data[0] + 1]++;
    }
    for (int i = 0; i < 256; i++)
        out->starts[i + 1] += out->starts[i];
    fal_free(found);
    return FAL_OK;
}

void fal_specials_release(fal_specials_list *list) {
    fal_free(list->ids);
    *list = (fal_specials_list){0};
}

int32_t fal_specials_at(const fal_specials_list *list, const char *text, size_t length) {
    if (length == 0) return -1;
    uint8_t first = (uint8_t)text[0];
    for (uint32_t i = list->starts[first]; i < list->starts[first + 1]; i++) {
        fal_slice name = list->vocabulary->tokens[list->ids[i]];
        if (name.length <= length && memcmp(name.data, text, name.length) == 0) return list->ids[i];
    }
    return -1;
}

bool fal_specials_find(const fal_specials_list *list, const char *text, size_t length,
                       size_t *begin, int32_t *id) {
    if (list->n == 0) return false;
    for (size_t i = 0; i < length; i++) {
        uint8_t first = (uint8_t)text[i];
        if (list->starts[first] == list->starts[first + 1]) continue;
        *id = fal_specials_at(list, text + i, length - i);
        if (*id >= 0) {
            *begin = i;
            return true;
        }
    }
    return false;
}
