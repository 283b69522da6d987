/* Cross entropy and its gradient: a block per row of logits. */
#include "compute/cuda/launch.h"

enum {
    WARP = 32,
    THREADS = 256,
    WARPS = THREADS / WARP
};

/* Largest or sum over the block, to all its threads, joined in a fixed order. parts [WARPS] is shared. */
template <class Join> static __device__ float join_block(Join join, float x, float *parts) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        x = join.of(x, __shfl_xor_sync(0xffffffffu, x, distance));
    __syncthreads(); /* what the previous call left in parts has been read */
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    x = parts[0];
    for (int k = 1; k < WARPS; k++)
        x = join.of(x, parts[k]);
    return x;
}

struct larger {
    __device__ float of(float a, float b) const {
        return fmaxf(a, b);
    }
};

struct sum {
    __device__ float of(float a, float b) const {
        return a + b;
    }
};

/* All reads of the target's logit come before the first write, as dlogits may be logits. */
static __global__ void entropy_of_rows(fal_view dlogits, float *nll, fal_view logits,
                                       const int32_t *targets, const float *weights, double scale,
                                       double z_loss) {
    __shared__ float parts[WARPS];
    int64_t row = blockIdx.x;
    const float *in = logits.data + row * logits.stride;
    float *out = dlogits.data + row * dlogits.stride;
    int32_t target = targets[row];
    float aimed = in[target], largest = -INFINITY, total = 0.0f;
    for (int64_t i = threadIdx.x; i < logits.n_cols; i += THREADS)
        largest = fmaxf(largest, in[i]);
    largest = join_block(larger{}, largest, parts);
    for (int64_t i = threadIdx.x; i < logits.n_cols; i += THREADS)
        total += expf(in[i] - largest);
    total = join_block(sum{}, total, parts);
    float log_total = logf(total), inverse = 1.0f / total;
    float factor = (float)(scale * (double)weights[row]);
    float pull = (float)(1.0 + 2.0 * z_loss * ((double)largest + (double)log_total));
    if (threadIdx.x == 0) nll[row] = (largest - aimed) + log_total;
    for (int64_t i = threadIdx.x; i < logits.n_cols; i += THREADS) {
        float share = expf(in[i] - largest) * inverse;
        out[i] = factor * (share * pull - (i == target ? 1.0f : 0.0f));
    }
}

cudaError_t fal_launch_cross_entropy(cudaStream_t s, fal_view dlogits, float *nll, fal_view logits,
                                     const int32_t *targets, const float *weights, double scale,
                                     double z_loss) {
    if (logits.n_rows == 0) return cudaSuccess;
    entropy_of_rows<<<(unsigned)logits.n_rows, THREADS, 0, s>>>(dlogits, nll, logits, targets,
                                                                weights, scale, z_loss);
    return cudaGetLastError();
}
