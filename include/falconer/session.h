/* A session: one timeline of tokens on a model. Belongs to one thread at a time. */
#ifndef FALCONER_SESSION_H
#define FALCONER_SESSION_H

#include <falconer/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fal_session fal_session;

/* Zero means default. */
typedef struct fal_session_options {
    int n_context; /* most tokens of the timeline; 0: the model's */
    const char
        *kv_type; /* of the cache: "f16", "q8_0" (heads of a multiple of 32 numbers) or "f32";
                            NULL: f16, and f32 for a model whose weights are all f32 */
    int n_batch;  /* most tokens computed in one step; 0: 512 */
} fal_session_options;

/* Fails: ARGUMENT (a kv_type that is none, or not for these heads), LIMIT (n_context beyond what the architecture has positions for), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_session_open(fal_session **out, fal_model *model,
                                                   const fal_session_options *options,
                                                   fal_error *err);
FAL_API void fal_session_close(fal_session *s);

/* Called between steps with how far a prompt is; returning false cancels. */
typedef bool fal_on_progress(void *user, size_t n_done, size_t n_total);

/* Appends tokens to the timeline and computes them. Afterwards fal_session_logits holds the last one's logits.
 *
 *   all_logits  NULL, or room for [count, n_vocab] f32: the logits after each of the tokens
 *   Fails: ARGUMENT (an id outside the vocabulary), LIMIT (the context is full; nothing was appended), CANCELLED. */
FAL_API FAL_MUST_CHECK fal_status fal_session_feed(fal_session *s, const int32_t *tokens,
                                                   size_t count, float *all_logits, fal_error *err);

/* Called with the logits [n_vocab] f32 after each token of a feed, borrowed for the call; returning false cancels. */
typedef bool fal_on_logits(void *user, size_t index, const float *logits);

/* As fal_session_feed, handing out the logits after each of the tokens; memory does not grow with count. */
FAL_API FAL_MUST_CHECK fal_status fal_session_feed_each(fal_session *s, const int32_t *tokens,
                                                        size_t count, fal_on_logits *on_logits,
                                                        void *user, fal_error *err);

/* Makes the timeline equal these tokens, reusing the longest common prefix that is computed already. */
FAL_API FAL_MUST_CHECK fal_status fal_session_sync(fal_session *s, const int32_t *tokens,
                                                   size_t count, fal_error *err);

/* One step for several sessions of one model: appends tokens[i] to sessions[i]. The results are those of feeding each
 * alone, bit for bit. Fails as fal_session_feed, and with LIMIT if there are
 * more sessions than the first one's n_batch; then no session is changed. */
FAL_API FAL_MUST_CHECK fal_status fal_sessions_step(fal_session **sessions, const int32_t *tokens,
                                                    size_t count, fal_error *err);

/* Makes the timeline of `to` the first n tokens of another, with their cells: nothing is computed. With all n of its
 * tokens the logits come along. Both go on independently.
 * Fails: ARGUMENT (n beyond the timeline; another model or kv_type), LIMIT (n beyond the context of `to`), UNSUPPORTED (a
 * part of a timeline of a dynamic context method); then nothing is changed. */
FAL_API FAL_MUST_CHECK fal_status fal_session_copy(fal_session *to, const fal_session *from,
                                                   size_t n, fal_error *err);

/* Writes the timeline with its cells and logits to a file, which is whole or untouched. Fails: IO, MEMORY, ARGUMENT (path
 * is no regular file). */
FAL_API FAL_MUST_CHECK fal_status fal_session_save(fal_session *s, const char *path,
                                                   fal_error *err);

/* Makes the timeline the one that was saved: going on gives what going on then would have given. Fails: NOT_FOUND, IO,
 * FORMAT (foreign, cut or damaged), UNSUPPORTED (a later version), ARGUMENT (of another model, context method or
 * kv_type), LIMIT (longer than the context); then nothing is changed. */
FAL_API FAL_MUST_CHECK fal_status fal_session_load(fal_session *s, const char *path,
                                                   fal_error *err);

/* Forgets all tokens from position n on. */
FAL_API void fal_session_rewind(fal_session *s, size_t n);

/* Between prompt steps of feed and sync. NULL: none. */
FAL_API void fal_session_on_progress(fal_session *s, fal_on_progress *function, void *user);

/* [n_vocab] f32, borrowed until the next step; NULL before the first. */
FAL_API const float *fal_session_logits(const fal_session *s);

FAL_API size_t fal_session_count(const fal_session *s);          /* tokens in the timeline */
FAL_API const int32_t *fal_session_tokens(const fal_session *s); /* borrowed until the next step */
FAL_API size_t fal_session_n_context(const fal_session *s);
FAL_API fal_model *fal_session_model(const fal_session *s);

#ifdef __cplusplus
}
#endif
#endif
