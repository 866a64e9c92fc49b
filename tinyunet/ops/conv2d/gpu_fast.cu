// The fast convolutions; gpu_fast.py explains their ideas in order. Equation numbers are those of conv2d's docstring.
//
// K = 3: 3 x 3 kernels, stride 1. K = 1: windows of S x S pixels that do not overlap, which are 1 x 1 kernels on an image
// with S S times the channels: "channel" c is the pixel (c / S % S, c % S) of every window of the real channel c / (S S).
// TF32: on tensor cores, otherwise float32 multiply-adds.

#include "../mma.cuh"

constexpr int THREADS = 256, STRIP = 8;

// Where element (c, p, q) of an image of windows lies in the real image, whose rows and columns are H and W.
template <int S>
__device__ __forceinline__ long long element(int c, int p, int q, int H, int W)
{
    return (long long)(c / (S * S)) * (H * W) + (p * S + c / S % S) * W + q * S + c % S;
}

// Copy ROWS x COLUMNS pixels from (top, left) on, of CHANNELS channels from c0 on; outside of the image they are 0. A
// thread sends off BATCH loads before it waits for the first one.
template <int S, bool TF32, int CHANNELS, int ROWS, int COLUMNS, int PLANE>
__device__ __forceinline__ void load_patch(float (&patch)[CHANNELS][PLANE], const float* image, int c0, int C, int top,
                                           int left, int H, int W)
{
    constexpr int BATCH = 6, SIZE = ROWS * COLUMNS;
    #pragma unroll 1
    for (int first = threadIdx.x; first < CHANNELS * SIZE; first += BATCH * THREADS) {
        float value[BATCH];
        #pragma unroll
        for (int l = 0; l < BATCH; ++l) {
            const int k = first + l * THREADS, m = k % SIZE;
            const int c = c0 + k / SIZE, p = top + m / COLUMNS, q = left + m % COLUMNS;
            const bool inside = c < C && p >= 0 && p < H / S && q >= 0 && q < W / S;
            value[l] = image[inside ? element<S>(c, p, q, H, W) : 0];
            value[l] = !inside ? 0 : TF32 ? to_tf32(value[l]) : value[l];
        }
        #pragma unroll
        for (int l = 0; l < BATCH; ++l) {
            const int k = first + l * THREADS;
            if (k < CHANNELS * SIZE) patch[k / SIZE][k % SIZE] = value[l];
        }
    }
}

// What a block of `convolve` computes: BO output channels of ROWS x 16 pixels, 16384 sums, 64 per thread.
template <int K, int BO>
struct Block {
    static constexpr int ROWS = 1024 / BO, CHANNELS = K == 3 ? 8 : BO / 2;  // input channels at a time
    static constexpr int HEIGHT = ROWS + K - 1, WIDTH = 16 + K - 1, PLANE = (HEIGHT * WIDTH + 23) / 32 * 32 + 8;
    alignas(16) float weights[K * K * CHANNELS][BO + 8];  // row lengths are 8 or 24 modulo 32: all 32 banks
    float patch[CHANNELS][PLANE];
};

template <int K, int BO, bool TF32>
struct Sums;

// By multiply-adds: a thread has 8 output channels of 8 pixels below each other.
template <int K, int BO>
struct Sums<K, BO, false> {
    float sum[64] = {};
    const int o0 = threadIdx.x / 16 % (BO / 8) * 8, i0 = threadIdx.x / 16 / (BO / 8) * 8, j0 = threadIdx.x % 16;

    __device__ int o(int k) const { return o0 + k / 8; }
    __device__ int i(int k) const { return i0 + k % 8; }
    __device__ int j(int k) const { return j0; }

    __device__ __forceinline__ void add(const Block<K, BO>& block, int channels)
    {
        for (int c = 0; c < channels; ++c)
            #pragma unroll
            for (int v = 0; v < K; ++v) {
                float column[8 + K - 1];
                #pragma unroll
                for (int p = 0; p < 8 + K - 1; ++p) column[p] = block.patch[c][(i0 + p) * block.WIDTH + j0 + v];
                #pragma unroll
                for (int u = 0; u < K; ++u) {
                    const float* w = &block.weights[(u * K + v) * block.CHANNELS + c][o0];
                    #pragma unroll
                    for (int k = 0; k < 64; ++k) sum[k] += w[k / 8] * column[k % 8 + u];  // (1), (2)
                }
            }
    }
};

