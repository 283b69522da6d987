/* compare: how far a model lies from a reference. The work is eval.h's. */
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/measuring.h"

#include <math.h>
#include <string.h>

typedef struct compare_options {
    fal_texts models;
    fal_text_choice text;
    fal_model_choice model;
    bool json;
} compare_options;

#define AT(member) offsetof(compare_options, member)

static const fal_option model_rows[] = {
    FAL_ROW(LIST, "model", 'm', AT(models), "FILE", "once the reference, once the other one"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Measure", model_rows,                                   0        },
    {"Text",    fal_text_option_rows,                         AT(text) },
    {"Models",  fal_model_option_rows + FAL_MODEL_OTHER_ROWS, AT(model)},
    {NULL,      NULL,                                         0        }
};

static const fal_example examples[] = {
    {"falconer compare -m falcon-bf16.gguf -m falcon-Q4_K_M.gguf -f text",
     "What quantization has changed:"                                          },
    {NULL,                                                                 NULL}
};

static json_t *perplexity_json(const fal_eval_perplexity_result *r) {
    json_t *all = json_object();
    json_object_set_new(all, "nll", fal_json_number(r->nll));
    json_object_set_new(all, "nll_error", fal_json_number(r->nll_error));
    json_object_set_new(all, "perplexity", fal_json_number(r->perplexity));
    json_object_set_new(all, "perplexity_error", fal_json_number(r->perplexity_error));
    return all;
}

static fal_status print_json(const fal_eval_comparison *c, size_t n_tokens, fal_error *err) {
    const fal_eval_perplexity_result *r = &c->reference;
    json_t *all = json_object(), *kl = json_object();
    json_object_set_new(all, "tokens", json_integer((json_int_t)n_tokens));
    json_object_set_new(all, "context", json_integer(r->n_context));
    json_object_set_new(all, "stride", r->stride ? json_integer(r->stride) : json_null());
    json_object_set_new(all, "windows", json_integer((json_int_t)r->n_windows));
    json_object_set_new(all, "scored", json_integer((json_int_t)r->n_scored));
    json_object_set_new(all, "reference", perplexity_json(r));
    json_object_set_new(all, "other", perplexity_json(&c->other));
    json_object_set_new(all, "ratio", fal_json_number(c->ratio));
    json_object_set_new(all, "ratio_error", fal_json_number(c->ratio_error));
    json_object_set_new(kl, "mean", fal_json_number(c->divergence));
    json_object_set_new(kl, "error", fal_json_number(c->divergence_error));
    json_object_set_new(kl, "median", fal_json_number(c->divergence_median));
    json_object_set_new(kl, "percentile_99", fal_json_number(c->divergence_99));
    json_object_set_new(kl, "maximum", fal_json_number(c->divergence_max));
    json_object_set_new(all, "kl_divergence", kl);
    json_object_set_new(all, "top_1_agreement", fal_json_number(c->agreement));
    json_object_set_new(all, "top_1_agreement_error", fal_json_number(c->agreement_error));
    return fal_json_print(all, 12, err);
}

static void print_row(const char *what, double value, double error, const char *unit) {
    char text[64];
    fal_format_estimate(text, sizeof text, value, error);
    printf("%-26s %s%s\n", what, text, unit);
}

static void print_text(const fal_eval_comparison *c) {
    const fal_eval_perplexity_result *r = &c->reference;
    double none = (double)NAN;
    print_row("perplexity, reference", r->perplexity, r->perplexity_error, "");
    print_row("perplexity, other", c->other.perplexity, c->other.perplexity_error, "");
    print_row("ratio, other to reference", c->ratio, c->ratio_error, "");
    print_row("KL divergence, mean", c->divergence, c->divergence_error, " nats");
    print_row("  median", c->divergence_median, none, "");
    print_row("  99th percentile", c->divergence_99, none, "");
    print_row("  maximum", c->divergence_max, none, "");
    print_row("same most probable token", 100 * c->agreement, 100 * c->agreement_error, " %");
    printf("%-26s %zu tokens in %zu windows of %d", "over", r->n_scored, r->n_windows,
           r->n_context);
    if (r->stride) printf(", one every %d", r->stride);
    putchar('\n');
}

/* The same text must be the same tokens to both. */
static fal_status check_tokens(const compare_options *o, const fal_model *other,
                               const fal_tokens *tokens, fal_error *err) {
    fal_text_choice text = o->text;
    fal_tokens again = {0};
    /* Standard input is read once. */
    if (strcmp(text.file, "-") == 0) return FAL_OK;
    fal_status status = fal_text_tokens(&text, "", other, &again, err);
    size_t n = again.count < tokens->count ? again.count : tokens->count, at = 0;
    while (at < n && again.ids[at] == tokens->ids[at])
        at++;
    if (status == FAL_OK && (at < again.count || at < tokens->count))
        status =
            fal_fail(err, FAL_E_ARGUMENT,
                     "compare: the models tokenize the text differently, from token %zu on", at);
    fal_tokens_release(&again);
    return status;
}

static fal_status open_models(const compare_options *o, fal_model *models[2], fal_error *err) {
    for (size_t i = 0; i < 2; i++) {
        fal_model_choice choice = o->model;
        choice.file = o->models.items[i];
        FAL_TRY(fal_measured_model_open(&models[i], &o->text, &choice, "", err));
    }
    return FAL_OK;
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const compare_options *o = parsed->values;
    static const char usage[] = "falconer compare -m REFERENCE -m OTHER -f TEXT";
    fal_model *models[2] = {NULL, NULL};
    fal_tokens tokens = {0};
    fal_eval_comparison result = {0};
    fal_status status = FAL_OK;
    if (o->models.count != 2)
        return fal_fail(err, FAL_E_ARGUMENT, "compare: two models are needed, %zu named; %s",
                        o->models.count, usage);
    if (!o->text.file) return fal_fail(err, FAL_E_ARGUMENT, "compare: no text is named; %s", usage);
    FAL_TRY_OUT(open_models(o, models, err));
    FAL_TRY_OUT(fal_text_tokens(&o->text, "", models[0], &tokens, err));
    FAL_TRY_OUT(check_tokens(o, models[1], &tokens, err));
    fal_progress bar = fal_progress_open("comparing", "tokens");
    const fal_eval_options how = fal_measuring_options(&o->text, &o->model, &bar);
    status = fal_eval_compare(models[0], models[1], tokens.ids, tokens.count, &how, &result, err);
    fal_progress_clear(&bar);
    if (status != FAL_OK) {
        fal_add_context(err, status, "compare");
    } else if (o->json) {
        status = print_json(&result, tokens.count, err);
    } else {
        print_text(&result);
    }
out:
    fal_tokens_release(&tokens);
    fal_model_close(models[0]);
    fal_model_close(models[1]);
    return status;
}

const fal_command fal_command_compare = {
    .description =
        "Runs two models side by side over a text, the first -m being the reference, and tells how far the second one "
        "lies from it. Windows and scored tokens are those of falconer perplexity; no file of logits is written, and "
        "memory hardly grows with the text.\n\n"
        "The KL divergence is the sum over the vocabulary of p * (log p - log q), in nats, p being what the reference "
        "gives and q what the other one gives before a scored token: its mean, median, 99th percentile (between "
        "neighbours by proportion) and maximum. The ratio of perplexities is exp of the mean difference of nll; its error "
        "comes from the differences token by token, and so is much smaller than those of the two perplexities. The last "
        "number is how often both models hold the same token to be the most probable. What stands behind +- are standard "
        "errors, with the tokens taken as independent.\n\n"
        "Each model has its own number type of the cache unless --kv-type is given: f16, and f32 for a model all of f32.\n\n"
        "With --json the result is {\"tokens\", \"context\", \"stride\", \"windows\", \"scored\", \"reference\": {\"nll\", "
        "\"nll_error\", \"perplexity\", \"perplexity_error\"}, \"other\": {...}, \"ratio\", \"ratio_error\", "
        "\"kl_divergence\": {\"mean\", \"error\", \"median\", \"percentile_99\", \"maximum\"}, \"top_1_agreement\", "
        "\"top_1_agreement_error\"}.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(compare_options),
    .run = run};
