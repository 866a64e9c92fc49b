"""Convolution with windows that do not overlap (stride = kernel size, no padding) in float32: matrix products.

Such are 1 x 1 convolutions and, read backwards, the 2 x 2 up-convolutions of a UNet. Each input pixel lies in at most
one window, so with k = (c, u, v) and one number p for the output pixel (i, j) no sum runs over neighbours:

    y[n,o,p]  = b[o] + sum_k w[o,k] x[n,k,p]                                                       (1)
    gx[n,k,p] = sum_o w[o,k] gy[n,o,p]                                                             (2)
    gw[o,k]   = sum_{n,p} gy[n,o,p] x[n,k,p]                                                       (3)

A job gathers the rows k of a tile of pixels into its cache, multiplies with `simd.multiply`, and scatters them into
the part of the result that it owns. (1) and (2) are the same kernel: one gathers windows, the other scatters them.
In (3) vectors run over k, so tiles are transposed as in `cpu_fast`.
"""

from __future__ import annotations

import numpy as np

from ..jit import kernel, serial
from ..simd import BLOCK, LANES, multiply, transpose
from .cpu_fast import JOBS


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    y = np.empty((g.N, g.O, g.OH, g.OW), np.float32)
    _run(x, w.reshape(g.O, -1), b, y, g.KH, g.KW, 1, 1)
    return y


