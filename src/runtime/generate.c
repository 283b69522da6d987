/* Body of <falconer/generate.h>: draw, append, hand out text. Stop words and whole characters are text/stop.c's work. */
#include <falconer/generate.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "text/stop.h"

#include <string.h>

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
    const fal_generate_options *how;
    const fal_tokenizer *tokenizer;
    fal_on_piece *on_piece;
    void *user;
    fal_sampler *sampler;
    fal_stop *stop;
    fal_generate_result result;
} generation;

static fal_status start(generation *g, fal_error *err) {
    if (!fal_session_logits(g->session))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "the timeline has no logits to continue from: feed it tokens first");
    int n_vocab = fal_model_info_get(fal_session_model(g->session))->n_vocab;
    FAL_TRY(fal_sampler_open(&g->sampler, &g->how->sampling, n_vocab, g->how->stream, err));
    FAL_TRY(fal_stop_open(&g->stop, g->how->stop, err));
    if (g->how->penalise_prompt) {
        const int32_t *tokens = fal_session_tokens(g->session);
        for (size_t i = 0; i < fal_session_count(g->session); i++)
            fal_sampler_accept(g->sampler, tokens[i]);
    }
    return FAL_OK;
}

/* Hands out what is settled; false: the callback cancels. */
static bool emit(generation *g, int32_t token, double log_probability) {
    fal_slice text = fal_stop_take(g->stop);
    fal_piece piece = {.text = text.data,
                       .length = text.length,
                       .token = token,
                       .log_probability = log_probability};
    return !g->on_piece || g->on_piece(g->user, &piece);
}

/* Draws one token. Sets *is_over when the answer ends with it. */
static fal_status draw(generation *g, bool *is_over, fal_error *err) {
    const float *logits = fal_session_logits(g->session);
    int32_t token = fal_sampler_draw(g->sampler, logits);
    size_t n_vocab = (size_t)fal_model_info_get(fal_session_model(g->session))->n_vocab;
    double log_probability =
        g->how->want_log_probability ? fal_log_probability(logits, n_vocab, token) : 0;
    bool is_end = !g->how->ignore_end && fal_tokenizer_is_end(g->tokenizer, token);
    g->result.n_tokens++;
    fal_sampler_accept(g->sampler, token);
    bool is_full = fal_session_count(g->session) == fal_session_n_context(g->session);
    *is_over = true;
    if (!is_end && (!fal_tokenizer_is_control(g->tokenizer, token) || g->how->show_control)) {
        size_t length;
        const char *text = fal_tokenizer_piece(g->tokenizer, token, &length);
        if (text) FAL_TRY(fal_stop_feed(g->stop, text, length, err));
    }
    g->result.stop_word = fal_stop_word(g->stop);
    if (!emit(g, token, log_probability)) {
        g->result.finish = FAL_FINISH_CANCELLED;
    } else if (is_end) {
        g->result.finish = FAL_FINISH_END;
    } else if (g->result.stop_word) {
        g->result.finish = FAL_FINISH_STOP_WORD;
    } else if (g->how->max_new_tokens > 0 && g->result.n_tokens >= (size_t)g->how->max_new_tokens) {
        g->result.finish = FAL_FINISH_LENGTH;
    } else if (is_full) {
        g->result.finish = FAL_FINISH_CONTEXT;
    } else {
        *is_over = false;
    }
    if (is_end || is_full) return FAL_OK;
    /* The last token is computed too, so that a conversation can go on from here. */
    return fal_session_feed(g->session, &token, 1, NULL, err);
}

fal_status fal_generate(fal_session *s, const fal_generate_options *how, fal_on_piece *on_piece,
                        void *user, fal_generate_result *result, fal_error *err) {
    generation g = {.session = s,
                    .how = how,
                    .tokenizer = fal_model_tokenizer(fal_session_model(s)),
                    .on_piece = on_piece,
                    .user = user};
    bool is_over = false;
    fal_status status;
    FAL_TRY_OUT(start(&g, err));
    if (how->max_new_tokens < 0) {
        status = fal_fail(err, FAL_E_ARGUMENT, "max_new_tokens: %d, at least 0 is needed",
                          how->max_new_tokens);
        goto out;
    }
    while (!is_over)
        FAL_TRY_OUT(draw(&g, &is_over, err));
    fal_stop_flush(g.stop);
    if (fal_stop_word(g.stop) && g.result.finish != FAL_FINISH_CANCELLED) {
        g.result.finish = FAL_FINISH_STOP_WORD;
        g.result.stop_word = fal_stop_word(g.stop);
    }
    if (!emit(&g, -1, 0)) g.result.finish = FAL_FINISH_CANCELLED;
out:
    if (result) *result = g.result;
    fal_stop_close(g.stop);
    fal_sampler_close(g.sampler);
    return status;
}
