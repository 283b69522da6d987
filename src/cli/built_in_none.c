/* A program without a model inside. */
#include "cli/built_in.h"

fal_slice fal_built_in_model(void) {
    return (fal_slice){NULL, 0};
}
