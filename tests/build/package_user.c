/* A program outside: sees installed headers only, and calls into the installed library. */
#include <falconer/falconer.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    fal_gguf *file = NULL;
    fal_error err = {FAL_OK, ""};
    fal_status status = fal_gguf_open(&file, "/no/such/file.gguf", &err);
    if (status != FAL_E_NOT_FOUND || file || !strstr(err.message, "/no/such/file.gguf")) return 1;
    printf("%s: %s\n", FAL_VERSION, fal_status_words(FAL_E_FORMAT));
    return 0;
}
