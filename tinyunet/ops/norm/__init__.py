"""Batch and group normalisation; start with op.py."""
