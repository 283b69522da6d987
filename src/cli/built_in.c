/* Body of built_in.h but for the model itself: the build takes built_in_model.c, or built_in_none.c without a model. */
#include "cli/built_in.h"

#include "base/alloc.h"
#include "base/file.h"

const char fal_built_in_name[] = "fledgling (built in)";

static bool holds(const char *folder, const char *name) {
    char *path = fal_path_join(folder, name);
    bool is_there = path && fal_file_exists(path) && !fal_file_is_directory(path);
    fal_free(path);
    return is_there;
}

/* Whoever names the folder of a checkpoint or of a training run is told which file is meant, or how one is made. */
static fal_status check_name(const char *path, fal_error *err) {
    if (holds(path, "model.gguf"))
        return fal_fail(err, FAL_E_ARGUMENT,
                        "'%s' is a folder, not a file; its model: %s/model.gguf", path, path);
    if (holds(path, "config.json"))
        return fal_fail(
            err, FAL_E_ARGUMENT,
            "'%s' is a checkpoint, not a GGUF file; 'falconer convert %s FILE.gguf' makes one",
            path, path);
    return FAL_OK;
}

fal_status fal_named_gguf_open(fal_gguf **out, const char *path, const char *hint, fal_error *err) {
    *out = NULL;
    if (path) FAL_TRY(check_name(path, err));
    if (path) return fal_gguf_open(out, path, err);
    fal_slice model = fal_built_in_model();
    if (!model.data) return fal_fail(err, FAL_E_ARGUMENT, "%s", hint);
    return fal_gguf_open_memory(out, model.data, model.length, fal_built_in_name, err);
}

fal_status fal_named_model_open(fal_model **out, const char *path, const fal_model_options *options,
                                const char *hint, fal_error *err) {
    *out = NULL;
    if (path) FAL_TRY(check_name(path, err));
    if (path) return fal_model_open(out, path, options, err);
    fal_slice model = fal_built_in_model();
    if (!model.data) return fal_fail(err, FAL_E_ARGUMENT, "%s", hint);
    return fal_model_open_memory(out, model.data, model.length, fal_built_in_name, options, err);
}
