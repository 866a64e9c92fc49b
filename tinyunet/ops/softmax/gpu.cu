// Softmax and its logarithm on the GPU, on arrays (before, C, after); equation numbers are those of the docstrings in
// op.py. A thread owns one pixel (n, m) and walks over its C scores, which lie `after` elements apart.

template <typename T>
__global__ void forward(const T* __restrict__ x, T* __restrict__ y, long long pixels, int C, int after, bool logarithm)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= pixels) return;
    const long long first = k / after * C * after + k % after;
    x += first;
    y += first;
    T largest = x[0], total = 0;
    for (int c = 1; c < C; ++c)
        largest = max(largest, x[(long long)c * after]);
    for (int c = 0; c < C; ++c)
        total += exp(x[(long long)c * after] - largest);
    const T log_total = log(total);
    for (int c = 0; c < C; ++c) {
        const T shifted = x[(long long)c * after] - largest;
        y[(long long)c * after] = logarithm ? shifted - log_total : exp(shifted) / total;  // (1)
    }
}

template <typename T>
__global__ void backward(const T* __restrict__ gy, const T* __restrict__ y, T* __restrict__ gx, long long pixels, int C,
                         int after, bool logarithm)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= pixels) return;
    const long long first = k / after * C * after + k % after;
    gy += first;
    y += first;
    gx += first;
    T total = 0;
    for (int c = 0; c < C; ++c) {
        const long long here = (long long)c * after;
        total += logarithm ? gy[here] : gy[here] * y[here];
    }
    for (int c = 0; c < C; ++c) {
        const long long here = (long long)c * after;
        gx[here] = logarithm ? gy[here] - exp(y[here]) * total : y[here] * (gy[here] - total);  // (2)
    }
}