def backward_input(gy, w, g):
    """Compute gx by equation (2); it is zero where no window reaches."""
    exact = (g.OH * g.KH, g.OW * g.KW) == (g.H, g.W)
    gx = (np.empty if exact else np.zeros)((g.N, g.C, g.H, g.W), np.float32)
    _run(gy, w.reshape(g.O, -1).T, None, gx, 1, 1, g.KH, g.KW)
    return gx


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    K = g.C * g.KH * g.KW
    O_part = min(-(-g.O // LANES) * LANES, 64)
    K_part = -(-K // (-(-K // (2 * BLOCK)) * BLOCK)) * BLOCK
    O_parts, K_parts = -(-g.O // O_part), -(-K // K_part)
    columns, tiles = _tiles(g.OH * g.OW, 4608 // K_part // BLOCK * BLOCK)
    sums = min(g.N * tiles, -(-JOBS // O_parts))
    partial = np.empty((sums, O_parts * O_part // 4, K_parts, 4 * K_part), np.float32)
    gy, x = np.ascontiguousarray(gy), np.ascontiguousarray(x)
    _weight_gradient[sums * O_parts](gy, x, g.KH, g.KW, columns, tiles, O_part, K_part, partial)
    total = partial.sum(axis=0).reshape(-1, K_parts, 4, K_part).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(total.reshape(O_parts * O_part, -1)[: g.O, :K]).reshape(g.O, g.C, g.KH, g.KW)


def _tiles(pixels: int, limit: int) -> tuple[int, int]:
    """Columns of a tile, a multiple of BLOCK and at most `limit`, and the number of tiles in an image."""
    tiles = -(-pixels // limit)
    columns = -(-pixels // (tiles * BLOCK)) * BLOCK
    return columns, -(-pixels // columns)


def _run(x, w, b, y, KH, KW, YH, YW):
    """Multiply the windows KH x KW of x by w (rows of y, rows of x), and scatter to the windows YH x YW of y."""
    N, (O, K) = len(x), w.shape
    K3 = -(-K // 3)
    padded = np.zeros((-(-O // 4) * 4, 3 * K3), np.float32)
    padded[:O, :K] = w
    blocks = np.ascontiguousarray(padded.reshape(-1, 4, 3 * K3).transpose(0, 2, 1)).reshape(-1, 12 * K3)
    bias = np.zeros(O, np.float32) if b is None else np.ascontiguousarray(b)
    OH, OW = x.shape[2] // KH, x.shape[3] // KW

    def parts(tiles):  # few tiles: share each among jobs, which then all gather its rows
        return min(len(blocks), -(-JOBS // (N * tiles)))

    def cost(tiling):  # gathering a row costs about as much as 32 rows of the product, a new tile as 24 columns
        columns, tiles = tiling
        return (columns + 24) * tiles * (O + 32 * parts(tiles)) * max(1, JOBS / (N * tiles * parts(tiles)))

    most = max(1, min(98304 // (3 * K3 * BLOCK), 12))
    columns, tiles = min((_tiles(OH * OW, k * BLOCK) for k in range(most, 0, -1)), key=cost)
    shares = parts(tiles)
    _multiply[N * tiles * shares](np.ascontiguousarray(x), KH, KW, blocks, bias, columns, tiles, shares, y, YH, YW)


@kernel
def _multiply(first, last, x, KH, KW, w, b, columns, tiles, parts, y, YH, YW):
    for job in range(first, last):
        tile, part = job // parts, job % parts
        n, p = tile // tiles, tile % tiles * columns
        start, stop = len(w) * part // parts, len(w) * (part + 1) // parts
        _multiply_tile(x, KH, KW, w, b, columns, n, p, start, stop, y, YH, YW)


@serial
def _multiply_tile(x, KH, KW, w, b, columns, n, p, first, last, y, YH, YW):
    """Compute the rows 4 first .. 4 last of y for the pixels p .. p + columns of image n."""
    K = x.shape[1] * KH * KW
    rows = np.zeros(w.shape[1] // 4 * columns, np.float32)
    for k in range(K):
        _gather(x, n, k, KH, KW, p, rows[k * columns : (k + 1) * columns])
    product = np.empty(4 * columns, np.float32)
    for block in range(first, last):
        multiply(w[block], 4, rows, columns, 3 * columns, w.shape[1] // 12, product, columns, columns, False)
        for o in range(4 * block, min(4 * block + 4, len(b))):
            _scatter(product[o % 4 * columns :][:columns], b[o], y, n, o, YH, YW, p)


@serial
def _gather(x, n, k, KH, KW, p, row):
    """row[t] = x at window element k of window number p + t."""
    c, u, v = k // KW // KH, k // KW % KH, k % KW
    OH, OW = x.shape[2] // KH, x.shape[3] // KW
    t, end = 0, min(row.size, OH * OW - p)
    while t < end:  # one row of windows
        i, j = (p + t) // OW, (p + t) % OW
        source, target = x[n, c, i * KH + u, j * KW + v :], row[t : min(end, t + OW - j)]
        if KW == 1:  # the usual steps are known to the compiler, which then loads vectors
            for q in range(target.size):
                target[q] = source[q]
        elif KW == 2:
            for q in range(target.size):
                target[q] = source[q * 2]
        else:
            for q in range(target.size):
                target[q] = source[q * KW]
        t += target.size


@serial
def _scatter(row, bias, y, n, k, KH, KW, p):
    """y at window element k of window number p + t = row[t] + bias."""
    o, u, v = k // KW // KH, k // KW % KH, k % KW
    OH, OW = y.shape[2] // KH, y.shape[3] // KW
    t, end = 0, min(row.size, OH * OW - p)
    while t < end:
        i, j = (p + t) // OW, (p + t) % OW
        source, target = row[t : min(end, t + OW - j)], y[n, o, i * KH + u, j * KW + v :]
        if KW == 1:
            for q in range(source.size):
                target[q] = source[q] + bias
        else:
            for q in range(source.size):
                target[q * KW] = source[q] + bias
        t += source.size


@kernel
def _weight_gradient(first, last, gy, x, KH, KW, columns, tiles, O_part, K_part, partial):
    sums, all_tiles = len(partial), len(x) * tiles
    for job in range(first, last):
        s, o = job % sums, job // sums * O_part
        own = partial[s, o // 4 : (o + O_part) // 4]
        start, stop = all_tiles * s // sums, all_tiles * (s + 1) // sums
        _weight_gradient_part(gy, x, KH, KW, columns, tiles, start, stop, o, K_part, own)


@serial
def _weight_gradient_part(gy, x, KH, KW, columns, tiles, first, last, o0, K_part, partial):
    """Sum over the tiles first .. last, for the output channels from o0 on that `partial` has room for."""
    O, K, O_part = gy.shape[1], x.shape[1] * KH * KW, 4 * len(partial)
    planar = np.zeros((LANES, columns), np.float32)  # LANES rows, pixels side by side
    flat = planar.reshape(-1)
    g = np.empty(O_part * columns, np.float32)  # [o // LANES, pixel, o % LANES]
    pixels = np.zeros(K_part * columns, np.float32)  # [pixel, k]
    for tile in range(first, last):
        n, p = tile // tiles, tile % tiles * columns
        planar[:] = 0
        for o in range(0, O_part, LANES):
            for k in range(min(LANES, O - o0 - o)):
                _gather(gy, n, o0 + o + k, 1, 1, p, planar[k])
            for q in range(0, columns, LANES):
                transpose(flat, q, columns, g, o * columns + q * LANES, LANES)
        planar[:] = 0
        for part in range(partial.shape[1]):
            for k0 in range(0, min(K_part, K - part * K_part), LANES):
                for k in range(min(LANES, K - part * K_part - k0)):
                    _gather(x, n, part * K_part + k0 + k, KH, KW, p, planar[k])
                for q in range(0, columns, LANES):
                    transpose(flat, q, columns, pixels, q * K_part + k0, K_part)
            for o in range(0, O_part, 4):
                factor = g[o // LANES * LANES * columns + o % LANES :]
                sums, count = partial[o // 4, part], columns // 3
                multiply(factor, LANES, pixels, K_part, 3 * K_part, count, sums, K_part, K_part, tile > first)
