"""Coefficients of normalisation on the CPU: a few numbers per plane, so NumPy serves."""

from .reference import backward, from_planes, from_running, update_running

__all__ = ["backward", "from_planes", "from_running", "update_running"]
