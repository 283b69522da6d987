/* Timelines that answers are computed on, as many as may be computed at once. Each keeps its timeline after its answer is
 * over, until another answer needs it. Belongs to the computing thread. */
#ifndef FAL_SERVER_PLACES_H
#define FAL_SERVER_PLACES_H

#include "server/shelf.h"

typedef struct fal_places fal_places;
typedef struct fal_place fal_place;

/* A timeline in use or idle. */
struct fal_place {
    fal_session *session; /* NULL: not opened yet */
    void *holder;         /* NULL: idle */
    const void *group;    /* the last holder's */
    uint64_t keyholder;   /* for whom its timeline was computed */
    double used_at;       /* when it was last given back */
    bool is_from_disk;    /* its beginning was read from a folder */
};

/* As the engine's options. shelf NULL: nothing outlasts an answer, and only holders of one group share what is computed. */
typedef struct fal_places_options {
    fal_batch *batch;
    fal_shelf *shelf;
    int n_places, n_context;
    const char *kv_type;
} fal_places_options;

/* The first place is opened at once, so that a wrong option is told. Fails: as fal_session_open. */
fal_status fal_places_open(fal_places **out, const fal_places_options *o, fal_error *err);
/* Puts what is idle on the shelf. NULL is fine. */
void fal_places_close(fal_places *p);
/* From here on there is a shelf. Borrowed. */
void fal_places_use(fal_places *p, fal_shelf *shelf);

/* How many there are, and one of them. */
int fal_places_count(const fal_places *p);
fal_place *fal_places_at(fal_places *p, int i);
int fal_places_n_idle(const fal_places *p);

/* How much of it some timeline in memory has. */
size_t fal_places_n_known(fal_places *p, const fal_beginning *wanted);

/* What somebody needs a place for. */
typedef struct fal_place_request {
    void *holder;
    const void *group;
    fal_beginning wanted; /* what may be reused; what follows is to be computed */
} fal_place_request;

/* Takes an idle place, and makes its timeline as much of what is wanted as any timeline in memory has.
 *
 *   place   NULL: none is idle
 *   Fails: MEMORY (no place was opened yet that is idle, and none can be). */
fal_status fal_places_take(fal_place **place, fal_places *p, const fal_place_request *request,
                           fal_error *err);

/* Gives it back, with its timeline. */
void fal_places_give(fal_places *p, fal_place *place);

#endif
