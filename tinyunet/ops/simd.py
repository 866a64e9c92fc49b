"""Vectors for numba, and the register-blocked product that the fast convolutions are built on.

numba leaves vectors to LLVM's loop vectoriser. That is enough for simple loops, but not for the heart of a matrix
product: a block of sums that stays in registers while a loop runs over the channels. With `load`, `store`, `splat`
and `+ - *` such a kernel is plain Python, and runs as such under NUMBA_DISABLE_JIT=1. A vector holds `LANES` float32
numbers: 16 where the CPU has AVX-512, else 8. LLVM splits it where registers are shorter (SSE, ARM).

numba's disk cache does not see edits of this file in the kernels that use it: delete `__pycache__` after editing.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from .jit import OPTIONS, serial

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
BLOCK = 3 * LANES  # columns that `multiply` handles at a time

_INT = ir.IntType(32)
_IR_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _VectorType(types.Type):
    def __init__(self):
        super().__init__(name=f"float32x{LANES}")


_vector = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _IR_VECTOR)


def _define(op, instruction: str) -> None:
    """Teach numba the operator `op` on two vectors."""

    @infer_global(op)
    class Signature(ConcreteTemplate):
        cases = [signature(_vector, _vector, _vector)]

    @lower_builtin(op, _vector, _vector)
    def lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args, flags=tuple(sorted(OPTIONS["fastmath"])))


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")


def _intrinsic(meaning):
    """Decorator: compile to the instructions that the function emits, or without numba's compiler run `meaning`."""
    return (lambda function: meaning) if config.DISABLE_JIT else intrinsic


def _indices(lanes):
    return ir.Constant(ir.VectorType(_INT, LANES), list(lanes))


def _pointer(context, builder, array_type, array, i):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), _IR_VECTOR.as_pointer())


@_intrinsic(lambda a, i: a[i : i + LANES].copy())
def load(typingctx, a, i):
    """Return the vector a[i : i + LANES] of a contiguous 1-D float32 array; nothing is checked."""

    def lower(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig.args[0], *args), align=4)

    return _vector(a, types.intp), lower


@_intrinsic(lambda a, i, x: np.copyto(a[i : i + LANES], x))
def store(typingctx, a, i, x):
    """Set a[i : i + LANES] to the vector x."""

    def lower(context, builder, sig, args):
        builder.store(args[2], _pointer(context, builder, sig.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(a, types.intp, _vector), lower


@_intrinsic(lambda number: np.full(LANES, number, np.float32))
def splat(typingctx, number):
    """Return the vector with `number` in every lane."""

    def lower(context, builder, sig, args):
        nothing = ir.Constant(_IR_VECTOR, ir.Undefined)
        first = builder.insert_element(nothing, args[0], ir.Constant(_INT, 0))
        return builder.shuffle_vector(first, nothing, _indices([0] * LANES))

    return _vector(types.float32), lower


def _transpose(a, i, a_step, b, j, b_step):
    for k in range(LANES):
        b[j + k * b_step :][:LANES] = a[i + k :: a_step][:LANES]


@_intrinsic(_transpose)
def transpose(typingctx, a, i, a_step, b, j, b_step):
    """Set b[j + k b_step + l] = a[i + l a_step + k] for all k, l < LANES: a square block, within registers."""

    def lower(context, builder, sig, args):
        a, i, a_step, b, j, b_step = args

        def pointer(array_type, array, start, step, k):
            at = builder.add(start, builder.mul(step, ir.Constant(step.type, k)))
            return _pointer(context, builder, array_type, array, at)

        rows = [builder.load(pointer(sig.args[0], a, i, a_step, k), align=4) for k in range(LANES)]
        bit = 1
        while bit < LANES:  # swap the off-diagonal quarters of all 2 x 2 blocks, then 4 x 4, ...
            even = _indices(LANES + t - bit if t & bit else t for t in range(LANES))
            odd = _indices(LANES + t if t & bit else t + bit for t in range(LANES))
            for k in range(LANES):
                if not k & bit:
                    pair = rows[k], rows[k + bit]
                    rows[k] = builder.shuffle_vector(*pair, even)
                    rows[k + bit] = builder.shuffle_vector(*pair, odd)
            bit *= 2
        for k, row in enumerate(rows):
            builder.store(row, pointer(sig.args[3], b, j, b_step, k), align=4)
        return context.get_dummy_value()

    return types.void(a, types.intp, types.intp, b, types.intp, types.intp), lower


@serial
def multiply(w, w_step, x, step, step3, count, y, y_step, columns, add):
    """Set (add=False) or increase (add=True) four rows of y by a sum over `count` groups of three terms.

        y[k y_step + p] = sum_{c < count, v < 3} w[(3 c + v) w_step + k] x[c step3 + v step + p],    k < 4, p < columns

    With step = 1 the three terms are neighbours, the taps of a convolution; with step3 = 3 step it is a matrix
    product. 4 rows x 3 vectors of sums fill 12 of the 16 registers of AVX2, three hold x and one w; 7 loads feed
    12 multiply-adds, so the arithmetic units are the limit. `columns` is a multiple of BLOCK.
    """
    zero = splat(np.float32(0))
    for p in range(0, columns, BLOCK):
        a0, a1, a2, b0, b1, b2 = zero, zero, zero, zero, zero, zero
        c0, c1, c2, d0, d1, d2 = zero, zero, zero, zero, zero, zero
        for c in range(count):
            for v in range(3):
                q = c * step3 + v * step + p
                k = (3 * c + v) * w_step
                x0, x1, x2 = load(x, q), load(x, q + LANES), load(x, q + 2 * LANES)
                s = splat(w[k])
                a0, a1, a2 = a0 + s * x0, a1 + s * x1, a2 + s * x2
                s = splat(w[k + 1])
                b0, b1, b2 = b0 + s * x0, b1 + s * x1, b2 + s * x2
                s = splat(w[k + 2])
                c0, c1, c2 = c0 + s * x0, c1 + s * x1, c2 + s * x2
                s = splat(w[k + 3])
                d0, d1, d2 = d0 + s * x0, d1 + s * x1, d2 + s * x2
        _write(y, p, a0, a1, a2, add)
        _write(y, p + y_step, b0, b1, b2, add)
        _write(y, p + 2 * y_step, c0, c1, c2, add)
        _write(y, p + 3 * y_step, d0, d1, d2, add)


@serial
def _write(y, p, x0, x1, x2, add):
    if add:
        x0, x1, x2 = x0 + load(y, p), x1 + load(y, p + LANES), x2 + load(y, p + 2 * LANES)
    store(y, p, x0)
    store(y, p + LANES, x1)
    store(y, p + 2 * LANES, x2)
