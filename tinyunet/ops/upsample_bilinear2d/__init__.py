"""Bilinear up-sampling; start with op.py."""