// On tensor cores: a warp has WO output channels of some rows of 16 pixels. A matrix A is 16 output x 8 input channels, a
// matrix B 8 input channels x 8 pixels of a row, which serves the three rows u that it is below, at, or above.
template <int K, int BO>
struct Sums<K, BO, true> {
    static constexpr int WO = BO < 32 ? BO : 32, MO = WO / 16, ROWS = 128 / WO;  // MO x ROWS x 2 matrices of 16 x 8 sums
    float sum[64] = {};
    const int warp = threadIdx.x / 32, r = threadIdx.x % 32 / 4, s = threadIdx.x % 4;
    const int o0 = warp % (BO / WO) * WO, i0 = warp / (BO / WO) * ROWS;

    __device__ int o(int k) const { return o0 + k / (8 * ROWS) * 16 + r + k / 2 % 2 * 8; }
    __device__ int i(int k) const { return i0 + k / 8 % ROWS; }
    __device__ int j(int k) const { return k / 4 % 2 * 8 + 2 * s + k % 2; }

    __device__ __forceinline__ void add(const Block<K, BO>& block, int)
    {
        for (int c = 0; c < block.CHANNELS; c += 8)
            #pragma unroll
            for (int v = 0; v < K; ++v) {
                float b[ROWS + K - 1][2][2];
                #pragma unroll
                for (int k = 0; k < 4 * (ROWS + K - 1); ++k)
                    b[k / 4][k / 2 % 2][k % 2] =
                        block.patch[c + s + k % 2 * 4][(i0 + k / 4) * block.WIDTH + k / 2 % 2 * 8 + r + v];
                #pragma unroll
                for (int u = 0; u < K; ++u)
                    #pragma unroll
                    for (int m = 0; m < MO; ++m) {
                        float a[4];
                        #pragma unroll
                        for (int k = 0; k < 4; ++k)
                            a[k] = block.weights[(u * K + v) * block.CHANNELS + c + s + k / 2 * 4]
                                                [o0 + 16 * m + r + k % 2 * 8];
                        #pragma unroll
                        for (int k = 0; k < 2 * ROWS; ++k)
                            multiply_tf32(sum + (m * 2 * ROWS + k) * 4, a, b[k / 2 + u][k % 2]);  // (1), (2)
                    }
            }
    }
};

// The output from x, or the input's gradient from gy in the place of x. Weights as `arrange_weights` puts them. SX, SY: S
// of x and y. grid: tiles of ROWS x 16 pixels of all images; BO output channels; parts of the input channels, each of them
// `chunks` steps long, with a y of its own.
template <int K, int SX, int SY, int BO, bool TF32>
__global__ void __launch_bounds__(THREADS, 2) convolve(const float* __restrict__ x, const float* __restrict__ w,
    const float* __restrict__ b, float* __restrict__ y, int N, int C, int H, int W, int O, int OH, int OW, int PH, int PW,
    int chunks)
{
    static_assert(!TF32 || HAS_TF32, "TF32 needs a GPU of compute capability 8.0: leave matmul_precision at 'float32'");
    using Size = Block<K, BO>;
    __shared__ Size block;
    Sums<K, BO, TF32> sums;
    const int across = (OW / SY + 15) / 16, tiles = (OH / SY + Size::ROWS - 1) / Size::ROWS * across;
    const int n = blockIdx.x / tiles, tile = blockIdx.x % tiles, o0 = blockIdx.y * BO;
    const int i0 = tile / across * Size::ROWS, j0 = tile % across * 16;
    const int all_chunks = (C + Size::CHANNELS - 1) / Size::CHANNELS, first = blockIdx.z * chunks;
    x += (long long)n * (C / (SX * SX)) * H * W;
    y += ((long long)blockIdx.z * N + n) * (O / (SY * SY)) * OH * OW;

    if (b && first == 0)
        #pragma unroll
        for (int k = 0; k < 64; ++k) sums.sum[k] = o0 + sums.o(k) < O ? b[o0 + sums.o(k)] : 0;
    for (int chunk = first; chunk < min(first + chunks, all_chunks); ++chunk) {
        __syncthreads();  // all threads are done with the chunk before
        constexpr int COUNT = sizeof(block.weights) / sizeof(float4);
        const float4* source = (const float4*)w + ((long long)blockIdx.y * all_chunks + chunk) * COUNT;
        for (int k = threadIdx.x; k < COUNT; k += THREADS) ((float4*)block.weights)[k] = source[k];
        const int c0 = chunk * Size::CHANNELS;
        load_patch<SX, TF32, Size::CHANNELS, Size::HEIGHT, Size::WIDTH>(block.patch, x, c0, C, i0 - PH, j0 - PW, H, W);
        __syncthreads();
        sums.add(block, min(Size::CHANNELS, C - c0));
    }
    #pragma unroll
    for (int k = 0; k < 64; ++k) {
        const int o = o0 + sums.o(k), i = i0 + sums.i(k), j = j0 + sums.j(k);
        if (o < O && i < OH / SY && j < OW / SY)
            y[element<SY>(o, i, j, OH, OW)] = sums.sum[k];
    }
}

