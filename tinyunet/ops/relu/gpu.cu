// The rectifier on the GPU; equation numbers are those of relu's docstring in op.py.

template <typename T>
__global__ void forward(const T* x, T* y, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    y[k] = x[k] < 0 ? T(0) : x[k];  // (1); the comparison is false for NaN, which passes through
}

template <typename T>
__global__ void backward_input(const T* gy, const T* y, T* gx, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    gx[k] = y[k] > 0 ? gy[k] : T(0);  // (2)
}
