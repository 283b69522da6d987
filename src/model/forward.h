/* What runtime and train may call of a model: its parameters and its forward pass. */
#ifndef FAL_MODEL_FORWARD_H
#define FAL_MODEL_FORWARD_H

#include "model/step.h"

/* Borrowed from the model. */
const fal_params *fal_model_params(const fal_model *m);
fal_device *fal_model_device(const fal_model *m);

/* The name in GGUF files of the weight whose data begin at this address. False: no weight of the model does. */
bool fal_model_weight_name(const fal_model *m, const void *data, char out[FAL_WEIGHT_NAME_SIZE]);

/* f16; f32 for a model whose matrices are all f32, so that full precision stays full. */
const fal_type *fal_model_default_kv_type(const fal_model *m);

/* The frequencies [head_dim / 2] and gain for a timeline of `length` tokens; they depend on it only for dynamic methods.
 * Does nothing for models without rope. */
fal_status fal_model_frequencies(const fal_model *m, int length, double *frequency, double *gain,
                                 fal_error *err);
bool fal_model_has_dynamic_rope(const fal_model *m);

/* Scratch bytes that a step of these sizes needs, cut into parts in any way; checks all shapes on the way. */
fal_status fal_model_plan(const fal_model *m, int64_t n_tokens, int64_t n_wanted,
                          const fal_type *kv_type, size_t *scratch_bytes, fal_error *err);

/* Calls the operations of one step on its queue, up to the final norm: s->hidden. They are done after fal_queue_wait,
 * which tells their failure. */
void fal_model_forward(const fal_model *m, fal_step *s);

/* Calls the head on rows of the final norm's output: hidden [n, d_model], logits [n, n_vocab], f32. n may be 0. */
void fal_model_head(const fal_model *m, fal_queue *queue, fal_tensor logits, fal_tensor hidden);

#endif
