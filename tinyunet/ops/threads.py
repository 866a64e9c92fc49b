"""How a kernel's jobs are shared among threads: `parallel_for`, on numba's pool of threads.

numba's `prange` splits a loop, compiles its body as a function of its own, wraps that in another, and calls the pool's
`numba_parallel_for` with it. Our kernels are functions already, so this file only writes the last step: it makes a C
function that hands a thread its share, and the call. The pool is the one that every other numba program in the process
uses, with `numba.set_num_threads` and `NUMBA_NUM_THREADS` as its settings; nothing is changed for others.

Threads that wait for the end of a kernel spin only briefly (`GOMP_SPINCOUNT`, unless you have set it). By default GNU
OpenMP spins for milliseconds, which on a machine with other work takes away the core that the work waits for; on an
idle one the longer spin is slightly faster. Compare with `GOMP_SPINCOUNT=1000000 tinyunet bench --quick`.
"""

from __future__ import annotations

import os

from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.core.targetconfig import ConfigStack
from numba.extending import intrinsic
from numba.np.ufunc.parallel import _launch_threads

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # read when the first kernel starts the threads

_INT, _BYTES, _NOTHING = ir.IntType(64), ir.IntType(8).as_pointer(), ir.VoidType()
# What the pool calls (pointers, counts, steps, data) and the pool's own function, as in numba/np/ufunc/omppool.cpp.
_CALLED = ir.FunctionType(_NOTHING, [_BYTES.as_pointer(), _INT.as_pointer(), _INT.as_pointer(), _BYTES])
_POOL = ir.FunctionType(_NOTHING, [_BYTES] * 5 + [_INT] * 3)


def _in_turn(job, jobs, arguments):
    job(0, jobs, *arguments)


def _on_threads(typingctx, job, jobs, arguments):
    """Run job(first, last, *arguments) on every thread, each with its share of range(jobs).

    Raises
    ------
    RuntimeError
        If a job raised an error: what it computed is incomplete.
    """
    job_signature = types.void(types.intp, types.intp, *arguments.types)

    def lower(context, builder, signature, values):
        flags = ConfigStack.top_or_none().copy()
        compiled = context.compile_subroutine(builder, job.dispatcher.py_func, job_signature, flags=flags)
        threads = builder.call(_function(builder, ir.FunctionType(_INT, []), "get_num_threads"), [])
        failed = cgutils.alloca_once_value(builder, _INT(0))
        shared = cgutils.alloca_once_value(
            builder, cgutils.make_anonymous_struct(builder, [values[1], threads, failed, values[2]])
        )

        thread = ir.Function(builder.module, _CALLED, builder.module.get_unique_name("thread"))
        thread.linkage = "internal"
        inside = ir.IRBuilder(thread.append_basic_block())
        # Pointer 0 is null plus one byte per share before this one: its value is the number of the first share here.
        share = inside.ptrtoint(inside.load(thread.args[0]), _INT)
        data = inside.load(inside.bitcast(thread.args[3], shared.type))
        jobs, shares, failed_here, job_arguments = (inside.extract_value(data, k) for k in range(4))
        with cgutils.for_range(inside, inside.load(thread.args[1])) as loop:
            k = inside.add(share, loop.index)
            first, last = (inside.sdiv(inside.mul(jobs, end), shares) for end in (k, inside.add(k, _INT(1))))
            status, _ = context.call_internal_no_propagate(
                inside,
                compiled.fndesc,
                compiled.signature,
                [first, last, *cgutils.unpack_tuple(inside, job_arguments)],
            )
            with inside.if_then(status.is_error, likely=False):
                inside.store(_INT(1), failed_here)
        inside.ret_void()

        null, step, count = (
            cgutils.alloca_once_value(builder, value) for value in (ir.Constant(_BYTES, None), _INT(1), threads)
        )
        pointers = [builder.bitcast(p, _BYTES) for p in (thread, null, count, step, shared)]
        builder.call(_function(builder, _POOL, "numba_parallel_for"), [*pointers, _INT(0), _INT(1), threads])
        with builder.if_then(builder.icmp_signed("!=", builder.load(failed), _INT(0)), likely=False):
            message = f"{job.dispatcher.py_func.__name__} failed in a thread, most likely for lack of memory"
            context.call_conv.return_user_exc(builder, RuntimeError, (message,))
        return context.get_dummy_value()

    return types.void(job, types.intp, arguments), lower


def _function(builder, type_, name: str):
    return cgutils.get_or_insert_function(builder.module, type_, name)


if config.DISABLE_JIT:
    parallel_for = _in_turn
else:
    _launch_threads()  # also tells LLVM where numba_parallel_for is
    parallel_for = intrinsic(_on_threads)
