// Bilinear up-sampling; equation numbers are those of op.py. The planes (n, c) follow one another in memory.
// All distances are whole numbers of 1 / steps, steps = OH - 1: row i lies i (H - 1) such steps below row 0.

template <typename T>
__global__ void forward(const T* x, T* y, long long size, int H, int W, int OH, int OW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int j = k % OW, i = k / OW % OH;
    const long long plane = k / OW / OH;
    const long long rows = OH > 1 ? OH - 1 : 1, columns = OW > 1 ? OW - 1 : 1;
    const long long down = (long long)i * (H - 1), across = (long long)j * (W - 1);
    const int p = down / rows, q = across / columns;
    const T below = (T)(down % rows) / (T)rows, right = (T)(across % columns) / (T)columns;
    const T* upper = x + (plane * H + p) * W;
    const T* lower = p + 1 < H ? upper + W : upper;
    const int next = q + 1 < W ? q + 1 : q;
    const T top = upper[q] + right * (upper[next] - upper[q]);
    const T bottom = lower[q] + right * (lower[next] - lower[q]);
    y[k] = top + below * (bottom - top);  // (1)
}

// The output rows that lie less than one input row from row p are within first .. last.
__device__ int first_row(int p, int H, long long steps) { return p > 0 ? (p - 1) * steps / (H - 1) : 0; }

__device__ int last_row(int p, int H, long long steps, int OH)
{
    return p < H - 1 ? ((p + 1) * steps + H - 2) / (H - 1) : OH - 1;
}

template <typename T>
__device__ T hat(long long distance, long long steps)
{
    if (distance < 0) distance = -distance;
    return distance < steps ? (T)(steps - distance) / (T)steps : 0;
}

template <typename T>
__global__ void backward_input(const T* gy, T* gx, long long size, int H, int W, int OH, int OW)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int q = k % W, p = k / W % H;
    const long long plane = k / W / H;
    const long long rows = OH > 1 ? OH - 1 : 1, columns = OW > 1 ? OW - 1 : 1;
    const int left = first_row(q, W, columns), right = last_row(q, W, columns, OW);
    T total = 0;
    for (int i = first_row(p, H, rows); i <= last_row(p, H, rows, OH); ++i) {
        T row = 0;
        for (int j = left; j <= right; ++j)
            row += hat<T>((long long)j * (W - 1) - q * columns, columns) * gy[(plane * OH + i) * OW + j];
        total += hat<T>((long long)i * (H - 1) - p * rows, rows) * row;
    }
    gx[k] = total;  // (2)
}
