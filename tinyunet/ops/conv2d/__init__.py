"""2-D convolution; start with op.py."""
