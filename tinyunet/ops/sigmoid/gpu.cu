// The logistic function on the GPU; equation numbers are those of sigmoid's docstring in op.py.

template <typename T>
__global__ void forward(const T* x, T* y, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const T small = exp(-fabs(x[k]));
    y[k] = (x[k] >= 0 ? T(1) : small) / (1 + small);  // (1)
}

template <typename T>
__global__ void backward_input(const T* gy, const T* y, T* gx, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    gx[k] = gy[k] * y[k] * (1 - y[k]);  // (2)
}