// For `convolve`: for every BO output channels and every step, the contents of Block.weights, with zeros where there are
// no more channels. For the gradient of the input, kernels are flipped, and (o, c) change places.
__global__ void arrange_weights(const float* w, float* arranged, int O, int C, int taps, int BO, int channels,
                                bool gradient, bool tf32, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (k >= size) return;
    const int chunks = (C + channels - 1) / channels, row = BO + 8;
    const int tap = k / row / channels % taps, c = k / row / channels / taps % chunks * channels + k / row % channels;
    const int o = k / row / channels / taps / chunks * BO + k % row;
    const long long from = gradient ? ((long long)c * O + o) * taps + taps - 1 - tap : ((long long)o * C + c) * taps + tap;
    const float value = k % row < BO && o < O && c < C ? w[from] : 0;
    arranged[k] = tf32 ? to_tf32(value) : value;
}

// The sums of a warp of `weight_gradient`: WO output x WC input channels x K x K weights.
template <int K, int WO, int WC, bool TF32>
struct WeightSums;

// By multiply-adds: a thread has WO / 8 output and WC / 4 input channels, and goes down the columns of its strip.
template <int K, int WO, int WC>
struct WeightSums<K, WO, WC, false> {
    static constexpr int NO = WO / 8, NC = WC / 4, COUNT = NO * NC * K * K;
    float sum[NO][NC][K * K] = {};
    const int r = threadIdx.x % 8, s = threadIdx.x % 32 / 8;

    __device__ int o(int k) const { return r + k / (K * K) / NC * 8; }
    __device__ int c(int k) const { return s + k / (K * K) % NC * 4; }
    __device__ int tap(int k) const { return k % (K * K); }
    __device__ float value(int k) const { return sum[k / (K * K) / NC][k / (K * K) % NC][k % (K * K)]; }

    template <int HEIGHT, int COLUMNS, int WIDTH, int GP, int XP>
    __device__ __forceinline__ void add(const float (*gy)[GP], const float (*x)[XP], int i0, int j0)
    {
        for (int j = j0; j < j0 + STRIP; ++j) {
            float window[NC][K][K];  // image row p is in row p % K
            #pragma unroll
            for (int p = 0; p < HEIGHT + K - 1; ++p) {
                #pragma unroll
                for (int k = 0; k < NC * K; ++k) window[k / K][p % K][k % K] = x[s + k / K * 4][(i0 + p) * WIDTH + j + k % K];
                const int i = p - (K - 1);
                if (i < 0) continue;
                #pragma unroll
                for (int k = 0; k < NO; ++k) {
                    const float g = gy[r + 8 * k][(i0 + i) * COLUMNS + j];
                    #pragma unroll
                    for (int l = 0; l < NC * K * K; ++l)
                        sum[k][l / (K * K)][l % (K * K)] += g * window[l / (K * K)][(i + l / K % K) % K][l % K];  // (3)
                }
            }
        }
    }
};

// On tensor cores: a matrix A is 16 output channels x 8 pixels of gy, a matrix B 8 pixels x 8 input channels of x.
template <int K, int WO, int WC>
struct WeightSums<K, WO, WC, true> {
    static constexpr int NO = WO / 16, NC = WC / 8, COUNT = NO * NC * K * K * 4;
    float sum[NO][NC][K * K][4] = {};
    const int r = threadIdx.x % 32 / 4, s = threadIdx.x % 4;

    __device__ int o(int k) const { return k / 4 / (K * K) / NC * 16 + r + k / 2 % 2 * 8; }
    __device__ int c(int k) const { return k / 4 / (K * K) % NC * 8 + 2 * s + k % 2; }
    __device__ int tap(int k) const { return k / 4 % (K * K); }
    __device__ float value(int k) const { return sum[k / 4 / (K * K) / NC][k / 4 / (K * K) % NC][k / 4 % (K * K)][k % 4]; }

