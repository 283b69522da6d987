/* A model: its parameters, its weights (mapped, never copied to f32) and the device that computes with it.
 * Immutable once open; may be shared between threads and sessions. */
#ifndef FALCONER_MODEL_H
#define FALCONER_MODEL_H

#include <falconer/error.h>
#include <falconer/log.h>
#include <falconer/tokenizer.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fal_model fal_model;

/* Zero means default. */
typedef struct fal_model_options {
    int n_threads;              /* 0: the usable cores */
    const char *device;         /* NULL: "cpu"; "ref" is the slow oracle */
    const char *context_method; /* a name of rope_methods.def; NULL: what the file says */
    double
        context_scale; /* factor of the method; 0: what the file says, or 4 with a method of one's own */
    int context_original; /* tokens the model was trained for before the method; 0: what the file says */
    bool as_stored;       /* do not restore settings that the file is known to have lost */
    fal_log log;
} fal_model_options;

/* What a person or a program asks about a model. Strings are borrowed from the model. */
typedef struct fal_model_info {
    const char *architecture; /* "falcon" */
    const char *name;         /* general.name, or "" */
    int n_layers, n_heads, n_kv_heads, head_dim, d_model, d_ff, n_vocab;
    int trained_context;     /* tokens the positions were first trained for */
    int n_context;           /* tokens that the settings in force are good for */
    const char *rope_method; /* "ntk-yarn"; "alibi" or "learned" where there is no rope */
    double rope_base, rope_factor, rope_gain;
    const char
        *restored; /* what was restored because the file lost it, in one line; "" if nothing */
    int64_t n_parameters;
    uint64_t weight_bytes;
    int n_threads;
    const char *device, *kernel_set;
} fal_model_info;

/* Opens the GGUF file at path and binds its weights.
 *
 *   out      owned by the caller; NULL on failure
 *   options  NULL: all defaults
 *   Fails: NOT_FOUND, IO, FORMAT (the file), UNSUPPORTED (architecture, type), ARGUMENT (an option), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_model_open(fal_model **out, const char *path,
                                                 const fal_model_options *options, fal_error *err);
/* As fal_model_open, for a GGUF file that lies in memory: one that is part of a program, say.
 *
 *   data  [length bytes] aligned to 64 bytes; borrowed until fal_model_close
 *   name  stands for the file's path; copied */
FAL_API FAL_MUST_CHECK fal_status fal_model_open_memory(fal_model **out, const void *data,
                                                        size_t length, const char *name,
                                                        const fal_model_options *options,
                                                        fal_error *err);
/* All sessions must be closed before. */
FAL_API void fal_model_close(fal_model *model);

FAL_API const fal_model_info *fal_model_info_get(const fal_model *model); /* borrowed */
FAL_API const fal_tokenizer *fal_model_tokenizer(const fal_model *model); /* borrowed */
FAL_API const fal_gguf *fal_model_gguf(const fal_model *model);           /* borrowed */
FAL_API const fal_chat_format *fal_model_chat_format(const fal_model *model);

/* Bytes of the cache that n_context tokens of one session need. kv_type: "f16", "q8_0", "f32"; NULL: the default. */
FAL_API uint64_t fal_model_kv_bytes(const fal_model *model, int n_context, const char *kv_type);

#ifdef __cplusplus
}
#endif
#endif
