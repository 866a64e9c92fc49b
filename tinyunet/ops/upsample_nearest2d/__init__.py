"""Nearest-neighbour up-sampling; start with op.py."""
