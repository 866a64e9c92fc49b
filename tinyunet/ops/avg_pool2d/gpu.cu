// Average pooling on the GPU; equation numbers are those of avg_pool2d's docstring in op.py.
// The planes (n, c) follow one another in memory.

template <typename T>
__global__ void forward(const T* x, T* y, long long size, int H, int W, int OH, int OW, int KH, int KW, int SH, int SW,
                        int PH, int PW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int j = k % OW, i = k / OW % OH;
    const int top = i * SH - PH, left = j * SW - PW;
    x += k / OW / OH * H * W;
    T total = 0;
    for (int p = max(0, top); p < min(H, top + KH); ++p)
        for (int q = max(0, left); q < min(W, left + KW); ++q)
            total += x[(long long)p * W + q];
    y[k] = total / (KH * KW);  // (1)
}

template <typename T>
__global__ void backward_input(const T* gy, T* gx, long long size, int H, int W, int OH, int OW, int KH, int KW, int SH,
                               int SW, int PH, int PW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int bottom = k / W % H + PH, right = k % W + PW;  // (p, q) counted from the padding's corner
    gy += k / W / H * OH * OW;
    // The windows over (p, q): i SH <= p + PH < i SH + KH, and the same across.
    const int first_i = bottom < KH ? 0 : (bottom - KH) / SH + 1, last_i = min(bottom / SH, OH - 1);
    const int first_j = right < KW ? 0 : (right - KW) / SW + 1, last_j = min(right / SW, OW - 1);
    T total = 0;
    for (int i = first_i; i <= last_i; ++i)
        for (int j = first_j; j <= last_j; ++j)
            total += gy[(long long)i * OW + j];
    gx[k] = total / (KH * KW);  // (2)
}
