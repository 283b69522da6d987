/* The way over a text that all measurements share: windows, sessions, progress, and the logits before each scored
 * token. */
#ifndef FAL_EVAL_WALK_H
#define FAL_EVAL_WALK_H

#include "eval/eval.h"
#include "eval/windows.h"

enum {
    FAL_WALK_MODELS = 2 /* most models side by side */
};

typedef struct fal_walk {
    fal_eval_options options; /* with the defaults filled in */
    fal_windows windows;
    fal_session *sessions[FAL_WALK_MODELS];
    int n_models;
    size_t n_vocab;
    const int32_t *tokens;
    int32_t *window_tokens;         /* [n_context] */
    int32_t bos;                    /* stands in place of each window's first token; -1: none */
    float *logits[FAL_WALK_MODELS]; /* [rows of a piece, n_vocab] */
    size_t n_done, n_total;         /* tokens computed, for progress */
} fal_walk;

/* Opens a session on each model, all with the same windows. Release in any case. */
fal_status fal_walk_open(fal_walk *walk, fal_model *const *models, int n_models,
                         const int32_t *tokens, size_t n_tokens, const fal_eval_options *options,
                         fal_error *err);
void fal_walk_release(fal_walk *walk);

/* Empties the sessions and makes walk->window_tokens those of the window; dynamic methods of positions count on all of
 * it. */
void fal_walk_enter(fal_walk *walk, const fal_window *window);

/* Called for each scored token in the text's order: at is its place in the text, logits [n_models][n_vocab] are what each
 * model says about it. */
typedef fal_status fal_on_scored(void *user, size_t at, int32_t token, const float *const *logits,
                                 fal_error *err);

/* Goes through all windows. */
fal_status fal_walk_score(fal_walk *walk, fal_on_scored *on_scored, void *user, fal_error *err);

/* Tells how far the walk is, n tokens further. CANCELLED if nobody wants to go on. */
fal_status fal_walk_advance(fal_walk *walk, size_t n, fal_error *err);

#endif
