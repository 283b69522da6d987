/* score: the log-probability of each token of a text, given those before it. */
#include <falconer/sampling.h>

#include "base/alloc.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/terminal.h"

#include <math.h>

typedef struct score_options {
    fal_model_choice model;
    const char *text, *file;
    fal_tokens ids;
    bool special, json, logits;
} score_options;

#define AT(member) offsetof(score_options, member)

static const fal_option score_rows[] = {
    FAL_ROW(TEXT, "text", 't', AT(text), "TEXT", "the text; without it a file or stdin"),
    FAL_ROW(FILE, "file", 'f', AT(file), "FILE", "a file that holds the text; -: stdin"),
    FAL_ROW(IDS, "ids", 'i', AT(ids), "IDS", "token ids instead of a text, as 1,2,3"),
    FAL_ROW_FLAG("special", 0, AT(special), "recognise control tokens in the text"),
    FAL_ROW_FLAG("logits", 0, AT(logits), "the logits after the last token, too"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Text",  score_rows,            0        },
    {"Model", fal_model_option_rows, AT(model)},
    {NULL,    NULL,                  0        }
};

static const fal_example examples[] = {
    {"falconer score -m falcon-7b.gguf --text 'The falcon flies.'", "How probable each token is:"},
    {"falconer score -m falcon-7b.gguf --ids 11,204,878 --json",    "Token ids in, JSON out:"    },
    {NULL,                                                          NULL                         }
};

/* What a command that scores holds. */
typedef struct scoring {
    const score_options *o;
    fal_model *model;
    fal_session *session;
    fal_tokens tokens;
    double *log_probabilities; /* [tokens.count]; the first one is not used */
    size_t n_vocab;
    double sum; /* of those so far */
    fal_progress progress;
    double nll; /* mean over all tokens but the first; NaN if there is only one */
} scoring;

static fal_status read_tokens(scoring *s, fal_error *err) {
    const score_options *o = s->o;
    if (o->ids.count) return fal_tokens_append(&s->tokens, o->ids.ids, o->ids.count, err);
    char *text = NULL;
    size_t length = 0;
    FAL_TRY(fal_prompt_read(&text, &length, o->text, o->file, err));
    fal_status status = fal_prompt_encode(
        fal_model_tokenizer(s->model), text, length,
        o->special ? FAL_SPECIALS_RECOGNISED : FAL_SPECIALS_AS_TEXT, &s->tokens, err);
    fal_free(text);
    if (status == FAL_OK && !s->tokens.count)
        status = fal_fail(err, FAL_E_ARGUMENT, "score: the text is empty");
    return status;
}

static bool on_logits(void *user, size_t index, const float *logits) {
    scoring *s = user;
    size_t n = s->tokens.count;
    if (index + 1 < n) {
        double value = fal_log_probability(logits, s->n_vocab, s->tokens.ids[index + 1]);
        s->log_probabilities[index + 1] = value;
        s->sum += value;
    }
    fal_progress_show(&s->progress, index + 1, n);
    return true;
}

/* All tokens are one feed: a dynamic method chooses its frequencies for the length of a feed. */
static fal_status score_tokens(scoring *s, fal_error *err) {
    size_t n = s->tokens.count, n_context = fal_session_n_context(s->session);
    if (n > n_context)
        return fal_fail(err, FAL_E_LIMIT, "score: %zu tokens, the context holds %zu; see --context",
                        n, n_context);
    s->progress = fal_progress_open("scoring", "tokens");
    fal_status status = fal_session_feed_each(s->session, s->tokens.ids, n, on_logits, s, err);
    fal_progress_clear(&s->progress);
    s->nll = n > 1 ? -s->sum / (double)(n - 1) : (double)NAN;
    return status;
}

static json_t *last_logits(const scoring *s) {
    const float *logits = fal_session_logits(s->session);
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_vocab; i++)
        json_array_append_new(list, fal_json_number((double)logits[i]));
    return list;
}

