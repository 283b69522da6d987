/* What the experiment on context extension reads: documents of the small world for pretraining, and the mix of the model
 * card for fine-tuning. */
#include "eval/extension_private.h"
#include "eval/small_world.h"

#include <math.h>

enum {
    MOST_PIECES = 64 /* that a sequence of the mix is cut into */
};

static const double GOLDEN = 0.6180339887498949; /* its multiples fill [0, 1) evenly */

static double golden_share(uint64_t index) {
    return fmod((double)(index + 1) * GOLDEN, 1.0);
}

/* From all facts to half prose. */
static double chatter_of(uint64_t index) {
    return 0.5 * golden_share(index);
}

/* prompts, answers: weights of the tokens that are none, and of those that are. */
static void add_document(fal_extension *e, fal_extension_stream stream, uint64_t index,
                         double chatter, int n_tokens, float prompts, float answers) {
    fal_learner_sequence s = fal_learner_add(e->learner, n_tokens);
    uint64_t seed = e->seed * FAL_STREAM_COUNT + (uint64_t)stream;
    fal_world_document(seed, index, chatter, n_tokens, s.tokens, s.parts);
    for (int i = 0; i + 1 < n_tokens; i++)
        s.weights[i] = s.parts[i + 1] == FAL_WORLD_ANSWER ? answers : prompts;
}

void fal_extension_fill_documents(fal_extension *e, fal_extension_stream stream, int first,
                                  int n_sequences, int n_tokens) {
    fal_learner_clear(e->learner);
    for (int i = first; i < first + n_sequences; i++)
        add_document(e, stream, (uint64_t)i, chatter_of((uint64_t)i), n_tokens, 1,
                     FAL_EXTENSION_ANSWER_WEIGHT);
}

/* n_all tokens in pieces that no attention crosses. */
static void add_pieces(fal_extension *e, fal_extension_stream stream, uint64_t index, bool is_prose,
                       int n_all, int n_tokens, bool with_prompts) {
    for (int k = 0; k < n_all / n_tokens; k++) {
        uint64_t piece = index * MOST_PIECES + (uint64_t)k;
        add_document(e, stream, piece, is_prose ? 1.0 : chatter_of(piece), n_tokens,
                     with_prompts ? 1 : 0, 1);
    }
}

/* By tokens 50 % short chat, 45 % long documents, 5 % text. Answers carry the loss, all of the text, and the prompts of every
 * other long document. Without long data more chat takes their place, and the text is short. */
void fal_extension_fill_mix(fal_extension *e, fal_extension_stream stream, int first,
                            int n_sequences, bool has_long_data) {
    int n_context = e->preset->n_context, n_long = FAL_EXTENSION_FACTOR * n_context;
    fal_learner_clear(e->learner);
    for (int i = first; i < first + n_sequences; i++) {
        uint64_t index = (uint64_t)i;
        double share = golden_share(index);
        if (share < 0.05)
            add_pieces(e, stream, index, true, n_long, has_long_data ? n_long : n_context, true);
        else if (share < 0.5 && has_long_data)
            add_pieces(e, stream, index, false, n_long, n_long, i % 2 == 0);
        else
            add_pieces(e, stream, index, false, n_long, n_context / 2, false);
    }
}
