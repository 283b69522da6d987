/* A file under examination: what the checks look at and what the repairs go by. For doctor.c and repair.c. */
#ifndef FAL_PUBLISH_EXAMINATION_H
#define FAL_PUBLISH_EXAMINATION_H

#include "model/arch.h"
#include "publish/doctor.h"
#include "text/vocabulary.h"

typedef struct fal_examination {
    const char *path;
    const fal_doctor_options *options;
    fal_diagnosis *out;
    fal_gguf *file; /* NULL: cannot be read, file_error says why */
    fal_error file_error;
    const fal_arch *arch; /* NULL: none that is known */
    fal_params params;    /* as the file says */
    bool has_params;
    fal_error params_error;
    fal_tokenizer *tokenizer; /* NULL: none, tokenizer_error says why */
    fal_error tokenizer_error;
    fal_params meant;   /* params with what the file lost put back */
    char restored[256]; /* what was put back; "" if nothing */
} fal_examination;

/* Opens what can be opened. x is released by the caller in any case. Fails as fal_doctor_examine. */
fal_status fal_examination_open(fal_examination *x, const char *path,
                                const fal_doctor_options *options, fal_diagnosis *out,
                                fal_error *err);
void fal_examination_release(fal_examination *x);

/* Runs all checks. Fails as fal_doctor_examine. */
fal_status fal_examination_run(fal_examination *x, fal_error *err);

/* The keys that hold token ids; NULL past the end. */
const char *fal_token_id_key(int index);

/* True if key holds an id beyond the vocabulary. */
bool fal_examination_is_bad_id(const fal_examination *x, const char *key, int64_t *id,
                               uint64_t *n_tokens);

/* The control token that ends a turn of the vocabulary's chat format; -1: it has none. */
int32_t fal_examination_end_of_turn(const fal_examination *x);

/* Whether the tokenizer takes token id for a control token and the file does not say so. */
bool fal_examination_is_hidden_control(const fal_examination *x, int32_t id);

/* Tokens that the context settings are good for; 0: not known. */
int fal_examination_good_context(const fal_examination *x);

#endif
