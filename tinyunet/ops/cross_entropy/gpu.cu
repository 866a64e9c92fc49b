// Cross-entropy on the GPU, on scores (N, C, M), labels and weights (N, M); equation numbers are those of
// cross_entropy's docstring in op.py. A thread owns one pixel and walks over its C scores, which lie M apart.
#include "../block.cuh"

template <typename T>
struct Softmax {
    T largest, total;  // of exp(z - largest)
    __device__ Softmax(const T* z, int C, int M)
    {
        largest = z[0], total = 0;
        for (int c = 1; c < C; ++c)
            largest = max(largest, z[(long long)c * M]);
        for (int c = 0; c < C; ++c)
            total += exp(z[(long long)c * M] - largest);
    }
};

// Every block adds up the losses of its 256 pixels.
template <typename T>
__global__ void forward(const T* z, const long long* labels, const T* weight, double* sums, long long pixels, int C,
                        int M)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    double loss = 0;
    if (k < pixels && weight[k] != 0) {
        z += k / M * C * M + k % M;
        const Softmax<T> softmax(z, C, M);
        T score = 0;
        for (int c = 0; c < C; ++c)  // a search, since a label that nobody has checked could point anywhere
            if (c == labels[k]) score = z[(long long)c * M] - softmax.largest;
        loss = weight[k] * (log(softmax.total) - score);  // (1)
    }
    loss = block_sum(loss);
    if (threadIdx.x == 0) sums[blockIdx.x] = loss;
}

template <typename T>
__global__ void backward_input(const T* factor, const T* __restrict__ z, const long long* labels, const T* weight,
                               T* __restrict__ gz, long long pixels, int C, int M)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= pixels) return;
    const long long label = labels[k], first = k / M * C * M + k % M;
    z += first;
    gz += first;
    const Softmax<T> softmax(z, C, M);
    const T s = *factor * weight[k];
    for (int c = 0; c < C; ++c) {
        const T probability = exp(z[(long long)c * M] - softmax.largest) / softmax.total;
        gz[(long long)c * M] = s * (probability - (c == label));  // (2)
    }
}
