/* The log-probability of each token of a text: probability MODEL.gguf TEXT */
#include <falconer/falconer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fal_status score(const char *path, const char *text, fal_error *err) {
    fal_model *model = NULL;
    fal_session *session = NULL;
    fal_tokens tokens = {0};
    fal_status status = fal_model_open(&model, path, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_session_open(&session, model, NULL, err);
    if (status != FAL_OK) goto out;
    const fal_tokenizer *tokenizer = fal_model_tokenizer(model);
    status = fal_tokenizer_encode(tokenizer, text, strlen(text), FAL_SPECIALS_AS_TEXT, &tokens,
                                  NULL, err);
    if (status != FAL_OK) goto out;
    double sum = 0;
    for (size_t i = 0; i < tokens.count; i++) {
        if (i > 0) {
            size_t n_vocab = (size_t)fal_tokenizer_n_vocab(tokenizer);
            double p = fal_log_probability(fal_session_logits(session), n_vocab, tokens.ids[i]);
            printf("%8d %10.4f\n", (int)tokens.ids[i], p);
            sum += p;
        }
        status = fal_session_feed(session, &tokens.ids[i], 1, NULL, err);
        if (status != FAL_OK) goto out;
    }
    printf("sum %.4f\n", sum);
out:
    fal_tokens_release(&tokens);
    fal_session_close(session);
    fal_model_close(model);
    return status;
}

int main(int argc, char **argv) {
    fal_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: probability MODEL.gguf TEXT\n");
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = score(argv[1], argv[2], &err);
    if (status != FAL_OK) fprintf(stderr, "probability: %s\n", err.message);
    return fal_status_exit_code(status);
}
