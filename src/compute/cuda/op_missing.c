/* What only running a model needs, and this column does not have. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

static void refuse(fal_queue *q, const char *operation) {
    fal_queue_fail(q, FAL_E_UNSUPPORTED, operation,
                   "the cuda device trains models, it does not run them");
}

void fal_cuda_linear(fal_queue *q, fal_tensor y, fal_tensor x, fal_tensor w, fal_tensor bias) {
    if (fal_check_linear(q, y, x, w, bias)) refuse(q, "linear");
}

void fal_cuda_store(fal_queue *q, const fal_attention *a, fal_tensor keys, fal_tensor values) {
    if (fal_check_store(q, a, keys, values)) refuse(q, "store");
}

void fal_cuda_attention(fal_queue *q, fal_tensor out, fal_tensor query, const fal_attention *a) {
    if (fal_check_attention(q, out, query, a)) refuse(q, "attention");
}
