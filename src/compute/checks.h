/* What each operation demands of its arguments. The plan column is these checks alone; the other columns call them
 * first, so that no kernel ever sees impossible sizes. */
#ifndef FAL_COMPUTE_CHECKS_H
#define FAL_COMPUTE_CHECKS_H

#include "compute/device.h"

/* One per row of ops.def: fal_check_linear(q, y, x, w, bias), ... False if the queue has failed already or fails here:
 * FORMAT (weights of a wrong shape or type), BUG (activations that no model can ask for). Data may be NULL. */
#define FAL_OP(name, parameters, meaning) bool fal_check_##name parameters;
#include "compute/ops.def"
#undef FAL_OP

#endif
