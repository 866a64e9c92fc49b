// The passes of normalisation over the pixels, on the GPU; M = H W pixels of a plane (n, c) lie one after another.
#include "../block.cuh"

// Values that a thread asks the memory for before it waits for the first. A loop that checks its end between two loads
// would have one under way, too few to keep the memory busy.
constexpr int AHEAD = 8;

// A block per plane. Deviations from the plane's first value keep their digits when the mean is large.
template <typename T>
__global__ void plane_moments(const T* x, double* mean, double* var, int M)
{
    x += blockIdx.x * (long long)M;
    const T origin = x[0];
    double total = 0, squares = 0;
    for (int first = threadIdx.x; first < M; first += AHEAD * blockDim.x) {
        T value[AHEAD];
        for (int i = 0; i < AHEAD; ++i) {
            const int k = first + i * blockDim.x;
            value[i] = x[k < M ? k : 0];  // after the end the origin, which adds nothing
        }
        for (int i = 0; i < AHEAD; ++i) {
            const double d = value[i] - origin;
            total += d;
            squares += d * d;
        }
    }
    total = block_sum(total);
    squares = block_sum(squares);
    if (threadIdx.x > 0) return;
    const double centre = total / M, variance = squares / M - centre * centre;
    mean[blockIdx.x] = origin + centre;
    var[blockIdx.x] = variance < 0 ? 0 : variance;  // by rounding; a NaN stays
}

template <typename T>
__global__ void affine(const T* x, const T* mean, const T* scale, const T* shift, T* y, long long size, int M)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const long long plane = k / M;
    y[k] = (x[k] - mean[plane]) * scale[plane] + shift[plane];
}

// A block per plane.
template <typename T>
__global__ void plane_sums(const T* gy, const T* x, const T* mean, double* sum_gy, double* sum_gyx, int M)
{
    gy += blockIdx.x * (long long)M;
    x += blockIdx.x * (long long)M;
    const T centre = mean[blockIdx.x];
    double total = 0, product = 0;
    for (int first = threadIdx.x; first < M; first += AHEAD * blockDim.x) {
        T g[AHEAD], d[AHEAD];
        for (int i = 0; i < AHEAD; ++i) {
            const int k = first + i * blockDim.x, inside = k < M ? k : 0;
            g[i] = gy[inside];
            d[i] = x[inside] - centre;
        }
        for (int i = 0; i < AHEAD; ++i) {
            const double gradient = first + i * blockDim.x < M ? g[i] : T(0);
            total += gradient;
            product += gradient * d[i];
        }
    }
    total = block_sum(total);
    product = block_sum(product);
    if (threadIdx.x > 0) return;
    sum_gy[blockIdx.x] = total;
    sum_gyx[blockIdx.x] = product;
}

template <typename T>
__global__ void backward_input(const T* gy, const T* x, const T* mean, const T* scale, const T* through_var,
                               const T* through_mean, T* gx, long long size, int M)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const long long plane = k / M;
    gx[k] = scale[plane] * gy[k] + through_var[plane] * (x[k] - mean[plane]) + through_mean[plane];
}
