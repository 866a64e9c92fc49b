"""3 x 3 convolution with stride 1 in float32, where a UNet spends most of its time, with half the multiplications.

The ideas in order. Times are trials made once while this was written (4 images, 64 -> 64 channels, 64 x 64 pixels,
forward), in units of PyTorch's on the same two AVX2 cores; the loops of `cpu.py` take 8, with four output channels per
pass 2.1. `tinyunet bench --ladder` measures the first and the last step of the way.

1. *Winograd's F(4,3) along the columns of the image.* Four output rows of one column need six input rows d0..d5 and
   three kernel rows w0..w2. They are 4 x 3 = 12 products, or 6 with polynomials: multiply values at the points
   0, 1, -1, 2, -2 and infinity instead of coefficients,

       y = A' [(G w) * (B' d)]                                                                        (5)

            1  1  1  1  1  0           1/4    0    0            4  0 -5  0  1  0
       A' = 0  1 -1  2 -2  0      G = -1/6 -1/6 -1/6      B' =  0 -4 -4  1  1  0
            0  1  1  4  4  0          -1/6  1/6 -1/6            0  4 -4 -1  1  0
            0  1 -1  8 -8  1          1/24 1/12  1/6            0 -2 -1  2  1  0
                                      1/24 -1/12 1/6            0  2 -1 -2  1  0
                                         0    0    1            0  4  0 -5  0  1

   Only rows are mixed, so the transforms run over whole rows of the image without any gathering, and each of the six
   *lifted* rows then takes an ordinary 1 x 3 convolution: 18 multiply-adds for four outputs instead of 36. The
   two-dimensional F(4x4, 3x3) needs 9, but mixes neighbouring columns too and rounds worse. Time 1.1.
2. *Register blocking.* The 1 x 3 convolution is `simd.multiply`, whose sums stay in registers. A loop that LLVM
   vectorises by itself must read and write every sum for every input channel, and reached about half that rate.
3. *Fused tiles.* A job transforms the input rows of one tile, multiplies, and transforms back, all within its cache.
   A tile holds `per_tile` segments of four output rows side by side, so that small images give long rows as well;
   each segment carries the two extra columns that its taps reach, and results in those columns are dropped. With
   (2), time 0.65; for 16 -> 16 channels, where transforms weigh more, and for 128 -> 128 about the same.
4. *The input gradient* is the same convolution with the kernel flipped and its channels exchanged.
5. *The weight gradient* is the derivative of (5) by w, with the same three matrices:

       gw = G' [(A gy) * (B' d)]                                                                      (6)

   The product sums over columns. To keep sums in registers here too, vectors run over channels: lifted rows are
   stored with the channels of a pixel side by side, and then the three taps of a pixel are 3 C neighbouring numbers.
   Each job sums its own tiles; the partial sums are added in a fixed order.

The relative error is about 1e-6 to 1e-5, some five times that of the direct sum. A NaN reaches the outputs that it
should, and up to three rows and two columns further; infinity may turn into NaN.

References
----------
Lavin and Gray, Fast algorithms for convolutional neural networks, 2016 (the matrices of F(4,3), section 4.2).
Goto and van de Geijn, Anatomy of high-performance matrix multiplication, 2008 (register and cache blocking).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..jit import kernel, serial
from ..simd import BLOCK, LANES, load, multiply, splat, store, transpose

JOBS = 16  # wanted for an even load; a constant, so that results do not depend on the number of threads


class Tiling(NamedTuple):
    """How a batch of images is cut into tiles of segments; a segment is 4 output rows x `width` columns."""

    groups: int  # of four output rows in an image
    chunks: int  # segments side by side in an image
    width: int
    segments: int  # in the batch
    per_tile: int
    tiles: int
    columns: int  # of a tile, a multiple of BLOCK
    row: int  # allocated for a tile: `columns` and one vector more, which the last taps read


def _tilings(N: int, OH: int, OW: int, limit: int):
    """Yield the tilings whose tiles have at most about `limit` columns."""
    chunks = -(-OW // (limit - 2))
    width = -(-OW // chunks)
    groups = -(-OH // 4)
    segments = N * groups * chunks
    for per_tile in range(1, min(segments, max(1, limit // (width + 2))) + 1):
        columns = -(-per_tile * (width + 2) // BLOCK) * BLOCK
        tiles = -(-segments // per_tile)
        yield Tiling(groups, chunks, width, segments, per_tile, tiles, columns, columns + LANES)


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    return _run(x, w, b, g.PH, g.PW, g.OH, g.OW, flip=False)


def backward_input(gy, w, g):
    """Compute gx by equation (2), a convolution that pads so much that its result has the size of x."""
    return _run(gy, w, None, 2 - g.PH, 2 - g.PW, g.H, g.W, flip=True)


def _run(x, w, b, PH, PW, OH, OW, flip):
    """Convolve x (N, C, H, W) with w (O, C, 3, 3), or with w (C, O, 3, 3) flipped; b may be None."""
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    N, C = x.shape[:2]
    O = w.shape[1] if flip else w.shape[0]
    b = np.zeros(O, np.float32) if b is None else np.ascontiguousarray(b)
    blocks = -(-O // 4)

    def parts(t):  # few tiles: share each among jobs, which then all transform its input
        return min(blocks, -(-JOBS // t.tiles))

    def cost(t):  # transforming an input channel costs about as much as 8 output channels, a tile as 8 columns
        idle = max(1, JOBS / (t.tiles * parts(t)))
        return (t.columns + 8) / t.per_tile * (O + 8 * parts(t)) * idle

    limit = min(max(16384 // C, 3 * BLOCK), 12 * BLOCK)  # lifted rows of a tile: 400 KB, for the L2 cache
    t = min(_tilings(N, OH, OW, limit), key=cost)
    lifted = np.empty((blocks, 6, C * 12), np.float32)
    _lift_weight[blocks](w, flip, lifted.reshape(blocks, 6, C, 3, 4), O)
    y = np.empty((N, O, OH, OW), np.float32)
    _convolve[t.tiles * parts(t)](x, lifted, b, PH, PW, t, parts(t), y)
    return y


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    N, C, O = g.N, g.C, g.O
    O_part = min(-(-O // LANES) * LANES, 32)  # a job's output channels
    C_part = -(-C // (-(-C // 32) * LANES)) * LANES  # input channels at a time: one lifted row fits the L1 cache
    O_parts, C_parts = -(-O // O_part), -(-C // C_part)
    sums = -(-JOBS // O_parts)
    limit = 4608 // C_part // BLOCK * BLOCK

    def cost(t):
        return (t.columns + 8) / t.per_tile * max(1, sums / t.tiles)

    t = min(_tilings(N, g.OH, g.OW, limit), key=cost)
    sums = min(sums, t.tiles)
    partial = np.empty((sums, O_parts * O_part // 4, 6, C_parts, 12 * C_part), np.float32)
    gy, x = np.ascontiguousarray(gy), np.ascontiguousarray(x)
    _weight_gradient[sums * O_parts](gy, x, g.PH, g.PW, t, O_part, C_part, partial)
    gw = np.empty((O, C, 3, 3), np.float32)
    _lower_weight[O](partial.reshape(sums, -1, 6, C_parts, 4, 3 * C_part), gw)
    return gw


@kernel
def _convolve(first, last, x, w, b, PH, PW, t, parts, y):
    for job in range(first, last):
        tile, part = job // parts, job % parts
        _convolve_tile(x, w, b, PH, PW, t, tile, len(w) * part // parts, len(w) * (part + 1) // parts, y)


@serial
def _convolve_tile(x, w, b, PH, PW, t, tile, first, last, y):
    """Compute the output channels 4 first .. 4 last of one tile."""
    C, O = x.shape[1], y.shape[1]
    d, lifted, product = _scratch(6, t), np.empty(6 * C * t.row, np.float32), np.empty(24 * t.row, np.float32)
    for c in range(C):
        _copy_in(x, c, t, tile, 6, -PH, -PW, 2, d)
        _lift_input(d, t.row, lifted[c * t.row :], C * t.row)
    for block in range(first, last):
        for r in range(6):
            taps = lifted[r * C * t.row :]
            multiply(w[block, r], 4, taps, 1, t.row, C, product[4 * r * t.row :], t.row, t.columns, False)
        for o in range(4 * block, min(4 * block + 4, O)):
            _lower_output(product[o % 4 * t.row :], t.row, b[o], d)
            _copy_out(d, t, tile, y, o)


@kernel
def _weight_gradient(first, last, gy, x, PH, PW, t, O_part, C_part, partial):
    sums = len(partial)
    for job in range(first, last):
        s, o = job % sums, job // sums * O_part
        own = partial[s, o // 4 : (o + O_part) // 4]
        _weight_gradient_part(gy, x, PH, PW, t, t.tiles * s // sums, t.tiles * (s + 1) // sums, o, C_part, own)


@serial
def _weight_gradient_part(gy, x, PH, PW, t, first, last, o0, C_part, partial):
    """Sum over the tiles first .. last, for the output channels from o0 on that `partial` has room for."""
    O, C = gy.shape[1], x.shape[1]
    O_part, square = 4 * len(partial), LANES * t.row
    planar = np.zeros(6 * square, np.float32)  # LANES channels, pixels side by side
    g = np.empty(6 * O_part * t.row, np.float32)  # [r, o // LANES, pixel, o % LANES]
    lifted = np.empty(6 * C_part * t.row, np.float32)  # [r, pixel, c]
    for tile in range(first, last):
        d = _scratch(6, t)
        for o in range(0, O_part, LANES):
            for k in range(min(LANES, O - o0 - o)):
                _copy_in(gy, o0 + o + k, t, tile, 4, 0, 0, 0, d)
                _lift_gradient(d, t.row, planar[k * t.row :], square)
            for r in range(6):
                for p in range(0, t.row, LANES):
                    transpose(planar, r * square + p, t.row, g, (r * O_part + o) * t.row + p * LANES, LANES)
        d = _scratch(6, t)
        for part in range(partial.shape[2]):
            for c in range(0, min(C_part, C - part * C_part), LANES):
                for k in range(min(LANES, C - part * C_part - c)):
                    _copy_in(x, part * C_part + c + k, t, tile, 6, -PH, -PW, 2, d)
                    _lift_input(d, t.row, planar[k * t.row :], square)
                for r in range(6):
                    for p in range(0, t.row, LANES):
                        transpose(planar, r * square + p, t.row, lifted, (r * t.row + p) * C_part + c, C_part)
            for r in range(6):
                for o in range(0, O_part, 4):
                    factor = g[(r * O_part + o // LANES * LANES) * t.row + o % LANES :]
                    pixels, sums = lifted[r * t.row * C_part :], partial[o // 4, r, part]
                    multiply(
                        factor, LANES, pixels, C_part, 3 * C_part, t.columns // 3,
                        sums, 3 * C_part, 3 * C_part, tile > first,
                    )  # fmt: skip


@serial
def _scratch(rows, t):
    return np.zeros(rows * t.row, np.float32)


@serial
def _segment(t, s):
    """Image, first output row and first output column of segment s."""
    return s // t.chunks // t.groups, s // t.chunks % t.groups * 4, s % t.chunks * t.width


@serial
def _copy_in(a, c, t, tile, rows, shift_p, shift_q, extra, d):
    """Copy channel c of a tile's segments into `rows` rows of d; what lies outside of the image stays as it is."""
    H, W = a.shape[2:]
    for k in range(min(t.per_tile, t.segments - tile * t.per_tile)):
        n, p, q = _segment(t, tile * t.per_tile + k)
        p, q = p + shift_p, q + shift_q
        left, right = max(0, -q), min(t.width + extra, W - q)
        if left < right:
            for u in range(max(0, -p), min(rows, H - p)):
                source = a[n, c, p + u, q + left : q + right]
                target = d[u * t.row + k * (t.width + 2) + left :]
                for j in range(source.size):
                    target[j] = source[j]


