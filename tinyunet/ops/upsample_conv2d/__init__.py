"""The article's "deconvolution" (4.3); start with op.py."""
