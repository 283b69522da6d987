/* perplexity: how well a model foresees a text. The work is eval.h's. */
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/measuring.h"

typedef struct perplexity_options {
    fal_text_choice text;
    fal_model_choice model;
    bool json;
} perplexity_options;

#define AT(member) offsetof(perplexity_options, member)

static const fal_option model_row[] = {
    FAL_ROW(FILE, "model", 'm', AT(model.file), "FILE", "a GGUF file (the built-in fledgling)"),
    FAL_ROW_JSON(AT(json)),
    {0}};

static const fal_option_group groups[] = {
    {"Measure", model_row,                                    0        },
    {"Text",    fal_text_option_rows,                         AT(text) },
    {"Model",   fal_model_option_rows + FAL_MODEL_OTHER_ROWS, AT(model)},
    {NULL,      NULL,                                         0        }
};

static const fal_example examples[] = {
    {"falconer perplexity -m falcon-7b.gguf -f wiki.test.raw",          "As llama.cpp measures:"},
    {"falconer perplexity -m alfred.gguf -f text -c 2048 --stride 512",
     "Each token of the text once, after at least 1536 others:"                                 },
    {NULL,                                                              NULL                    }
};

static fal_status print_json(const fal_eval_perplexity_result *r, size_t n_tokens, fal_error *err) {
    json_t *all = json_object();
    json_object_set_new(all, "tokens", json_integer((json_int_t)n_tokens));
    json_object_set_new(all, "context", json_integer(r->n_context));
    json_object_set_new(all, "stride", r->stride ? json_integer(r->stride) : json_null());
    json_object_set_new(all, "windows", json_integer((json_int_t)r->n_windows));
    json_object_set_new(all, "scored", json_integer((json_int_t)r->n_scored));
    json_object_set_new(all, "nll", fal_json_number(r->nll));
    json_object_set_new(all, "nll_error", fal_json_number(r->nll_error));
    json_object_set_new(all, "perplexity", fal_json_number(r->perplexity));
    json_object_set_new(all, "perplexity_error", fal_json_number(r->perplexity_error));
    return fal_json_print(all, 12, err);
}

static void print_text(const fal_eval_perplexity_result *r) {
    char text[64];
    fal_format_estimate(text, sizeof text, r->perplexity, r->perplexity_error);
    printf("perplexity  %s\n", text);
    fal_format_estimate(text, sizeof text, r->nll, r->nll_error);
    printf("nll         %s per token\n", text);
    printf("over        %zu tokens in %zu windows of %d", r->n_scored, r->n_windows, r->n_context);
    if (r->stride) printf(", one every %d", r->stride);
    putchar('\n');
}

static fal_status run(const fal_parsed *parsed, fal_error *err) {
    const perplexity_options *o = parsed->values;
    fal_model *model = NULL;
    fal_tokens tokens = {0};
    fal_eval_perplexity_result result = {0};
    fal_status status = FAL_OK;
    FAL_TRY_OUT(fal_measured_model_open(
        &model, &o->text, &o->model,
        "perplexity: no model is named; falconer perplexity -m FILE -f TEXT", err));
    FAL_TRY_OUT(fal_text_tokens(&o->text,
                                "perplexity: no text is named; falconer perplexity -m FILE -f TEXT",
                                model, &tokens, err));
    fal_progress bar = fal_progress_open("measuring", "tokens");
    const fal_eval_options how = fal_measuring_options(&o->text, &o->model, &bar);
    status = fal_eval_perplexity(model, tokens.ids, tokens.count, &how, &result, err);
    fal_progress_clear(&bar);
    if (status != FAL_OK) {
        fal_add_context(err, status, "perplexity");
    } else if (o->json) {
        status = print_json(&result, tokens.count, err);
    } else {
        print_text(&result);
    }
out:
    fal_tokens_release(&tokens);
    fal_model_close(model);
    return status;
}

const fal_command fal_command_perplexity = {
    .description =
        "Prints the perplexity of a text: exp of the mean negative logarithm (nll) of the probability that the model "
        "gives to each scored token after those before it. The number behind +- is the standard error, with the tokens "
        "taken as independent. The text is tokenized as it stands; the names of control tokens in it are only recognised "
        "with --special.\n\n"
        "The text is cut into windows of --context tokens (512, or the model's context where that is less), each read on "
        "its own. Without --stride they lie end to end; scored are the tokens behind the first half and one more of each "
        "window, so that each has at least half a window before it, and a rest that fills no window is left out. Where the "
        "vocabulary asks for a bos token it takes the place of each window's first one. Numbers of llama.cpp are made in "
        "this way.\n\n"
        "With --stride N a window begins every N tokens and scores what no window before it has scored: each token of the "
        "text but the first counts once, with at least context - N tokens before it except at the beginning. Numbers from "
        "transformers' documentation are made in this way.\n\n"
        "With --json the result is {\"tokens\", \"context\", \"stride\", \"windows\", \"scored\", \"nll\", \"nll_error\", "
        "\"perplexity\", \"perplexity_error\"}.",
    .groups = groups,
    .examples = examples,
    .values_bytes = sizeof(perplexity_options),
    .run = run};
