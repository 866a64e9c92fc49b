// Soft Dice on the GPU, on probabilities (N, C, M), labels and counted pixels (N, M); equation numbers are those of
// dice_loss's docstring in op.py.
#include "../block.cuh"

// A block per `stretch` pixels of a plane (n, c). `sums` is (3, N, C, stretches): sum p y, sum p (or p^2) and sum y.
template <typename T>
__global__ void plane_sums(const T* p, const long long* labels, const bool* counted, double* sums, int C, int M,
                           int stretch, int stretches, bool squared)
{
    const int plane = blockIdx.x / stretches, n = plane / C, c = plane % C;
    const int first = blockIdx.x % stretches * stretch, end = min(M - first, stretch) + first;
    p += (long long)plane * M;
    labels += (long long)n * M;
    counted += (long long)n * M;
    double overlap = 0, predicted = 0, truth = 0;
    for (int m = first + threadIdx.x; m < end; m += blockDim.x) {
        const double value = counted[m] ? p[m] : T(0);
        const bool y = counted[m] && labels[m] == c;
        overlap += y ? value : 0;
        predicted += squared ? value * value : value;
        truth += y;
    }
    overlap = block_sum(overlap);
    predicted = block_sum(predicted);
    truth = block_sum(truth);
    if (threadIdx.x > 0) return;
    sums[blockIdx.x] = overlap;
    sums[blockIdx.x + (long long)gridDim.x] = predicted;
    sums[blockIdx.x + 2 * (long long)gridDim.x] = truth;
}

// A thread owns one pixel and walks over its C classes, which lie M apart. a and b are (N, C).
template <typename T>
__global__ void backward_input(const T* a, const T* b, const T* __restrict__ p, const long long* labels,
                               const bool* counted, T* __restrict__ gz, long long pixels, int C, int M, bool squared)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= pixels) return;
    const long long label = labels[k], first = k / M * C * M + k % M;
    p += first;
    gz += first;
    a += k / M * C;
    b += k / M * C;
    T through = 0;
    for (int c = 0; c < C; ++c) {
        const T probability = p[(long long)c * M];
        const T gp = (c == label ? a[c] : T(0)) + (squared ? 2 * b[c] * probability : b[c]);  // (2)
        gz[(long long)c * M] = gp;
        through += gp * probability;
    }
    for (int c = 0; c < C; ++c) {
        const long long here = (long long)c * M;
        gz[here] = counted[k] ? p[here] * (gz[here] - through) : T(0);  // (3)
    }
}
