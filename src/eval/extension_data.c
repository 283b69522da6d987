/* What the experiment on context extension reads: documents of the small world for pretraining, and the mix of the model
 * card for fine-tuning. */
#include "eval/extension_private.h"
#include "eval/small_world.h"

#include <math.h>

enum {
    MOST_PIECES = 64 /* that a sequence of the mix is cut into */
};

static const double CHATTER = 0.2; /* share of prose in documents that ask */

static void add_document(fal_extension *e, fal_extension_stream stream, uint64_t index,
                         double chatter, int n_tokens, bool with_prompts) {
    fal_learner_sequence s = fal_learner_add(e->learner, n_tokens);
    uint64_t seed = e->seed * FAL_STREAM_COUNT + (uint64_t)stream;
    fal_world_document(seed, index, chatter, n_tokens, s.tokens, s.parts);
    for (int i = 0; i + 1 < n_tokens; i++)
        s.weights[i] = with_prompts || s.parts[i + 1] == FAL_WORLD_ANSWER ? 1.0f : 0.0f;
}

void fal_extension_fill_documents(fal_extension *e, fal_extension_stream stream, int first,
                                  int n_sequences, int n_tokens) {
    fal_learner_clear(e->learner);
    for (int i = first; i < first + n_sequences; i++)
        add_document(e, stream, (uint64_t)i, CHATTER, n_tokens, true);
}

/* n_all tokens in pieces that no attention crosses. */
static void add_pieces(fal_extension *e, fal_extension_stream stream, uint64_t index,
                       double chatter, int n_all, int n_tokens, bool with_prompts) {
    for (int k = 0; k < n_all / n_tokens; k++)
        add_document(e, stream, index * MOST_PIECES + (uint64_t)k, chatter, n_tokens, with_prompts);
}

/* By tokens 50 % short chat, 45 % long documents, 5 % text. Answers carry the loss, all of the text, and the prompts of every
 * other long document. Without long data more chat takes their place, and the text is short. */
void fal_extension_fill_mix(fal_extension *e, fal_extension_stream stream, int first,
                            int n_sequences, bool has_long_data) {
    int n_context = e->preset->n_context, n_long = FAL_EXTENSION_FACTOR * n_context;
    const double golden = 0.6180339887498949; /* its multiples fill [0, 1) evenly */
    fal_learner_clear(e->learner);
    for (int i = first; i < first + n_sequences; i++) {
        double share = fmod((double)(i + 1) * golden, 1.0);
        uint64_t index = (uint64_t)i;
        if (share < 0.05)
            add_pieces(e, stream, index, 1.0, n_long, has_long_data ? n_long : n_context, true);
        else if (share < 0.5 && has_long_data)
            add_pieces(e, stream, index, CHATTER, n_long, n_long, i % 2 == 0);
        else
            add_pieces(e, stream, index, CHATTER, n_long, n_context / 2, false);
    }
}
