"""What normalisation computes between its passes over the pixels: a few numbers per plane (n, c).

From the moments or sums of single planes, combined over the images (batch) or over a group of channels, to the
coefficients of the next pass. It has rungs, as an operation has, because on a GPU each line of reference.py would start
kernels that do almost nothing; in gpu.cu a whole function is one kernel.
"""
