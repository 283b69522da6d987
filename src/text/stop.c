/* Body of stop.h. The text that is not yet handed out is searched afresh at each feed: it is short, since it holds back
 * less than the longest word. */
#include "text/stop.h"

#include "base/alloc.h"
#include "base/string_builder.h"
#include "base/utf8.h"

#include <string.h>

struct fal_stop {
    const char *const *words; /* NULL: none */
    const char *hit;
    fal_string_builder pending;
    size_t n_taken; /* bytes at the start of pending that were handed out */
    size_t n_ready; /* bytes at the start of pending that may be handed out */
    bool flushed;
};

fal_status fal_stop_open(fal_stop **out, const char *const *words, fal_error *err) {
    *out = NULL;
    for (size_t i = 0; words && words[i]; i++) {
        if (words[i][0] == '\0')
            return fal_fail(err, FAL_E_ARGUMENT, "stop word %zu is empty", i + 1);
    }
    fal_stop *s = fal_alloc(1, sizeof *s);
    if (!s) return fal_fail_memory(err, sizeof *s);
    s->words = words;
    *out = s;
    return FAL_OK;
}

void fal_stop_close(fal_stop *s) {
    if (!s) return;
    fal_string_release(&s->pending);
    fal_free(s);
}

typedef struct prospect {
    const char *hit; /* the longest word that stands at a place; NULL: none */
    bool open;       /* a longer one may be under way there */
} prospect;

/* What the words say about the text [length bytes] that begins at one place and ends with the stream so far. */
static prospect look_at(const fal_stop *s, const char *text, size_t length) {
    prospect found = {0};
    size_t longest = 0;
    for (size_t i = 0; s->words && s->words[i]; i++) {
        size_t n = strlen(s->words[i]);
        if (n > length) {
            found.open = found.open || memcmp(s->words[i], text, length) == 0;
        } else if (n > longest && memcmp(s->words[i], text, n) == 0) {
            longest = n;
            found.hit = s->words[i];
        }
    }
    return found;
}

/* Finds the first place where a word stands or may be under way, and makes ready what lies in front of it. */
static void search(fal_stop *s) {
    size_t length = s->pending.length;
    for (size_t i = s->n_ready; i < length; i++) {
        prospect found = look_at(s, s->pending.text + i, length - i);
        bool waits = found.open && !s->flushed;
        if (!waits && !found.hit) continue;
        if (!waits) s->hit = found.hit;
        /* A word begins with a whole character, so what stands in front of it will not be completed. */
        s->n_ready = i;
        return;
    }
    size_t tail = s->flushed ? 0 : fal_utf8_incomplete_tail(s->pending.text, length);
    if (length - tail > s->n_ready) s->n_ready = length - tail;
}

static void drop_taken(fal_stop *s) {
    size_t left = s->pending.length - s->n_taken;
    if (s->n_taken == 0) return;
    memmove(s->pending.text, s->pending.text + s->n_taken, left + 1);
    s->pending.length = left;
    s->n_ready -= s->n_taken;
    s->n_taken = 0;
}

fal_status fal_stop_feed(fal_stop *s, const char *bytes, size_t length, fal_error *err) {
    if (s->hit || length == 0) return FAL_OK;
    drop_taken(s);
    fal_string_append(&s->pending, bytes, length);
    FAL_TRY(fal_string_status(&s->pending, err));
    search(s);
    return FAL_OK;
}

void fal_stop_flush(fal_stop *s) {
    s->flushed = true;
    if (!s->hit && s->pending.length > 0) search(s);
}

fal_slice fal_stop_take(fal_stop *s) {
    fal_slice ready = {s->pending.text ? s->pending.text + s->n_taken : "",
                       s->n_ready - s->n_taken};
    s->n_taken = s->n_ready;
    return ready;
}

const char *fal_stop_word(const fal_stop *s) {
    return s->hit;
}
