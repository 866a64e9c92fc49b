"""Softmax and its logarithm; start with op.py."""
