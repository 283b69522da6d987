/* Body of convert.h: a folder into one file of a float type is the plainest case of quantize.h. */
#include "base/file.h"
#include "convert/convert.h"
#include "convert/quantize.h"

static bool show_progress(void *user, const char *tensor, int64_t n_done, int64_t n_total) {
    const fal_convert_options *o = user;
    uint64_t bytes = (uint64_t)fal_type_by_name(o->type)->bytes_per_block;
    return !o->on_progress
           || o->on_progress(o->user, tensor, (uint64_t)n_done * bytes, (uint64_t)n_total * bytes);
}

fal_status fal_convert_folder(const char *directory, const char *path,
                              const fal_convert_options *options, fal_error *err) {
    static const fal_convert_options defaults;
    fal_convert_options o = options ? *options : defaults;
    const fal_type *type = fal_type_by_name(o.type ? o.type : "bf16");
    if (!type || type->is_quantized)
        return fal_fail(err, FAL_E_ARGUMENT, "type '%.40s': f32, f16 and bf16 are possible",
                        o.type);
    if (!fal_file_is_directory(directory))
        return fal_fail(err, FAL_E_NOT_FOUND, "'%s' is not a folder with a checkpoint", directory);
    fal_source *source;
    FAL_TRY(fal_source_open(&source, directory, false, &o.log, err));
    if (!o.type) o.type = fal_source_float_type(source)->name;
    fal_quantize_output output = {.path = path, .plan = {.mix = fal_mix_by_name(o.type)}};
    const fal_quantize_options how = {
        .words.name = o.name, .on_progress = show_progress, .user = &o};
    fal_status status = fal_quantize_write(source, &output, 1, &how, err);
    fal_source_close(source);
    return status;
}
