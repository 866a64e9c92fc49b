// Binary cross-entropy on the GPU; equation numbers are those of binary_cross_entropy's docstring in op.py.
#include "../block.cuh"

// Every block adds up the losses of its 256 pixels.
template <typename T>
__global__ void forward(const T* z, const long long* labels, const T* weight, double* sums, long long pixels)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    double loss = 0;
    if (k < pixels) {
        const T positive = z[k] < 0 ? T(0) : z[k];  // the comparison is false for NaN, which passes through
        loss = weight[k] * (positive - (labels[k] == 1 ? z[k] : T(0)) + log1p(exp(-fabs(z[k]))));  // (1)
    }
    loss = block_sum(loss);
    if (threadIdx.x == 0) sums[blockIdx.x] = loss;
}

template <typename T>
__global__ void backward_input(const T* factor, const T* z, const long long* labels, const T* weight, T* gz,
                               long long pixels)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= pixels) return;
    const T small = exp(-fabs(z[k]));
    const T probability = (z[k] >= 0 ? T(1) : small) / (1 + small);
    gz[k] = *factor * weight[k] * (probability - (labels[k] == 1));  // (2)
}
