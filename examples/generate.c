/* Continues a prompt: generate MODEL.gguf PROMPT */
#include <falconer/falconer.h>

#include <stdio.h>
#include <string.h>

static bool show(void *user, const fal_piece *piece) {
    (void)user;
    fwrite(piece->text, 1, piece->length, stdout);
    fflush(stdout);
    return true;
}

static fal_status generate(const char *path, const char *prompt, fal_error *err) {
    fal_model *model = NULL;
    fal_session *session = NULL;
    fal_tokens tokens = {0};
    fal_generate_options how = {
        .max_new_tokens = 100, .sampling = {.temperature = 0.7, .top_k = 40}
    };
    fal_status status = fal_model_open(&model, path, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_session_open(&session, model, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_tokenizer_encode(fal_model_tokenizer(model), prompt, strlen(prompt),
                                  FAL_SPECIALS_AS_TEXT, &tokens, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_session_feed(session, tokens.ids, tokens.count, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_generate(session, &how, show, NULL, NULL, err);
    printf("\n");
out:
    fal_tokens_release(&tokens);
    fal_session_close(session);
    fal_model_close(model);
    return status;
}

int main(int argc, char **argv) {
    fal_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: generate MODEL.gguf PROMPT\n");
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = generate(argv[1], argv[2], &err);
    if (status != FAL_OK) fprintf(stderr, "generate: %s\n", err.message);
    return fal_status_exit_code(status);
}
