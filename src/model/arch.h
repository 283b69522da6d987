/* An architecture is one file with four things: parameters from either kind of file, a weight table, a forward pass. */
#ifndef FAL_MODEL_ARCH_H
#define FAL_MODEL_ARCH_H

#include "formats/gguf_write.h"
#include "model/step.h"
#include "model/weights.h"

typedef struct fal_arch {
    const char *name; /* general.architecture */
    const char *meaning;
    /* NULL-terminated: values of "architectures" and "model_type" in config.json; the first is written */
    const char *const *hf_names;
    const fal_weight_spec *weights;
    int n_weights;
    fal_status (*params_from_gguf)(fal_params *p, const fal_gguf *f, fal_error *err);
    fal_status (*params_from_hf)(fal_params *p, const json_t *config, fal_error *err);
    /* Adds the metadata that is the architecture's own; fal_metadata_write writes the common keys. */
    void (*params_to_gguf)(const fal_params *p, fal_gguf_writer *w);
    /* Writes the config that params_from_hf reads, but for the context method of FAL_FEATURE_ROPE, the token ids and the
     * number type. Fails: UNSUPPORTED (what the published code cannot express). */
    fal_status (*params_to_hf)(const fal_params *p, fal_config_writer *w, fal_error *err);
    /* Calls the operations of one step on its queue, up to the final norm: s->hidden. */
    void (*forward)(const fal_model *m, fal_step *s);
    /* The training pass, which knows features and nothing else, computes what forward does. */
    bool is_trainable;
} fal_arch;

#define FAL_ARCH(name, meaning) extern const fal_arch fal_arch_##name;
#include "model/archs.def"
#undef FAL_ARCH

int fal_arch_count(void);
const fal_arch *fal_arch_at(int index);
const fal_arch *fal_arch_by_name(const char *name); /* NULL: no such architecture */
/* By "architectures" and "model_type" of a Hugging Face config; NULL: none of them. */
const fal_arch *fal_arch_by_config(const json_t *config);

/* Metadata under the architecture's prefix that all architectures share: sizes, context, norm. n_vocab comes from the
 * token embedding or the vocabulary. Fails: FORMAT, naming the key. */
fal_status fal_params_sizes_from_gguf(fal_params *p, const fal_gguf *f, const char *architecture,
                                      fal_error *err);

/* Keys that this project reads must be of the kind it reads them as: a number given as a string would silently count as
 * absent. Fails: FORMAT, naming the key. */
fal_status fal_metadata_check_kinds(const fal_gguf *f, fal_error *err);

/* general.* and the architecture's sizes; not general.file_type, which depends on the output. */
void fal_metadata_write(fal_gguf_writer *w, const fal_arch *arch, const fal_params *p,
                        const char *name);

/* Rope settings by keys that other readers understand, and the method's own name beside them. */
fal_status fal_metadata_write_rope(fal_gguf_writer *w, const fal_arch *arch, const fal_params *p,
                                   fal_error *err);

/* An integer of a config under either of two names. Absent: *out stays. Fails: FORMAT (kind or range). */
fal_status fal_config_integer(const json_t *config, const char *name, const char *other_name,
                              int *out, bool *is_given, fal_error *err);
/* A boolean; absent or null: *out stays. */
fal_status fal_config_flag(const json_t *config, const char *name, bool *out, bool *is_given,
                           fal_error *err);
fal_status fal_config_epsilon(const json_t *config, float *out, fal_error *err);
/* bos_token_id and eos_token_id; -1 where absent. */
fal_status fal_config_token_ids(const json_t *config, fal_params *p, fal_error *err);

#endif