@serial
def _copy_out(d, t, tile, y, o):
    """Copy four rows of d to where the tile's segments lie in output channel o."""
    OH, OW = y.shape[2:]
    for k in range(min(t.per_tile, t.segments - tile * t.per_tile)):
        n, p, q = _segment(t, tile * t.per_tile + k)
        for u in range(min(4, OH - p)):
            source = d[u * t.row + k * (t.width + 2) :]
            target = y[n, o, p + u, q : min(q + t.width, OW)]
            for j in range(target.size):
                target[j] = source[j]


@serial
def _lift_input(d, row, lifted, step):
    """B' d."""
    two, four, five = splat(np.float32(2)), splat(np.float32(4)), splat(np.float32(5))
    for p in range(0, row, LANES):
        d0, d1, d2 = load(d, p), load(d, p + row), load(d, p + 2 * row)
        d3, d4, d5 = load(d, p + 3 * row), load(d, p + 4 * row), load(d, p + 5 * row)
        even, odd = d4 - four * d2, d3 - four * d1
        store(lifted, p, four * d0 - five * d2 + d4)
        store(lifted, p + step, even + odd)
        store(lifted, p + 2 * step, even - odd)
        even, odd = d4 - d2, two * (d3 - d1)
        store(lifted, p + 3 * step, even + odd)
        store(lifted, p + 4 * step, even - odd)
        store(lifted, p + 5 * step, four * d1 - five * d3 + d5)


