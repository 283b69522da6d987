/* Body of <falconer/generate.h>: the loop over one session. What a draw means is answer.c's work. */
#include <falconer/generate.h>

#include "base/fail.h"
#include "runtime/answer.h"

static const char *const finish_names[] = {[FAL_FINISH_END] = "end",
                                           [FAL_FINISH_STOP_WORD] = "stop",
                                           [FAL_FINISH_LENGTH] = "length",
                                           [FAL_FINISH_CONTEXT] = "context",
                                           [FAL_FINISH_CANCELLED] = "cancelled"};

const char *fal_finish_name(fal_finish finish) {
    return finish_names[finish];
}

typedef struct generation {
    fal_session *session;
    fal_answer *answer;
    fal_on_piece *on_piece;
    void *user;
} generation;

/* Hands out what is settled. */
static void emit(generation *g, const fal_piece *piece) {
    if (g->on_piece && !g->on_piece(g->user, piece)) fal_answer_cancel(g->answer);
}

static fal_status draw(generation *g, fal_error *err) {
    bool has_room = fal_session_count(g->session) < fal_session_n_context(g->session);
    fal_piece piece;
    FAL_TRY(fal_answer_draw(g->answer, fal_session_logits(g->session), has_room, &piece, err));
    emit(g, &piece);
    if (!fal_answer_is_kept(g->answer)) return FAL_OK;
    /* The last token is computed too, so that a conversation can go on from here. */
    return fal_session_feed(g->session, &piece.token, 1, NULL, err);
}

fal_status fal_generate(fal_session *s, const fal_generate_options *how, fal_on_piece *on_piece,
                        void *user, fal_generate_result *result, fal_error *err) {
    generation g = {.session = s, .on_piece = on_piece, .user = user};
    if (!fal_session_logits(s))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "the timeline has no logits to continue from: feed it tokens first");
    fal_status status;
    FAL_TRY_OUT(fal_answer_open(&g.answer, fal_session_model(s), how, how->grammar, err));
    fal_answer_follow(g.answer, fal_session_tokens(s), fal_session_count(s));
    while (!fal_answer_is_over(g.answer))
        FAL_TRY_OUT(draw(&g, err));
    fal_piece last;
    fal_answer_finish(g.answer, &last);
    emit(&g, &last);
out:
    if (result) *result = g.answer ? *fal_answer_result(g.answer) : (fal_generate_result){0};
    fal_answer_close(g.answer);
    return status;
}
