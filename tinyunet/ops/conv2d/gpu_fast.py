"""Convolutions of float32 arrays on the GPU, where a UNet spends its time: 3 x 3 kernels, and windows without overlap.

Fast are 3 x 3 kernels with stride 1, and windows of 1 x 1 or 2 x 2 pixels that do not overlap, which also serve the
transposed convolution as its adjoint. Every other convolution, and float64, takes the direct kernels of `gpu.cu`,
which are also what these are tested against.

The ideas in their order. What each buys is arithmetic for an H100 (132 multiprocessors with 128 float32 multiply-adds
per cycle, 1.7 GHz: 57 TFLOP/s); *nothing here has been measured yet* (`python -m tests.gpu.verify --speed` does).

1. *A matrix product without the matrix.* Equation (1) multiplies weights (O, C K K) by pixels (C K K, N OH OW). The
   second matrix repeats every pixel K K = 9 times; im2col would write it out. A block of threads copies a patch of
   the image with its border into shared memory instead, 18 x 18 pixels for 16 x 16 outputs, and reads it 9 times from
   there: 1.3 loads per pixel instead of 9. A patch's rows are neighbours in memory as images are stored (NCHW), so
   there is nothing to gain from an NHWC copy, which would cost a pass over the input and another over the output.
2. *Sums in registers.* 256 threads compute 16384 sums (64 channels of 16 x 16 pixels, or 32 of 32 x 16, or 16 of 64 x
   16), 64 each: 8 channels of 8 pixels below each other. Of one input channel and kernel column v a thread needs 10
   pixels and 3 x 8 weights, 10 + 6 reads of shared memory (4 weights at once), for 3 x 64 = 192 multiply-adds. The
   direct kernel needs 2 reads, of global memory, for each. Of the compiled loop's 636 instructions (PTX) 576 are
   multiply-adds. At most 128 registers let two blocks share a multiprocessor; one computes while the other waits for
   its patch.
3. *Weights in the order of use.* `arrange_weights` puts them so that a block's copy is one run of 16-byte loads. It
   also flips kernels and exchanges channels, and with that the input's gradient (2) is the same convolution.
4. *Windows as channels.* A window of S x S pixels with stride S is a pixel with S S times the channels, so these are
   the same kernel with K = 1. Only the place of an element in memory differs (`element` in gpu_fast.cu).
5. *The weights' gradient* (3) sums over pixels. A thread keeps 4 x 2 channels x 9 weights and goes down a column of
   the image, keeping the 3 x 3 pixels around it too: 3 x 2 + 4 reads for 72 multiply-adds, and 8 warps hold 64 x 32
   channels. Blocks that take different pixels have sums of their own, which are then added in a fixed order, 32 at a
   time: no atomics, the same bits in every run. The same serves (1) and (2) where an image is so small that its
   blocks would not fill the GPU: then they share out the input channels.
6. *Tensor cores* (`matmul_precision("tf32")`) multiply 16 x 8 by 8 x 8 numbers in one instruction of a warp. The
   tiles stay; what a thread reads serves three rows again: 144 reads for 144 instructions. The chip's 495 TFLOP/s
   need Hopper's own wgmma; mma.sync, which runs on every GPU from A100 on, reaches perhaps 60 % of it. Factors are
   rounded, to nearest, on their way to shared memory, where rows have lengths that let the 32 threads of a warp read
   from all 32 banks.

Expected of a training step of 2.3 TFLOP (UNet, base 64, 8 x 256 x 256): at 65 to 80 % of (2), 50 to 60 ms in float32;
12 to 25 ms in TF32, where loads that nothing overlaps weigh more. Copying ahead (cp.async, TMA) and wgmma are left
out.

A NaN reaches the outputs that it should. In the weights' gradient it may reach all K K weights of its channel.

References
----------
Chetlur et al., cuDNN: efficient primitives for deep learning, 2014 (the product without the matrix, section 3).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ... import settings
from ..cuda import CudaSource, contiguous, empty

BLOCKS = 264  # wanted at least, two per multiprocessor of an H100; a constant: results do not depend on the device
CHANNELS = (64, 32, 16)  # BO, output channels of a block of `convolve`
WEIGHTS = {  # K -> (BO, BC) of a block of `weight_gradient` -> its GROUPS and COLUMNS
    3: {(64, 32): (1, 16), (32, 32): (2, 16), (16, 16): (8, 64)},
    1: {(64, 32): (8, 16), (16, 32): (8, 16)},
}
KINDS = ((3, 1), (1, 1), (1, 2))  # (K, S)

_convolve = [(K, *SS, BO) for K, S in KINDS for SS in {(S, 1), (1, S)} for BO in CHANNELS]
_gradient = [(K, S, *size) for K, S in KINDS for size in WEIGHTS[K]]


def _instance(kernel: str, *numbers: int, tf32: bool) -> str:
    return f"{kernel}<{','.join(map(str, numbers))},{str(tf32).lower()}>"


cu = CudaSource(
    __file__,
    instances=(
        *(_instance("convolve", *numbers, tf32=tf32) for numbers, tf32 in product(_convolve, (False, True))),
        *(_instance("weight_gradient", *numbers, tf32=tf32) for numbers, tf32 in product(_gradient, (False, True))),
    ),
)


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    K, S = _kind(g)
    return _run(x, w, b, (g.N, g.O, g.OH, g.OW), K, (S, 1), (g.PH, g.PW), gradient=False)


def backward_input(gy, w, g):
    """Compute gx by equation (2), a convolution that pads so much that its result has the size of x."""
    K, S = _kind(g)
    return _run(gy, w, None, (g.N, g.C, g.H, g.W), K, (1, S), (K - 1 - g.PH, K - 1 - g.PW), gradient=True)


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    K, S = _kind(g)
    O, C, tf32 = g.O, g.C * S * S, _tf32()
    BO, BC = min(WEIGHTS[K], key=lambda size: _up(O, size[0]) * size[0] * _up(C, size[1]) * size[1])
    groups, columns = WEIGHTS[K][BO, BC]
    tiles = g.N * _up(g.OH, 4) * _up(g.OW, columns)
    parts = min(max(BLOCKS // (_up(O, BO) * _up(C, BC)), 1), tiles)
    gw = empty((parts * groups, O, g.C, g.KH, g.KW), np.float32)
    sizes = (g.N, C, g.H, g.W, O, g.OH, g.OW, g.PH, g.PW)
    kernel, grid = _instance("weight_gradient", K, S, BO, BC, tf32=tf32), (_up(O, BO), _up(C, BC), parts)
    cu.launch(kernel, np.float32, grid=grid, args=(contiguous(gy), contiguous(x), gw, *sizes))
    return _add_up(gw)


def _run(x, w, b, shape, K, scales, padding, gradient):
    """Launch `convolve`; `scales` are the S of x and of the result."""
    N, _, OH, OW = shape
    SX, SY = scales
    C, O, H, W, tf32 = x.shape[1] * SX**2, shape[1] * SY**2, *x.shape[2:], _tf32()
    BO = min(CHANNELS, key=lambda size: _up(O, size) * size)
    channels = 8 if K == 3 else BO // 2
    blocks, chunks = _up(O, BO), _up(C, channels)
    arranged = empty((blocks, chunks, K * K, channels, BO + 8), np.float32)
    args = (contiguous(w), arranged, O, C, K * K, BO, channels, gradient, tf32, arranged.size)
    cu.launch("arrange_weights", np.float32, threads=arranged.size, args=args)

    tiles = N * _up(OH // SY, 1024 // BO) * _up(OW // SY, 16)
    steps = _up(chunks, max(BLOCKS // (tiles * blocks), 1))  # few blocks: share out the input channels too
    y = empty((_up(chunks, steps), *shape), np.float32)
    if OH % SY or OW % SY:
        y.fill(0)  # what no window reaches
    args = (contiguous(x), arranged, None if b is None else contiguous(b), y, N, C, H, W, O, OH, OW, *padding, steps)
    cu.launch(_instance("convolve", K, SX, SY, BO, tf32=tf32), np.float32, grid=(tiles, blocks, len(y)), args=args)
    return _add_up(y)


def _add_up(parts):
    """Return the sum over the first axis, always in the same order."""
    while len(parts) > 1:
        sums = empty((_up(len(parts), 32), *parts.shape[1:]), np.float32)
        args = (parts, sums, len(parts), parts[0].size)
        cu.launch("add_parts", np.float32, threads=sums.size, args=args)
        parts = sums
    return parts[0]


def _kind(g) -> tuple[int, int]:
    """Return K and S: a 3 x 3 kernel with stride 1, or a window of S x S pixels."""
    return (3, 1) if g.KH == 3 else (1, g.SH)


def _tf32() -> bool:
    return settings.chosen_precision() == "tf32"


def _up(size: int, unit: int) -> int:
    return -(-size // unit)
