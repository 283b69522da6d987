/* The convenient loop: draws tokens until something ends the answer, and hands out whole UTF-8 text. */
#ifndef FALCONER_GENERATE_H
#define FALCONER_GENERATE_H

#include <falconer/grammar.h>
#include <falconer/sampling.h>
#include <falconer/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fal_finish {
    FAL_FINISH_END,       /* an end token */
    FAL_FINISH_STOP_WORD, /* a stop word, which is not part of the text */
    FAL_FINISH_LENGTH,    /* max_new_tokens */
    FAL_FINISH_CONTEXT,   /* the context is full */
    FAL_FINISH_CANCELLED  /* the callback said so */
} fal_finish;

/* "end", "stop", "length", "context", "cancelled". */
FAL_API const char *fal_finish_name(fal_finish finish);

/* One piece of an answer. text may be empty while bytes are held back (a stop word or a character may be under way). */
typedef struct fal_piece {
    const char *text; /* not terminated; whole UTF-8 unless the model itself wrote invalid bytes */
    size_t length;
    int32_t token;          /* the token just drawn; -1 for the flush at the end */
    double log_probability; /* of token, natural logarithm */
} fal_piece;

/* Returning false cancels. */
typedef bool fal_on_piece(void *user, const fal_piece *piece);

/* Zero means default. */
typedef struct fal_generate_options {
    fal_sampling sampling;
    uint64_t stream;            /* separates sequences of one seed */
    int max_new_tokens;         /* 0: until something else ends it */
    const char *const *stop;    /* NULL-terminated list of words; NULL: none */
    const fal_grammar *grammar; /* what the answer has to look like; NULL: anything may be said */
    bool ignore_end;            /* do not end at end tokens */
    bool penalise_prompt; /* penalties also count the tokens of the timeline before the answer */
    bool want_log_probability; /* else log_probability is 0 */
    bool show_control;         /* hand out the names of control tokens as text */
} fal_generate_options;

typedef struct fal_generate_result {
    fal_finish finish;
    size_t n_tokens;       /* drawn, an end token included */
    const char *stop_word; /* which of how->stop, if FAL_FINISH_STOP_WORD */
} fal_generate_result;

/* Continues the session's timeline, whose logits must be there. Drawn tokens are appended to it, except an end token.
 * result may be NULL. Fails: ARGUMENT (an option, or an empty timeline), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_generate(fal_session *s, const fal_generate_options *how,
                                               fal_on_piece *on_piece, void *user,
                                               fal_generate_result *result, fal_error *err);

#ifdef __cplusplus
}
#endif
#endif
