// Maximum pooling on the GPU; equation numbers are those of max_pool2d's docstring in op.py.
// The planes (n, c) follow one another in memory.

template <typename T>
__global__ void forward(const T* x, T* y, unsigned short* offset, long long size, int H, int W, int OH, int OW,
                        int KH, int KW, int SH, int SW, int PH, int PW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int j = k % OW, i = k / OW % OH;
    const int top = i * SH - PH, left = j * SW - PW;
    x += k / OW / OH * H * W;
    // The part of the window inside the image. Its first pixel is the first candidate.
    const int first_u = max(0, -top), first_v = max(0, -left);
    const int end_u = min(KH, H - top), end_v = min(KW, W - left);
    T best = x[(long long)(top + first_u) * W + left + first_v];
    int best_offset = first_u * KW + first_v;
    for (int u = first_u; u < end_u; ++u)
        for (int v = first_v; v < end_v; ++v) {
            const T value = x[(long long)(top + u) * W + left + v];
            if (value > best || (value != value && best == best)) {  // value != value: NaN; the first NaN stays
                best = value;
                best_offset = u * KW + v;
            }
        }
    y[k] = best;  // (1)
    offset[k] = best_offset;
}

template <typename T>
__global__ void backward_input(const T* gy, const unsigned short* offset, T* gx, long long size, int H, int W, int OH,
                               int OW, int KH, int KW, int SH, int SW, int PH, int PW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int bottom = k / W % H + PH, right = k % W + PW;  // (p, q) counted from the padding's corner
    const long long plane = k / W / H * OH * OW;
    // The windows over (p, q): i SH <= p + PH < i SH + KH, and the same across.
    const int first_i = bottom < KH ? 0 : (bottom - KH) / SH + 1, last_i = min(bottom / SH, OH - 1);
    const int first_j = right < KW ? 0 : (right - KW) / SW + 1, last_j = min(right / SW, OW - 1);
    T total = 0;
    for (int i = first_i; i <= last_i; ++i)
        for (int j = first_j; j <= last_j; ++j) {
            const int u = bottom - i * SH, v = right - j * SW;
            const long long window = plane + (long long)i * OW + j;
            if (offset[window] == u * KW + v) total += gy[window];
        }
    gx[k] = total;  // (2)
}