    template <int HEIGHT, int COLUMNS, int WIDTH, int GP, int XP>
    __device__ __forceinline__ void add(const float (*gy)[GP], const float (*x)[XP], int i0, int j0)
    {
        float window[NC][K][K][2];
        #pragma unroll
        for (int p = 0; p < HEIGHT + K - 1; ++p) {
            #pragma unroll
            for (int k = 0; k < NC * K * 2; ++k)
                window[k / (2 * K)][p % K][k / 2 % K][k % 2] =
                    x[k / (2 * K) * 8 + r][(i0 + p) * WIDTH + j0 + s + k % 2 * 4 + k / 2 % K];
            const int i = p - (K - 1);
            if (i < 0) continue;
            #pragma unroll
            for (int m = 0; m < NO; ++m) {
                float a[4];
                #pragma unroll
                for (int k = 0; k < 4; ++k) a[k] = gy[16 * m + r + k % 2 * 8][(i0 + i) * COLUMNS + j0 + s + k / 2 * 4];
                #pragma unroll
                for (int l = 0; l < NC * K * K; ++l)
                    multiply_tf32(sum[m][l / (K * K)][l % (K * K)], a, window[l / (K * K)][(i + l / K % K) % K][l % K]);
            }  // (3)
        }
    }
};

// The weights' gradient. A block has BO x BC channels, and takes every gridDim.z-th tile of 4 x COLUMNS pixels. Its 8 warps
// share out the channels, and where these are few (GROUPS > 1), the strips of a tile: each group has a gw of its own.
template <int K, int S, int BO, int BC, bool TF32>
__global__ void __launch_bounds__(THREADS, 2) weight_gradient(const float* __restrict__ gy, const float* __restrict__ x,
    float* __restrict__ gw, int N, int C, int H, int W, int O, int OH, int OW, int PH, int PW)
{
    static_assert(!TF32 || HAS_TF32, "TF32 needs a GPU of compute capability 8.0: leave matmul_precision at 'float32'");
    constexpr int WO = K == 1 || BO < 32 ? BO : 32, WC = K == 1 ? BC : 256 / WO, GROUPS = 8 * WO * WC / (BO * BC);
    constexpr int HEIGHT = K == 1 ? 1 : 4, COLUMNS = K == 1 || GROUPS < 2 ? 16 : 8 * GROUPS, WIDTH = COLUMNS + K - 1;
    constexpr int STRIPS = 4 / HEIGHT * (COLUMNS / STRIP), X_SIZE = (4 + K - 1) * WIDTH;
    __shared__ float gy_patch[BO][4 * COLUMNS + 4];  // row lengths are 4, 12, 20 or 28 modulo 32: all 32 banks
    __shared__ float x_patch[BC][X_SIZE / 8 * 8 + 4];
    WeightSums<K, WO, WC, TF32> sums;
    const int warp = threadIdx.x / 32, wo = warp % (BO / WO) * WO, wc = warp / (BO / WO) % (BC / WC) * WC;
    const int group = warp / (8 / GROUPS), o0 = blockIdx.x * BO, c0 = blockIdx.y * BC;
    const int across = (OW + COLUMNS - 1) / COLUMNS, tiles = (OH + 3) / 4 * across;

    for (int tile = blockIdx.z; tile < N * tiles; tile += gridDim.z) {
        const int n = tile / tiles, i0 = tile % tiles / across * 4, j0 = tile % across * COLUMNS;
        const float *gradient = gy + (long long)n * O * OH * OW, *image = x + (long long)n * (C / (S * S)) * H * W;
        __syncthreads();  // all threads are done with the tile before
        load_patch<1, TF32, BO, 4, COLUMNS>(gy_patch, gradient, o0, O, i0, j0, OH, OW);
        load_patch<S, TF32, BC, 4 + K - 1, WIDTH>(x_patch, image, c0, C, i0 - PH, j0 - PW, H, W);
        __syncthreads();
        for (int strip = group; strip < STRIPS; strip += GROUPS) {
            const int i = strip / (COLUMNS / STRIP) * HEIGHT, j = strip % (COLUMNS / STRIP) * STRIP;
            sums.template add<HEIGHT, COLUMNS, WIDTH>(gy_patch + wo, x_patch + wc, i, j);
        }
    }
    gw += ((long long)blockIdx.z * GROUPS + group) * O * C * K * K;
    #pragma unroll
    for (int k = 0; k < sums.COUNT; ++k) {
        const int o = o0 + wo + sums.o(k), c = c0 + wc + sums.c(k);
        if (o < O && c < C) gw[((long long)o * C + c) * (K * K) + sums.tap(k)] = sums.value(k);
    }
}

// Add up every 32 of `count` parts, each `size` numbers long, one after another: always the same order.
__global__ void add_parts(const float* parts, float* sums, int count, long long size)
{
    const long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const int first = k / size * 32;
    if (first >= count) return;

    float sum = 0;
    #pragma unroll 8
    for (int part = first; part < min(first + 32, count); ++part) sum += parts[part * size + k % size];
    sums[k] = sum;
}
