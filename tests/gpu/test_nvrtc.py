"""T1: NVIDIA's compiler accepts every kernel, for A100 and H100, and they stay within the limits of a block."""

from __future__ import annotations

import pytest

from .nvrtc import ARCHITECTURES, SOURCES, compile_kernels

pytest.importorskip("cupy")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("op", SOURCES)
def test_kernels_compile(op, architecture):
    uses = compile_kernels(SOURCES[op], architecture)
    assert uses, "no kernel found in the source"
    for use in uses:
        assert use.spills == 0, f"{use.kernel} needs more registers than there are"
        assert use.shared <= 48 << 10, f"{use.kernel} needs more shared memory than a block can declare"
        assert use.registers <= 255


def test_a_mistake_is_an_error(tmp_path):
    from tinyunet.ops.cuda import CudaSource

    (tmp_path / "gpu.cu").write_text("template <typename T> __global__ void f(T* x) { x[0] = undeclared; }")
    with pytest.raises(SyntaxError, match='identifier "undeclared" is undefined'):
        compile_kernels(CudaSource(tmp_path / "gpu.py"), 90)
