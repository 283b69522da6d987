/* Rotary positions. */
#include "compute/checks.h"
#include "compute/cuda/cuda.h"

void fal_cuda_rope_table(fal_queue *q, fal_tensor table, const int32_t *positions,
                         const double *frequency, double gain) {
    if (!fal_check_rope_table(q, table, positions, frequency, gain)) return;
    const int32_t *at =
        fal_cuda_send(q, "rope_table", positions, (size_t)table.n_rows * sizeof *positions);
    const double *turns =
        fal_cuda_send(q, "rope_table", frequency, (size_t)table.n_cols / 2 * sizeof *frequency);
    if (!at || !turns) return;
    (void)fal_cuda_succeeded(
        q, "rope_table",
        fal_launch_rope_table(fal_cuda_stream(q), fal_cuda_view(table), at, turns, gain));
}

void fal_cuda_rope(fal_queue *q, fal_tensor x, fal_tensor table, int n_heads) {
    if (!fal_check_rope(q, x, table, n_heads)) return;
    (void)fal_cuda_succeeded(q, "rope",
                             fal_launch_rope(fal_cuda_stream(q), fal_cuda_view(x),
                                             fal_cuda_view(table), n_heads, false));
}

void fal_cuda_rope_gradient(fal_queue *q, fal_tensor dx, fal_tensor table, int n_heads) {
    if (!fal_check_rope_gradient(q, dx, table, n_heads)) return;
    (void)fal_cuda_succeeded(q, "rope_gradient",
                             fal_launch_rope(fal_cuda_stream(q), fal_cuda_view(dx),
                                             fal_cuda_view(table), n_heads, true));
}
