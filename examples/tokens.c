/* Text to tokens and back; a file that holds only a vocabulary is enough: tokens FILE.gguf TEXT */
#include <falconer/falconer.h>

#include <stdio.h>
#include <string.h>

static fal_status print_tokens(const char *path, const char *text, fal_error *err) {
    fal_gguf *file = NULL;
    fal_tokenizer *tokenizer = NULL;
    fal_tokens tokens = {0};
    fal_status status = fal_gguf_open(&file, path, err);
    if (status != FAL_OK) goto out;
    status = fal_tokenizer_open(&tokenizer, file, err);
    if (status != FAL_OK) goto out;
    status = fal_tokenizer_encode(tokenizer, text, strlen(text), FAL_SPECIALS_AS_TEXT, &tokens,
                                  NULL, err);
    if (status != FAL_OK) goto out;
    for (size_t i = 0; i < tokens.count; i++) {
        size_t length;
        const char *piece = fal_tokenizer_piece(tokenizer, tokens.ids[i], &length);
        printf("%8d  \"%.*s\"\n", (int)tokens.ids[i], (int)length, piece);
    }
out:
    fal_tokens_release(&tokens);
    fal_tokenizer_close(tokenizer);
    fal_gguf_close(file);
    return status;
}

int main(int argc, char **argv) {
    fal_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: tokens FILE.gguf TEXT\n");
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = print_tokens(argv[1], argv[2], &err);
    if (status != FAL_OK) fprintf(stderr, "tokens: %s\n", err.message);
    return fal_status_exit_code(status);
}
