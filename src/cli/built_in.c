/* Body of built_in.h but for the model itself: the build takes built_in_model.c, or built_in_none.c without a model. */
#include "cli/built_in.h"

const char fal_built_in_name[] = "fledgling (built in)";

fal_status fal_named_gguf_open(fal_gguf **out, const char *path, const char *hint, fal_error *err) {
    *out = NULL;
    if (path) return fal_gguf_open(out, path, err);
    fal_slice model = fal_built_in_model();
    if (!model.data) return fal_fail(err, FAL_E_ARGUMENT, "%s", hint);
    return fal_gguf_open_memory(out, model.data, model.length, fal_built_in_name, err);
}

fal_status fal_named_model_open(fal_model **out, const char *path, const fal_model_options *options,
                                const char *hint, fal_error *err) {
    *out = NULL;
    if (path) return fal_model_open(out, path, options, err);
    fal_slice model = fal_built_in_model();
    if (!model.data) return fal_fail(err, FAL_E_ARGUMENT, "%s", hint);
    return fal_model_open_memory(out, model.data, model.length, fal_built_in_name, options, err);
}