@serial
def _lift_gradient(d, row, lifted, step):
    """A gy."""
    two, four = splat(np.float32(2)), splat(np.float32(4))
    for p in range(0, row, LANES):
        g0, g1, g2, g3 = load(d, p), load(d, p + row), load(d, p + 2 * row), load(d, p + 3 * row)
        store(lifted, p, g0)
        even, odd = g0 + g2, g1 + g3
        store(lifted, p + step, even + odd)
        store(lifted, p + 2 * step, even - odd)
        even, odd = g0 + four * g2, two * (g1 + four * g3)
        store(lifted, p + 3 * step, even + odd)
        store(lifted, p + 4 * step, even - odd)
        store(lifted, p + 5 * step, g3)


@serial
def _lower_output(product, row, bias, y):
    """A' product + bias."""
    two, four, eight, bias = splat(np.float32(2)), splat(np.float32(4)), splat(np.float32(8)), splat(bias)
    step = 4 * row
    for p in range(0, row - LANES, LANES):
        m0, m1, m2 = load(product, p), load(product, p + step), load(product, p + 2 * step)
        m3, m4, m5 = load(product, p + 3 * step), load(product, p + 4 * step), load(product, p + 5 * step)
        even1, odd1, even2, odd2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
        store(y, p, bias + m0 + even1 + even2)
        store(y, p + row, bias + odd1 + two * odd2)
        store(y, p + 2 * row, bias + even1 + four * even2)
        store(y, p + 3 * row, bias + odd1 + eight * odd2 + m5)


