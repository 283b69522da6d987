/* How the next token is drawn from logits. The meaning of each option is that of the text-generation pipeline. */
#ifndef FALCONER_SAMPLING_H
#define FALCONER_SAMPLING_H

#include <falconer/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number added to the logit of a token, at most 1e30; -INFINITY: the token is not drawn while there is another. */
typedef struct fal_token_bias {
    int32_t id;
    double value;
} fal_token_bias;

/* Zero means: take the most probable token. Order of application: what is allowed, biases, penalties, temperature, top_k,
 * top_p, min_p, typical_p. Equal logits are ordered by id, so a draw depends on nothing but logits, options and seed; of two
 * kinds of processor (AVX2, AVX-512, ...) exponentials may differ in their last bit. What is e^87 times less probable than the
 * best token is not drawn. */
typedef struct fal_sampling {
    double temperature; /* 0: greedy */
    int top_k;          /* 0: off */
    double top_p;       /* 0 or 1: off */
    double min_p;       /* 0: off */
    double typical_p;   /* 0 or 1: off */
    double
        repetition_penalty; /* 0 or 1: off; divides positive and multiplies negative logits of tokens seen */
    double presence_penalty;  /* subtracted once from tokens seen */
    double frequency_penalty; /* subtracted per occurrence */
    uint64_t seed;
    const fal_token_bias
        *biases; /* [n_biases], copied by fal_sampler_open; those of one id add up */
    size_t n_biases;
} fal_sampling;

/* Fails: ARGUMENT, naming option, value and bound. */
FAL_API FAL_MUST_CHECK fal_status fal_sampling_check(const fal_sampling *how, fal_error *err);

typedef struct fal_sampler fal_sampler;

/* stream separates sequences drawn with one seed (0, 1, 2, ...). Fails: ARGUMENT (an option; a bias for an id that is not
 * below n_vocab), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_sampler_open(fal_sampler **out, const fal_sampling *how,
                                                   int n_vocab, uint64_t stream, fal_error *err);
FAL_API void fal_sampler_close(fal_sampler *s);

/* Tells the penalties of a token that stands in the timeline. */
FAL_API void fal_sampler_accept(fal_sampler *s, int32_t token);

/* Draws a token. logits [n_vocab] f32, unchanged. */
FAL_API int32_t fal_sampler_draw(fal_sampler *s, const float *logits);

/* As fal_sampler_draw, among the tokens that are allowed: token i is when bit i % 32 of allowed[i / 32] is set. NULL: all
 * are. -1, and no random number is used up: none is. */
FAL_API int32_t fal_sampler_draw_allowed(fal_sampler *s, const float *logits,
                                         const uint32_t *allowed);

/* Natural logarithm of the softmax probability of token, unaffected by options. */
FAL_API double fal_log_probability(const float *logits, size_t n_vocab, int32_t token);

/* The k most probable tokens, the best first, equal ones by id, with what fal_log_probability says of them.
 *
 *   ids, values  [k] out; returned is how many were written, the smaller of k and n_vocab */
FAL_API size_t fal_top_log_probabilities(const float *logits, size_t n_vocab, size_t k,
                                         int32_t *ids, double *values);

#ifdef __cplusplus
}
#endif
#endif
