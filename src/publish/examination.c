/* Body of examination.h: opens what there is of a file, however little, and answers what checks and repairs both ask. */
#include "publish/examination.h"

#include "base/file.h"
#include "model/restore.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Marks that begin an answer, and those that end it. */
static const struct {
    const char *start, *end;
} turns[] = {
    {"<start_assistant>", "<end_message>"},
    {"<|im_start|>",      "<|im_end|>"   },
    {"<|assistant|>",     "<|end|>"      },
};

static const char *const token_id_keys[] = {
    "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.padding_token_id", NULL};

static void find_arch(fal_examination *x) {
    fal_gguf_string text;
    char name[64];
    if (!fal_gguf_find_string(x->file, "general.architecture", &text)) return;
    snprintf(name, sizeof name, "%.*s", text.length < 60 ? (int)text.length : 60, text.data);
    x->arch = fal_arch_by_name(name);
}

static fal_status read_params(fal_examination *x, fal_error *err) {
    FAL_TRY(fal_metadata_check_kinds(x->file, err));
    FAL_TRY(x->arch->params_from_gguf(&x->params, x->file, err));
    return fal_params_check(&x->params, err);
}

/* Whether a failure speaks of the file; the others end the examination. */
static bool is_of_the_file(fal_status status) {
    return status == FAL_E_FORMAT || status == FAL_E_UNSUPPORTED || status == FAL_E_LIMIT;
}

static fal_status open_file(fal_examination *x, fal_error *err) {
    fal_status status = fal_gguf_open(&x->file, x->path, &x->file_error);
    if (status == FAL_OK || is_of_the_file(status)) return FAL_OK;
    /* Another part of the set. */
    if (status == FAL_E_NOT_FOUND && fal_file_exists(x->path)) return FAL_OK;
    return fal_fail(err, status, "%s", x->file_error.message);
}

fal_status fal_examination_open(fal_examination *x, const char *path,
                                const fal_doctor_options *options, fal_diagnosis *out,
                                fal_error *err) {
    *x = (fal_examination){.path = path, .options = options, .out = out};
    FAL_TRY(open_file(x, err));
    if (!x->file) return FAL_OK;
    find_arch(x);
    if (x->arch) {
        fal_status status = read_params(x, &x->params_error);
        x->has_params = status == FAL_OK;
        if (status != FAL_OK && !is_of_the_file(status))
            return fal_fail(err, status, "%s", x->params_error.message);
    }
    fal_status status = fal_tokenizer_open(&x->tokenizer, x->file, &x->tokenizer_error);
    if (status != FAL_OK && !is_of_the_file(status))
        return fal_fail(err, status, "%s", x->tokenizer_error.message);
    x->meant = x->params;
    if (x->has_params && x->tokenizer)
        fal_restore_settings(&x->meant, x->file, x->tokenizer, path, x->restored,
                             sizeof x->restored);
    return FAL_OK;
}

void fal_examination_release(fal_examination *x) {
    fal_tokenizer_close(x->tokenizer);
    fal_gguf_close(x->file);
    x->tokenizer = NULL;
    x->file = NULL;
}

const char *fal_token_id_key(int index) {
    return token_id_keys[index];
}

bool fal_examination_is_bad_id(const fal_examination *x, const char *key, int64_t *id,
                               uint64_t *n_tokens) {
    const fal_gguf_value *tokens = fal_gguf_find(x->file, "tokenizer.ggml.tokens");
    const fal_gguf_value *value = fal_gguf_find(x->file, key);
    if (!tokens || tokens->type != FAL_GGUF_ARRAY || !value || value->type == FAL_GGUF_ARRAY
        || !fal_gguf_value_i64(x->file, value, 0, id))
        return false;
    *n_tokens = tokens->count;
    /* The largest number and -1 say "none". */
    if (*id == -1 || *id == UINT32_MAX) return false;
    return *id < 0 || (uint64_t)*id >= tokens->count;
}

int32_t fal_examination_end_of_turn(const fal_examination *x) {
    for (size_t i = 0; x->tokenizer && i < sizeof turns / sizeof turns[0]; i++) {
        int32_t end = fal_tokenizer_control_id(x->tokenizer, turns[i].end);
        if (end >= 0 && fal_tokenizer_control_id(x->tokenizer, turns[i].start) >= 0) return end;
    }
    return -1;
}

bool fal_examination_is_hidden_control(const fal_examination *x, int32_t id) {
    int64_t type = FAL_TOKEN_NORMAL;
    const fal_gguf_value *types = fal_gguf_find(x->file, "tokenizer.ggml.token_type");
    if (types && !fal_gguf_value_i64(x->file, types, (uint64_t)id, &type)) return false;
    return fal_tokenizer_vocabulary(x->tokenizer)->types[id] == FAL_TOKEN_CONTROL
           && type != FAL_TOKEN_CONTROL;
}

int fal_examination_good_context(const fal_examination *x) {
    const fal_rope_settings *rope = &x->meant.rope;
    if (!x->has_params || !fal_params_has(&x->params, FAL_FEATURE_ROPE) || !(rope->factor > 1)
        || rope->trained_context <= 0)
        return 0;
    double n = floor(rope->trained_context * rope->factor + 0.5);
    return n <= INT32_MAX ? (int)n : 0;
}
