/* The column that computes nothing: what is impossible fails here, when a model is opened. */
#ifndef FAL_COMPUTE_PLAN_PLAN_H
#define FAL_COMPUTE_PLAN_PLAN_H

#include "compute/ops.h"

extern const fal_ops fal_plan_ops;

#endif
