// What the threads of one block do together; kernels take it in with #include "../block.cuh".
#pragma once

// Sum of `value` over the 256 threads of the block, in a fixed order: a tree, 128 pairs, then 64, ..., then 1. Every
// thread of the block must call it, and every thread gets the sum.
template <typename T>
__device__ T block_sum(T value)
{
    __shared__ T partial[256];
    partial[threadIdx.x] = value;
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
    const T sum = partial[0];
    __syncthreads();  // the next call may fill `partial` only when all threads have read
    return sum;
}
