/* How things are called in an adapter's folder, for this folder's own files. */
#ifndef FAL_MODEL_ADAPTER_NAMES_H
#define FAL_MODEL_ADAPTER_NAMES_H

#include "model/weights.h"

#define FAL_ADAPTER_TENSORS "adapter_model.safetensors"
#define FAL_ADAPTER_CONFIG  "adapter_config.json"
#define FAL_ADAPTER_CONTEXT "context.json"

/* In front of the names that the tensors of the model have. */
#define FAL_ADAPTER_PREFIX "base_model.model."

enum {
    FAL_ADAPTER_NAME_SIZE = FAL_WEIGHT_NAME_SIZE + 64
};

#endif
