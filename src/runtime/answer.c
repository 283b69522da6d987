/* Body of answer.h. Stop words and whole characters are text/stop.c's work, drawing is the sampler's. */
#include "runtime/answer.h"

#include "base/alloc.h"
#include "base/fail.h"
#include "text/stop.h"

struct fal_answer {
    const fal_generate_options *how;
    const fal_tokenizer *tokenizer;
    size_t n_vocab;
    fal_sampler *sampler;
    fal_stop *stop;
    fal_grammar_state *grammar; /* NULL: anything may be said */
    uint32_t *allowed;          /* n_vocab bits; NULL without a grammar */
    fal_generate_result result;
    bool is_over, is_kept;
};

static fal_status open_grammar(fal_answer *a, const fal_grammar *grammar, fal_error *err) {
    size_t n_words = (a->n_vocab + 31) / 32;
    if (!grammar) return FAL_OK;
    a->allowed = fal_alloc(n_words, sizeof *a->allowed);
    if (!a->allowed) return fal_fail_memory(err, n_words * sizeof *a->allowed);
    return fal_grammar_state_open(&a->grammar, grammar, a->tokenizer, err);
}

static fal_status open_parts(fal_answer *a, const fal_grammar *grammar, fal_error *err) {
    if (a->how->max_new_tokens < 0)
        return fal_fail(err, FAL_E_ARGUMENT, "max_new_tokens: %d, at least 0 is needed",
                        a->how->max_new_tokens);
    FAL_TRY(fal_sampler_open(&a->sampler, &a->how->sampling, (int)a->n_vocab, a->how->stream, err));
    FAL_TRY(open_grammar(a, grammar, err));
    return fal_stop_open(&a->stop, a->how->stop, err);
}

fal_status fal_answer_open(fal_answer **out, const fal_model *model,
                           const fal_generate_options *how, const fal_grammar *grammar,
                           fal_error *err) {
    *out = NULL;
    fal_answer *a = fal_alloc(1, sizeof *a);
    if (!a) return fal_fail_memory(err, sizeof *a);
    a->how = how;
    a->tokenizer = fal_model_tokenizer(model);
    a->n_vocab = (size_t)fal_model_info_get(model)->n_vocab;
    fal_status status = open_parts(a, grammar, err);
    if (status != FAL_OK) {
        fal_answer_close(a);
        return status;
    }
    *out = a;
    return FAL_OK;
}

void fal_answer_close(fal_answer *a) {
    if (!a) return;
    fal_stop_close(a->stop);
    fal_grammar_state_close(a->grammar);
    fal_free(a->allowed);
    fal_sampler_close(a->sampler);
    fal_free(a);
}

void fal_answer_follow(fal_answer *a, const int32_t *tokens, size_t count) {
    if (!a->how->penalise_prompt) return;
    for (size_t i = 0; i < count; i++)
        fal_sampler_accept(a->sampler, tokens[i]);
}

static void judge(fal_answer *a, bool is_end, bool has_room) {
    size_t most = (size_t)a->how->max_new_tokens;
    a->is_over = true;
    if (is_end) {
        a->result.finish = FAL_FINISH_END;
    } else if (a->result.stop_word) {
        a->result.finish = FAL_FINISH_STOP_WORD;
    } else if (a->grammar && fal_grammar_is_complete(a->grammar)) {
        a->result.finish = FAL_FINISH_END;
    } else if (most > 0 && a->result.n_tokens >= most) {
        a->result.finish = FAL_FINISH_LENGTH;
    } else if (!has_room) {
        a->result.finish = FAL_FINISH_CONTEXT;
    } else {
        a->is_over = false;
    }
}

static void fill_piece(fal_answer *a, int32_t token, double log_probability, fal_piece *piece) {
    fal_slice text = fal_stop_take(a->stop);
    *piece = (fal_piece){.text = text.data,
                         .length = text.length,
                         .token = token,
                         .log_probability = log_probability};
}

static fal_status choose(fal_answer *a, const float *logits, int32_t *token, fal_error *err) {
    if (a->grammar) FAL_TRY(fal_grammar_allowed(a->grammar, a->allowed, a->n_vocab, err));
    *token = fal_sampler_draw_allowed(a->sampler, logits, a->allowed);
    if (*token < 0)
        return fal_fail(err, FAL_E_UNSUPPORTED, "the grammar allows no token after %zu of them",
                        a->result.n_tokens);
    return FAL_OK;
}

fal_status fal_answer_draw(fal_answer *a, const float *logits, bool has_room, fal_piece *piece,
                           fal_error *err) {
    int32_t token;
    FAL_TRY(choose(a, logits, &token, err));
    double log_probability =
        a->how->want_log_probability ? fal_log_probability(logits, a->n_vocab, token) : 0;
    /* Where a grammar lets the text end, it ends. */
    bool is_end = (!a->how->ignore_end || a->grammar) && fal_tokenizer_is_end(a->tokenizer, token);
    if (a->grammar && !is_end) FAL_TRY(fal_grammar_accept(a->grammar, token, err));
    a->result.n_tokens++;
    fal_sampler_accept(a->sampler, token);
    if (!is_end && (!fal_tokenizer_is_control(a->tokenizer, token) || a->how->show_control)) {
        size_t length;
        const char *text = fal_tokenizer_piece(a->tokenizer, token, &length);
        if (text) FAL_TRY(fal_stop_feed(a->stop, text, length, err));
    }
    a->result.stop_word = fal_stop_word(a->stop);
    a->is_kept = !is_end && has_room;
    judge(a, is_end, has_room);
    fill_piece(a, token, log_probability, piece);
    return FAL_OK;
}

bool fal_answer_is_over(const fal_answer *a) {
    return a->is_over;
}

bool fal_answer_is_kept(const fal_answer *a) {
    return a->is_kept;
}

void fal_answer_cancel(fal_answer *a) {
    a->is_over = true;
    a->result.finish = FAL_FINISH_CANCELLED;
}

void fal_answer_cut(fal_answer *a) {
    a->is_over = true;
    a->result.finish = FAL_FINISH_LENGTH;
}

void fal_answer_finish(fal_answer *a, fal_piece *piece) {
    fal_stop_flush(a->stop);
    if (fal_stop_word(a->stop) && a->result.finish != FAL_FINISH_CANCELLED) {
        a->result.finish = FAL_FINISH_STOP_WORD;
        a->result.stop_word = fal_stop_word(a->stop);
    }
    fill_piece(a, -1, 0, piece);
}

const fal_generate_result *fal_answer_result(const fal_answer *a) {
    return &a->result;
}
