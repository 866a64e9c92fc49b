// Nearest-neighbour up-sampling on the GPU; equation numbers are those of upsample_nearest2d's docstring in op.py.
// The planes (n, c) follow one another in memory.

template <typename T>
__global__ void forward(const T* x, T* y, long long size, int W, int OW, int SH, int SW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const long long row = k / OW;  // of all rows of all planes: a plane of y has SH times the rows of one of x
    const int j = k % OW;
    y[k] = x[row / SH * W + j / SW];  // (1)
}

template <typename T>
__global__ void backward_input(const T* gy, T* gx, long long size, int W, int SH, int SW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const long long row = k / W;
    const int q = k % W, OW = W * SW;
    T total = 0;
    for (int u = 0; u < SH; ++u)
        for (int v = 0; v < SW; ++v)
            total += gy[(row * SH + u) * OW + q * SW + v];
    gx[k] = total;  // (2)
}
