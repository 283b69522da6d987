/* Body of places.h. An answer gets, in this order: the idle place whose whole timeline its prompt goes on from; an empty
 * one; the one idle for longest, whose timeline goes to the shelf. The beginning is then copied from wherever it is. */
#include "server/places.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/fail.h"

struct fal_places {
    fal_places_options how;
    fal_place *items; /* [n_places] */
    int n_idle;
};

static fal_status open_place(const fal_places *p, fal_place *place, fal_error *err) {
    if (place->session) return FAL_OK;
    fal_session_options o = {.n_context = p->how.n_context, .kv_type = p->how.kv_type};
    return fal_batch_session_open(&place->session, p->how.batch, &o, err);
}

fal_status fal_places_open(fal_places **out, const fal_places_options *o, fal_error *err) {
    *out = NULL;
    fal_places *p = fal_alloc(1, sizeof *p);
    if (!p) return fal_fail_memory(err, sizeof *p);
    p->how = *o;
    p->n_idle = o->n_places;
    p->items = fal_alloc((size_t)o->n_places, sizeof *p->items);
    fal_status status = p->items ? open_place(p, &p->items[0], err)
                                 : fal_fail_memory(err, (size_t)o->n_places * sizeof *p->items);
    if (status != FAL_OK) {
        fal_places_close(p);
        return status;
    }
    *out = p;
    return FAL_OK;
}

void fal_places_close(fal_places *p) {
    if (!p) return;
    for (int i = 0; p->items && i < p->how.n_places; i++) {
        fal_session *session = p->items[i].session;
        if (session && p->how.shelf) fal_shelf_keep(p->how.shelf, p->items[i].keyholder, session);
        fal_session_close(session);
    }
    fal_free(p->items);
    fal_free(p);
}

void fal_places_use(fal_places *p, fal_shelf *shelf) {
    p->how.shelf = shelf;
}

int fal_places_count(const fal_places *p) {
    return p->how.n_places;
}

fal_place *fal_places_at(fal_places *p, int i) {
    return &p->items[i];
}

int fal_places_n_idle(const fal_places *p) {
    return p->n_idle;
}

/* ---- what can be reused ---- */

typedef struct source {
    const fal_session *session; /* NULL: nothing */
    size_t n_same;
    bool is_from_disk;
} source;

static size_t same_tokens(const fal_place *place, const fal_beginning *wanted) {
    if (!place->session || place->keyholder != wanted->keyholder) return 0;
    size_t n = fal_session_count(place->session);
    return fal_same_beginning(fal_session_tokens(place->session), wanted->tokens,
                              n < wanted->count ? n : wanted->count);
}

/* self: counts before others that share as much, because nothing is to be copied. */
static source find_source(fal_places *p, const fal_place *self, const void *group,
                          const fal_beginning *wanted) {
    source best = {0};
    if (self && self->session) {
        size_t n = same_tokens(self, wanted);
        best = (source){.session = self->session, .n_same = n, .is_from_disk = self->is_from_disk};
    }
    for (int i = 0; i < p->how.n_places; i++) {
        const fal_place *place = &p->items[i];
        if (!p->how.shelf && place->group != group) continue;
        size_t n = same_tokens(place, wanted);
        if (n > best.n_same)
            best = (source){
                .session = place->session, .n_same = n, .is_from_disk = place->is_from_disk};
    }
    if (p->how.shelf) {
        source shelf;
        shelf.session = fal_shelf_find(p->how.shelf, wanted, &shelf.n_same, &shelf.is_from_disk);
        if (shelf.session && shelf.n_same > best.n_same) best = shelf;
    }
    return best;
}

size_t fal_places_n_known(fal_places *p, const fal_beginning *wanted) {
    return find_source(p, NULL, NULL, wanted).n_same;
}

/* ---- which place ---- */

/* The idle place all of whose timeline is the longest beginning of what is wanted that there is; NULL: none. */
static fal_place *find_continued(fal_places *p, const fal_beginning *wanted) {
    fal_place *best = NULL;
    size_t n_best = 0;
    for (int i = 0; i < p->how.n_places; i++) {
        fal_place *place = &p->items[i];
        size_t n = place->holder ? 0 : same_tokens(place, wanted);
        if (n <= n_best || n < fal_session_count(place->session)) continue;
        n_best = n;
        best = place;
    }
    return best;
}

/* An idle place that is empty, opened or not (opened ones first); NULL: none. */
static fal_place *find_empty(fal_places *p, bool is_open) {
    for (int i = 0; i < p->how.n_places; i++) {
        fal_place *place = &p->items[i];
        if (place->holder || (place->session != NULL) != is_open) continue;
        if (!is_open || fal_session_count(place->session) == 0) return place;
    }
    return NULL;
}

static fal_place *find_longest_idle(fal_places *p) {
    fal_place *best = NULL;
    for (int i = 0; i < p->how.n_places; i++) {
        fal_place *place = &p->items[i];
        if (place->holder || !place->session) continue;
        if (!best || place->used_at < best->used_at) best = place;
    }
    return best;
}

static fal_status choose_place(fal_place **out, fal_places *p, const fal_beginning *wanted,
                               fal_error *err) {
    fal_status status = FAL_OK;
    *out = find_continued(p, wanted);
    if (!*out) *out = find_empty(p, true);
    if (!*out) {
        *out = find_empty(p, false);
        if (*out) status = open_place(p, *out, err);
        if (status != FAL_OK) *out = NULL;
    }
    if (*out) return FAL_OK;
    *out = find_longest_idle(p);
    if (*out && p->how.shelf) fal_shelf_keep(p->how.shelf, (*out)->keyholder, (*out)->session);
    return *out ? FAL_OK : status;
}

fal_status fal_places_take(fal_place **place, fal_places *p, const fal_place_request *request,
                           fal_error *err) {
    FAL_TRY(choose_place(place, p, &request->wanted, err));
    if (!*place) return FAL_OK;
    fal_session *session = (*place)->session;
    source from = find_source(p, *place, request->group, &request->wanted);
    if (from.session == session) {
        fal_session_rewind(session, from.n_same);
    } else {
        fal_session_rewind(session, 0);
        FAL_TRY(fal_session_copy(session, from.session, from.n_same, err));
    }
    (*place)->is_from_disk = from.is_from_disk && from.n_same > 0;
    (*place)->holder = request->holder;
    (*place)->group = request->group;
    (*place)->keyholder = request->wanted.keyholder;
    p->n_idle--;
    return FAL_OK;
}

void fal_places_give(fal_places *p, fal_place *place) {
    place->holder = NULL;
    place->used_at = fal_seconds();
    p->n_idle++;
    if (!p->how.shelf) fal_session_rewind(place->session, 0);
}
