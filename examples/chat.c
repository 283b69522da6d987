/* One answer in the model's own conversation format: chat MODEL.gguf QUESTION */
#include <falconer/falconer.h>

#include <stdio.h>
#include <time.h>

static bool show(void *user, const fal_piece *piece) {
    (void)user;
    fwrite(piece->text, 1, piece->length, stdout);
    fflush(stdout);
    return true;
}

static fal_status answer(const char *path, const char *question, fal_error *err) {
    fal_model *model = NULL;
    fal_session *session = NULL;
    fal_tokens tokens = {0};
    char system[1000];
    fal_status status = fal_model_open(&model, path, NULL, err);
    if (status != FAL_OK) goto out;
    status = fal_session_open(&session, model, NULL, err);
    if (status != FAL_OK) goto out;
    const fal_chat_format *format = fal_model_chat_format(model);
    fal_chat_default_system(format, (int64_t)time(NULL), system, sizeof system);
    const fal_message messages[] = {
        {"system", system  },
        {"user",   question}
    };
    size_t first = system[0] ? 0 : 1; /* not every format has a system prompt */
    status = fal_chat_render(format, fal_model_tokenizer(model), messages + first, 2 - first, true,
                             &tokens, err);
    if (status != FAL_OK) goto out;
    status = fal_session_sync(session, tokens.ids, tokens.count, err);
    if (status != FAL_OK) goto out;
    fal_generate_options how = {.max_new_tokens = 300, .stop = fal_chat_stop_words(format)};
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
        fprintf(stderr, "usage: chat MODEL.gguf QUESTION\n");
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = answer(argv[1], argv[2], &err);
    if (status != FAL_OK) fprintf(stderr, "chat: %s\n", err.message);
    return fal_status_exit_code(status);
}
