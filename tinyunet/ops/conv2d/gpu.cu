// 2-D convolution on the GPU; equation numbers are those of conv2d's docstring in op.py. The direct kernels: the formulas
// with a thread (or, for a weight, a block) per element of the result, and nothing between them and global memory.

#include "../block.cuh"

template <typename T>
__global__ void forward(const T* x, const T* w, const T* b, T* y, int N, int C, int H, int W, int O, int KH, int KW,
                        int SH, int SW, int PH, int PW, int OH, int OW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= (long long)N * O * OH * OW) return;
    const int j = k % OW, i = k / OW % OH, o = k / OW / OH % O, n = k / OW / OH / O;

    T sum = b ? b[o] : T(0);
    for (int c = 0; c < C; ++c) {
        const T* image = x + ((long long)n * C + c) * H * W;
        const T* kernel = w + ((long long)o * C + c) * KH * KW;
        for (int u = 0; u < KH; ++u) {
            const int p = i * SH + u - PH;
            if (p < 0 || p >= H) continue;
            for (int v = 0; v < KW; ++v) {
                const int q = j * SW + v - PW;
                if (q >= 0 && q < W) sum += image[(long long)p * W + q] * kernel[u * KW + v];  // (1)
            }
        }
    }
    y[k] = sum;
}

template <typename T>
__global__ void backward_input(const T* gy, const T* w, T* gx, int N, int C, int H, int W, int O, int KH, int KW,
                               int SH, int SW, int PH, int PW, int OH, int OW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= (long long)N * C * H * W) return;
    const int q = k % W, p = k / W % H, c = k / W / H % C, n = k / W / H / C;

    T sum = 0;
    for (int o = 0; o < O; ++o) {
        const T* image = gy + ((long long)n * O + o) * OH * OW;
        const T* kernel = w + ((long long)o * C + c) * KH * KW;
        for (int u = 0; u < KH; ++u) {
            const int row = p + PH - u, i = row / SH;  // offset u reaches row p from output row i, if i SH is `row`
            if (row < 0 || i * SH != row || i >= OH) continue;
            for (int v = 0; v < KW; ++v) {
                const int column = q + PW - v, j = column / SW;
                if (column < 0 || j * SW != column || j >= OW) continue;
                sum += image[(long long)i * OW + j] * kernel[u * KW + v];  // (2)
            }
        }
    }
    gx[k] = sum;
}

// One block per weight (o, c, u, v): its threads share out the pixels (n, i, j), and add up in a fixed order.
template <typename T>
__global__ void backward_weight(const T* gy, const T* x, T* gw, int N, int C, int H, int W, int O, int KH, int KW,
                                int SH, int SW, int PH, int PW, int OH, int OW)
{
    const int k = blockIdx.x;
    const int v = k % KW, u = k / KW % KH, c = k / KW / KH % C, o = k / KW / KH / C;

    T sum = 0;
    const int pixels = OH * OW;
    for (int n = 0; n < N; ++n) {
        const T* gradient = gy + ((long long)n * O + o) * pixels;
        const T* image = x + ((long long)n * C + c) * H * W;
        for (int m = threadIdx.x; m < pixels; m += blockDim.x) {
            const int p = m / OW * SH + u - PH, q = m % OW * SW + v - PW;
            if (p >= 0 && p < H && q >= 0 && q < W) sum += gradient[m] * image[(long long)p * W + q];  // (3)
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) gw[k] = sum;
}

// One block per output channel o.
template <typename T>
__global__ void backward_bias(const T* gy, T* gb, int N, int O, int pixels)
{
    const int o = blockIdx.x;

    T sum = 0;
    for (int n = 0; n < N; ++n) {
        const T* gradient = gy + ((long long)n * O + o) * pixels;
        for (int m = threadIdx.x; m < pixels; m += blockDim.x) sum += gradient[m];  // (4)
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) gb[o] = sum;
}
