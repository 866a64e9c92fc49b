"""The operations: one folder each, one file per rung.

    op.py          the formula (docstring of the public function) and the autograd bookkeeping
    reference.py   NumPy; loops only over kernel offsets; the specification that everything is tested against
    cpu.py         numba kernels: the fast path on a CPU
    gpu.py         launches the CUDA kernels on CuPy arrays
    gpu.cu         the CUDA C++ kernels, templates over float and double

Index letters are the interface between them: n image, c input channel, o output channel, (i, j) output pixel,
(u, v) kernel offset, (p, q) input pixel. Sizes are upper case (N C O H W OH OW KH KW SH SW PH PW), arrays lower case
(x w b y, gradients gx gw gb gy). Numbers such as `# (2)` point to the equation of that number in the docstring.
An operation that NumPy (on a GPU, CuPy) serves well without a kernel of its own is a single file.

This file exports nothing: a function `conv2d` here would shadow the sub-package `ops.conv2d`.
"""
