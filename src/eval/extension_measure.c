/* What the experiment on context extension measures of a model: losses by distance, right answers, norms of the gradient.
 * All models of a seed are measured on the same documents and examples. */
#include "eval/extension_private.h"
#include "eval/small_world.h"

#include <math.h>

/* Losses by how far from the document's start a token lies. */
typedef struct buckets {
    double sums[FAL_EXTENSION_LENGTHS];
    int64_t counts[FAL_EXTENSION_LENGTHS];
} buckets;

static void add_loss(buckets *b, int position, int n_context, float loss) {
    int k = 0;
    while (k + 1 < FAL_EXTENSION_LENGTHS && position >= n_context << k)
        k++;
    b->sums[k] += (double)loss;
    b->counts[k]++;
}

static json_t *means_of(const buckets *b, int n_lengths) {
    json_t *means = json_array();
    for (int k = 0; k < n_lengths; k++) {
        double mean = b->counts[k] ? b->sums[k] / (double)b->counts[k] : 0;
        json_array_append_new(means, json_real(mean));
    }
    return means;
}

static void add_losses_of_batch(const fal_extension *e, buckets *all, buckets *answers) {
    for (int i = 0; i < fal_learner_sequence_count(e->learner); i++) {
        fal_learner_sequence s = fal_learner_sequence_at(e->learner, i);
        for (int t = 0; t + 1 < s.n_tokens; t++) {
            add_loss(all, t, e->preset->n_context, s.losses[t]);
            if (s.parts[t + 1] == FAL_WORLD_ANSWER)
                add_loss(answers, t, e->preset->n_context, s.losses[t]);
        }
    }
}

/* How many of n are left for one batch. */
static int fitting(const fal_extension *e, int n, int n_tokens) {
    fal_learner_clear(e->learner);
    int most = 1;
    while (most < n && fal_learner_has_room(e->learner, (most + 1) * n_tokens))
        most++;
    return most;
}

static fal_status measure_losses(fal_extension *e, fal_extension_stream stream, int n_tokens,
                                 buckets *all, buckets *answers, fal_error *err) {
    int n_documents = e->preset->n_documents;
    for (int first = 0, n; first < n_documents; first += n) {
        n = fitting(e, n_documents - first, n_tokens);
        fal_extension_fill_documents(e, stream, first, n, n_tokens);
        FAL_TRY(fal_learner_foretell(e->learner, err));
        add_losses_of_batch(e, all, answers);
        FAL_TRY(fal_extension_advance(e, (int64_t)n * n_tokens, err));
    }
    return FAL_OK;
}

static void add_example(fal_extension *e, fal_world_task task, int index, int n_tokens) {
    fal_learner_sequence s = fal_learner_add(e->learner, n_tokens);
    double depth = ((double)index + 0.5) / (double)e->preset->n_examples;
    uint64_t seed = e->seed * FAL_STREAM_COUNT + FAL_STREAM_EXAMPLES;
    int first, n_answer = fal_world_example(task, seed, (uint64_t)index, depth, n_tokens, s.tokens,
                                            &first);
    for (int i = first; i < first + n_answer; i++)
        s.weights[i - 1] = 1;
}

/* Whether the whole answer is what the model holds most probable: what greedy decoding would give. */
static bool is_right(const fal_learner_sequence *s) {
    for (int i = 0; i + 1 < s->n_tokens; i++) {
        if (s->weights[i] > 0 && s->guesses[i] != s->tokens[i + 1]) return false;
    }
    return true;
}

static fal_status measure_task(fal_extension *e, fal_world_task task, int n_tokens, double *score,
                               fal_error *err) {
    int n_examples = e->preset->n_examples, n_right = 0;
    for (int first = 0, n; first < n_examples; first += n) {
        n = fitting(e, n_examples - first, n_tokens);
        for (int i = first; i < first + n; i++)
            add_example(e, task, i, n_tokens);
        FAL_TRY(fal_learner_guess(e->learner, err));
        for (int i = 0; i < n; i++) {
            fal_learner_sequence s = fal_learner_sequence_at(e->learner, i);
            n_right += is_right(&s);
        }
        FAL_TRY(fal_extension_advance(e, (int64_t)n * n_tokens, err));
    }
    *score = (double)n_right / (double)n_examples;
    return FAL_OK;
}

static fal_status measure_tasks(fal_extension *e, int n_lengths, json_t *scores, fal_error *err) {
    const fal_world_task_row *row;
    for (int task = 0; (row = fal_world_task_at(task)) != NULL; task++) {
        json_t *by_length = json_array();
        json_object_set_new(scores, row->name, by_length);
        for (int k = 0; k < n_lengths; k++) {
            double score;
            FAL_TRY(measure_task(e, (fal_world_task)task, e->preset->n_context << k, &score, err));
            json_array_append_new(by_length, json_real(score));
        }
    }
    return FAL_OK;
}

fal_status fal_extension_measure(fal_extension *e, int n_lengths, json_t **out, fal_error *err) {
    int n_context = e->preset->n_context;
    buckets all = {0}, answers = {0}, brief = {0}, brief_answers = {0};
    FAL_TRY(measure_losses(e, FAL_STREAM_LOSS, n_context << (n_lengths - 1), &all, &answers, err));
    FAL_TRY(measure_losses(e, FAL_STREAM_SHORT, n_context, &brief, &brief_answers, err));
    json_t *scores = json_object();
    *out = json_pack("{s:o, s:o, s:f, s:o}", "loss", means_of(&all, n_lengths), "answers",
                     means_of(&answers, n_lengths), "short",
                     brief.sums[0] / (double)brief.counts[0], "scores", scores);
    if (!*out) return fal_fail_memory(err, 0);
    return measure_tasks(e, n_lengths, scores, err);
}

fal_status fal_extension_measure_norms(fal_extension *e, bool has_long_data, json_t **out,
                                       fal_error *err) {
    int n_sequences = e->preset->extend_sequences;
    int n_tokens = n_sequences * FAL_EXTENSION_FACTOR * e->preset->n_context;
    *out = json_array();
    for (int i = 0; i < e->preset->n_norm_batches; i++) {
        double norm;
        fal_extension_fill_mix(e, FAL_STREAM_NORM, i * n_sequences, n_sequences, has_long_data);
        FAL_TRY(fal_learner_norm(e->learner, &norm, err));
        if (json_array_append_new(*out, json_real(norm)) != 0) return fal_fail_memory(err, 0);
        FAL_TRY(fal_extension_advance(e, (int64_t)3 * n_tokens, err));
    }
    return FAL_OK;
}
