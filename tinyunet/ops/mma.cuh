// Tensor cores: units beside the ordinary ones that multiply small matrices. TF32 numbers are float32 numbers with 10
// instead of 23 bits after the point; products and sums are float32.
#pragma once

#ifdef __CUDA_ARCH__  // tests/gpu/cuda_on_cpu.h has its own two
constexpr bool HAS_TF32 = __CUDA_ARCH__ >= 800;

// x rounded to the nearest TF32 number. On older GPUs, whose assembler knows no such instruction, nobody asks for it.
__device__ __forceinline__ float to_tf32(float x)
{
    unsigned bits = 0;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
#endif
    return __uint_as_float(bits);
}

// d += a b, of a 16 x 8 and an 8 x 8 matrix that the 32 threads of a warp hold together. With r = lane / 4, s = lane % 4 a
// thread gives a[k] = A[r + 8 (k % 2)][s + 4 (k / 2)] and b[k] = B[s + 4 k][r], and has d[k] = D[r + 8 (k / 2)][2 s + k % 2].
__device__ __forceinline__ void multiply_tf32(float* d, const float* a, const float* b)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
#endif
