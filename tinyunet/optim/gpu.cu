// The optimizers' arithmetic on the GPU; the formulas are those of SGD, Adam and clip_gradients.
#include "../ops/block.cuh"

// Nothing changes where *when is false. v is null without momentum, and when is null for always.
template <typename T>
__global__ void sgd(T* w, const T* g, T* v, const bool* when, long long size, T lr, T momentum, T weight_decay,
                    bool nesterov)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size || when && !*when) return;
    T step = g[k] + weight_decay * w[k];
    if (v) {
        v[k] = momentum * v[k] + step;
        step = nesterov ? step + momentum * v[k] : v[k];
    }
    w[k] -= lr * step;
}

// From the host, in float64: rest1 = 1 - beta1, rest2 = 1 - beta2, shrink = 1 - lr * decoupled weight decay,
// rate = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 - beta2^t). In float32, 1 - 0.999f is wrong in the fifth digit.
template <typename T>
__global__ void adam(T* w, const T* g, T* m, T* v, const bool* when, long long size, T beta1, T rest1, T beta2, T rest2,
                     T weight_decay, T shrink, T rate, T root_scale, T eps)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size || when && !*when) return;
    const T slope = g[k] + weight_decay * w[k];
    m[k] = beta1 * m[k] + rest1 * slope;
    v[k] = beta2 * v[k] + rest2 * slope * slope;
    w[k] = shrink * w[k] - rate * (m[k] / (sqrt(v[k]) * root_scale + eps));
}

// Block b adds up the squares of the elements b * stretch ... (b + 1) * stretch - 1.
template <typename T>
__global__ void squares(const T* g, double* sums, long long size, int stretch)
{
    const long long first = blockIdx.x * (long long)stretch;
    const long long end = min(first + stretch, size);
    double total = 0;
    for (long long k = first + threadIdx.x; k < end; k += blockDim.x)
        total += (double)g[k] * g[k];
    total = block_sum(total);
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// One block.
__global__ void length(const double* sums, int count, double max_norm, double* norm, double* factor)
{
    double total = 0;
    for (int k = threadIdx.x; k < count; k += blockDim.x)
        total += sums[k];
    total = block_sum(total);
    if (threadIdx.x > 0) return;
    *norm = sqrt(total);
    const double shorter = max_norm / (*norm + 1e-6);
    *factor = shorter < 1 ? shorter : 1;  // 1 for NaN too
}

template <typename T>
__global__ void scale(const T* g, const double* factor, T* scaled, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    scaled[k] = T(*factor) * g[k];
}
