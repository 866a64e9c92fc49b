"""An exponential in float32 that LLVM turns into vector instructions; the C library's takes one number at a time.

Softmax and the losses spend most of their time in it. It splits off the power of two, which is written into the
exponent bits, and sums a polynomial for the rest; the error is at most 1 unit in the last place. float64 takes the C
library's. As with `simd.py`, numba's cache does not see edits of this file: delete `__pycache__` after editing.

References
----------
Cody and Waite, Software manual for the elementary functions, 1980; the coefficients are those of Moshier's Cephes.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .jit import OPTIONS

_f = np.float32
_LOG2_E = _f(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = _f(0.693359375), _f(-2.12194440e-4)  # n * _LN2_HIGH is exact for every exponent n
_SMALLEST = _f(-87.33654)  # below it the result is no normal number
_C6, _C5, _C4 = _f(1.9875691500e-4), _f(1.3981999507e-3), _f(8.3334519073e-3)
_C3, _C2, _C1 = _f(4.1665795894e-2), _f(1.6666665459e-1), _f(0.5)


@intrinsic
def _power_of_two(typingctx, n):
    """Return 2 to the power n, a float32 without fraction, by writing n into the exponent bits."""

    def lower(context, builder, signature, values):
        bits = ir.IntType(32)
        exponent = builder.add(builder.fptosi(values[0], bits), bits(127))
        return builder.bitcast(builder.shl(exponent, bits(23)), ir.FloatType())

    return types.float32(types.float32), lower


def exp(x):
    """Return e to the power x; 0 where the result would be below 1e-38."""
    return math.exp(x)


def _exp_float32(x):
    n = np.floor(x * _LOG2_E + _f(0.5))
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    y = ((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _C1
    y = y * r * r + r + _f(1)
    return _f(0) if x < _SMALLEST else y * _power_of_two(n)


@overload(exp, jit_options=OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})
def _choose_exp(x):
    return _exp_float32 if x == types.float32 else lambda x: math.exp(x)