@kernel
def _lift_weight(first, last, w, flip, lifted, O):
    """G w, stored [o // 4, r, c, v, o % 4]; output channels beyond O are zeros."""
    f4, f6, f12, f24 = np.float32(1 / 4), np.float32(1 / 6), np.float32(1 / 12), np.float32(1 / 24)
    C = lifted.shape[2]
    for block in range(first, last):
        for c in range(C):
            for v in range(3):
                for k in range(4):
                    o = 4 * block + k
                    w0, w1, w2 = np.float32(0), np.float32(0), np.float32(0)
                    if o < O and flip:
                        w0, w1, w2 = w[c, o, 2, 2 - v], w[c, o, 1, 2 - v], w[c, o, 0, 2 - v]
                    elif o < O:
                        w0, w1, w2 = w[o, c, 0, v], w[o, c, 1, v], w[o, c, 2, v]
                    lifted[block, 0, c, v, k] = f4 * w0
                    lifted[block, 1, c, v, k] = -f6 * (w0 + w1 + w2)
                    lifted[block, 2, c, v, k] = -f6 * (w0 - w1 + w2)
                    lifted[block, 3, c, v, k] = f24 * w0 + f12 * w1 + f6 * w2
                    lifted[block, 4, c, v, k] = f24 * w0 - f12 * w1 + f6 * w2
                    lifted[block, 5, c, v, k] = w2


@kernel
def _lower_weight(first, last, partial, gw):
    """G' of the partial sums [s, o // 4, r, c // C_part, o % 4, v, c % C_part]."""
    f4, f6, f12, f24 = np.float32(1 / 4), np.float32(1 / 6), np.float32(1 / 12), np.float32(1 / 24)
    C, C_part = gw.shape[1], partial.shape[5] // 3
    e = np.empty((6, 3 * C_part), np.float32)
    for o in range(first, last):
        for part in range(partial.shape[3]):
            e[:] = 0
            for s in range(len(partial)):
                for r in range(6):
                    for k in range(3 * C_part):
                        e[r, k] += partial[s, o // 4, r, part, o % 4, k]
            for c in range(min(C_part, C - part * C_part)):
                for v in range(3):
                    k = v * C_part + c
                    even1, odd1 = e[1, k] + e[2, k], e[2, k] - e[1, k]
                    even2, odd2 = e[3, k] + e[4, k], e[3, k] - e[4, k]
                    gw[o, part * C_part + c, 0, v] = f4 * e[0, k] - f6 * even1 + f24 * even2
                    gw[o, part * C_part + c, 1, v] = f6 * odd1 + f12 * odd2
                    gw[o, part * C_part + c, 2, v] = f6 * (even2 - even1) + e[5, k]