static fal_status print_json(const scoring *s, fal_error *err) {
    json_t *all = json_object(), *list = json_array();
    json_object_set_new(all, "ids", fal_json_ids(s->tokens.ids, s->tokens.count));
    json_array_append_new(list, json_null());
    for (size_t i = 1; i < s->tokens.count; i++)
        json_array_append_new(list, fal_json_number(s->log_probabilities[i]));
    json_object_set_new(all, "logprobs", list);
    json_object_set_new(all, "nll", fal_json_number(s->nll));
    if (s->o->logits) json_object_set_new(all, "last_logits", last_logits(s));
    return fal_json_print(all, 9, err);
}

static void print_table(const scoring *s) {
    const fal_tokenizer *t = fal_model_tokenizer(s->model);
    printf("%8s %8s %12s  %s\n", "position", "id", "logprob", "piece");
    for (size_t i = 0; i < s->tokens.count; i++) {
        size_t length = 0;
        const char *piece = fal_tokenizer_piece(t, s->tokens.ids[i], &length);
        printf("%8zu %8d ", i, (int)s->tokens.ids[i]);
        if (i)
            printf("%12.6f  ", s->log_probabilities[i]);
        else
            printf("%12s  ", "-");
        fal_print_quoted(stdout, piece ? piece : "", length);
        putchar('\n');
    }
    if (s->tokens.count > 1)
        printf(exp(s->nll) > 1e6
                   ? "\n%zu tokens, negative log-likelihood %.6f per token, perplexity %g\n"
                   : "\n%zu tokens, negative log-likelihood %.6f per token, perplexity %.4f\n",
               s->tokens.count, s->nll, exp(s->nll));
    else
        printf("\n1 token: there is nothing to score, since nothing stands before it\n");
    const float *logits = fal_session_logits(s->session);
    for (size_t i = 0; s->o->logits && i < s->n_vocab; i++)
        printf("%s%8zu %.9g\n", i ? "" : "\nlogits after the last token\n", i, (double)logits[i]);
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const score_options *o = parsed->values;
    scoring s = {.o = o};
    fal_status status = FAL_OK;
    if ((o->text != NULL) + (o->file != NULL) + (o->ids.count > 0) > 1)
        return fal_fail(err, FAL_E_ARGUMENT,
                        "score: only one of --text, --file and --ids can be given");
    if (o->ids.count && o->special)
        return fal_fail(err, FAL_E_ARGUMENT, "score: --special is for texts, not for --ids");
    FAL_TRY_OUT(fal_model_choice_open(&o->model, "score: no model is named; falconer score -m FILE",
                                      &s.model, &s.session, err));
    FAL_TRY_OUT(read_tokens(&s, err));
    s.n_vocab = (size_t)fal_model_info_get(s.model)->n_vocab;
    s.log_probabilities = fal_alloc(s.tokens.count, sizeof *s.log_probabilities);
    if (!s.log_probabilities) FAL_TRY_OUT(fal_fail_memory(err, 0));
    FAL_TRY_OUT(score_tokens(&s, err));
    if (o->json)
        FAL_TRY_OUT(print_json(&s, err));
    else
        print_table(&s);
out:
    fal_free(s.log_probabilities);
    fal_tokens_release(&s.tokens);
    fal_session_close(s.session);
    fal_model_close(s.model);
    return status;
}

const fal_command fal_command_score = {
    .description =
        "Prints the natural logarithm of the probability that the model gives to each token of a text after those before "
        "it, and their mean with the sign changed (nll). The first token has nothing before it and is not counted. The "
        "text is tokenized as it stands; the names of control tokens in it are only recognised with --special.\n\n"
        "With --json the result is {\"ids\": [...], \"logprobs\": [null, ...], \"nll\": mean}, with --logits also "
        "\"last_logits\", one number for each token of the vocabulary.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(score_options),
    .run = run};
