/* How much memory a model needs, added up from what a session would take. */
#ifndef FAL_PUBLISH_NEEDS_H
#define FAL_PUBLISH_NEEDS_H

#include <falconer/model.h>

typedef struct fal_needs {
    uint64_t weight_bytes;          /* of the tensors, mapped from the file */
    uint64_t cache_bytes_per_token; /* of a session with this cache */
    uint64_t working_bytes; /* whatever the context: the program, a step's working memory, logits */
} fal_needs;

/* kv_type: number type of the cache; NULL: the session's own choice.
 * Fails: as fal_model_plan; ARGUMENT (a kv_type that is none, or not for these heads). */
fal_status fal_needs_of(fal_needs *out, const fal_model *model, const char *kv_type,
                        fal_error *err);

#endif
