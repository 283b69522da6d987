/* Body of folder_model.h. */
#include "convert/folder_model.h"

#include "base/alloc.h"
#include "base/file.h"
#include "convert/source.h"
#include "formats/json_file.h"
#include "formats/tokenizer_json.h"

#include <string.h>

static fal_status read_config(fal_folder_model *m, const char *directory, fal_error *err) {
    json_t *config = NULL;
    char *path = fal_path_join(directory, "config.json");
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_json_read_file(&config, path, err);
    if (status == FAL_OK) {
        m->arch = fal_arch_by_config(config);
        status = m->arch ? m->arch->params_from_hf(&m->params, config, err)
                         : fal_fail(err, FAL_E_UNSUPPORTED, "the architecture is not known");
        fal_add_context(err, status, "%s", path);
    }
    json_decref(config);
    fal_free(path);
    return status;
}

/* A head that is stored is a weight of its own, whatever the config says. */
static fal_status find_head(fal_folder_model *m, const char *directory, fal_error *err) {
    static const fal_log silent;
    fal_source *source;
    FAL_TRY(fal_source_open(&source, directory, false, &silent, err));
    m->params.has_tied_head = true;
    for (int i = 0; i < source->n_tensors; i++) {
        if (strcmp(source->tensors[i].name, "output.weight") == 0) m->params.has_tied_head = false;
    }
    fal_source_close(source);
    return FAL_OK;
}

fal_status fal_folder_model_open(fal_folder_model *m, const char *directory, fal_error *err) {
    fal_vocabulary vocabulary = {0};
    *m = (fal_folder_model){0};
    FAL_TRY(read_config(m, directory, err));
    FAL_TRY(find_head(m, directory, err));
    fal_status status = fal_tokenizer_json_read(&vocabulary, directory, m->params.n_vocab, err);
    if (status == FAL_OK) status = fal_tokenizer_from_vocabulary(&m->tokenizer, &vocabulary, err);
    fal_vocabulary_release(&vocabulary);
    return status;
}

void fal_folder_model_release(fal_folder_model *m) {
    fal_tokenizer_close(m->tokenizer);
    *m = (fal_folder_model){0};
}
