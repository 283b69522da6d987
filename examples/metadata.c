/* What a GGUF file holds: metadata FILE.gguf */
#include <falconer/falconer.h>

#include <inttypes.h>
#include <stdio.h>

static void print_value(const fal_gguf *file, const fal_gguf_value *value) {
    fal_gguf_string text;
    double number;
    if (value->type == FAL_GGUF_ARRAY) {
        printf("%-48s %" PRIu64 " values\n", value->key, value->count);
    } else if (fal_gguf_value_string(file, value, 0, &text)) {
        printf("%-48s %.*s\n", value->key, (int)(text.length < 60 ? text.length : 60), text.data);
    } else if (fal_gguf_value_f64(file, value, 0, &number)) {
        printf("%-48s %g\n", value->key, number);
    } else {
        printf("%-48s\n", value->key);
    }
}

int main(int argc, char **argv) {
    fal_gguf *file;
    fal_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: metadata FILE.gguf\n");
        return fal_status_exit_code(FAL_E_ARGUMENT);
    }
    fal_status status = fal_gguf_open(&file, argv[1], &err);
    if (status != FAL_OK) {
        fprintf(stderr, "metadata: %s\n", err.message);
        return fal_status_exit_code(status);
    }
    for (int i = 0; i < fal_gguf_value_count(file); i++)
        print_value(file, fal_gguf_value_at(file, i));
    for (int i = 0; i < fal_gguf_tensor_count(file); i++) {
        const fal_gguf_tensor *t = fal_gguf_tensor_at(file, i);
        printf("%-40s %-8s %" PRId64 " x %" PRId64 "\n", t->name, t->type_name, t->shape[0],
               t->shape[1]);
    }
    fal_gguf_close(file);
    return 0;
}
