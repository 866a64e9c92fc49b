// Coefficients of normalisation on the GPU; equation numbers are those of batch_norm2d's docstring in ../op.py.
//
// A thread per plane (n, c). It runs over the planes that share mean and variance with its own, so that threads compute
// some sums twice, but none has to wait for another. `groups` is 0 for batch normalisation.

// The planes that share with (n, c): `count` of them, `step` apart, from `first` on.
struct Sharing {
    long long first;
    int count, step;
    __device__ Sharing(int n, int c, int N, int C, int groups)
    {
        const int width = groups ? C / groups : 1;  // channels in a group
        first = groups ? n * (long long)C + c / width * width : c;
        count = groups ? width : N;
        step = groups ? 1 : C;
    }
};

struct Moments { double mean, var; };

__device__ Moments combine(const double* means, const double* variances, Sharing s)
{
    double mean = 0, var = 0;
    for (int k = 0; k < s.count; ++k)
        mean += means[s.first + k * (long long)s.step];
    mean /= s.count;
    for (int k = 0; k < s.count; ++k) {
        const long long plane = s.first + k * (long long)s.step;
        const double d = means[plane] - mean;
        var += variances[plane] + d * d;
    }
    return {mean, var / s.count};
}

template <typename T>
__global__ void from_planes(const double* means, const double* variances, const T* weight, const T* bias, int N, int C,
                            int groups, double eps, double* rstd, T* mean, T* scale, T* shift)
{
    const int plane = blockIdx.x * blockDim.x + threadIdx.x, c = plane % C;
    if (plane >= N * C) return;
    const Moments m = combine(means, variances, Sharing(plane / C, c, N, C, groups));
    rstd[plane] = 1 / sqrt(m.var + eps);
    mean[plane] = m.mean;
    scale[plane] = rstd[plane] * weight[c];
    shift[plane] = bias[c];
}

template <typename T>
__global__ void from_running(const T* running_mean, const T* running_var, const T* weight, const T* bias, int N, int C,
                             double eps, double* rstd, T* mean, T* scale, T* shift)
{
    const int plane = blockIdx.x * blockDim.x + threadIdx.x, c = plane % C;
    if (plane >= N * C) return;
    rstd[plane] = 1 / sqrt(running_var[c] + eps);
    mean[plane] = running_mean[c];
    scale[plane] = rstd[plane] * weight[c];
    shift[plane] = bias[c];
}

// A thread per channel.
template <typename T>
__global__ void update_running(T* running_mean, T* running_var, const double* means, const double* variances, int N,
                               int C, double momentum, double unbiased)
{
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    const Moments m = combine(means, variances, Sharing(0, c, N, C, 0));
    running_mean[c] += momentum * (m.mean - running_mean[c]);  // (5)
    running_var[c] += momentum * (m.var * unbiased - running_var[c]);
}

// The threads of the first image also sum gweight and gbias. `pixels` is 0 where mean and variance are constants.
template <typename T>
__global__ void backward(const double* sum_gy, const double* sum_gyx, const double* rstd, const T* weight, int N, int C,
                         int groups, int pixels, T* gweight, T* gbias, T* scale, T* through_var, T* through_mean)
{
    const int plane = blockIdx.x * blockDim.x + threadIdx.x, c = plane % C;
    if (plane >= N * C) return;
    if (plane == c) {
        double total = 0, product = 0;
        for (int n = 0; n < N; ++n) {
            const int k = n * C + c;
            total += sum_gy[k];
            product += sum_gyx[k] * rstd[k];
        }
        gweight[c] = product;  // (3)
        gbias[c] = total;      // (4)
    }
    double total = 0, product = 0;
    if (pixels > 0) {
        const Sharing s(plane / C, c, N, C, groups);
        for (int k = 0; k < s.count; ++k) {
            const long long other = s.first + k * (long long)s.step;
            total += sum_gy[other] * weight[other % C];
            product += sum_gyx[other] * weight[other % C];
        }
        total /= s.count * (double)pixels;
        product /= s.count * (double)pixels;
    }
    const double r = rstd[plane];
    scale[plane] = r * weight[c];
    through_var[plane] = -r * r * r * product;
    through_mean[plane] = -r * total;
}
