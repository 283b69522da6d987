/* The meaning: every operation as one plain scalar function with double accumulation. It runs whole models, slowly, and
 * every other column is compared with it. */
#ifndef FAL_COMPUTE_REF_REF_H
#define FAL_COMPUTE_REF_REF_H

#include "compute/device.h"

extern const fal_backend fal_backend_ref;

/* The operations, as their rows in ops.def say. */
#define FAL_OP(name, parameters, meaning) void fal_ref_##name parameters;
#include "compute/ops.def"
#undef FAL_OP

#endif
